"""Laws over posteriors and priors: densities, draws and gradients, held to brute force."""

import copy
import math

import mpmath
import pytest
import torch
from scipy import integrate, optimize, special
from scipy.stats import vonmises_fisher
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, Normal, kl_divergence

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct
from vaescape.conditionals import Support
from vaescape.data import Batches
from vaescape.distributions import (
    Event,
    FullRankGaussian,
    Gaussian,
    Marginal,
    Mixture,
    PowerSpherical,
    UniformSphere,
    VonMisesFisher,
)
from vaescape.errors import ComponentError
from vaescape.recipes import Parts
from vaescape.testing import draws_what_it_scores, plane, sphere

SHAPE, IMAGES = (1, 4, 4), 12
PIXELS = torch.randint(
    0, 256, (IMAGES, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
ROWS = torch.arange(5)
X = PIXELS[ROWS].double() / 255

POSTERIORS = {
    "gaussian": "gaussian",
    "full-rank": "full-rank",
    "iaf": "iaf(hidden=8, context=3)",
    "spline": "spline(hidden=8, context=3)",
    "power-spherical": "power-spherical",
    "von-mises-fisher": "von-mises-fisher",
    "wrapped-normal": "wrapped-normal",
}
PRIORS = {
    "normal": "normal",
    "mixture": "mixture(components=3)",
    "class": "class",
    "vamp": "vamp(components=4)",
    "exemplar": "exemplar(components=8, at_once=6)",
    "flow-maf": "flow(hidden=8)",
    "flow-realnvp": "flow(family='realnvp', hidden=8)",
    "flow-nsf": "flow(family='nsf', hidden=8)",
    "uniform-sphere": "uniform-sphere",
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def built(posterior: str = "gaussian", prior: str = "normal", latent: int = 2, **facts):
    """A small model in float64, with weights large enough that its parts differ."""
    given = {"images": IMAGES, "pixels": PIXELS, "classes": 3} | facts
    parts = Parts(network="mlp(hidden=6)", posterior=posterior, prior=prior, latent=latent)
    model, objective = build(parts, shape=SHAPE, **given)
    model, objective = model.double(), objective.double()
    for parameter in model.parameters():
        if parameter.ndim != 4:  # all but pseudo-inputs, which are images
            parameter.data += (0.1 if "flow" in prior else 0.3) * torch.randn_like(parameter)
    return model, objective


def conditional(posterior: str, latent: int = 2) -> Event:
    head = construct("posterior", POSTERIORS[posterior], latent_dim=latent).double()
    raw = 0.7 * torch.randn(1, head.channels(latent), dtype=torch.float64)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        return head(raw)


def unconditional(prior: str, latent: int = 2, posterior: str = "gaussian") -> Event:
    model, _ = built(posterior, PRIORS[prior], latent)
    with torch.no_grad():
        return model.eval().prior()


SPHERICAL = {"power-spherical": PowerSpherical, "von-mises-fisher": VonMisesFisher}


@pytest.mark.parametrize("family", ["realnvp", "nsf"])
def test_flows_of_every_family_draw_what_they_score(family: str):
    draws_what_it_scores(unconditional(f"flow-{family}"), *plane(), tolerance=3e-3)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("concentration", [0.3, 4.0, 60.0])
@pytest.mark.parametrize("name", SPHERICAL)
def test_spherical_posteriors_integrate_to_one(name: str, dimensions: int, concentration: float):
    loc = torch.nn.functional.normalize(torch.randn(1, dimensions).double(), dim=-1)
    d = SPHERICAL[name](loc, torch.tensor([concentration]).double())
    draws_what_it_scores(d, *sphere(dimensions), tolerance=2e-4)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_mixture_of_posteriors_on_the_sphere_integrates_to_one(dimensions: int):
    draws_what_it_scores(unconditional("vamp", dimensions, "power-spherical"), *sphere(dimensions))


@pytest.mark.parametrize("name", POSTERIORS)
def test_the_joint_draw_scores_as_any_code_does(name: str):
    q = conditional(name, latent=3)
    z, log_q = q.joint_rsample((50,))
    if log_q is not None:
        torch.testing.assert_close(log_q, q.log_prob(z), rtol=1e-9, atol=1e-9)
    assert (log_q is None) == (name in ("gaussian", "full-rank", "von-mises-fisher"))


@pytest.mark.parametrize("name", SPHERICAL)
def test_spherical_posteriors_score_in_float32_close_to_the_mode_and_far_from_it(name: str):
    law = SPHERICAL[name]
    for kappa in (1e-3, 1e3, 1e5):
        loc = torch.nn.functional.normalize(torch.randn(200, 5), dim=-1).requires_grad_()
        concentration = torch.full((200,), kappa, requires_grad=True)
        z, log_q = law(loc, concentration).joint_rsample((3,))
        log_q = law(loc, concentration).log_prob(z) if log_q is None else log_q
        torch.testing.assert_close(z.norm(dim=-1), torch.ones(3, 200))
        (z.sum() + log_q.sum()).backward()
        assert loc.grad is not None
        assert concentration.grad is not None
        assert loc.grad.isfinite().all()
        assert concentration.grad.isfinite().all()
        antipode = law(loc, concentration).log_prob(-loc)
        assert antipode.isfinite().all()


@pytest.mark.parametrize("dimensions", [2, 3, 16, 128])
@pytest.mark.parametrize("kappa", [1e-3, 1.0, 1e3, 1e5])
def test_float32_tells_the_entropy_of_the_narrowest_power_spherical(dimensions: int, kappa: float):
    """By its closed form in 40 digits; a difference of two log Γ loses 0.1 nats at κ = 10⁵."""
    beta = (dimensions - 1) / 2
    with mpmath.workdps(40):
        a, b = mpmath.mpf(kappa) + beta, mpmath.mpf(beta)
        gammas = mpmath.loggamma(a) - mpmath.loggamma(a + b)
        log_normaliser = (a + b) * mpmath.log(2) + b * mpmath.log(mpmath.pi) + gammas
        expected = mpmath.log(2) + mpmath.digamma(a) - mpmath.digamma(a + b)
        entropy = float(log_normaliser - kappa * expected)
        height = float(kappa * mpmath.log(2) - log_normaliser)  # log p at μ
    loc = torch.nn.functional.normalize(torch.randn(dimensions), dim=-1)
    q = PowerSpherical(loc, torch.tensor(kappa))
    assert q.entropy().item() == pytest.approx(entropy, rel=2e-6, abs=2e-5)
    assert q.log_prob(loc).item() == pytest.approx(height, rel=2e-6, abs=2e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", SPHERICAL)
def test_the_gradient_of_spherical_draws_is_that_of_the_expectation(name: str, dimensions: int):
    """Against the derivative of the integral over the sphere, to 4.5 standard errors."""
    z, weight = sphere(dimensions)
    direction = torch.randn(dimensions).double().requires_grad_()
    kappa = torch.tensor(2.0).double().requires_grad_()

    def law(batch: int) -> PowerSpherical | VonMisesFisher:
        loc = torch.nn.functional.normalize(direction, dim=-1)
        return SPHERICAL[name](loc.expand(batch, -1), kappa.expand(batch))

    def value(z: Tensor) -> Tensor:
        return (1.5 * z[..., 0] - z[..., 1]).exp()

    exact = torch.autograd.grad(
        (law(1).log_prob(z).exp() * weight * value(z)).sum(), [direction, kappa]
    )
    rounds = [
        torch.cat([g.reshape(-1) for g in torch.autograd.grad(
            value(law(500).rsample()).mean(), [direction, kappa])])
        for _ in range(60)
    ]  # fmt: skip
    found = torch.stack(rounds)
    error = found.std(0) / len(found) ** 0.5
    expected = torch.cat([g.reshape(-1) for g in exact])
    assert ((found.mean(0) - expected).abs() < 4.5 * error).all()


@pytest.mark.parametrize("dimensions", [2, 3, 8, 40])
@pytest.mark.parametrize("kappa", [1e-3, 0.7, 12.0, 900.0])
def test_von_mises_fisher_is_scipys(dimensions: int, kappa: float):
    loc = torch.nn.functional.normalize(torch.randn(dimensions).double(), dim=-1)
    theirs = vonmises_fisher(loc.numpy(), kappa)  # pyright: ignore[reportArgumentType]
    ours = VonMisesFisher(loc, torch.tensor(kappa, dtype=torch.float64))
    z = torch.from_numpy(theirs.rvs(50, random_state=1))
    exact = torch.from_numpy(theirs.logpdf(z.numpy()))
    torch.testing.assert_close(ours.log_prob(z), exact, rtol=1e-9, atol=1e-9)
    assert ours.entropy().item() == pytest.approx(theirs.entropy(), rel=1e-9, abs=1e-9)
    half = dimensions / 2  # the mean resultant length, I_{D/2}(κ) / I_{D/2 − 1}(κ)
    resultant = special.ive(half, kappa) / special.ive(half - 1, kappa)
    assert ours.mean.norm().item() == pytest.approx(resultant, rel=1e-8)
    narrow = VonMisesFisher(loc.float(), torch.tensor(kappa))
    torch.testing.assert_close(narrow.log_prob(z.float()), exact.float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dimensions", [8, 40])
def test_von_mises_fisher_integrates_to_one_where_no_grid_reaches(dimensions: int):
    """By importance sampling from the uniform distribution, and from the power spherical one."""
    loc = torch.nn.functional.normalize(torch.randn(dimensions).double(), dim=-1)
    p = VonMisesFisher(loc, torch.tensor(5.0).double())
    even = UniformSphere(torch.zeros(dimensions).double())
    near = PowerSpherical(loc, torch.tensor(5.0).double())
    for q in (even, near):
        z = q.sample((100_000,))
        weight = (p.log_prob(z) - q.log_prob(z)).exp()
        assert abs(weight.mean().item() - 1) < 4 * weight.std().item() / 100_000**0.5
        assert weight.std() < 30


@pytest.mark.parametrize("dimensions", [2, 3, 10, 40])
@pytest.mark.parametrize("kappa", [0.3, 8.0, 500.0])
def test_von_mises_fisher_draws_have_its_angles(dimensions: int, kappa: float):
    """Their first two moments, by scipy's quadrature over the angle."""
    loc = torch.nn.functional.normalize(torch.randn(dimensions).double(), dim=-1)
    q = VonMisesFisher(loc, torch.tensor(kappa, dtype=torch.float64))
    cosine = (q.sample((20_000,)) * loc).sum(-1)

    def mass(t: float) -> float:
        return math.sin(t) ** (dimensions - 2) * math.exp(kappa * (math.cos(t) - 1))

    for power in (1, 2):
        whole, part = (
            integrate.quad(lambda t, w=w: mass(t) * math.cos(t) ** w, 0, math.pi, epsabs=0)[0]
            for w in (0, power)
        )
        found = cosine**power
        assert abs(found.mean().item() - part / whole) < 4.5 * found.std().item() / 20_000**0.5


@pytest.mark.parametrize("dimensions", [2, 3, 10])
def test_the_angle_moves_with_kappa_so_that_its_share_of_the_mass_stays(dimensions: int):
    """Against finite differences of the quantile, in both tails."""
    loc = torch.nn.functional.normalize(torch.randn(dimensions).double(), dim=-1)

    def passed(t: float, kappa: float) -> float:
        def mass(s: float) -> float:
            return math.sin(s) ** (dimensions - 2) * math.exp(kappa * (math.cos(s) - 1))

        part, whole = (integrate.quad(mass, 0, end, epsabs=0)[0] for end in (t, math.pi))
        return part / whole

    def quantile(share: float, kappa: float) -> float:
        root = optimize.brentq(lambda s: passed(s, kappa) - share, 1e-9, math.pi, xtol=1e-13)
        return float(root)  # pyright: ignore[reportArgumentType]

    kappa, step = 3.0, 1e-4
    q = VonMisesFisher(loc, torch.tensor(kappa, dtype=torch.float64))
    for t in (0.1, 0.5, 1.2, 2.5):
        share = passed(t, kappa)
        rise = quantile(share, kappa + step) - quantile(share, kappa - step)
        slope = q._angle_slope(torch.tensor([t]).double()).item()
        assert slope == pytest.approx(rise / (2 * step), rel=1e-4)


# KL ----------------------------------------------------------------------------------------------


def some_full_rank() -> FullRankGaussian:
    tril = torch.randn(5, 3, 3).double().tril(-1) + torch.rand(5, 3).double().add(0.3).diag_embed()
    return FullRankGaussian(torch.randn(5, 3).double(), tril)


def test_the_full_rank_kl_is_torchs_and_monte_carlos():
    q, p = some_full_rank(), Gaussian(torch.randn(3).double(), 0.5 * torch.randn(3).double())
    exact = q.kl_to(p)
    assert exact is not None
    theirs = kl_divergence(
        MultivariateNormal(q.mean, scale_tril=q.scale_tril),
        MultivariateNormal(p.mean, scale_tril=p.scale.diag()),
    )
    torch.testing.assert_close(exact, theirs)
    z = q.sample((20_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    assert ((ratio.mean(0) - exact).abs() < 4 * ratio.std(0) / len(z) ** 0.5).all()


def test_a_full_rank_gaussian_is_torchs_and_has_the_diagonal_one_in_it():
    q, z = some_full_rank(), torch.randn(7, 5, 3).double()
    torchs = MultivariateNormal(q.mean, scale_tril=q.scale_tril)
    torch.testing.assert_close(q.log_prob(z), torchs.log_prob(z))
    torch.testing.assert_close(q.variance, torchs.variance)
    head, diagonal = (construct("posterior", n, latent_dim=3) for n in ("full-rank", "gaussian"))
    raw = torch.randn(4, 6).double()
    padded = torch.cat([raw, torch.zeros(4, head.channels(3) - 6).double()], -1)
    z = torch.randn(4, 3).double()
    torch.testing.assert_close(head(padded).log_prob(z), diagonal(raw).log_prob(z))


@pytest.mark.parametrize("dimensions", [2, 3, 10])
@pytest.mark.parametrize("name", SPHERICAL)
def test_the_spherical_kl_is_monte_carlos(name: str, dimensions: int):
    loc = torch.nn.functional.normalize(torch.randn(4, dimensions).double(), dim=-1)
    q = SPHERICAL[name](loc, torch.tensor([1e-6, 0.5, 5.0, 200.0]).double())
    p = UniformSphere(torch.zeros(dimensions).double())
    exact = q.kl_to(p)
    assert exact is not None
    z = q.sample((20_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    assert ((ratio.mean(0) - exact).abs() < 4 * ratio.std(0) / len(z) ** 0.5 + 1e-6).all()
    assert exact[0].item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("prior", ["mixture", "vamp", "exemplar", "flow-maf"])
def test_there_is_no_closed_kl_to_a_mixture_or_a_flow(prior: str):
    assert conditional("gaussian").kl_to(unconditional(prior)) is None


# Mixtures of posteriors and of images ------------------------------------------------------------


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_vamp_is_the_mean_of_the_posteriors_of_its_pseudo_inputs(posterior: str):
    model, _ = built(POSTERIORS[posterior], PRIORS["vamp"], latent=3)
    z = model.prior().sample((6,))
    by_hand = [model.posterior(u[None].clamp(0, 1)).log_prob(z) for u in model.prior.pseudo_inputs]
    expected = torch.stack(by_hand).logsumexp(0) - math.log(4)
    torch.testing.assert_close(model.prior().log_prob(z[:, None])[:, 0], expected)


def test_one_pseudo_input_is_its_posterior():
    model, _ = built(prior="vamp(components=1)")
    q, z = model.posterior(model.prior.pseudo_inputs), torch.randn(6, 2).double()
    torch.testing.assert_close(model.prior().log_prob(z), q.log_prob(z))


def test_a_mixture_of_gaussians_far_from_the_origin_is_what_it_is_by_hand():
    mean, log_scale = torch.randn(4, 3) + 50, torch.randn(4, 3) / 2
    z = mean[[0, 2, 2]][:, None] + 0.1 * torch.randn(3, 5, 3)
    each = Normal(mean, log_scale.exp()).log_prob(z[..., None, :]).sum(-1)
    mixture = Mixture(Gaussian(mean, log_scale), torch.zeros(4))
    torch.testing.assert_close(mixture.log_prob_per_component(z), each, rtol=1e-4, atol=1e-3)


def test_a_mixture_is_the_same_however_many_terms_are_added_up_at_once(monkeypatch):
    p = Mixture(Gaussian(torch.randn(4, 3), torch.randn(4, 3)), torch.randn(4))
    z = torch.randn(3, 5, 3)
    whole = p.log_prob(z)
    monkeypatch.setattr("vaescape.distributions.mixture.TERMS", 9)
    assert p.log_prob(z).shape == (3, 5)
    torch.testing.assert_close(p.log_prob(z), whole)


@pytest.mark.parametrize("prior", ["mixture", "vamp", "exemplar"])
def test_mixtures_are_float32_where_networks_are_bfloat16(prior: str):
    model, _ = built(prior=PRIORS[prior])
    p, z = model.float().prior(), torch.randn(6, 2)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = p.log_prob(z)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, p.log_prob(z))


def test_every_component_is_drawn_as_often_as_it_weighs():
    far = Gaussian(100 * torch.arange(5.0)[:, None].double(), torch.zeros(5, 1).double())
    weights = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25]).double()
    drawn = (Mixture(far, weights.log()).sample((5000,)) / 100).round().long().flatten()
    counts = drawn.bincount(minlength=5)
    assert ((counts - 5000 * weights) ** 2 / (5000 * weights)).sum() < 18.5  # 99.9 %, 4 degrees


def test_pseudo_inputs_may_start_at_training_images():
    model, _ = built(prior="vamp(components=20, from_data=True, noise=0.0)")
    distance = torch.cdist(model.prior.pseudo_inputs.flatten(1), PIXELS.flatten(1).double() / 255)
    assert (distance.min(1).values < 1e-6).all()
    assert len(distance.argmin(1).unique()) > 1


def test_the_posterior_is_borrowed_and_a_copy_borrows_the_copy():
    for prior, own in (("vamp", {"pseudo_inputs"}), ("exemplar", {"log_scale", "centres"})):
        model, _ = built(prior=PRIORS[prior])
        assert set(model.prior.state_dict()) == own
        copied = copy.deepcopy(model)
        assert copied.prior.posterior is copied.posterior


def exemplar_mixture(model, z: Tensor, rows: list[int]) -> Tensor:
    """log 1/M Σ N(z; z_mean(x_m), σ² I), one component after the other."""
    centres = model.posterior(PIXELS[rows].double() / 255).mean
    each = [Normal(m, model.prior.log_scale.exp()).log_prob(z).sum(-1) for m in centres]
    return torch.stack(each).logsumexp(0) - math.log(len(rows))


def test_exemplars_are_the_mixture_of_all_of_them():
    model, _ = built(prior="exemplar")
    z = torch.randn(3, 5, 2).double()
    expected = exemplar_mixture(model, z, list(range(IMAGES)))
    for p in (model.train().prior(), model.eval().prior()):
        torch.testing.assert_close(p.log_prob(z), expected)


def test_exemplars_leave_each_image_out_of_its_own_prior():
    model, objective = built(prior="exemplar")
    model.train()
    e = model.evidence(X, samples=3)
    z, without = e.latents[0].z, e.without(ROWS).latents[0].log_p()
    assert e.without(None).latents[0].p is e.latents[0].p
    for i in ROWS.tolist():
        others = [row for row in range(IMAGES) if row != i]
        torch.testing.assert_close(without[:, i], exemplar_mixture(model, z[:, i], others))
    losses = []
    for rows in (ROWS, None):
        torch.manual_seed(1)
        losses.append(objective(model, Batch(X, None, rows), torch.tensor(1.0)).total)
    assert losses[0] != losses[1]


def test_an_image_left_out_is_never_drawn_for_itself():
    model, _ = built(prior="exemplar")
    model.prior.log_scale.data.fill_(-12.0)
    p = model.eval().prior().without(ROWS)
    nearest = torch.cdist(p.sample((400,)), model.prior.centres).argmin(-1)
    assert (nearest != ROWS).all()
    assert len(nearest.unique()) == IMAGES


def test_a_step_takes_other_exemplars_than_the_last():
    model, _ = built(prior="exemplar(components=8, at_once=6)")
    model.train()
    first, second = model.prior(), model.prior()
    assert len(first.rows) == 6
    assert set(first.rows.tolist()) != set(second.rows.tolist())
    assert set(first.rows.tolist()) <= set(model.prior.rows.tolist())


def test_a_run_knows_which_images_a_step_takes():
    batches = Batches(PIXELS, torch.zeros(IMAGES).long(), batch=5, seed=0)
    batch = batches.at(3)
    assert batch.rows is not None
    torch.testing.assert_close(batch.x, PIXELS[batch.rows] / 255)


def test_the_class_prior_is_a_gaussian_a_class_and_their_mixture_without():
    model, _ = built(prior="class")
    c, z = torch.eye(3).double(), torch.randn(3, 2).double()
    given = model.prior(c)
    torch.testing.assert_close(given.mean, model.prior.means)
    torch.testing.assert_close(given.log_scale, model.prior.log_scales)
    each = torch.stack([model.prior(row[None]).log_prob(z) for row in c])
    torch.testing.assert_close(model.prior().log_prob(z), each.logsumexp(0) - math.log(3))


def test_vamp_follows_a_condition():
    """p(z | c) is the mixture of q(z | u_m, c)."""
    model, _ = built(prior=PRIORS["vamp"])
    c = torch.tensor([[0.0], [1.0]]).double()
    seen = []

    class Net(torch.nn.Module):
        def forward(self, u):
            seen.append(u.shape)
            return torch.stack([u[:, 1].mean((1, 2)), u[:, 0].mean((1, 2))] * 2, -1)

    model.posterior.net = Net()
    p = model.prior(c)
    assert seen == [(2 * 4, 2, 4, 4)]
    assert p.batch_shape == (2,)
    torch.testing.assert_close(p.components.mean[..., 0], c.expand(2, 4))


# A VAE over codes --------------------------------------------------------------------------------


def linear_marginal(off: float = 0.0) -> tuple[Marginal, MultivariateNormal]:
    """p(z) whose Gaussian is known, with the exact q(u | z) or one that is off."""
    weight = torch.tensor([[1.0, 0.6], [-0.5, 1.2], [0.8, 0.0]]).double()
    # Columns at right angles, so that the exact q(u | z) is diagonal.
    weight[:, 1] -= weight[:, 0] * (weight[:, 0] @ weight[:, 1]) / (weight[:, 0] @ weight[:, 0])
    bias, gamma = torch.tensor([0.3, -1.0, 2.0]).double(), 0.7
    precision = 1 + weight.square().sum(0) / gamma**2

    def likelihood(u: Tensor) -> Gaussian:
        mean = u @ weight.T + bias
        return Gaussian(mean, torch.full_like(mean, math.log(gamma)))

    def posterior(z: Tensor) -> Gaussian:
        mean = (z - bias) @ weight / gamma**2 / precision
        return Gaussian(mean + off, (off - 0.5 * precision.log()).expand_as(mean))

    zero = torch.zeros(2).double()
    covariance = weight @ weight.T + gamma**2 * torch.eye(3).double()
    return Marginal(Gaussian(zero, zero), likelihood, posterior, 3), MultivariateNormal(
        bias, covariance
    )


def test_a_marginal_is_exact_under_the_exact_posterior():
    p, exact = linear_marginal()
    z = 2 * torch.randn(9, 3).double()
    torch.testing.assert_close(p.log_prob(z), exact.log_prob(z))


def test_the_mean_of_what_a_marginal_estimates_is_the_density():
    """And the mean of its logarithm lies below."""
    p, exact = linear_marginal(off=0.2)
    z = exact.sample((5,))
    ratio = p.log_prob(z.expand(40_000, 5, 3)) - exact.log_prob(z)
    weight = ratio.exp()
    assert ((weight.mean(0) - 1).abs() < 4.5 * weight.std(0) / 40_000**0.5).all()
    assert (weight.std(0) < 3).all()
    assert (ratio.mean(0) < -4 * ratio.std(0) / 40_000**0.5).all()


def test_a_marginal_draws_what_it_stands_for():
    p, exact = linear_marginal(off=0.2)
    z = p.sample((40_000,))
    torch.testing.assert_close(z.mean(0), exact.mean, rtol=0, atol=0.03)
    torch.testing.assert_close(z.T.cov(), exact.covariance_matrix, rtol=0, atol=0.06)


def test_two_stage_has_the_density_that_it_says():
    """On a grid: the mean of many estimates adds up to one, and draws fall where it says."""
    model, _ = built(prior="two-stage(hidden=8)")
    p = model.prior()
    z, area = plane(reach=10.0, points=61)
    with torch.no_grad():
        density = torch.stack([p.log_prob(z) for _ in range(200)]).exp().mean(0) * area
    assert density.sum().item() == pytest.approx(1, abs=0.02)
    drawn = p.sample((20_000,))
    torch.testing.assert_close((density[:, None] * z).sum(0), drawn.mean(0), rtol=0, atol=0.05)


# What has a meaning ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "facts", "message"),
    [
        (
            {"posterior": "power-spherical"},
            {},
            r"puts z on the unit sphere, prior 'normal' anywhere.*'uniform-sphere'",
        ),
        ({"prior": "uniform-sphere"}, {}, r"'gaussian' puts z anywhere.*'normal'"),
        (
            {"posterior": "power-spherical", "prior": "uniform-sphere", "latent": 1},
            {},
            "latent must be 2 or more",
        ),
        (
            {"posterior": "point", "objective": "mmd", "prior": "vamp"},
            {},
            "mixture of posteriors, and posterior 'point' has no density",
        ),
        ({"prior": "exemplar"}, {"images": None}, "made of training images, and was given none"),
        ({"prior": "exemplar(components=1)"}, {}, "components must be 2 or more"),
        ({"prior": "class"}, {}, "the data name no classes"),
        ({"prior": "flow(family='glow')"}, {}, "family must be one of maf, realnvp, nsf"),
    ],
)
def test_what_has_no_meaning_is_refused(change, facts, message):
    with pytest.raises(ComponentError, match=message):
        build(Parts(**change), shape=SHAPE, **{"images": 10} | facts)


def test_exemplars_without_their_images_say_so_in_training_and_refuse_classes():
    model, _ = built(prior="exemplar", pixels=None)
    with pytest.raises(ComponentError, match="rebuilt without them"):
        model.train().prior()
    with pytest.raises(ComponentError, match="not their classes"):
        build(Parts(prior="exemplar", conditional=True), shape=SHAPE, images=9, classes=3)


def test_a_spherical_code_is_the_nearest_on_the_sphere():
    z = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(Support.SPHERE.nearest(z), torch.tensor([[0.6, 0.8]]))
    assert Support.SPACE.nearest(z) is z


def test_flows_leave_the_validation_of_torchs_distributions_as_it_was():
    before = Distribution._validate_args
    try:
        for wanted in (True, False):
            Distribution.set_default_validate_args(wanted)
            construct("prior", "flow", latent_dim=2)
            assert Distribution._validate_args == wanted
    finally:
        Distribution.set_default_validate_args(before)
