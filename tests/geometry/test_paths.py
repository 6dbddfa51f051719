import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from surfaces import polyline_length
from torch.distributions import Normal

from vaescape.errors import OptionError
from vaescape.geometry.paths import (
    linear,
    quantile_grid,
    resample,
    spherical,
    traversal,
)

PATHS = [linear, spherical]
DTYPES = [torch.float32, torch.float64]


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def shares(steps=11, dtype=torch.float64):
    return torch.linspace(0, 1, steps, dtype=dtype)


# paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [1, 2, 10])
def test_endpoints_are_exact(path, dtype, dim):
    a, b = random(1000, dim, dtype=dtype), 30 * random(1000, dim, seed=1, dtype=dtype)
    points = path(a, b, shares(7))
    assert points.shape == (1000, 7, dim)
    assert points.dtype == dtype
    assert torch.equal(points[:, 0], a)
    assert torch.equal(points[:, -1], b)


@pytest.mark.parametrize("path", PATHS)
def test_any_number_of_paths_go_together(path):
    a, b, t = random(4, 3, 2), random(4, 3, 2, seed=1), shares(5)
    together = path(a, b, t)
    assert together.shape == (4, 3, 5, 2)
    torch.testing.assert_close(together[2, 1], path(a[2, 1], b[2, 1], t))


def test_the_straight_midpoint_leaves_the_shell_and_the_arc_does_not():
    a, b = random(2000, 100), random(2000, 100, seed=1)
    half = torch.tensor([0.5])
    typical = a.norm(dim=-1).mean()
    assert linear(a, b, half).norm(dim=-1).mean() / typical == pytest.approx(0.707, abs=0.01)
    assert spherical(a, b, half).norm(dim=-1).mean() / typical == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_norm_goes_linearly_from_one_to_the_other(dtype):
    a, b = random(500, 3, dtype=dtype), 5 * random(500, 3, seed=1, dtype=dtype)
    norms = torch.lerp(a.norm(dim=-1)[:, None], b.norm(dim=-1)[:, None], shares(dtype=dtype))
    torch.testing.assert_close(spherical(a, b, shares()).norm(dim=-1), norms)


def test_of_equal_norms_it_is_the_slerp_of_shoemake_and_of_others_not():
    a, b = random(200, 3).double(), random(200, 3, seed=1).double()
    angle = (a * b).sum(-1).div(a.norm(dim=-1) * b.norm(dim=-1)).clamp(-1, 1).acos()[:, None, None]
    t = shares().double()[:, None]

    def slerp(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        turned = ((1 - t) * angle).sin() * a[:, None] + (t * angle).sin() * b[:, None]
        return turned / angle.sin()

    same = b / b.norm(dim=-1, keepdim=True) * a.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(spherical(a, same, shares()), slerp(a, same))
    assert (spherical(a, 3 * b, shares()) - slerp(a, 3 * b)).abs().amax() > 0.5


def test_the_direction_turns_at_constant_speed():
    a, b = torch.tensor([2.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double()
    x, y = spherical(a, b, shares(10)).unbind(-1)
    torch.testing.assert_close(torch.atan2(y, x), shares(10) * math.pi / 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factor", [1.0, 3.0, 1 + 1e-6])
def test_parallel_vectors_give_the_straight_line(dtype, factor):
    a = random(50, 4, dtype=dtype)
    torch.testing.assert_close(
        spherical(a, factor * a, shares()), linear(a, factor * a, shares()), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_opposite_vectors_fall_back_to_the_line_through_the_origin(dtype):
    a = random(50, 4, dtype=dtype)
    assert torch.equal(spherical(a, -2 * a, shares()), linear(a, -2 * a, shares()))
    torch.testing.assert_close(spherical(a, -a, torch.tensor([0.5])), torch.zeros(50, 1, 4).to(a))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_origin_is_reached_straight(dtype):
    a = random(50, 4, dtype=dtype)
    zero = torch.zeros_like(a)
    for ends in ((a, zero), (zero, a), (zero, zero)):
        torch.testing.assert_close(spherical(*ends, shares()), linear(*ends, shares()))


def test_in_one_dimension_the_path_is_straight():
    a, b = random(200, 1), random(200, 1, seed=1)
    torch.testing.assert_close(spherical(a, b, shares()), linear(a, b, shares()))


@settings(deadline=None, derandomize=True)
@given(st.floats(1e-7, math.pi - 1e-7))
def test_nearly_parallel_and_nearly_opposite_vectors_keep_to_the_circle(angle):
    a = torch.tensor([1.0, 0.0]).double()
    b = torch.tensor([math.cos(angle), math.sin(angle)]).double()
    along = shares(5) * angle
    expected = torch.stack([along.cos(), along.sin()], -1)
    torch.testing.assert_close(spherical(a, b, shares(5)), expected, rtol=0, atol=1e-6)


# traversals ----------------------------------------------------------------------------------


def test_traversal_moves_one_coordinate_and_leaves_its_centre_alone():
    center = torch.tensor([1.0, 2.0, 3.0])
    path = traversal(center, 1, torch.tensor([-5.0, 0.0]))
    assert path.tolist() == [[1, -5, 3], [1, 0, 3]]
    assert center.tolist() == [1, 2, 3]
    assert traversal(center.expand(4, 3), 2, torch.zeros(5)).shape == (4, 5, 3)


@pytest.mark.parametrize("dim", [-1, 3])
def test_traversal_refuses_a_coordinate_that_is_not_there(dim):
    with pytest.raises(OptionError, match=f"dim must be 0 to 2 in this latent space, got {dim}"):
        traversal(torch.zeros(3), dim, torch.zeros(2))


# polylines -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_resampled_points_are_evenly_spaced_on_a_line_and_keep_its_ends(dtype):
    a, b = random(20, 3, dtype=dtype), random(20, 3, seed=1, dtype=dtype)
    uneven = linear(a, b, torch.tensor([0.0, 0.1, 0.1, 0.15, 0.8, 1.0]))
    even = resample(uneven, shares(9))
    torch.testing.assert_close(even, linear(a, b, shares(9)))
    assert torch.equal(even[:, 0], a)
    assert torch.equal(even[:, -1], b)


def test_resampled_points_follow_the_corners():
    corner = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0]])
    assert resample(corner, shares(5)).tolist() == [[0, 0], [1, 0], [1, 1], [1, 2], [1, 3]]


def test_length_is_kept_when_a_fine_curve_is_resampled():
    angle = math.pi * shares(2001) ** 3  # uneven in speed
    curve = torch.stack([angle.cos(), angle.sin()], -1)
    even = resample(curve, shares(500))
    assert polyline_length(even).item() == pytest.approx(math.pi, rel=1e-4)
    steps = even.diff(dim=0).norm(dim=-1)
    assert (steps.max() / steps.min()).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("points", [torch.ones(4, 2), torch.tensor([[0.0, 0.0], [2.0, 0.0]])])
def test_resampling_copes_with_standing_still_and_with_repeated_ends(points):
    repeated = torch.cat([points[:1], points, points[-1:], points[-1:]])
    got = resample(repeated, shares(3))
    assert torch.equal(got, torch.stack([points[0], (points[0] + points[-1]) / 2, points[-1]]))


def test_resampling_by_what_the_points_map_to_gives_constant_speed_there():
    z = shares(1001)[:, None]
    even = resample(z, shares(6), by=z**2)
    torch.testing.assert_close(even**2, shares(6)[:, None], rtol=0, atol=1e-3)
    torch.testing.assert_close(resample(z, shares(6), by=0 * z), resample(z, shares(6)))


def test_resampling_at_shares_of_the_length():
    corner = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0]])
    at = resample(corner, torch.tensor([0.0, 0.125, 1.0]))
    assert at.tolist() == [[0, 0], [0.5, 0], [1, 3]]


def test_ends_stay_where_the_last_images_are_alike():
    z = shares(4)[:, None]
    by = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    assert torch.equal(resample(z, shares(5), by=by)[[0, -1]], z[[0, -1]])


@pytest.mark.parametrize(("given_points", "n"), [(1, 5), (5, 1)])
def test_resampling_needs_two_points(given_points, n):
    with pytest.raises(OptionError, match="at least 2 points"):
        resample(torch.zeros(given_points, 2), shares(n))


# the grid ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 15, 21, 99])
def test_the_central_cell_is_exactly_zero(n):
    assert quantile_grid(n)[n // 2, n // 2].tolist() == [0, 0]


def test_rows_go_down_and_columns_go_right_as_in_a_picture():
    grid = quantile_grid(6)
    across, up = grid.unbind(-1)
    assert grid.shape == (6, 6, 2)
    assert (across.diff(dim=1) > 0).all()
    assert (across.diff(dim=0) == 0).all()
    assert (up.diff(dim=0) < 0).all()
    assert (up.diff(dim=1) == 0).all()
    assert up[0, 0] == up.max()


def test_cells_hold_equal_mass_and_are_not_evenly_spaced():
    across = quantile_grid(10)[0, :, 0]
    expected = (torch.arange(10) + 0.5) / 10
    torch.testing.assert_close(Normal(0.0, 1.0).cdf(across), expected)
    steps = across.diff()
    assert steps[0] > 2 * steps[4]


def test_the_priors_own_marginals_are_used():
    prior = Normal(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0]))
    grid = quantile_grid(5, prior.icdf)
    torch.testing.assert_close(grid, prior.loc + prior.scale * quantile_grid(5))
    assert grid[2, 2].tolist() == [1, -2]


def test_a_grid_without_cells_is_refused():
    with pytest.raises(OptionError, match="at least 1 cell a side, got 0"):
        quantile_grid(0)
