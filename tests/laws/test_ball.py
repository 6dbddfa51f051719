"""The wrapped normal distribution, held to integrals, Jacobians and the formulas of others."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from vaescape.build import build
from vaescape.components import construct
from vaescape.conditionals import Support
from vaescape.distributions import Gaussian, WrappedNormal
from vaescape.distributions.ball import BORDER, along, way
from vaescape.errors import ComponentError
from vaescape.recipes import Parts
from vaescape.testing import disc, draws_what_it_scores


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def points(*shape: int, reach: float = 1.5) -> Tensor:
    """Points of the ball, some three times as far out as reach."""
    v = reach * torch.randn(shape, dtype=torch.float64)
    return along(torch.zeros_like(v), v)


def wrapped(dimensions: int, batch: int = 1) -> WrappedNormal:
    log_scale = 0.4 * torch.randn(batch, dimensions, dtype=torch.float64) - 0.5
    return WrappedNormal(points(batch, dimensions, reach=1.0), log_scale)


@pytest.mark.parametrize("loc", [(0.0, 0.0), (0.3, -0.5), (0.0, 0.7)])
@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.15, 0.9)])
def test_it_integrates_to_one_over_the_disc(loc, scales):
    loc, scales = (torch.tensor([each], dtype=torch.float64) for each in (loc, scales))
    draws_what_it_scores(WrappedNormal(loc, scales.log()), *disc(), tolerance=1e-4)


def test_a_mixture_of_posteriors_integrates_to_one():
    parts = Parts(network="mlp(hidden=6)", posterior="wrapped-normal", prior="vamp(components=4)")
    model, _ = build(parts, shape=(1, 4, 4))
    with torch.no_grad():
        for parameter in model.posterior.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        draws_what_it_scores(model.double().eval().prior(), *disc(), tolerance=1e-3)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 6])
def test_the_density_is_that_of_the_ways_by_the_volume_they_spread_over(dimensions: int):
    """log N(v) − log |det ∂z/∂v| is of Euclidean volume; 2/(1 − |z|²) each, of hyperbolic."""
    q = wrapped(dimensions, batch=4)
    v = q.ways.sample()
    z = along(q.loc, v)
    for i in range(4):
        start = q.loc[i]
        jacobian = torch.autograd.functional.jacobian(lambda u, a=start: along(a, u), v[i])
        stretch = dimensions * (2 / (1 - z[i].square().sum())).log()
        euclidean = q.ways.log_prob(v)[i] - torch.linalg.slogdet(jacobian).logabsdet  # pyright: ignore
        assert (euclidean - stretch).item() == pytest.approx(q.log_prob(z)[i].item(), abs=1e-9)
    torch.testing.assert_close(way(q.loc, z)[0], v)


def moebius(x: Tensor, y: Tensor) -> Tensor:
    """Mathieu et al. 2019, appendix B, at curvature −1."""
    xy, xx, yy = ((a * b).sum(-1, keepdim=True) for a, b in ((x, y), (x, x), (y, y)))
    return ((1 + 2 * xy + yy) * x + (1 - xx) * y) / (1 + 2 * xy + xx * yy)


def test_it_is_the_papers_by_their_own_formulas():
    """log N(λ log_μ(z); 0, σ²) + (D − 1) log(d / sinh d), d the distance as an arcosh."""
    q, z = wrapped(3, batch=50), points(50, 3, reach=1.0)
    y = moebius(-q.loc, z)
    r = y.norm(dim=-1, keepdim=True)
    v = 2 * r.atanh() * y / r
    gap = (1 - q.loc.square().sum(-1)) * (1 - z.square().sum(-1))
    d = (1 + 2 * (q.loc - z).square().sum(-1) / gap).acosh()
    torch.testing.assert_close(v.norm(dim=-1), d)
    expected = Normal(0, q.log_scale.exp()).log_prob(v).sum(-1) + 2 * (d / d.sinh()).log()
    torch.testing.assert_close(q.log_prob(z), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("reach", [1e-4, 0.02, 0.04, 1.0])
def test_a_way_leads_there_and_back_however_short(reach: float):
    start, v = points(200, 3, reach=1.0), reach * torch.randn(200, 3).double()
    d, z = v.norm(dim=-1, keepdim=True), along(start, v)
    torch.testing.assert_close(z, moebius(start, (d / 2).tanh() * v / d), rtol=1e-9, atol=1e-12)
    back, log_spread = way(start, z)
    torch.testing.assert_close(back, v, rtol=1e-7, atol=1e-12)
    exact = (d.sinh() / d).log()[:, 0]
    torch.testing.assert_close(log_spread, exact, rtol=1e-6, atol=1e-14)
    q = WrappedNormal(start, torch.zeros(3).double())
    q.ways.rsample = lambda sample_shape=(): v
    torch.testing.assert_close(
        q.joint_rsample()[1], q.ways.log_prob(v) - 2 * exact, rtol=1e-12, atol=1e-12
    )


def test_draws_are_those_of_the_hyperboloid():
    """Nagano et al. 2019: noise carried from the origin to μ, and along a geodesic from there."""

    def lorentz(a: Tensor, b: Tensor) -> Tensor:
        return (a[..., 1:] * b[..., 1:]).sum(-1, keepdim=True) - a[..., :1] * b[..., :1]

    def lifted(z: Tensor) -> Tensor:
        square = z.square().sum(-1, keepdim=True)
        return torch.cat([1 + square, 2 * z], -1) / (1 - square)

    loc, noise = points(40, 3, reach=1.0), torch.randn(40, 3).double()
    at, flat = lifted(loc), torch.cat([torch.zeros(40, 1).double(), noise], -1)
    origin = lifted(torch.zeros_like(loc))
    shift = lorentz(at + lorentz(at, origin) * origin, flat) / (1 - lorentz(origin, at))
    carried = flat + shift * (origin + at)
    length = lorentz(carried, carried).sqrt()
    reached = length.cosh() * at + length.sinh() * carried / length
    torch.testing.assert_close(along(loc, noise), reached[:, 1:] / (1 + reached[:, :1]))


def test_draws_lie_as_far_from_the_centre_as_normal_ways_are_long():
    q = wrapped(4)
    z, _ = q.joint_rsample((20_000,))
    far = way(q.loc, z)[0] / q.log_scale.exp()
    torch.testing.assert_close(far.mean(0), torch.zeros(1, 4).double(), rtol=0, atol=0.04)
    torch.testing.assert_close(far.std(0), torch.ones(1, 4).double(), rtol=0, atol=0.03)


def test_where_space_is_flat_it_is_a_gaussian():
    """A small part of the ball: KL and density of its ways are those of Gaussians."""
    c = 1e-6
    head = construct("posterior", "wrapped-normal", latent_dim=3).double()
    p = construct("prior", f"wrapped-normal(curvature={c})", latent_dim=3).double()()
    mean, log_scale = torch.randn(2, 5, 3, dtype=torch.float64)
    raw = torch.cat([c**0.5 * mean, 2 * log_scale + math.log(c)], -1)
    q = head(raw)
    assert q.kl_to(p) is None
    z, log_q = q.joint_rsample((20_000,))
    ratio = log_q - p.log_prob(z)
    exact = Gaussian(mean, log_scale).kl_to(Gaussian(torch.zeros(3), torch.zeros(3)))
    assert exact is not None
    assert ((ratio.mean(0) - exact).abs() < 4 * ratio.std(0) / len(z) ** 0.5 + 1e-3).all()


def test_a_priors_curvature_is_the_unit_of_its_lengths():
    p = construct("prior", "wrapped-normal(curvature=4)", latent_dim=3)()
    v = way(torch.zeros(3), p.sample((20_000,)))[0]
    torch.testing.assert_close(v.std(0), torch.full((3,), 2.0), rtol=0.03, atol=0)


@pytest.mark.parametrize("reach", [0.0, 1e-6, 0.06, 3.0, 10.0, 1e3])
def test_float32_is_enough_from_the_centre_to_the_border(reach: float):
    direction = torch.nn.functional.normalize(torch.randn(200, 5), dim=-1)
    raw = torch.cat([reach * direction, torch.randn(200, 5)], -1).requires_grad_()
    head = construct("posterior", "wrapped-normal", latent_dim=5)
    q = head(raw)
    z, log_q = q.joint_rsample((3,))
    assert (z.norm(dim=-1) < 1).all()
    scored = q.log_prob(z) + q.log_prob(q.point_estimate)
    (z.sum() + log_q.sum() + scored.sum()).backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
    exact = WrappedNormal(q.loc.double(), q.log_scale.double()).log_prob(z.double())
    torch.testing.assert_close(q.log_prob(z).double(), exact, rtol=0.02, atol=1e-3)


def test_far_draws_stay_inside_and_places_outside_count_as_the_nearest():
    q = WrappedNormal(points(3), torch.full((3,), 6.0).double())
    radius = q.sample((2000,)).norm(dim=-1)
    assert radius.max().item() == pytest.approx(BORDER)
    z = torch.tensor([[3.0, -4.0], [0.3, 0.4]])
    near = Support.BALL.nearest(z)
    torch.testing.assert_close(near[0], BORDER * torch.tensor([0.6, -0.8]))
    assert torch.equal(near[1], z[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"posterior": "wrapped-normal"},
            r"puts z in the unit ball, prior 'normal' anywhere.*'wrapped-normal'",
        ),
        ({"prior": "wrapped-normal"}, r"'gaussian' puts z anywhere.*'normal'"),
        (
            {"posterior": "power-spherical", "prior": "wrapped-normal"},
            r"on the unit sphere, .* in the unit ball.*'uniform-sphere'",
        ),
        (
            {"prior": "wrapped-normal(curvature=0)", "posterior": "wrapped-normal"},
            "curvature must be a number above 0",
        ),
        (
            {
                "posterior": "wrapped-normal",
                "prior": "wrapped-normal",
                "objective": "hamiltonian",
            },
            "moves codes anywhere .* puts z in the unit ball",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(change, message):
    with pytest.raises(ComponentError, match=message):
        build(Parts(**change), shape=(1, 4, 4))
