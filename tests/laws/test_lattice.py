"""The lattice: its density by brute force, and Bayes' rule against integrals over the plane."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct
from vaescape.distributions import Gaussian, Lattice, kl
from vaescape.distributions.lattice import parts_of, places, side_of
from vaescape.errors import ComponentError
from vaescape.models.memory import WhileUnchanged
from vaescape.recipes import Parts

SHAPE = (1, 4, 4)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def lattice(side: int = 3, size: int = 2, batch: int = 4) -> Lattice:
    parts = parts_of(side).double()
    return Lattice(2 * torch.randn(batch, side**size, dtype=torch.float64), parts, size)


def quantiles(size: int, per_dimension: int) -> tuple[Tensor, Tensor]:
    """Codes at even steps of probability, and the standard normal's density there."""
    u = (torch.arange(per_dimension, dtype=torch.float64) + 0.5) / per_dimension
    z = torch.cartesian_prod(*[torch.special.ndtri(u)] * size).reshape(-1, size)
    return z, Normal(0, 1).log_prob(z).sum(-1).exp()


@pytest.mark.parametrize(("side", "size"), [(5, 1), (3, 2), (2, 3)])
def test_t3_the_density_integrates_to_one(side: int, size: int):
    q = lattice(side, size)
    z, normal = quantiles(size, 4 * side)
    total = (q.log_prob(z[:, None]).exp() / normal[:, None]).mean(0)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_draws_fall_where_the_density_says():
    q, count, bins = lattice(batch=2), 20_000, 12
    z, log_q = q.joint_rsample((count,))
    torch.testing.assert_close(log_q, q.log_prob(z))
    where = (torch.special.ndtr(z) * bins).long()
    bin_of = (where[..., 0] * bins + where[..., 1]).T
    middles, normal = quantiles(2, 4 * bins)
    density = (q.log_prob(middles[:, None]).exp() / normal[:, None]).T
    share = density.reshape(2, bins, 4, bins, 4).mean((2, 4)).flatten(1)
    for expected, found in zip(count * share / bins**2, bin_of, strict=True):
        excess = (found.bincount(minlength=bins**2) - expected) ** 2 / expected
        assert excess.sum() < 201  # 99.9 % of χ² with 143 degrees of freedom


def test_between_two_places_the_density_is_linear_and_beyond_the_last_it_is_level():
    q = Lattice(torch.tensor([1.0, 4.0, 2.0]).double().log(), parts_of(3).double(), 1)
    u = torch.tensor([0.01, 1 / 6, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 5 / 6, 0.99]).double()
    z = torch.special.ndtri(u)[:, None]
    density = (q.log_prob(z) - Normal(0, 1).log_prob(z).sum(-1)).exp()
    expected = 3 / 7 * torch.tensor([1, 1, 1.75, 2.5, 4, 3, 2.5, 2, 2]).double()
    torch.testing.assert_close(density, expected)


def test_moments_are_those_of_the_draws():
    q = lattice(side=3, size=3)
    z = q.sample((50_000,))
    for found, exact in ((z, q.mean), ((z - q.mean).square(), q.variance)):
        error = found.std(0) / len(found) ** 0.5
        assert ((found.mean(0) - exact).abs() < 4.5 * error).all()


def test_a_small_variance_far_from_the_origin_keeps_its_digits_in_float32():
    logits, parts = torch.full((1, 96 * 96), -1e3), parts_of(96)
    logits[0, 94 * 96 + 94] = 0.0
    exact = Lattice(logits.double(), parts.double(), 2).variance
    found = Lattice(logits, parts, 2).variance.double()
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=0)


def test_no_mass_is_so_small_that_arithmetic_is_slow():
    logits = torch.tensor([[0.0, -90.0, -100.0, -1e4]])
    mass = Lattice(logits, parts_of(2), 2).mass
    assert (mass >= torch.finfo(torch.float32).tiny).all()
    torch.testing.assert_close(mass, logits.exp(), rtol=0, atol=1e-30)


def test_even_masses_are_the_standard_normal():
    q = Lattice(torch.zeros(1, 64).double(), parts_of(8).double(), 2)
    p = Gaussian(torch.zeros(2).double(), torch.zeros(2).double())
    z = torch.randn(50, 1, 2).double()
    torch.testing.assert_close(q.log_prob(z), p.log_prob(z))
    torch.testing.assert_close(q.mean, torch.zeros(1, 2).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(q.variance, torch.ones(1, 2).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_code_is_the_mode_between_the_places(size: int):
    """Exactly, where log q is quadratic; in the outermost cells too, up to half a step beyond."""
    side, parts = 9, parts_of(9).double()
    axis = parts[0]
    for middle in (0.0, 0.17, -0.61, float(axis[-1]), 1.8, -1.7):
        mode = middle * torch.tensor([1.0, -0.8, 0.3]).double()[:size]
        z = places(side, size).double()
        logits = 0.5 * z.square().sum(-1) - 4 * (z - mode).square().sum(-1)
        torch.testing.assert_close(Lattice(logits[None], parts, size).point_estimate[0], mode)
    far = 8 * torch.arange(side**size).double()
    end = 2 * axis[-1] - axis[-2]
    assert (Lattice(far[None], parts, size).point_estimate.abs() <= end).all()


def test_where_three_places_are_hollow_or_fewer_the_code_is_a_place_or_the_mean():
    parts = parts_of(3).double()
    ends = Lattice(torch.tensor([[9.0, 0.0, 8.0]]).double(), parts, 1)
    torch.testing.assert_close(ends.point_estimate[0], parts[0, :1])
    two = lattice(side=2)
    assert torch.equal(two.point_estimate, two.mean)


def test_t10_there_is_no_closed_kl_and_draws_estimate_it():
    q = lattice(batch=1)
    p = Gaussian(torch.tensor([0.4, -0.3]).double(), torch.tensor([0.2, -0.1]).double())
    assert kl(q, p) is None
    z, normal = quantiles(2, 300)
    ratio = q.log_prob(z) - p.log_prob(z)
    exact = (q.log_prob(z).exp() / normal * ratio).mean()
    draws, log_q = q.joint_rsample((50_000,))
    found = log_q - p.log_prob(draws)
    assert (found.mean() - exact).abs() < 4.5 * found.std() / len(found) ** 0.5


def test_draws_in_float32_are_finite_however_many():
    q = Lattice(torch.zeros(1, 4), parts_of(2), 2)
    assert q.sample((2_000_000,)).isfinite().all()


@pytest.mark.parametrize(
    ("cells", "size", "side"), [(4096, 2, 64), (4096, 3, 16), (4095, 3, 15), (10, 1, 10), (8, 2, 2)]
)
def test_a_lattice_has_at_most_the_cells_asked_for(cells: int, size: int, side: int):
    assert side_of(cells, size) == side
    found = places(side, size)
    assert found.shape == (side**size, size)
    assert len(found.unique(dim=0)) == side**size


# Bayes' rule -------------------------------------------------------------------------------------


def built(cells: int = 4096, latent: int = 2, **changes):
    """A model in float64 whose images differ with their codes."""
    parts = Parts(network="mlp(hidden=6)", posterior=f"lattice(cells={cells})", latent=latent)
    model, objective = build(Parts(**{**vars(parts), **changes}), shape=SHAPE)
    for parameter in model.double().parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return model.eval(), objective


@pytest.mark.parametrize("latent", [1, 2])
def test_it_is_the_posterior_and_the_bound_is_the_evidence(latent: int):
    """Against the integral of p(x | z) p(z) over latent space by the trapezoid rule."""
    model, _ = built(latent=latent)
    x = model.sample(3).mean.round().detach()
    axis = torch.linspace(-6, 6, 401, dtype=torch.float64)
    z = torch.cartesian_prod(*[axis] * latent).reshape(-1, latent)
    with torch.no_grad():
        score = torch.stack([model.decode((z,)).log_prob(image) for image in x])
        joint = score + Normal(0, 1).log_prob(z).sum(-1)
        evidence = joint.logsumexp(-1) + latent * math.log(12 / 400)
        q = model.posterior(x)
        nearby = z.abs().amax(-1) < 1
        exact = (joint - evidence[:, None]).T[nearby]
        torch.testing.assert_close(q.log_prob(z[nearby][:, None]), exact, rtol=0, atol=0.15)
        e = model.evidence(x, samples=4000)
        bound = (e.log_likelihood() - e.kl()).mean(0)
    error = e.log_likelihood().std(0) / 4000**0.5
    assert ((bound - evidence).abs() < 4.5 * error + 2e-3).all()


def test_an_image_is_found_where_it_was_decoded():
    """In both dimensions, which a lattice read in the wrong order would swap."""
    model, _ = built()
    for parameter in model.likelihood.parameters():
        parameter.data *= 6
    z = torch.tensor([[1.0, -0.5], [-0.2, 0.9]]).double()
    x = model.decode((z,)).mean.detach()
    score = model.posterior.net(x)
    best = model.posterior.head.asks_at[score.argmax(-1)]
    torch.testing.assert_close(model.decode((best.double(),)).mean, x, rtol=0, atol=0.06)
    q = model.posterior(x)
    torch.testing.assert_close(q.mean, q.sample((4000,)).mean(0), rtol=0, atol=0.15)


def test_every_image_is_scored_at_every_place():
    model, _ = built(cells=9)
    x, rule = torch.rand(5, *SHAPE).double(), model.posterior.net
    d = model.decode((rule.places,))
    torch.testing.assert_close(rule(x), torch.stack([d.log_prob(image) for image in x]))


@pytest.mark.parametrize("training", [False, True])
def test_t21_scores_are_float32_sums_under_a_bfloat16_network(training: bool):
    model, _ = built(posterior="lattice(cells=9, renew=1)")
    model, x = model.float().train(training), torch.rand(5, *SHAPE)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.posterior.raw(x)
    with torch.autocast("cpu", torch.bfloat16, enabled=training):  # in use the decoder is exact too
        d = model.decode((model.posterior.net.places,))
    torch.testing.assert_close(found, torch.stack([d.log_prob(image) for image in x]))


def test_there_is_no_encoder():
    model, _ = built(cells=16)
    decoder = list(model.likelihood.parameters())
    assert all(p is q for p, q in zip(model.parameters(), decoder, strict=True))


def test_evaluation_asks_the_decoder_as_it_is():
    model, _ = built(cells=64)
    x = torch.rand(2, *SHAPE).double()
    before = model.posterior(x).mass
    for parameter in model.likelihood.parameters():
        parameter.data *= 1.5
    assert not torch.allclose(before, model.posterior(x).mass)


@pytest.mark.parametrize(("cells", "renew"), [(64, 8), (49, 8), (9, 1), (4, 5)])
def test_training_asks_every_place_anew_in_so_many_steps(cells: int, renew: int):
    model, _ = built(cells=cells, posterior=f"lattice(cells={cells}, renew={renew})")
    x, rule = torch.rand(2, *SHAPE).double(), model.posterior.net
    exact = rule(x)
    rule.train()
    for step in range(1, renew + 1):
        right = (rule(x) - exact).abs().amax(0) < 1e-4
        assert right.sum() == min(cells, step * math.ceil(cells / renew))
    for parameter in model.likelihood.parameters():
        parameter.data += 0.1
    renewed = (rule(x) - exact).abs().amax(0) > 1e-4
    assert renewed.sum() == math.ceil(cells / renew)


def test_training_may_have_a_coarser_lattice():
    model, objective = built(posterior="lattice(cells=64, train_cells=9, renew=1)")
    x, rule = torch.rand(5, *SHAPE).double(), model.posterior.net
    in_use, in_training = model.posterior(x), model.train().posterior(x)
    assert in_use.mass.shape == (5, 64)
    assert in_training.mass.shape == (5, 9)
    coarse, _ = built(cells=9)
    coarse.likelihood.load_state_dict(model.likelihood.state_dict())
    same = coarse.posterior(x)
    torch.testing.assert_close(in_training.mean, same.mean)
    torch.testing.assert_close(in_training.variance, same.variance)
    assert torch.equal(rule.train_places, coarse.posterior.net.places)
    z, log_q = in_training.joint_rsample((7,))
    torch.testing.assert_close(log_q, same.log_prob(z))
    loss = objective(model, Batch(x, torch.zeros(5, dtype=torch.int64), None), torch.ones(()))
    assert loss.total.isfinite()


@pytest.mark.parametrize("argument", ["cells", "train_cells"])
@pytest.mark.parametrize("count", [0, 3])
def test_fewer_cells_than_two_along_each_dimension_are_refused(argument: str, count: int):
    with pytest.raises(ComponentError, match=rf"{argument} must be 4 or more for 2 .* Got {count}"):
        construct("posterior", f"lattice({argument}={count})", latent_dim=2)


def test_in_use_the_decoder_is_asked_once_until_its_weights_change(monkeypatch):
    model, _ = built(cells=16)
    rule, asked, x = model.posterior.net, [], torch.rand(2, *SHAPE).double()
    ask = rule.ask
    monkeypatch.setattr(rule, "ask", lambda z: asked.append(len(z)) or ask(z))
    first = [model.posterior(x).mass for _ in range(3)][-1]
    assert asked == [16]
    other, _ = built(cells=16)
    parameters = list(model.likelihood.parameters())
    adam = torch.optim.Adam(parameters, lr=0.1, fused=True)
    changes = {
        "a fused optimiser": adam.step,
        ".data": lambda: parameters[0].data.mul_(1.5),
        "other weights": lambda: model.load_state_dict(other.state_dict()),
    }
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    for change in changes.values():
        before = model.posterior(x).mass
        change()
        after = model.posterior(x).mass
        assert not torch.allclose(before, after)
        rule.memory = WhileUnchanged()
        assert torch.equal(after, model.posterior(x).mass)
    assert torch.equal(model.posterior(x).mass, other.posterior(x).mass)
    assert not torch.allclose(first, model.posterior(x).mass)


def test_t20_what_is_remembered_is_saved_with_the_weights():
    one, _ = built(cells=64)
    x = torch.rand(2, *SHAPE).double()
    one.train().posterior(x)
    other, _ = built(cells=64)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.posterior(x).mass, other.train().posterior(x).mass)


@pytest.mark.parametrize(
    "change",
    [
        {"prior": "mixture"},
        {"likelihood": "gaussian"},
        {"objective": "elbo(beta=4)"},
        {"objective": "elbo(warmup=0.5)"},
        {"objective": "mmd"},
        {"model": "ladder"},
        {"conditional": True},
    ],
    ids=str,
)
def test_what_bayes_rule_is_not_for_is_refused(change: dict):
    with pytest.raises(ComponentError, match="is Bayes' rule on the decoder of model 'vae'"):
        build(Parts(posterior="lattice", **change), shape=SHAPE, classes=3)


def test_impossible_lattices_are_refused():
    with pytest.raises(ComponentError, match="cells must be 1024 or more for 10 dimensions"):
        construct("posterior", "lattice(cells=1000)", latent_dim=10)
