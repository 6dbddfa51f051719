"""Shortest paths in latent space, by the images that they pass.

The cost of a step from zᵢ to zᵢ₊₁ is ½ (w(zᵢ) + w(zᵢ₊₁)) ‖xᵢ₊₁ − xᵢ‖: the distance between the two
decoded images, with a weight w that is 1 unless given. All paths are sought at once and none
depends on what it is sought with.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from vaescape.errors import OptionError
from vaescape.geometry.density import Weight
from vaescape.geometry.graph import grid_graph, neighbour_graph, routes
from vaescape.geometry.metric import Decoder, decoded
from vaescape.geometry.paths import linear, resample
from vaescape.geometry.remembered import AT_ONCE, remembered

NODES, WAVES = 21, 8
"""Points at which a path is measured while it is sought, and sine waves that it is made of."""

STEPS = 100
"""Of energy descent, where a path is to be as good as it can be."""

FROM_GRID, FROM_LINE = 12, 8
"""Steps of energy descent where paths are to be good soon."""


def step_costs(
    decode: Decoder, path: Float[Tensor, "*S T D"], weight: Weight | None = None
) -> Float[Tensor, "*S T-1"]:
    """Return the cost of each step of a path; their sum is its weighted length."""
    chords = vector_norm(decoded(decode, path).diff(dim=-2), dim=-1)
    if weight is None:
        return chords
    w = weight(path.reshape(-1, path.shape[-1])).reshape(path.shape[:-1])
    return chords * ((w[..., 1:] + w[..., :-1]) / 2)


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
        weight: Of the places passed; see :meth:`AggregateDensity.weight`.

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


# Both --------------------------------------------------------------------------------------------


class Geodesics:
    """Shortest paths of one decoder, called as the other paths are: ``path(a, b, t)``.

    They start as shortest ways on a grid in a plane, and elsewhere as straight lines at constant
    speed, or as shortest ways through encoded images where those are cheaper; energy descent then
    improves them. Speed is that of the images: t are shares of the length. In a plane all of it
    goes by the :func:`remembered` decoder; where an end lies outside its rectangle, as elsewhere.

    Args:
        decode: Takes points (N, D) to images (N, …), with derivatives.
        around: Points of latent space; the grid of a plane covers all of them, and a margin.
        through: Encoded images that paths may pass, where latent space is no plane.
        free: Coordinates that may leave the straight line, as in :func:`geodesic`.
        steps: Of energy descent; unless given, few from the grid and more from a straight line.
        weight: Of places; see :meth:`AggregateDensity.weight`.
    """

    def __init__(
        self,
        decode: Decoder,
        around: Float[Tensor, "N D"],
        *,
        through: Float[Tensor, "M D"] | None = None,
        free: int | None = None,
        steps: int | None = None,
        weight: Weight | None = None,
    ) -> None:
        self.decode, self.free, self.weight = decode, free, weight
        self.steps, self.graph = steps or FROM_LINE, None
        if around.shape[1] == 2:
            self.corners = low, high = _rectangle(around)
            self.looked_up = remembered(decode, low, high)
            self.graph = grid_graph(self.looked_up, low, high, weight=weight)
            self.steps = steps or FROM_GRID
        elif through is not None:
            self.graph = neighbour_graph(decode, through, weight=weight)

    def __call__(
        self, a: Float[Tensor, "*S D"], b: Float[Tensor, "*S D"], t: Float[Tensor, " T"]
    ) -> Float[Tensor, "*S T D"]:
        """Return points of the paths from a to b, at shares t of their length; ends are exact."""
        flat_a, flat_b = (end.reshape(-1, end.shape[-1]) for end in (a, b))
        decode, start = self._start(flat_a, flat_b, torch.linspace(0, 1, NODES))
        path = geodesic(
            decode, flat_a, flat_b,
            start=start, steps=self.steps, free=self.free, weight=self.weight,
        )  # fmt: skip
        return _even(decode, path, t).reshape(*a.shape[:-1], len(t), -1)

    def _start(
        self, a: Float[Tensor, "P D"], b: Float[Tensor, "P D"], t: Float[Tensor, " T"]
    ) -> tuple[Decoder, Float[Tensor, "P T D"]]:
        """Return the decoder to go by, and where the descent begins."""
        graph, flat = self.graph, a.shape[1] == 2
        if graph and flat and self._remembers(a, b):
            found = routes(graph, a, b)
            return self.looked_up, resample(found.points, t, by=found.passed[..., None])
        line = _even(self.decode, linear(a, b, t), t)
        if flat or graph is None:
            return self.decode, line
        way = _even(self.decode, routes(graph, a, b).points, t)
        with torch.no_grad():
            cost, straight = (
                step_costs(self.decode, path, self.weight).sum(-1)[:, None, None]
                for path in (way, line)
            )
        return self.decode, torch.where(cost < straight, way, line)

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
