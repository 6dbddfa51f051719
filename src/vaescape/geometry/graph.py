"""Shortest paths through graphs of places in latent space: a grid of a plane, or encoded images."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.linalg import vector_norm

from vaescape.geometry.density import Weight
from vaescape.geometry.metric import Decoder, decoded
from vaescape.geometry.paths import linear
from vaescape.geometry.remembered import AT_ONCE, grid_nodes

if TYPE_CHECKING:
    from scipy.sparse import csr_array

WAYS = 32
"""Nodes along each side of the grid of a plane."""

NEIGHBOURS = 10
"""Nodes that each is joined with at least, in a graph of encoded images."""


class Graph(NamedTuple):
    """Places in latent space, and what it costs to go from one to a neighbour."""

    nodes: Float[Tensor, "M D"]
    edges: "csr_array"
    """Costs (M, M), symmetric."""


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
    cells: int = WAYS,
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
        weight: Of places; see :meth:`AggregateDensity.weight`.
    """
    nodes = grid_nodes(low, high, cells)
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
    return _graph(decode, nodes, torch.cat(ends, 1), weight)


def neighbour_graph(
    decode: Decoder,
    z: Float[Tensor, "M D"],
    *,
    neighbours: int = NEIGHBOURS,
    weight: Weight | None = None,
) -> Graph:
    """Return a graph through points of any dimension, each joined with its nearest ones.

    Args:
        decode: Takes points (N, D) to images (N, …).
        z: Encoded images, so that paths lead where there are data.
        neighbours: By the Euclidean distance in latent space.
        weight: Of places; see :meth:`AggregateDensity.weight`.
    """
    ends = torch.from_numpy(neighbour_edges(z.detach().cpu().numpy(), neighbours))
    return _graph(decode, z, ends.T, weight)


def neighbour_edges(
    z: Float[np.ndarray, "M D"], neighbours: int = NEIGHBOURS
) -> Int[np.ndarray, "E 2"]:
    """Return pairs of points: each with its nearest ones, and those of the minimum spanning tree.

    The tree makes the graph connected.
    """
    from scipy.sparse.csgraph import minimum_spanning_tree
    from scipy.spatial.distance import cdist

    # A sparse matrix takes a zero for no edge: codes at the same place are a hair apart.
    apart = np.maximum(cdist(z, z), np.finfo(np.float64).tiny)
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1)[:, : min(neighbours, len(z) - 1)]
    here = np.repeat(np.arange(len(z)), near.shape[1])
    np.fill_diagonal(apart, 0)
    tree = minimum_spanning_tree(apart).tocoo()
    pairs = [np.stack([here, near.ravel()]), np.stack([tree.row, tree.col])]
    return np.unique(np.sort(np.concatenate(pairs, axis=1), axis=0), axis=1).T.copy()


def _graph(
    decode: Decoder, nodes: Float[Tensor, "M D"], ends: Int[Tensor, "2 E"], weight: Weight | None
) -> Graph:
    from scipy.sparse import coo_array

    with torch.no_grad():
        costs = edge_costs(decode, nodes, ends, weight).cpu().numpy()
    # A sparse matrix takes a zero for no edge.
    costs = np.maximum(costs, np.finfo(costs.dtype).tiny)
    there, back = ends.numpy()
    one_way = coo_array((costs, (there, back)), shape=(len(nodes), len(nodes))).tocsr()
    return Graph(nodes, (one_way + one_way.T).tocsr())


def edge_costs(
    decode: Decoder,
    nodes: Float[Tensor, "M D"],
    ends: Int[Tensor, "2 E"],
    weight: Weight | None = None,
) -> Float[Tensor, " E"]:
    """Return ½ (w(a) + w(b)) ‖x_b − x_a‖ of each edge; every node is decoded once."""
    images = decoded(decode, nodes, chunk=AT_ONCE)
    w = torch.ones(len(nodes)).to(nodes) if weight is None else weight(nodes)
    parts = ends.split(10 * AT_ONCE, dim=1)
    return torch.cat(
        [vector_norm(images[b] - images[a], dim=1) * (w[a] + w[b]) / 2 for a, b in parts]
    )


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
    straight = linear(points[:, 0], points[:, -1], torch.linspace(0, 1, points.shape[1]))
    return Routes(torch.where(passed[:, -1:, None].isinf(), straight, points), passed)
