"""Shortest paths in latent space, by the images that they pass.

The cost of a step from zᵢ to zᵢ₊₁ is ½ (w(zᵢ) + w(zᵢ₊₁)) ‖xᵢ₊₁ − xᵢ‖: the distance between the two
decoded images, with a weight w that is 1 unless given. All paths are sought at once and none
depends on what it is sought with.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import grid_sample

from vaescape.errors import OptionError
from vaescape.geometry.metric import Decoder, decoded
from vaescape.geometry.paths import linear, resample

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Weight = Callable[[Float[Tensor, "N D"]], Float[Tensor, " N"]]

NODES, WAVES = 21, 8
"""Points at which a path is measured while it is sought, and sine waves that it is made of."""

STEPS = 100
"""Of energy descent, where a path is to be as good as it can be."""

FROM_GRID, FROM_LINE = 12, 8
"""Steps of energy descent where paths are to be good soon."""

CELLS, WAYS = 64, 32
"""Nodes along each side of a plane: where a decoder is remembered, and of the graph of ways."""

COMPONENTS, FINER = 64, 4
"""Of a remembered decoder: principal components, at most; places kept for each node of a side."""

AT_ONCE = 500
"""Images decoded at once."""


def density_weight(
    log_density: Callable[[Float[Tensor, "N D"]], Float[Tensor, " N"]],
    typical: float,
    strength: float,
) -> Weight:
    """Return w(z) = 1 + λ max(0, h − log q(z)), under which paths keep to where there are data.

    Without it they may cross empty space: a decoder's mean is as happy there as anywhere. Every nat
    by which a place is less likely than the typical one adds λ times the way. So the metric is
    w(z)² G(z), and λ = 0 the decoder's own.

    Args:
        log_density: log q(z) in nats, of the aggregate posterior for instance; differentiable.
        typical: h, in nats: the median of log q at encoded images, say.
        strength: λ, 0 or more, per nat.
    """
    return lambda z: 1 + strength * (typical - log_density(z)).clamp_min(0)


def step_costs(
    decode: Decoder, path: Float[Tensor, "*S T D"], weight: Weight | None = None
) -> Float[Tensor, "*S T-1"]:
    """Return the cost of each step of a path; their sum is its weighted length."""
    chords = vector_norm(decoded(decode, path).diff(dim=-2), dim=-1)
    return chords if weight is None else chords * _between(weight, path)


def _between(weight: Weight, path: Float[Tensor, "*S T D"]) -> Float[Tensor, "*S T-1"]:
    """Return the mean weight of the two ends of each step."""
    w = weight(path.reshape(-1, path.shape[-1])).reshape(path.shape[:-1])
    return (w[..., 1:] + w[..., :-1]) / 2


# Energy descent ----------------------------------------------------------------------------------


def geodesic(
    decode: Decoder,
    a: Float[Tensor, "*S D"],
    b: Float[Tensor, "*S D"],
    *,
    nodes: int = NODES,
    waves: int = WAVES,
    steps: int = STEPS,
    start: Float[Tensor, "*S T D"] | None = None,
    free: int | None = None,
    weight: Weight | None = None,
) -> Float[Tensor, "*S T D"]:
    """Return paths of least energy ½ (T − 1) Σ cost², from a to b; their ends are exact.

    A path of least energy is a shortest one, walked at constant speed (Chen et al. 2018; Shao et
    al. 2018), among those near where it started: not always the shortest of all. It is sought among
    the sums of the straight line and a few sine waves, measured at more nodes than there are waves:
    if every node were free, they would leave out the places where images change fast.

    Args:
        decode: Takes points (N, D) to images (N, …), with derivatives.
        a: Where paths begin.
        b: Where they end.
        nodes: T, unless the start is given.
        waves: Sine waves in each dimension, at most as many as inner nodes.
        steps: Of descent. Each decodes every node once, and goes back through the decoder once.
        start: Paths to begin with, smoothed to the waves; straight lines unless given.
        free: So many coordinates, from the first, may leave the straight line; all by default. The
            others, as the class of a conditional decoder, go evenly from one end to the other.
        weight: Of the places passed; see :func:`density_weight`.

    Raises:
        OptionError: If there are fewer than 3 nodes or no wave.
    """
    nodes = nodes if start is None else start.shape[-2]
    if nodes < 3 or waves < 1:
        raise OptionError(
            f"A geodesic needs 3 nodes and 1 wave or more, got {nodes} and {waves}. "
            f"Try {NODES} and {WAVES}."
        )
    line = linear(a, b, torch.linspace(0, 1, nodes, dtype=a.dtype)).reshape(-1, nodes, a.shape[-1])
    bend = torch.zeros_like(line) if start is None else start.detach().reshape(line.shape) - line
    together = max(1, AT_ONCE // nodes)
    parts = zip(line.split(together), bend.split(together), strict=True)
    frees = a.shape[-1] if free is None else free
    found = [
        _descend(decode, *part, waves=waves, steps=steps, free=frees, weight=weight)
        for part in parts
    ]
    return torch.cat(found).reshape(*a.shape[:-1], nodes, -1)


def _descend(
    decode: Decoder,
    line: Float[Tensor, "P T D"],
    bend: Float[Tensor, "P T D"],
    *,
    waves: int,
    steps: int,
    free: int,
    weight: Weight | None,
) -> Float[Tensor, "P T D"]:
    """Return each path after gradient descent with a step size of its own.

    Steps follow Barzilai & Borwein (1988), the geometric mean of their two sizes; one that leads up
    is taken back.
    """
    tiny = torch.finfo(line.dtype).tiny
    wave, size = _waves(line.shape[1], waves, line)
    unit = vector_norm(line[:, -1:] - line[:, :1], dim=2, keepdim=True)
    unit = unit.clamp_min(torch.finfo(line.dtype).eps)
    moving = torch.arange(line.shape[2], device=line.device) < free

    def path(c: Float[Tensor, "P K D"]) -> Float[Tensor, "P T D"]:
        return torch.cat(
            [line[:, :1], line[:, 1:-1] + wave @ (size * unit * c * moving), line[:, -1:]], 1
        )

    def energy(c: Float[Tensor, "P K D"]) -> Float[Tensor, "P 1 1"]:
        return step_costs(decode, path(c), weight).square().sum(1)[:, None, None]

    c = wave.T @ bend[:, 1:-1] / (size * unit)
    lowest, slope = _value_and_slope(energy, c)
    rate = 0.25 / lowest.clamp_min(tiny)  # curvature is in the units of the energy
    for _ in range(steps):
        trial = c - rate * slope
        value, ahead = _value_and_slope(energy, trial)
        secant = _size(trial - c) / _size(ahead - slope).clamp_min(tiny)
        lower = value < lowest
        rate = torch.where(lower, secant, torch.minimum(secant, rate / 2))
        c, slope = torch.where(lower, trial, c), torch.where(lower, ahead, slope)
        lowest = torch.where(lower, value, lowest)
    return path(c)


def _waves(
    nodes: int, count: int, like: Tensor
) -> tuple[Float[Tensor, "T-2 K"], Float[Tensor, "K 1"]]:
    """Return the first sine waves at the inner nodes, orthonormal, and the size of each.

    Of that size, in units of the distance of the ends, all of them cost the same energy where the
    decoder is flat: so the descent is as fast for many nodes as for few.
    """
    n = nodes - 1
    i = torch.arange(1, n, dtype=like.dtype, device=like.device)[:, None]
    k = i[:count, 0]
    wave = (2 / n) ** 0.5 * (i * k * (math.pi / n)).sin()
    return wave, (1 / (2 * n**0.5 * (k * (math.pi / (2 * n))).sin()))[:, None]


def _value_and_slope(
    energy: Callable[[Tensor], Tensor], c: Float[Tensor, "P K D"]
) -> tuple[Float[Tensor, "P 1 1"], Float[Tensor, "P K D"]]:
    with torch.enable_grad():
        c = c.detach().requires_grad_()
        value = energy(c)
        (slope,) = torch.autograd.grad(value.sum(), c)
    return value.detach(), slope


def _size(c: Float[Tensor, "P K D"]) -> Float[Tensor, "P 1 1"]:
    return vector_norm(c, dim=(1, 2), keepdim=True)


# Graphs ------------------------------------------------------------------------------------------


class Graph(NamedTuple):
    """Places in latent space, and what it costs to go from one to a neighbour."""

    nodes: Float[Tensor, "M D"]
    edges: "csr_array"
    """Costs (M, M), the same there and back."""


class Routes(NamedTuple):
    """Shortest ways through a graph; the shorter ones stand still at their beginning."""

    points: Float[Tensor, "P L D"]
    passed: Float[Tensor, "P L"]
    """The cost so far: in the last column, of the whole way."""


def grid_graph(
    decode: Decoder,
    low: Float[Tensor, "2"],
    high: Float[Tensor, "2"],
    *,
    cells: int = CELLS,
    reach: int = 2,
    weight: Weight | None = None,
) -> Graph:
    """Return a regular grid over a rectangle of a plane.

    Args:
        decode: Takes points (N, 2) to images (N, …).
        low: The corner of the smallest coordinates.
        high: The opposite corner.
        cells: Nodes along each side.
        reach: Neighbours are up to so many rows and columns away, in 8, 16 or 32 directions for 1,
            2 or 3. On a flat map a way is too long by 8 %, 2.7 % or 1.3 % at most, however fine the
            grid.
        weight: Of places; see :func:`density_weight`.
    """
    nodes = _grid(low, high, cells)
    here = torch.arange(cells**2).reshape(cells, cells)
    steps = [
        (i, j)
        for i in range(reach + 1)
        for j in range(-reach, reach + 1)
        if math.gcd(i, j) == 1 and (i, j) != (0, -1)
    ]
    ends = [
        torch.stack([here[: cells - i, max(0, -j) : cells - max(0, j)].flatten(),
                     here[i:, max(0, j) : cells + min(0, j)].flatten()])
        for i, j in steps
    ]  # fmt: skip
    return _graph(decode, nodes, torch.cat(ends, 1), 1, weight)


def _grid(low: Float[Tensor, "2"], high: Float[Tensor, "2"], cells: int) -> Float[Tensor, "M 2"]:
    """Return the nodes of a regular grid; the second coordinate changes fastest."""
    axes = [torch.linspace(float(x), float(y), cells) for x, y in zip(low, high, strict=True)]
    return torch.cartesian_prod(*axes).to(low)


def neighbour_graph(
    decode: Decoder,
    z: Float[Tensor, "M D"],
    *,
    neighbours: int = 10,
    pieces: int = 4,
    weight: Weight | None = None,
) -> Graph:
    """Return a graph through points of any dimension, each joined with its nearest ones.

    Args:
        decode: Takes points (N, D) to images (N, …).
        z: Encoded images, so that ways lead where there are data.
        neighbours: By the Euclidean distance in latent space.
        pieces: In so many steps each edge is measured, along the straight line.
        weight: Of places; see :func:`density_weight`.
    """
    from scipy.spatial import KDTree

    places = z.detach().cpu().numpy()
    near = KDTree(places).query(places, k=min(neighbours + 1, len(z)))[1].reshape(len(z), -1)
    ends = np.stack([np.repeat(np.arange(len(z)), near.shape[1]), near.ravel()])
    ends = np.unique(np.sort(ends[:, ends[0] != ends[1]], axis=0), axis=1)
    return _graph(decode, z, torch.from_numpy(ends), pieces, weight)


def _graph(
    decode: Decoder,
    nodes: Float[Tensor, "M D"],
    ends: Int[Tensor, "2 E"],
    pieces: int,
    weight: Weight | None,
) -> Graph:
    from scipy.sparse import coo_array

    with torch.no_grad():
        costs = _edge_costs(decode, nodes, ends, pieces, weight).cpu().numpy()
    # A sparse matrix takes a zero for no edge.
    costs = np.maximum(costs, np.finfo(costs.dtype).tiny)
    there, back = ends.numpy()
    one_way = coo_array((costs, (there, back)), shape=(len(nodes), len(nodes))).tocsr()
    return Graph(nodes, (one_way + one_way.T).tocsr())


def _edge_costs(
    decode: Decoder,
    nodes: Float[Tensor, "M D"],
    ends: Int[Tensor, "2 E"],
    pieces: int,
    weight: Weight | None,
) -> Float[Tensor, " E"]:
    if pieces == 1:  # every node is decoded once, not once for each of its edges
        images = decoded(decode, nodes, chunk=AT_ONCE)
        w = torch.ones(len(nodes)).to(nodes) if weight is None else weight(nodes)
        parts = ends.split(10 * AT_ONCE, dim=1)
        return torch.cat(
            [vector_norm(images[b] - images[a], dim=1) * (w[a] + w[b]) / 2 for a, b in parts]
        )
    t = torch.linspace(0, 1, pieces + 1)
    return torch.cat([
        step_costs(decode, linear(nodes[a], nodes[b], t), weight).sum(1)
        for a, b in ends.split(AT_ONCE, dim=1)
    ])  # fmt: skip


def routes(graph: Graph, a: Float[Tensor, "P D"], b: Float[Tensor, "P D"]) -> Routes:
    """Return the shortest ways from a to b, each by way of the nodes nearest to its two ends.

    Their ends are exact. The cost is that between the two nodes. Where no way leads, it is infinite
    and the route is the straight line.
    """
    from scipy.sparse.csgraph import dijkstra
    from scipy.spatial import KDTree

    tree = KDTree(graph.nodes.detach().cpu().numpy())
    first, last = (tree.query(end.detach().cpu().numpy())[1] for end in (a, b))
    sources, row = np.unique(first, return_inverse=True)
    cost, before = dijkstra(graph.edges, indices=sources, return_predecessors=True)
    ways = [last]
    while ((previous := before[row, ways[-1]]) >= 0).any() or len(ways) < 2:
        ways.append(np.where(previous >= 0, previous, first))
    way = np.stack(ways[::-1], 1)
    passed = np.where(np.isfinite(cost[row, last])[:, None], cost[row[:, None], way], np.inf)
    points = graph.nodes[torch.from_numpy(way).to(graph.nodes.device)]
    points[:, 0], points[:, -1] = a, b
    passed = torch.from_numpy(passed).to(points)
    return Routes(torch.where(passed[:, -1:, None].isinf(), _straight(points), points), passed)


def _straight(points: Float[Tensor, "P L D"]) -> Float[Tensor, "P L D"]:
    return linear(points[:, 0], points[:, -1], torch.linspace(0, 1, points.shape[1]))


# A decoder remembered -----------------------------------------------------------------------------


def remembered(
    decode: Decoder, low: Float[Tensor, "2"], high: Float[Tensor, "2"], *, cells: int = CELLS
) -> Decoder:
    """Return a decoder of a rectangle of the plane that looks up what it once decoded.

    Distances between what it returns are those of the images. Of the images it keeps the
    coordinates along their principal components; between the nodes of a grid they follow cubic
    splines, kept at ``FINER`` times as many places and straight between those. Details finer than
    the grid are lost; outside the rectangle it goes on as at the border.

    Args:
        decode: Takes points (N, 2) to images (N, …).
        low: The corner of the smallest coordinates.
        high: The opposite corner.
        cells: Nodes along each side.
    """
    with torch.no_grad():
        images = decoded(decode, _grid(low, high, cells), chunk=AT_ONCE)
        images = (images - images.mean(0)).unflatten(0, (cells, cells))
        some = images[::4, ::4].flatten(0, 1)  # a sixteenth, as good for the components
        axes = torch.linalg.svd(some, full_matrices=False).Vh[:COMPONENTS]
        spline = _spline(cells).to(images)
        maps = (spline @ (images @ axes.T).permute(2, 1, 0) @ spline.T)[None]

    def look_up(z: Float[Tensor, "N 2"]) -> Float[Tensor, "N K"]:
        place = (2 * (z - low) / (high - low) - 1)[None, None]
        return grid_sample(maps, place, padding_mode="border", align_corners=True)[0, :, 0].T

    return look_up


def _spline(cells: int) -> Float[Tensor, "M cells"]:
    """Return the matrix that takes values at the nodes to those of their cubic spline between."""
    from scipy.interpolate import make_interp_spline

    finer = np.linspace(0, cells - 1, FINER * (cells - 1) + 1)
    return torch.from_numpy(make_interp_spline(np.arange(cells), np.eye(cells))(finer))


# Both --------------------------------------------------------------------------------------------


class Geodesics:
    """Shortest paths of one decoder, called as the other paths are: ``path(a, b, t)``.

    In a plane they start as shortest ways on a grid, elsewhere as straight lines at constant speed;
    energy descent then improves them. Speed is that of the images: t are shares of the length. In a
    plane all of it goes by the :func:`remembered` decoder; where an end lies outside its rectangle,
    as elsewhere.

    Args:
        decode: Takes points (N, D) to images (N, …), with derivatives.
        around: Points of latent space; the grid of a plane covers all of them, and a margin.
        free: Coordinates that may leave the straight line, as in :func:`geodesic`.
        nodes: Points of a path while it is sought.
        steps: Of energy descent; unless given, few from the grid and more from a straight line.
        weight: Of places; see :func:`density_weight`.
    """

    def __init__(
        self,
        decode: Decoder,
        around: Float[Tensor, "N D"],
        *,
        free: int | None = None,
        nodes: int = NODES,
        steps: int | None = None,
        weight: Weight | None = None,
    ) -> None:
        self.decode, self.free, self.nodes, self.weight = decode, free, nodes, weight
        self.steps, self.graph = steps or FROM_LINE, None
        if around.shape[1] == 2:
            self.corners = low, high = _rectangle(around)
            self.looked_up = remembered(decode, low, high)
            self.graph = grid_graph(self.looked_up, low, high, cells=WAYS, weight=weight)
            self.steps = steps or FROM_GRID

    def __call__(
        self, a: Float[Tensor, "*S D"], b: Float[Tensor, "*S D"], t: Float[Tensor, " T"]
    ) -> Float[Tensor, "*S T D"]:
        """Return points of the paths from a to b, at shares t of their length; ends are exact."""
        flat_a, flat_b = (end.reshape(-1, end.shape[-1]) for end in (a, b))
        evenly = torch.linspace(0, 1, self.nodes)
        if self.graph is not None and self._remembers(flat_a, flat_b):
            decode, found = self.looked_up, routes(self.graph, flat_a, flat_b)
            start = resample(found.points, evenly, by=found.passed[..., None])
        else:
            decode = self.decode
            start = _even(decode, linear(flat_a, flat_b, evenly), evenly)
        path = geodesic(
            decode, flat_a, flat_b,
            start=start, steps=self.steps, free=self.free, weight=self.weight,
        )  # fmt: skip
        return _even(decode, path, t).reshape(*a.shape[:-1], len(t), -1)

    def _remembers(self, *ends: Float[Tensor, "P 2"]) -> bool:
        """Return whether all ends lie in the rectangle whose images are known."""
        low, high = self.corners
        return all(bool(((end >= low) & (end <= high)).all()) for end in ends)


def _even(
    decode: Decoder, path: Float[Tensor, "P T D"], t: Float[Tensor, " n"]
) -> Float[Tensor, "P n D"]:
    """Return points of a path at shares of its length in images."""
    with torch.no_grad():
        return resample(path, t, by=decoded(decode, path, chunk=AT_ONCE))


def _rectangle(points: Float[Tensor, "N 2"]) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"]]:
    """Return the corners of what holds all points and a margin."""
    low, high = points.amin(0), points.amax(0)
    margin = (high - low).amax() / 10 + torch.finfo(points.dtype).eps
    return low - margin, high + margin
