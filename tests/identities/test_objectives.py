"""Every objective is its formula: against brute force, closed forms and exact evidence."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from linear_gaussian import linear_gaussian
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct, known, texts
from vaescape.distributions import Gaussian, Point, as_event
from vaescape.errors import ComponentError
from vaescape.models.evidence import Evidence, Latent, log_ratio
from vaescape.objectives.base import density
from vaescape.objectives.beta_tc import aggregate, stratified_weights
from vaescape.objectives.critic import Critic, gradient_only
from vaescape.objectives.dip import covariance
from vaescape.objectives.factor import shuffled
from vaescape.objectives.mmd import kernel, mmd2
from vaescape.objectives.rae import squared_jacobian
from vaescape.objectives.swae import directions, sliced_wasserstein2
from vaescape.recipes import Parts
from vaescape.schedules import ramp

SHAPE = (1, 8, 8)
SMALL = Parts(network="mlp(hidden=7)", latent=3)
NOW = torch.tensor(1.0)
FACTS = {"latent_dim": 2, "images": 100, "shape": (1, 1, 2)}
STANDARD = Gaussian(torch.zeros(2).double(), torch.zeros(2).double())


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def exact():
    return linear_gaussian()


def objective_of(text: str):
    return construct("objective", text, **FACTS)


def evidence(
    q: Distribution, z: Tensor | None = None, p: Distribution = STANDARD, samples: int = 1
) -> Evidence:
    """A record without a decoder: p(x | z) = N(x; z, 1) of two pixels, all black."""
    z = q.rsample((samples,)) if z is None else z
    x = torch.zeros(z.shape[1], 1, 1, z.shape[-1]).double()
    seen = Gaussian(z[..., None, None, :], torch.zeros(()).double(), event_dims=3)
    return Evidence(x, seen, (Latent(z, as_event(q), as_event(p)),))


def some_gaussian(images: int = 5, dimensions: int = 2) -> Gaussian:
    draws = torch.randn(2, images, dimensions, dtype=torch.float64)
    return Gaussian(draws[0], 0.3 * draws[1] - 0.5)


def value(text: str, e: Evidence, t: Tensor = NOW) -> Tensor:
    return objective_of(text).loss(e, t).total


CRITICS = ("factor", "adversarial")

# ---- importance-weighted bounds -----------------------------------------------------------------


@pytest.mark.parametrize("text", ["iwae(samples=1)", "iwae-stl(samples=1)", "iwae-dreg(samples=1)"])
def test_one_draw_is_the_monte_carlo_elbo(text: str, exact):
    model, _, x = exact
    torch.manual_seed(1)
    total = objective_of(text)(model, Batch(x), NOW).total
    torch.manual_seed(1)
    torch.testing.assert_close(total, -model.evidence(x).log_weight().mean())


def test_bounds_rise_with_the_draws_up_to_the_exact_evidence(exact):
    model, truth, x = exact
    many, evidence_of_x = Batch(x.repeat(60, 1, 1, 1)), truth.evidence(x).mean()
    texts = ["elbo", "iwae(samples=5)", "iwae(samples=50)", "iwae(samples=500)"]
    elbo, five, fifty, most = (-objective_of(text)(model, many, NOW).total for text in texts)
    assert elbo < five < fifty < evidence_of_x
    assert evidence_of_x - fifty < (evidence_of_x - five) / 5
    assert abs(evidence_of_x - most) < 0.005


@pytest.mark.parametrize("name", ["iwae", "iwae-stl", "iwae-dreg", "piwae(samples=3, groups=2)"])
def test_what_is_reported_is_the_bound(name: str):
    """Not Σ w̃ log w, which has the same gradient and lies above."""
    given = some_gaussian()
    e = evidence(given, samples=6)
    q, p, z = Normal(given.mean, given.scale), Normal(0, 1), e.latents[0].z
    log_w = (Normal(z, 1).log_prob(torch.zeros(()).double()) + p.log_prob(z) - q.log_prob(z)).sum(
        -1
    )
    torch.testing.assert_close(value(name, e), -log_w.exp().mean(0).log().mean())
    assert value(name, e) > -(log_w.softmax(0) * log_w).sum(0).mean()


def test_the_groups_of_miwae_are_groups_of_draws():
    q = some_gaussian()
    z = q.sample((6,))
    log_w = evidence(q, z).log_weight()
    two_of_three = log_w[:3].exp().mean(0).log() / 2 + log_w[3:].exp().mean(0).log() / 2
    torch.testing.assert_close(
        value("miwae(samples=3, groups=2)", evidence(q, z)), -two_of_three.mean()
    )
    assert objective_of("miwae(samples=3, groups=2)").samples == 6
    for text, like in (
        ("miwae(samples=6, groups=1)", "iwae"),
        ("ciwae(beta=0)", "iwae"),
        ("ciwae(beta=1)", "miwae(samples=1, groups=6)"),
    ):
        torch.testing.assert_close(value(text, evidence(q, z)), value(like, evidence(q, z)))


def test_the_order_of_the_draws_does_not_matter():
    q = some_gaussian()
    z = q.sample((6,))
    for text in ("iwae", "ciwae(beta=0.3)"):
        mixed = evidence(q, z[torch.randperm(6)])
        torch.testing.assert_close(value(text, mixed), value(text, evidence(q, z)))
    inside, across = z[[2, 0, 1, 5, 3, 4]], z[[0, 3, 1, 4, 2, 5]]
    grouped = "miwae(samples=3, groups=2)"
    torch.testing.assert_close(value(grouped, evidence(q, inside)), value(grouped, evidence(q, z)))
    assert not torch.isclose(value(grouped, evidence(q, across)), value(grouped, evidence(q, z)))


def test_ciwae_is_the_share_of_two_bounds():
    q = some_gaussian()
    z = q.sample((6,))
    log_w = evidence(q, z).log_weight()
    by_hand = 0.3 * log_w.mean(0) + 0.7 * log_w.exp().mean(0).log()
    torch.testing.assert_close(value("ciwae(beta=0.3)", evidence(q, z)), -by_hand.mean())


# ---- their gradients, with all of one number: z ~ N(0, 1), x | z ~ N(a z, 0.5²), q = N(m, s²) ---

X, SIGMA = 1.3, 0.5
START = {"mean": 0.4, "log_scale": -0.2, "a": 0.8}


def one_number(samples: int, images: int, at: dict[str, float], noise: Tensor | None = None):
    """The record of equal images that have their own parameters, so each has its own gradient."""
    found = START | at
    parameters = {
        name: torch.full((images, 1), number, dtype=torch.float64, requires_grad=True)
        for name, number in found.items()
    }
    q = Gaussian(parameters["mean"], parameters["log_scale"])
    z = q.rsample((samples,)) if noise is None else q.mean + q.scale * noise
    seen = Gaussian(
        (parameters["a"] * z)[..., None, None],
        torch.tensor(math.log(SIGMA), dtype=torch.float64),
        event_dims=3,
    )
    p = Gaussian(torch.zeros(1).double(), torch.zeros(1).double())
    x = torch.full((images, 1, 1, 1), X, dtype=torch.float64)
    return Evidence(x, seen, (Latent(z, as_event(q), as_event(p)),)), list(parameters.values())


def gradients(text: str, samples: int, images: int = 20_000, **at: float) -> Tensor:
    """One row per image: by mean, log scale and a."""
    e, parameters = one_number(samples, images, at)
    total = objective_of(text).loss(e, NOW).total
    return torch.cat(torch.autograd.grad(images * total, parameters), dim=1)


def exact_gradient(samples: int, nodes: int = 24) -> Tensor:
    """By Gauss–Hermite quadrature over the noise of every draw."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grid = torch.cartesian_prod(*[torch.from_numpy(points)] * samples).reshape(-1, samples)
    mass = torch.cartesian_prod(*[torch.from_numpy(weights / weights.sum())] * samples)
    e, parameters = one_number(samples, len(grid), {}, noise=grid.T[..., None])
    bound = e.log_weight().logsumexp(0) - math.log(samples)
    total = -(bound * mass.reshape(-1, samples).prod(1)).sum()
    return torch.cat([g.sum().reshape(1) for g in torch.autograd.grad(total, parameters)])


@pytest.mark.parametrize(
    ("text", "samples"), [("iwae", 3), ("iwae-dreg", 3), ("iwae-stl", 1), ("iwae-dreg", 1)]
)
def test_the_gradient_is_the_exact_one_in_expectation(text: str, samples: int):
    found = gradients(text, samples)
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - exact_gradient(samples)).abs() < 4 * error).all()


def test_sticking_the_landing_is_biased_with_several_draws():
    """As its docstring says; the decoder's gradient is right all the same."""
    found = gradients("iwae-stl", 3)
    off = (found.mean(0) - exact_gradient(3)).abs() / (found.std(0) / len(found) ** 0.5)
    assert off[:2].max() > 8
    assert off[2] < 4


def test_the_doubly_reparameterised_gradient_has_less_noise():
    plain, double = gradients("iwae", 20), gradients("iwae-dreg", 20)
    assert (double.var(0)[:2] < plain.var(0)[:2] / 2).all()


@pytest.mark.parametrize("name", ["iwae-stl", "iwae-dreg"])
@pytest.mark.parametrize("samples", [1, 4])
def test_the_encoders_gradient_vanishes_at_the_exact_posterior(name: str, samples: int):
    a = START["a"]
    precision = 1 + a**2 / SIGMA**2
    there = {"mean": a * X / SIGMA**2 / precision, "log_scale": -0.5 * math.log(precision)}
    norms = [
        gradients(name, samples, 100, mean=there["mean"] + d, log_scale=there["log_scale"])[:, :2]
        .norm(dim=1)
        .mean()
        .item()
        for d in (0.1, 0.01, 0.0)
    ]
    assert norms[0] > norms[1] > norms[2]
    assert norms[2] < 1e-12
    assert gradients("iwae", samples, 100, **there)[:, :2].norm(dim=1).mean() > 0.1


def by_part(objective: str, **parts: str) -> dict[str, Tensor]:
    """The gradient of the encoder's weights and that of all others, at one seed."""
    given = replace(Parts(network="mlp(hidden=7)", latent=3, objective=objective), **parts)  # pyright: ignore
    model, loss = build(given, shape=SHAPE)
    model = model.double()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    x = torch.rand(5, *SHAPE, dtype=torch.float64)
    loss(model, Batch(x), NOW).total.backward()
    found: dict[str, list[Tensor]] = {"encoder": [], "others": []}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        part = "encoder" if name.startswith("posterior.") else "others"
        found[part].append(parameter.grad.flatten())
    return {part: torch.cat(gradients) for part, gradients in found.items()}


@pytest.mark.parametrize(
    "parts",
    [
        {"prior": "mixture(components=4)"},
        {"prior": "flow(hidden=8)", "posterior": "full-rank", "likelihood": "gaussian-learned"},
        {"prior": "uniform-sphere", "posterior": "power-spherical"},
    ],
    ids=str,
)
def test_piwae_gives_the_encoder_miwaes_gradient_and_the_rest_iwaes(parts: dict[str, str]):
    found = by_part("piwae(samples=3, groups=4)", **parts)
    grouped = by_part("miwae(samples=3, groups=4)", **parts)
    together = by_part("iwae(samples=12)", **parts)
    torch.testing.assert_close(found["encoder"], grouped["encoder"], rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(found["others"], together["others"], rtol=1e-8, atol=1e-9)
    for part in found:
        assert (grouped[part] - together[part]).norm() > 0.01 * together[part].norm()


@pytest.mark.parametrize("text", ["piwae(samples=4, groups=1)", "piwae(samples=1, groups=4)"])
def test_piwae_with_one_group_is_iwae_and_with_one_draw_each_the_encoders_elbo(text: str):
    alike = "iwae(samples=4)" if "groups=1" in text else "miwae(samples=1, groups=4)"
    encoder, theirs = by_part(text)["encoder"], by_part(alike)["encoder"]
    torch.testing.assert_close(encoder, theirs, rtol=1e-8, atol=1e-9)


def test_piwae_keeps_the_groups_that_are_lost_to_the_decoder():
    """Thousands of nats apart: a share of all weight is then zero, and a group's own is not."""

    def at_one_seed(text: str) -> Tensor:
        torch.manual_seed(1)
        return gradients(text, 6, 50, a=60.0)

    torch.manual_seed(1)
    log_weight = one_number(6, 50, {"a": 60.0})[0].log_weight().unflatten(0, (2, 3))
    assert (log_weight.logsumexp(1).diff(dim=0).abs() > 750).any()
    found = at_one_seed("piwae(samples=3, groups=2)")
    encoder = at_one_seed("miwae(samples=3, groups=2)")[:, :2]
    torch.testing.assert_close(found[:, :2], encoder, rtol=1e-8, atol=0)
    torch.testing.assert_close(found[:, 2], at_one_seed("iwae(samples=6)")[:, 2])


def test_a_posterior_that_cannot_be_stopped_is_refused():
    q = Independent(Laplace(torch.zeros(4, 2).double(), 1.0), 1)
    with pytest.raises(ComponentError, match="cannot be detached.*Use objective 'iwae'"):
        value("iwae-stl", evidence(q))


# ---- β-TC ---------------------------------------------------------------------------------------


def test_at_beta_one_it_is_the_monte_carlo_elbo():
    model, objective = build(
        Parts(network="mlp(hidden=7)", latent=3, objective="beta-tc(beta=1)"),
        shape=SHAPE,
        images=1000,
    )
    x = torch.rand(9, *SHAPE)
    torch.manual_seed(1)
    total = objective(model, Batch(x), NOW).total
    torch.manual_seed(1)
    torch.testing.assert_close(total, -model.evidence(x).log_weight().mean())


def test_the_three_parts_telescope_to_the_kl_and_beta_weighs_the_second():
    e = evidence(some_gaussian(), samples=3)
    loss = objective_of("beta-tc(beta=5)").loss(e, NOW)
    parts = ("mutual_information", "total_correlation", "dimension_kl")
    kl = -log_ratio(e.latents).mean()
    torch.testing.assert_close(sum(loss.metrics[part] for part in parts), kl)
    by_hand = loss.metrics["reconstruction"] + kl + 4 * loss.metrics["total_correlation"]
    torch.testing.assert_close(loss.total, by_hand)


@pytest.mark.parametrize(("batch", "images"), [(7, 1000), (2, 3), (64, 64)])
def test_the_diagonal_weighs_one_nth_and_rows_sum_to_one(batch: int, images: int):
    weights = stratified_weights(torch.zeros(1, batch, 2).double(), images)
    torch.testing.assert_close(weights.diagonal(), torch.full((batch,), 1 / images).double())
    torch.testing.assert_close(weights.sum(1), torch.ones(batch).double())


def test_a_batch_that_is_the_whole_set_is_exact():
    q = some_gaussian(images=40, dimensions=3)
    z = q.sample((2,))
    joint, product = aggregate(q, z, stratified_weights(z, 40))
    even = Categorical(torch.ones(40).double())
    whole = MixtureSameFamily(even, Independent(Normal(q.mean, q.scale), 1))
    torch.testing.assert_close(joint, whole.log_prob(z))
    marginals = (
        MixtureSameFamily(even, Normal(q.mean[:, d], q.scale[:, d])).log_prob(z[..., d])
        for d in range(3)
    )
    torch.testing.assert_close(product, sum(marginals))


def total_correlation(means: Tensor, scale: float, batch: int) -> float:
    """Estimated batch by batch, as in training."""
    found = []
    for part in means.split(batch):
        q = Gaussian(part, torch.full_like(part, math.log(scale)))
        z = q.sample((1,))
        joint, product = aggregate(q, z, stratified_weights(z, len(means)))
        found.append((joint - product).mean())
    return torch.stack(found).mean().item()


@pytest.mark.parametrize("batch", [250, 2000])
def test_correlated_codes_have_the_total_correlation_of_a_gaussian(batch: int):
    """q(z) is N(0, C + s² I): TC = −½ log det of its correlation."""
    scale, chol = 0.4, torch.linalg.cholesky(torch.tensor([[1.0, 0.9], [0.9, 1.0]]).double())
    means = torch.randn(2000, 2).double() @ chol.T
    together = chol @ chol.T + scale**2 * torch.eye(2).double()
    spread = together.diagonal().sqrt()
    closed = -0.5 * torch.logdet(together / spread[:, None] / spread).item()
    assert total_correlation(means, scale, batch) == pytest.approx(closed, abs=0.05)


@pytest.mark.parametrize("dimensions", [2, 10])
def test_independent_codes_have_none(dimensions: int):
    means = torch.randn(2000, dimensions).double()
    assert total_correlation(means, 1.0, 250) == pytest.approx(0, abs=0.03 * dimensions)


def test_without_the_number_of_images_it_says_so():
    model, objective = build(Parts(objective="beta-tc"), shape=(1, 28, 28))
    with pytest.raises(ComponentError, match=r"number of training images.*images=60_000"):
        objective(model, Batch(torch.rand(2, 1, 28, 28)), NOW)


def test_a_batch_of_one_is_finite():
    """The last part of a split may be one image."""
    for text in ("beta-tc", "dip-i", "dip-ii", "mmd", "swae"):
        assert value(text, evidence(some_gaussian(images=1))).isfinite()


# ---- DIP ----------------------------------------------------------------------------------------


def test_the_covariances_are_those_of_numpy():
    e = evidence(some_gaussian(images=30, dimensions=2))
    q = e.latents[0].q
    means = np.cov(q.mean.numpy(), rowvar=False, bias=True)
    whole = means + np.diag(q.variance.mean(0).numpy())
    for text, expected in (("dip-i", means), ("dip-ii", whole)):
        np.testing.assert_allclose(objective_of(text).covariance(e).numpy(), expected)


@pytest.mark.parametrize("name", ["dip-i", "dip-ii"])
def test_the_penalty_is_the_papers(name: str):
    e = evidence(some_gaussian(images=30))
    objective = objective_of(f"{name}(off_diagonal=3.0, diagonal=7.0)")
    c = objective.covariance(e)
    by_hand = 3 * 2 * c[0, 1] ** 2 + 7 * ((c[0, 0] - 1) ** 2 + (c[1, 1] - 1) ** 2)
    loss = objective.loss(e, NOW)
    torch.testing.assert_close(loss.metrics["covariance_penalty"], by_hand)
    torch.testing.assert_close(loss.total, value("elbo", e) + by_hand)


def test_a_shift_changes_nothing_and_the_variance_only_the_diagonal():
    q = some_gaussian(images=30)
    torch.testing.assert_close(covariance(q.mean + 5), covariance(q.mean))
    wide = Gaussian(q.mean, q.log_scale + 1)
    narrow, wider = (objective_of("dip-ii").covariance(evidence(g)) for g in (q, wide))
    assert narrow[0, 1] == wider[0, 1]
    assert (narrow.diagonal() < wider.diagonal()).all()


# ---- MMD ----------------------------------------------------------------------------------------


def test_the_estimate_is_the_mean_over_different_pairs():
    x, y = torch.randn(2, 5, 3).double()
    k = {
        (a, b, i, j): 6 / (6 + float(((s[i] - r[j]) ** 2).sum()))
        for a, s in (("x", x), ("y", y))
        for b, r in (("x", x), ("y", y))
        for i in range(5)
        for j in range(5)
    }
    within = sum(k[a, a, i, j] for a in "xy" for i in range(5) for j in range(5) if i != j) / 20
    between = sum(k["x", "y", i, j] for i in range(5) for j in range(5)) / 25
    assert mmd2(x, y).item() == pytest.approx(within - 2 * between)
    torch.testing.assert_close(mmd2(x[torch.randperm(5)], y), mmd2(x, y))


@pytest.mark.parametrize("dimensions", [2, 20])
def test_equal_distributions_have_none_and_shifted_ones_have(dimensions: int):
    found = torch.stack([mmd2(*torch.randn(2, 64, dimensions)) for _ in range(200)])
    assert found.mean().abs() < 4 * found.std() / 200**0.5
    shifted = torch.stack(
        [mmd2(torch.randn(64, dimensions) + 0.7, torch.randn(64, dimensions)) for _ in range(20)]
    )
    assert shifted.mean() > 10 * found.std()


@pytest.mark.parametrize("dimensions", [1, 8, 64])
def test_the_kernel_is_as_wide_as_the_prior_in_any_dimension(dimensions: int):
    k = kernel(*torch.randn(2, 300, dimensions))
    assert 0.4 < k.mean() < 0.7


@pytest.mark.parametrize("argument", ["weight", "beta"])
def test_a_weight_is_never_negative(argument: str):
    with pytest.raises(ComponentError, match=f"{argument} must be a number, zero or more"):
        objective_of(f"mmd({argument}=-0.1)")


def test_with_a_point_it_is_a_wasserstein_autoencoder():
    e = evidence(Point(torch.randn(40, 2).double() + 3))
    loss = objective_of("mmd(weight=100)").loss(e, NOW)
    assert "kl" not in loss.metrics
    assert loss.metrics["mmd2"] > 0.1
    torch.testing.assert_close(
        loss.total, loss.metrics["reconstruction"] + 100 * loss.metrics["mmd2"]
    )


def test_mmd_with_a_density_reports_the_kl_and_weighs_it_by_beta():
    e = evidence(some_gaussian(images=20))
    torch.manual_seed(1)
    without = value("mmd(beta=0)", e)
    torch.manual_seed(1)
    torch.testing.assert_close(value("mmd(beta=2)", e) - without, 2 * e.kl().mean())


# ---- sliced Wasserstein --------------------------------------------------------------------------

ONE = torch.ones(1, 1).double()


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.7), (2.5, 0.0), (0.3, -1.2)])
def test_in_one_dimension_it_is_the_squared_distance_of_the_quantiles(scale: float, shift: float):
    x = torch.randn(40, 1).double()
    y = (scale * x + shift)[torch.randperm(40)]
    exact = ((scale - 1) * x + shift).square().mean()
    torch.testing.assert_close(sliced_wasserstein2(x, y, ONE), exact)
    torch.testing.assert_close(sliced_wasserstein2(y, x, -ONE), exact)


def test_no_transport_is_cheaper_than_that_of_smallest_to_smallest():
    x, y = torch.randn(2, 6, 1).double()
    costs = [(x - y[list(order)]).square().mean() for order in itertools.permutations(range(6))]
    torch.testing.assert_close(sliced_wasserstein2(x, y, ONE), torch.stack(costs).min())


@pytest.mark.parametrize("dimensions", [2, 20])
def test_a_shift_counts_its_square_over_the_dimensions(dimensions: int):
    x, by = torch.randn(50, dimensions).double(), torch.randn(dimensions).double()
    lines = directions(x, 20_000)
    torch.testing.assert_close(lines.norm(dim=0), torch.ones(20_000).double())
    found = sliced_wasserstein2(x, (x + by)[torch.randperm(50)], lines)
    torch.testing.assert_close(found, by.square().sum() / dimensions, rtol=0.05, atol=0)


def test_samples_of_equal_distributions_come_closer_as_they_grow():
    means = []
    for n in (16, 128, 1024):
        pairs = (torch.randn(2, n, 5).double() for _ in range(40))
        means.append(
            torch.stack([sliced_wasserstein2(x, y, directions(x, 20)) for x, y in pairs]).mean()
        )
    assert means[0] > 4 * means[1] > 16 * means[2] > 0


def test_with_a_point_the_sliced_distance_stands_in_the_place_of_the_kl():
    e = evidence(Point(torch.randn(400, 2).double() + 3))
    loss = objective_of("swae(weight=10, projections=500)").loss(e, NOW)
    assert "kl" not in loss.metrics
    assert loss.metrics["sliced_wasserstein2"].item() == pytest.approx(9, rel=0.1)
    by_hand = loss.metrics["reconstruction"] + 10 * loss.metrics["sliced_wasserstein2"]
    torch.testing.assert_close(loss.total, by_hand)


# ---- adversaries --------------------------------------------------------------------------------


def trained_critic(draw, steps: int = 400) -> Critic:
    critic = Critic(2, hidden=32)
    adam = torch.optim.Adam(critic.parameters(), lr=5e-3)
    for _ in range(steps):
        adam.zero_grad()
        critic.cross_entropy(*draw(512)).backward()
        adam.step()
    return critic


def correlated(n: int, rho: float) -> Tensor:
    first, second = torch.randn(2, n)
    return torch.stack([first, rho * first + (1 - rho**2) ** 0.5 * second], dim=1)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_the_critic_finds_the_total_correlation(rho: float):
    def draw(n: int):
        z = correlated(n, rho)
        return z, shuffled(z)

    critic = trained_critic(draw)
    with torch.no_grad():
        found = critic.log_ratio(correlated(20_000, rho)).mean().item()
        own = critic.cross_entropy(*draw(20_000)).item()
    assert found == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.08)
    assert own == pytest.approx(math.log(2), abs=0.01) if rho == 0 else own < 0.62


def test_the_critic_finds_the_divergence_from_the_prior():
    critic = trained_critic(lambda n: (torch.randn(n, 2) + 1, torch.randn(n, 2)))
    with torch.no_grad():
        found = critic.log_ratio(torch.randn(20_000, 2) + 1).mean().item()
    assert found == pytest.approx(1, abs=0.2)


def test_neither_player_receives_the_others_gradient():
    critic, z = Critic(2, hidden=8), torch.randn(6, 2, requires_grad=True)
    critic.cross_entropy(z, shuffled(z)).backward()
    assert z.grad is None
    for parameter in critic.parameters():
        assert parameter.grad is not None
        parameter.grad = None
    critic.log_ratio(z).mean().backward()
    assert z.grad is not None
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_shuffling_breaks_every_pair_and_keeps_every_marginal():
    z = torch.arange(300.0).reshape(100, 3)
    mixed = shuffled(z)
    assert torch.equal(mixed.sort(0).values, z)
    partners = mixed - mixed[:, :1]
    assert (partners[:, 1] != 1).sum() > 80
    assert (partners[:, 2] - partners[:, 1] != 1).sum() > 80


@pytest.mark.parametrize("name", CRITICS)
def test_the_critics_loss_trains_it_and_counts_for_nothing_else(name: str):
    prior = Gaussian(torch.zeros(2), torch.zeros(2))
    e = evidence(Gaussian(torch.randn(20, 2), torch.zeros(20, 2)), p=prior)
    objective = objective_of(f"{name}(hidden=8)")
    loss = objective.loss(e, NOW)
    m = loss.metrics
    by_hand = {
        "factor": lambda: m["reconstruction"] + m["kl"] + 10 * m["total_correlation"],
        "adversarial": lambda: m["reconstruction"] + 10 * m["detected"],
    }[name]()
    torch.testing.assert_close(loss.total, by_hand)
    loss.total.backward()
    assert all(parameter.grad is not None for parameter in objective.parameters())
    zero = gradient_only(torch.tensor(3.0, requires_grad=True))
    assert zero == 0


def test_the_adversary_draws_codes_to_the_prior():
    """At a critic that knows: codes at 2 are pulled towards the prior at 0."""
    objective = objective_of("adversarial(hidden=32)")
    objective.critic = trained_critic(lambda n: (torch.randn(n, 2) + 2, torch.randn(n, 2)))
    place = torch.full((50, 2), 2.0, requires_grad=True)
    objective.critic.requires_grad_(False)
    torch.nn.functional.softplus(objective.critic.log_ratio(place)).mean().backward()
    assert place.grad is not None
    assert (place.grad > 0).all()


# ---- regularised autoencoders -------------------------------------------------------------------


def autoencoder(text: str):
    """A plain autoencoder in float64, its objective and a batch."""
    parts = Parts(network="mlp(hidden=7)", latent=3, posterior="point", objective=text)
    model, objective = build(parts, shape=SHAPE)
    return model.double(), objective, Batch(torch.rand(5, *SHAPE).double())


@pytest.mark.parametrize("norm", [0.0, 0.7])
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_rae_is_the_reconstruction_and_its_penalties(norm: float, l2: float):
    model, objective, batch = autoencoder(f"rae(norm={norm}, l2={l2})")
    z = model.posterior(batch.x).mean
    by_hand = -model.decode((z,)).log_prob(batch.x).mean() + norm * (z**2).sum() / 2 / len(z)
    by_hand += l2 * sum((p**2).sum() for p in model.likelihood.parameters())
    loss = objective(model, batch, NOW)
    torch.testing.assert_close(loss.total, by_hand)
    assert ("decoder_l2" in loss.metrics) == (l2 > 0)
    parameters = list(model.parameters())
    gradients, exact = (torch.autograd.grad(total, parameters) for total in (loss.total, by_hand))
    torch.testing.assert_close(gradients, exact)


def test_rae_penalises_the_whole_jacobian_of_the_decoded_image():
    """On average over directions; one alone is an estimate."""
    model, _, batch = autoencoder("rae")
    z = model.posterior(batch.x).mean.detach()
    exact = torch.autograd.functional.jacobian(lambda at: model.decode((at,)).mean.sum(0), z)
    norm = exact.square().sum((0, 1, 2, 4))
    found = torch.stack([squared_jacobian(model, z) for _ in range(2000)])
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - norm).abs() < 4 * error).all()
    assert (found.std(0) < norm).all()


def test_rae_smooths_the_decoder_through_its_weights_and_its_codes():
    model, objective, batch = autoencoder("rae(norm=0, l2=0, gradient=3)")
    torch.manual_seed(4)
    loss = objective(model, batch, NOW)
    parameters = [*model.posterior.parameters(), *model.likelihood.parameters()]
    found = torch.autograd.grad(loss.metrics["decoder_gradient"], parameters, retain_graph=True)
    assert all(gradient.abs().sum() > 0 for gradient in found[:-1])  # the last bias moves no slope
    kept = loss.total - 3 * loss.metrics["decoder_gradient"]
    torch.testing.assert_close(kept, loss.metrics["reconstruction"])


# ---- VAE-GAN ------------------------------------------------------------------------------------


def vae_gan(text: str = "vae-gan(critic='mlp(hidden=9)', features=6, weight=0.7)"):
    model, objective = build(
        Parts(network="mlp(hidden=7)", latent=3, objective=text), shape=SHAPE, seed=1
    )
    return model, objective, Batch(torch.rand(5, *SHAPE))


def of(modules, total: Tensor) -> list[Tensor]:
    parameters = [p for module in modules for p in module.parameters()]
    found = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def test_each_part_of_a_vae_gan_follows_its_own_line_of_the_algorithm():
    """Encoder: KL + error. Decoder: error + weight·fooled. Critic: its cross-entropy."""
    model, objective, batch = vae_gan()
    torch.manual_seed(3)
    loss = objective(model, batch, NOW)
    torch.manual_seed(3)
    e = model.evidence(batch.x)
    z = e.latents[0].z[0]
    prior = e.latents[0].prior_draws()
    critic: Any = objective.critic
    decode = lambda z: model.decode((z,)).mean  # noqa: E731
    error = 0.5 * (critic(batch.x)[0] - critic(decode(z))[0]).square().sum(1).mean()
    both = torch.cat([decode(z.detach()), decode(prior)])
    odds, real = critic(both)[1], critic(batch.x)[1]
    fooled = -odds.sigmoid().log().mean()
    own = -(real.sigmoid().log().mean() + (1 - odds.sigmoid()).log().mean()) / 2
    kl = e.kl().mean()
    torch.testing.assert_close(loss.total, kl + error + 0.7 * fooled)
    torch.testing.assert_close(loss.metrics["critic"], own)
    lines = (
        (model.posterior, kl + error),
        (model.likelihood, error + 0.7 * fooled),
        (critic, own),
    )
    for part, line in lines:
        for ours, exact in zip(of([part], loss.total), of([part], line), strict=True):
            torch.testing.assert_close(ours, exact)
        assert any(gradient.abs().sum() > 0 for gradient in of([part], line))


def test_a_vae_gans_critic_learns_to_tell_images_from_decoded_ones():
    model, objective, batch = vae_gan()
    adam = torch.optim.Adam(objective.parameters(), lr=1e-2)
    found = []
    for _ in range(150):
        adam.zero_grad()
        loss = objective(model, batch, NOW)
        loss.total.backward()
        adam.step()
        found.append(loss.metrics["critic"].item())
    assert found[0] == pytest.approx(math.log(2), abs=0.1)
    assert found[-1] < 0.1


# ---- capacity, free bits, GECO ------------------------------------------------------------------


def with_kls(*nats: float) -> Evidence:
    """A record of one latent dimension whose images have these KLs: ½ mean²."""
    means = (2 * torch.tensor(nats, dtype=torch.float64)).sqrt()[:, None]
    one = Gaussian(torch.zeros(1).double(), torch.zeros(1).double())
    return evidence(Gaussian(means, torch.zeros_like(means)), p=one)


def test_the_capacity_is_held_against_the_mean_of_the_batch():
    objective = objective_of("capacity(nats=4, gamma=10)")
    for kls, distance in (((3.0, 5.0), 0.0), ((1.0, 5.0), 1.0), ((6.0, 6.0), 2.0)):
        loss = objective.loss(with_kls(*kls), NOW)
        charged = loss.total - loss.metrics["reconstruction"]
        assert charged.item() == pytest.approx(10 * distance, abs=1e-9)


def test_the_capacity_is_reached_when_it_is_due():
    objective = objective_of("capacity(nats=4, until=0.8)")
    for t, target in ((0.0, 0.0), (0.4, 2.0), (0.8, 4.0), (1.0, 4.0)):
        found = objective.loss(with_kls(1.0), torch.tensor(t)).metrics["capacity"]
        assert found.item() == pytest.approx(target)


def test_free_bits_cost_nothing_below_and_the_kl_above():
    """Over dimensions with mean KLs of 0.4 and 2 nats, of which 0.5 are free."""
    means = (2 * torch.tensor([[0.8, 0.1], [0.0, 3.9]]).double()).sqrt().requires_grad_()
    e = evidence(Gaussian(means, torch.zeros_like(means)))
    loss = objective_of("elbo(beta=3, free_nats=0.5)").loss(e, NOW)
    charged = loss.total - loss.metrics["reconstruction"]
    assert charged.item() == pytest.approx(3 * (0.5 + 2.0))
    assert loss.metrics["kl"].item() == pytest.approx(0.4 + 2.0)
    (gradient,) = torch.autograd.grad(charged, means)
    assert (gradient[:, 0] == 0).all()
    torch.testing.assert_close(gradient[:, 1], 3 * means[:, 1].detach() / 2)


def test_free_bits_take_a_layer_for_one_group_where_dimensions_have_no_closed_form():
    p = Independent(Laplace(torch.zeros(2).double(), 1.0), 1)
    e = evidence(some_gaussian(images=200), p=p)
    kl = e.kl().mean()
    for free, charged in ((0.5 * kl.item(), kl), (2 * kl.item(), 2 * kl)):
        loss = objective_of(f"elbo(free_nats={free})").loss(e, NOW)
        torch.testing.assert_close(loss.total - loss.metrics["reconstruction"], charged)


def test_cycles_without_a_warmup_are_refused():
    with pytest.raises(ComponentError, match="cycles must be 1 without a warmup to repeat. Got 3"):
        objective_of("elbo(cycles=3)")


@pytest.mark.parametrize(("tolerance", "direction"), [(-50.0, 1), (50.0, -1)])
def test_gecos_multiplier_grows_while_reconstructions_are_worse_than_asked_for(
    tolerance: float, direction: int
):
    objective, e = (
        objective_of(f"geco(tolerance={tolerance}, rate=0.01)"),
        evidence(some_gaussian()),
    )
    logs = []
    for _ in range(3):
        objective.loss(e, NOW)
        logs.append(objective.log_multiplier.item())
    violation = -e.log_likelihood().mean().item() - tolerance
    assert logs == pytest.approx([0.01 * violation * n for n in (1, 2, 3)], rel=1e-4)
    assert logs[0] * direction > 0
    objective.eval().loss(e, NOW)
    assert objective.log_multiplier.item() == logs[-1]


def test_geco_starts_as_the_elbo_and_its_multiplier_stays_finite():
    means = torch.randn(6, 2).double().requires_grad_()
    noise = torch.randn(1, 6, 2).double()
    found = []
    for text in ("elbo", "geco(tolerance=-1e6)"):
        e = evidence(Gaussian(means, torch.zeros_like(means)), z=means + noise)
        objective = objective_of(text)
        found += torch.autograd.grad(objective.loss(e, NOW).total, means)
    torch.testing.assert_close(*found)
    e = evidence(some_gaussian())
    assert all(objective.loss(e, NOW).total.isfinite() for _ in range(50))


def test_gecos_multiplier_is_saved_with_the_run():
    assert "log_multiplier" in objective_of("geco").state_dict()


def fitted_reconstruction(text: str) -> float:
    """The exact reconstruction term of two pixels at the posterior that an objective fits."""
    raw = torch.zeros(2, 1, 2, dtype=torch.float64, requires_grad=True)
    adam, objective = torch.optim.Adam([raw], lr=0.03), objective_of(text)
    for _ in range(500):
        adam.zero_grad()
        q = Gaussian(raw[0].expand(64, 2), raw[1].expand(64, 2))
        objective.loss(evidence(q), NOW).total.backward()
        adam.step()
    mean, log_scale = raw.detach()
    return (math.log(2 * math.pi) + 0.5 * (mean**2 + (2 * log_scale).exp()).sum()).item()


def test_geco_meets_its_tolerance_where_the_elbo_does_not():
    """The exact posterior N(0, ½) of each pixel costs log 2π + ½ = 2.34 nats."""
    assert fitted_reconstruction("elbo") == pytest.approx(2.34, abs=0.04)
    geco = "geco(tolerance=2.15, rate=0.05, memory=0.9)"
    assert fitted_reconstruction(geco) == pytest.approx(2.15, abs=0.04)


# ---- schedules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("until", [0, 0.1, 0.7, 1])
@pytest.mark.parametrize("cycles", [1, 3, 4])
@pytest.mark.parametrize("steps", [1, 7, 9380])
def test_a_schedule_reaches_its_target_at_the_last_step(until, cycles: int, steps: int):
    t = torch.zeros(()).fill_(steps / steps)
    assert ramp(2.5, until, cycles)(t).item() == pytest.approx(2.5)


def test_cycles_are_ramps_in_a_row():
    schedule = ramp(3.0, until=0.5, cycles=2)
    times = (0.0, 0.125, 0.25, 0.5, 0.5 + 1 / 64, 0.625, 0.75, 1.0)
    found = [schedule(torch.tensor(t)).item() for t in times]
    assert found == pytest.approx([0, 1.5, 3, 3, 3 / 16, 1.5, 3, 3])


OF_ANY_MODEL = [text for text in texts("objective") if text != "m2"]
"""Objective m2 goes with model m2 alone: tests/models holds the two together."""


# ---- what has no meaning together ---------------------------------------------------------------


@pytest.mark.parametrize("name", OF_ANY_MODEL)
def test_a_point_is_refused_by_what_needs_a_density_and_taken_by_the_rest(name: str):
    parts = Parts(network="mlp(hidden=7)", posterior="point", objective=name)
    if density in objective_of(name).needs:
        with pytest.raises(ComponentError, match=r"has no density.*Use elbo\(beta=0\)"):
            build(parts, shape=SHAPE)
    else:
        model, objective = build(parts, shape=SHAPE)
        assert objective(model, Batch(torch.rand(5, *SHAPE)), NOW).total.isfinite()


def test_objectives_that_need_no_density():
    taken = {name for name in known("objective") if density not in objective_of(name).needs}
    assert taken == {"mmd", "swae", "adversarial", "rae"}
    assert density not in objective_of("elbo(beta=0)").needs
    assert density in objective_of("mmd(beta=1)").needs


@pytest.mark.parametrize("name", OF_ANY_MODEL)
def test_two_layers_are_taken_or_refused_in_a_sentence(name: str):
    one = evidence(some_gaussian(), samples=objective_of(name).samples)
    two = Evidence(one.x, one.likelihood, one.latents * 2)
    needs_one = {
        "beta-tc",
        "dip",
        "mmd",
        "swae",
        "factor",
        "adversarial",
        "rae",
        "vae-gan",
        "hamiltonian",
    }
    if name.partition("(")[0] in needs_one or "estimator" in name:
        with pytest.raises(ComponentError, match="one layer of latent variables.*has 2"):
            value(name, two)
    else:
        assert value(name, two).isfinite()


@pytest.mark.parametrize("name", ["beta-tc", "dip-i", "dip-ii"])
def test_a_posterior_that_does_not_factorise_is_refused(name: str):
    q = MultivariateNormal(torch.zeros(4, 2).double(), torch.eye(2).double())
    with pytest.raises(ComponentError, match=r"factorises.*Got MultivariateNormal"):
        value(name, evidence(q))


@pytest.mark.parametrize("name", OF_ANY_MODEL)
def test_every_objective_reports_the_terms_unweighted(name: str):
    model, objective = build(
        Parts(network="mlp(hidden=7)", latent=3, objective=name), shape=SHAPE, images=100
    )
    x = torch.rand(6, *SHAPE)
    metrics = objective(model, Batch(x), NOW).metrics
    e = model.evidence(x)
    torch.testing.assert_close(metrics["kl"], e.kl().mean())
    torch.testing.assert_close(metrics["kl_per_dimension"].sum(), metrics["kl"])
    assert metrics["reconstruction"].item() == pytest.approx(
        -e.log_likelihood().mean().item(), rel=0.1
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("iwae(samples=0)", "samples must be 1 or more. Got 0"),
        ("miwae(groups=0)", "groups must be 1 or more. Got 0"),
        ("piwae(groups=0)", "groups must be 1 or more. Got 0"),
        ("ciwae(beta=2)", "beta must be a share between 0 and 1"),
        ("capacity(until=2)", "until must be a share of training"),
        ("geco(memory=1)", "memory must be at least 0 and less than 1"),
        ("geco(rate=0)", "rate must be a number above 0"),
        ("beta-tc(beta=-1)", "beta must be a number, zero or more"),
        ("beta-tc(images=5)", "images is set by the run itself"),
        ("dip-i(diagonal=-1)", "diagonal must be a number, zero or more"),
        ("factor(hidden=0)", "hidden must be 1 or more"),
        ("factor(gamma=-1)", "gamma must be a number, zero or more"),
        ("adversarial(weight=-1)", "weight must be a number, zero or more"),
        ("swae(weight=-1)", "weight must be a number, zero or more"),
        ("swae(projections=0)", "projections must be 1 or more"),
        ("vae-gan(weight=-1)", "weight must be a number, zero or more"),
        ("vae-gan(critic='cnov')", "Did you mean 'conv'?"),
        ("rae(l2=-1)", "l2 must be a number, zero or more"),
        ("elbo(free_nats=-1)", "free_nats must be a number, zero or more"),
    ],
)
def test_impossible_values_are_refused(text: str, message: str):
    with pytest.raises(ComponentError) as caught:
        objective_of(text)
    assert message in str(caught.value)
