"""The lattice: its density, draws, moments, entropy and regions by brute force."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from vaescape.distributions import Gaussian, Lattice
from vaescape.distributions.lattice import grid_points, side_of, tents_of


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def lattice(side: int = 3, size: int = 2, batch: int = 4) -> Lattice:
    tents = tents_of(side).double()
    return Lattice(2 * torch.randn(batch, side**size, dtype=torch.float64), tents, size)


def quantiles(size: int, per_dimension: int) -> tuple[Tensor, Tensor]:
    """Codes at even steps of probability, and the standard normal's density there."""
    u = (torch.arange(per_dimension, dtype=torch.float64) + 0.5) / per_dimension
    z = torch.cartesian_prod(*[torch.special.ndtri(u)] * size).reshape(-1, size)
    return z, Normal(0, 1).log_prob(z).sum(-1).exp()


@pytest.mark.parametrize(("side", "size"), [(5, 1), (3, 2), (2, 3)])
def test_the_density_integrates_to_one(side: int, size: int):
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
    q = Lattice(torch.tensor([1.0, 4.0, 2.0]).double().log(), tents_of(3).double(), 1)
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
    logits, tents = torch.full((1, 96 * 96), -1e3), tents_of(96)
    logits[0, 94 * 96 + 94] = 0.0
    exact = Lattice(logits.double(), tents.double(), 2).variance
    found = Lattice(logits, tents, 2).variance.double()
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=0)


def test_no_mass_is_so_small_that_arithmetic_is_slow():
    logits = torch.tensor([[0.0, -90.0, -100.0, -1e4]])
    mass = Lattice(logits, tents_of(2), 2).mass
    assert (mass >= torch.finfo(torch.float32).tiny).all()
    torch.testing.assert_close(mass, logits.exp(), rtol=0, atol=1e-30)


def test_even_masses_are_the_standard_normal():
    q = Lattice(torch.zeros(1, 64).double(), tents_of(8).double(), 2)
    p = Gaussian(torch.zeros(2).double(), torch.zeros(2).double())
    z = torch.randn(50, 1, 2).double()
    torch.testing.assert_close(q.log_prob(z), p.log_prob(z))
    torch.testing.assert_close(q.mean, torch.zeros(1, 2).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(q.variance, torch.ones(1, 2).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_code_is_the_mode_between_the_grid_points(size: int):
    """Exactly, where log q is quadratic; in the outermost cells too, up to half a step beyond."""
    side, tents = 9, tents_of(9).double()
    axis = tents[0]
    for middle in (0.0, 0.17, -0.61, float(axis[-1]), 1.8, -1.7):
        mode = middle * torch.tensor([1.0, -0.8, 0.3]).double()[:size]
        z = grid_points(side, size).double()
        logits = 0.5 * z.square().sum(-1) - 4 * (z - mode).square().sum(-1)
        torch.testing.assert_close(Lattice(logits[None], tents, size).point_estimate[0], mode)
    far = 8 * torch.arange(side**size).double()
    end = 2 * axis[-1] - axis[-2]
    assert (Lattice(far[None], tents, size).point_estimate.abs() <= end).all()


def test_a_narrow_mode_is_found_though_many_grid_points_have_a_higher_q():
    """It lies between four grid points, lower at each than a wide one that lies on one."""
    tents = tents_of(24)
    z = grid_points(24, 2)
    wide, narrow = tents[0, [12, 12]], (tents[0, [5, 8]] + tents[0, [6, 9]]) / 2
    heights = (-6 * (z - wide).square().sum(-1), 0.5 - 200 * (z - narrow).square().sum(-1))
    logits = torch.maximum(*heights) + 0.5 * z.square().sum(-1)
    assert 16 < (heights[0] > heights[1].max()).sum() < 64
    q = Lattice(logits[None], tents, 2)
    torch.testing.assert_close(q.point_estimate[0], narrow, rtol=0, atol=1e-3)


def test_where_three_places_are_hollow_or_fewer_the_code_is_a_place_or_the_mean():
    tents = tents_of(3).double()
    ends = Lattice(torch.tensor([[9.0, 0.0, 8.0]]).double(), tents, 1)
    torch.testing.assert_close(ends.point_estimate[0], tents[0, :1])
    two = lattice(side=2)
    assert torch.equal(two.point_estimate, two.mean)


def test_there_is_no_closed_kl_and_draws_estimate_it():
    q = lattice(batch=1)
    p = Gaussian(torch.tensor([0.4, -0.3]).double(), torch.tensor([0.2, -0.1]).double())
    assert q.kl_to(p) is None
    z, normal = quantiles(2, 300)
    ratio = q.log_prob(z) - p.log_prob(z)
    exact = (q.log_prob(z).exp() / normal * ratio).mean()
    draws, log_q = q.joint_rsample((50_000,))
    found = log_q - p.log_prob(draws)
    assert (found.mean() - exact).abs() < 4.5 * found.std() / len(found) ** 0.5


def test_draws_in_float32_are_finite_however_many():
    q = Lattice(torch.zeros(1, 4), tents_of(2), 2)
    assert q.sample((2_000_000,)).isfinite().all()


@pytest.mark.parametrize(
    ("cells", "size", "side"), [(4096, 2, 64), (4096, 3, 16), (4095, 3, 15), (10, 1, 10), (8, 2, 2)]
)
def test_a_lattice_has_at_most_the_cells_asked_for(cells: int, size: int, side: int):
    assert side_of(cells, size) == side
    found = grid_points(side, size)
    assert found.shape == (side**size, size)
    assert len(found.unique(dim=0)) == side**size


def test_a_base_moves_and_stretches_all_of_it():
    base = Gaussian(torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, -1.0]).double())
    logits, tents = 2 * torch.randn(3, 16).double(), tents_of(4).double()
    plain, moved = Lattice(logits, tents, 2), Lattice(logits, tents, 2, base=base)
    z = torch.randn(50, 1, 2).double()
    there = base.loc + base.scale * z
    torch.testing.assert_close(moved.log_prob(there), plain.log_prob(z) - base.log_scale.sum())
    torch.testing.assert_close(moved.mean, base.loc + base.scale * plain.mean)
    torch.testing.assert_close(moved.variance, base.variance * plain.variance)
    torch.testing.assert_close(moved.entropy(), plain.entropy() + base.log_scale.sum())
    torch.testing.assert_close(moved.point_estimate, base.loc + base.scale * plain.point_estimate)
    draws, log_q = moved.joint_rsample((7,))
    torch.testing.assert_close(log_q, moved.log_prob(draws))


@pytest.mark.parametrize(("side", "size"), [(5, 1), (8, 2)])
def test_the_entropy_is_that_of_the_draws(side: int, size: int):
    q = lattice(side, size)
    _, log_q = q.joint_rsample((100_000,))
    error = log_q.std(0) / len(log_q) ** 0.5
    assert ((q.entropy() + log_q.mean(0)).abs() < 4.5 * error).all()
    even = Lattice(torch.zeros(1, side**size).double(), tents_of(side).double(), size)
    normal = Normal(0.0, 1.0).entropy() * size
    torch.testing.assert_close(even.entropy()[0].float(), normal)
