import math

import pytest
import torch
from scipy.sparse import csr_array
from surfaces import (
    MATRIX,
    cylinder,
    great_circle,
    linear_decoder,
    polyline_energy,
    polyline_length,
    random,
    sphere,
)
from torch import nn

from vaescape.errors import OptionError
from vaescape.geometry.geodesic import Geodesics, geodesic, step_costs
from vaescape.geometry.graph import Graph, grid_graph, neighbour_edges, neighbour_graph, routes
from vaescape.geometry.metric import decoded
from vaescape.geometry.paths import linear
from vaescape.geometry.remembered import CELLS, remembered


def shares(nodes=21):
    return torch.linspace(0, 1, nodes).double()


def bent(a, b, by=0.5):
    """The straight line with a bow to one side."""
    return linear(a, b, shares()) + by * (math.pi * shares()).sin()[:, None]


def length(decode, path):
    return polyline_length(decoded(decode, path))


def uneven(z):
    """A hill in the way of a straight line: around it is shorter than across."""
    height = 3 * (-3 * z.square().sum(-1, keepdim=True)).exp()
    return torch.cat([z, height], -1)


A = torch.tensor([[-1.0, 0.1], [-1.0, 0.1], [-0.5, -1.0]]).double()
B = torch.tensor([[1.0, 0.1], [0.2, 1.0], [0.7, 1.0]]).double()


# energy descent ------------------------------------------------------------------------------


@pytest.mark.parametrize("decode", [linear_decoder, cylinder])
def test_geodesics_of_what_is_flat_are_straight(decode):
    found = geodesic(decode, A, B, start=bent(A, B))
    torch.testing.assert_close(found, linear(A, B, shares()), rtol=0, atol=2e-3)


def test_geodesics_of_a_linear_decoder_are_straight_in_any_dimension():
    matrix = random(9, 5, seed=3)
    a, b = random(20, 5), random(20, 5, seed=1)
    found = geodesic(lambda z: z @ matrix.T, a, b, start=bent(a, b))
    torch.testing.assert_close(found, linear(a, b, shares()), rtol=0, atol=2e-3)


def test_geodesics_of_the_sphere_are_great_circles():
    found = geodesic(sphere, A, B)
    torch.testing.assert_close(length(sphere, found), great_circle(A, B), rtol=1e-3, atol=0)
    x = decoded(sphere, found)
    normal = torch.linalg.cross(x[:, 0], x[:, -1])
    off = (x @ normal[..., None]).abs().amax()
    straight = decoded(sphere, linear(A, B, shares())) @ normal[..., None]
    assert off < 0.01 < straight.abs().amax()


def test_geodesics_have_constant_speed():
    steps = step_costs(sphere, geodesic(sphere, A, B))
    assert (steps.amax(1) / steps.amin(1) < 1.03).all()
    straight = step_costs(sphere, linear(A, B, shares()))
    assert (straight.amax(1) / straight.amin(1)).amax() > 1.2


def test_energy_never_grows_however_rough_the_decoder():
    matrix = 40 * random(6, 2, seed=4)

    def rough(z):
        return (z @ matrix.T).sin()

    energies = [
        polyline_energy(decoded(rough, geodesic(rough, A, B, steps=steps))) for steps in range(6)
    ]
    assert (torch.stack(energies).diff(dim=0) <= 1e-9).all()


@pytest.mark.parametrize("steps", [0, 1, 20])
def test_energy_never_grows(steps: int):
    found = geodesic(uneven, A, B, steps=steps)
    energy, straight = (
        polyline_energy(decoded(uneven, path)) for path in (found, linear(A, B, shares()))
    )
    assert (energy <= straight * (1 + 1e-6)).all()
    if steps == 20:
        assert (energy < 0.95 * straight)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_endpoints_are_exact(dim: int, dtype: torch.dtype):
    matrix = random(4, dim).to(dtype)
    a, b = random(30, dim).to(dtype), 30 * random(30, dim, seed=1).to(dtype)

    def decode(z):
        return (z @ matrix.T).sin()

    walk = Geodesics(decode, torch.cat([a, b]))
    for found in (geodesic(decode, a, b, steps=5), walk(a, b, torch.linspace(0, 1, 7))):
        assert found.dtype == dtype
        assert torch.equal(found[:, 0], a)
        assert torch.equal(found[:, -1], b)
        assert found.isfinite().all()


@pytest.mark.parametrize("decode", [sphere, lambda z: 0 * z])
def test_where_nothing_changes_there_is_still_a_path(decode):
    walk = Geodesics(decode, torch.cat([A, B]))
    still = walk(A, A, shares(5))
    torch.testing.assert_close(still, A[:, None].expand(-1, 5, -1))
    found = walk(A, B, shares(5))
    assert found.isfinite().all()
    assert torch.equal(found[:, -1], B)


def test_paths_do_not_depend_on_their_company():
    together = geodesic(uneven, A, B, steps=10)
    alone = [geodesic(uneven, a, b, steps=10) for a, b in zip(A, B, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone))
    nested = geodesic(uneven, A.expand(2, 3, 2), B.expand(2, 3, 2), steps=10)
    torch.testing.assert_close(nested[1], together)
    many = geodesic(uneven, A.repeat(10, 1), B.repeat(10, 1), steps=10)  # more than one part
    torch.testing.assert_close(many[-3:], together)


def test_a_cliff_is_not_leapt_over():
    """With few nodes, both sides of a cliff would be crowded and the cliff itself cost little."""

    def cliff(z):
        turn = 3 * math.pi * (8 * z[:, :1]).sigmoid()
        return torch.cat([z, turn.cos(), turn.sin()], -1)

    def measured(found):
        fine = linear(found[:, :-1], found[:, 1:], shares(20)).flatten(1, 2)
        return (length(cliff, found) / length(cliff, fine)).item()

    assert measured(geodesic(cliff, A[:1], B[:1])) > 0.98
    assert measured(geodesic(cliff, A[:1], B[:1], nodes=11, waves=9)) < 0.5


def test_geodesics_of_a_network_with_gradients_off():
    torch.manual_seed(0)
    decode = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 9)).double()
    with torch.no_grad():
        found = geodesic(decode, 3 * A, 3 * B, steps=30)
    assert not found.requires_grad
    assert (length(decode, found) < length(decode, linear(3 * A, 3 * B, shares()))).all()
    assert all(parameter.grad is None for parameter in decode.parameters())


def test_coordinates_that_are_not_free_stay_on_the_line():
    found = geodesic(uneven, A, B, free=1)
    line = linear(A, B, shares())
    torch.testing.assert_close(found[..., 1], line[..., 1])
    assert (found[..., 0] - line[..., 0]).abs().amax() > 0.01


@pytest.mark.parametrize("bad", [{"nodes": 2}, {"waves": 0}])
def test_a_geodesic_needs_nodes_and_waves(bad):
    with pytest.raises(OptionError, match="3 nodes and 1 wave or more"):
        geodesic(sphere, A, B, **bad)


# weights -------------------------------------------------------------------------------------


def log_density(z):
    """Of a ring: data on the unit circle, none in its middle."""
    return -((z.norm(dim=-1) - 1) ** 2) / (2 * 0.2**2)


def follow(strength, typical=0.0):
    return lambda z: 1 + strength * (typical - log_density(z)).clamp_min(0)


def test_a_weighted_path_goes_round_by_the_data():
    ends = torch.tensor([[-1.0, 0.05]]).double(), torch.tensor([[1.0, 0.05]]).double()
    around = torch.cat(ends)
    box = torch.tensor([[-1.5, -1.5], [1.5, 1.5]]).double()
    weight = follow(1.0)
    across = Geodesics(linear_decoder, box)(*ends, shares(9))
    round_by = Geodesics(linear_decoder, box, weight=weight)(*ends, shares(9))
    assert across.norm(dim=-1).amin() < 0.1
    assert round_by.norm(dim=-1).amin() > 0.75
    cost = [step_costs(linear_decoder, path, weight).sum() for path in (across, round_by)]
    assert cost[1] < cost[0]
    bow = linear(*ends, shares()) + 0.5 * (math.pi * shares()).sin()[:, None] * around.new_tensor(
        [0, 1]
    )
    by_descent = geodesic(linear_decoder, *ends, start=bow, weight=weight)
    assert by_descent.norm(dim=-1).amin() > 0.75


# graphs --------------------------------------------------------------------------------------


LOW, HIGH = torch.tensor([-1.2, -1.2]).double(), torch.tensor([1.2, 1.2]).double()
CORNERS = torch.tensor([[-1.2, -1.2], [-1.2, 1.2], [-1.2, 0.0]]).double()
ACROSS = torch.tensor([[1.2, 1.2], [1.2, 0.0], [0.0, 1.2]]).double()


def test_ways_on_a_grid_converge_to_the_true_ones():
    true = great_circle(CORNERS, ACROSS)
    worst = []
    for cells, reach in ((5, 1), (17, 2), (65, 3)):
        found = routes(grid_graph(sphere, LOW, HIGH, cells=cells, reach=reach), CORNERS, ACROSS)
        worst.append(((found.passed[:, -1] - true).abs() / true).amax().item())
    assert worst[0] > worst[1] > worst[2]
    assert worst[2] < 0.025


@pytest.mark.parametrize(("reach", "bound"), [(1, 1.083), (2, 1.028), (3, 1.014)])
def test_a_grid_on_a_flat_map_is_as_wrong_as_it_says(reach: int, bound: float):
    def flat(z):
        return z

    angle = math.pi / 2 * torch.rand(200, generator=torch.Generator().manual_seed(0)).double()
    b = LOW + 2.4 * torch.stack([angle.cos(), angle.sin()], -1)
    graph = grid_graph(flat, LOW, HIGH, cells=61, reach=reach)
    found = routes(graph, LOW.expand(200, 2), b)
    nearest = 2.4 / 60 * (b.sub(LOW) / (2.4 / 60)).round()  # the node that the way leads to
    ratio = found.passed[:, -1] / nearest.norm(dim=-1)
    assert ratio.amin() >= 1 - 1e-9
    assert bound - 0.012 < ratio.amax() < bound


def test_descent_makes_of_a_way_on_a_grid_the_great_circle():
    walk = Geodesics(sphere, torch.cat([CORNERS, ACROSS]), steps=60)
    found = walk(CORNERS, ACROSS, shares(40))
    torch.testing.assert_close(
        length(sphere, found), great_circle(CORNERS, ACROSS), rtol=2e-3, atol=0
    )


def test_a_grid_finds_the_way_around_that_descent_alone_does_not():
    a, b = torch.tensor([[-1.0, 0.0]]).double(), torch.tensor([[1.0, 0.0]]).double()
    by_descent = length(uneven, geodesic(uneven, a, b))
    box = torch.tensor([[-2.0, -2.0], [2.0, 2.0]]).double()
    around = length(uneven, Geodesics(uneven, box)(a, b, shares(60)))
    assert around < 0.9 * by_descent


# a decoder remembered ------------------------------------------------------------------------


def test_a_remembered_decoder_keeps_the_distances_of_images_near_and_far():
    matrix = random(40, 2, seed=5)

    def waves(z):
        return (z @ matrix.T).sin()

    looked_up = remembered(waves, LOW, HIGH)
    z = LOW + (HIGH - LOW) * torch.rand(2, 200, 2, generator=torch.Generator().manual_seed(1))
    for b in (z[1], z[0] + 1e-3 * (z[1] - z[0])):
        exact, found = ((f(z[0]) - f(b)).norm(dim=1) for f in (waves, looked_up))
        torch.testing.assert_close(found, exact, rtol=0.01, atol=0)


def test_a_remembered_decoder_is_asked_once_for_each_node():
    asked = []

    def count(z):
        asked.append(len(z))
        return sphere(z)

    walk = Geodesics(count, torch.cat([A, B]))
    walk(A, B, shares(5))
    assert sum(asked) == CELLS**2


def test_paths_to_places_outside_ask_the_decoder():
    box = torch.tensor([[-0.2, -0.2], [0.2, 0.2]]).double()
    found = Geodesics(sphere, box, steps=60)(A, B, shares(40))
    torch.testing.assert_close(length(sphere, found), great_circle(A, B), rtol=2e-3, atol=0)


def test_outside_its_rectangle_a_remembered_decoder_stands_still():
    looked_up = remembered(sphere, LOW, HIGH)
    outside, border = torch.tensor([[5.0, 0.3], [1.2, 0.3]]).double()
    torch.testing.assert_close(looked_up(outside[None]), looked_up(border[None]))


def test_every_edge_costs_the_distance_of_its_images_both_ways():
    graph = grid_graph(sphere, LOW, HIGH, cells=6, reach=3)
    edges = graph.edges.tocoo()
    images = decoded(sphere, graph.nodes)
    a, b = (torch.from_numpy(ends).long() for ends in (edges.row, edges.col))
    torch.testing.assert_close(torch.from_numpy(edges.data), (images[a] - images[b]).norm(dim=1))
    assert abs(graph.edges - graph.edges.T).max() == 0
    # 32 directions from the middle of a large grid; each edge once
    large = grid_graph(sphere, LOW, HIGH, cells=9, reach=3).edges
    assert (large.indptr[41] - large.indptr[40]) == 32


def test_ways_through_neighbours_converge_in_any_dimension():
    """Points of a curled sheet in 4 dimensions, of which two do nothing."""

    def decode(z):
        return torch.cat([sphere(z[:, :2]).flatten(1), 0 * z[:, 2:]], 1)

    worst = []
    ends = [torch.cat([end[:, :2], torch.zeros(3, 2)], 1) for end in (CORNERS, ACROSS)]
    for count in (150, 3000):
        z = 1.3 * (
            2 * torch.rand(count, 4, generator=torch.Generator().manual_seed(0)).double() - 1
        )
        z[:, 2:] *= 0.05
        z = torch.cat([z, *ends])
        found = routes(neighbour_graph(decode, z, neighbours=12), *ends)
        true = great_circle(CORNERS, ACROSS)
        worst.append(((found.passed[:, -1] - true) / true).amax().item())
        assert torch.equal(found.points[:, 0], ends[0])
    assert 0 < worst[1] < worst[0]
    assert worst[1] < 0.05


def test_neighbours_are_joined_with_each_other_and_with_all_others_by_a_tree():
    islands = torch.tensor([[0.0, 0.0], [0.1, 0.0], [9.0, 0.0], [9.1, 0.0]]).double()
    assert neighbour_edges(islands.numpy(), 1).tolist() == [[0, 1], [1, 2], [2, 3]]
    graph = neighbour_graph(linear_decoder, islands, neighbours=1)
    found = routes(graph, islands[:1], islands[3:])
    torch.testing.assert_close(found.points[0], islands)
    assert found.passed[0, -1].item() == pytest.approx(9.1 * 5**0.5)
    none = Graph(graph.nodes, csr_array((4, 4)))
    found = routes(none, islands[:2], islands[2:])
    assert found.passed[:, -1].isinf().all()
    assert (found.points[..., 1] == 0).all()


def test_paths_through_encoded_images_follow_them_where_that_is_cheaper():
    """Images on a half circle of a 3-dimensional space, and emptiness that costs."""
    angle = math.pi * torch.linspace(0, 1, 60).double()
    codes = torch.stack([angle.cos(), angle.sin(), 0 * angle], 1)
    weight = follow(1.0)
    a, b = codes[:1], codes[-1:]
    flat = Geodesics(lambda z: z, codes, weight=lambda z: weight(z[:, :2]))
    through = Geodesics(lambda z: z, codes, through=codes, weight=lambda z: weight(z[:, :2]))
    assert flat(a, b, shares(9))[0, 4].norm() < 0.2
    assert through(a, b, shares(9))[0, 4].norm() > 0.8
    straight = Geodesics(lambda z: z, codes, through=codes)(a, b, shares(9))
    torch.testing.assert_close(straight, linear(a, b, shares(9)), rtol=0, atol=1e-3)


def test_a_weight_makes_edges_dearer():
    weight = follow(1.0)
    plain, weighted = (
        grid_graph(linear_decoder, LOW, HIGH, cells=7, weight=w).edges for w in (None, weight)
    )
    ends = plain.tocoo()
    nodes = torch.cartesian_prod(*[torch.linspace(-1.2, 1.2, 7).double()] * 2)
    w = weight(nodes).numpy()
    expected = (w[ends.row] + w[ends.col]) / 2 * ends.data
    assert abs(weighted.tocoo().data - expected).max() < 1e-6
    assert MATRIX.shape == (3, 2)
