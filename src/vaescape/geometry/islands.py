"""Where classes lie: a class may be in several pieces, and its mean in none of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

NEIGHBOURS = 12
"""Of a point, that it is connected with."""
MASS = 0.8
"""Share of a class that its region of highest density holds."""
LEAST = 0.1
"""Share of a class that makes an island."""
LOOKED_AT = 2000
"""Points of a class at most: evenly spread over them, more change nothing that one can see."""
VOTES = 25


@dataclass(frozen=True, eq=False)
class Island:
    """A piece of a class: a connected part of its region of highest density."""

    label: int
    share: float
    """Of the class's points."""
    members: Int[np.ndarray, " M"]
    """Which points, the medoid first, then by their distance to it."""

    @property
    def medoid(self) -> int:
        """The member nearest to all others in sum."""
        return int(self.members[0])


def islands(
    points: ArrayLike,
    labels: ArrayLike,
    *,
    neighbours: int = NEIGHBOURS,
    mass: float = MASS,
    least: float = LEAST,
) -> list[Island]:
    """Return the islands of every class, those of a class together, the largest first.

    The region of highest density of a class (Hyndman, 1996) is found without a grid, so in any
    dimension: the ``mass`` of its points with the nearest ``neighbours``-th neighbours. Its pieces
    are the components of the graph that connects each point with that many neighbours. A class
    without a piece of ``least`` of it has its largest.

    Args:
        points: (N, D), one row for each image.
        labels: Their classes: (N,), −1 for none.
        neighbours: Of a point, that it is connected with.
        mass: Share of a class that the region holds, in (0, 1].
        least: Share of a class that makes an island.
    """
    z, label = np.asarray(points, np.float64), np.asarray(labels)
    z = z.reshape(len(label), -1)
    return [
        island
        for c in np.unique(label[label >= 0])
        for island in _of_class(z, np.flatnonzero(label == c), int(c), neighbours, mass, least)
    ]


def _of_class(
    z: Float[np.ndarray, "N D"],
    members: Int[np.ndarray, " M"],
    label: int,
    neighbours: int,
    mass: float,
    least: float,
) -> list[Island]:
    if len(members) > LOOKED_AT:
        members = members[np.linspace(0, len(members) - 1, LOOKED_AT).astype(int)]
    dense = members[_dense(z[members], neighbours, mass)]
    pieces = _components(z[dense], neighbours)
    sizes = np.bincount(pieces)
    shares = sizes / len(dense)
    found = [piece for piece in np.argsort(-sizes, kind="stable") if shares[piece] >= least]
    return [
        Island(label, float(shares[piece]), _from_the_middle(z, dense[pieces == piece]))
        for piece in found or [sizes.argmax()]
    ]


def _dense(z: Float[np.ndarray, "M D"], neighbours: int, mass: float) -> Int[np.ndarray, " K"]:
    """Return the points whose neighbours are nearest, in their own order."""
    if len(z) <= neighbours:
        return np.arange(len(z))
    far = np.asarray(KDTree(z).query(z, neighbours + 1)[0])[:, -1]
    return np.sort(np.argsort(far, kind="stable")[: max(1, round(mass * len(z)))])


def _components(z: Float[np.ndarray, "K D"], neighbours: int) -> Int[np.ndarray, " K"]:
    k = min(neighbours + 1, len(z))
    near = np.asarray(KDTree(z).query(z, k)[1]).reshape(len(z), k)
    rows = np.repeat(np.arange(len(z)), k)
    graph = coo_array((np.ones(rows.size), (rows, near.ravel())), shape=(len(z), len(z)))
    return connected_components(graph, directed=False)[1]


def _from_the_middle(
    z: Float[np.ndarray, "N D"], members: Int[np.ndarray, " M"]
) -> Int[np.ndarray, " M"]:
    apart = cdist(z[members], z[members])
    return members[np.argsort(apart[apart.sum(axis=1).argmin()], kind="stable")]


def ends(
    found: list[Island],
    calls: Callable[[Int[np.ndarray, " n"]], Int[np.ndarray, " n"]],
    tries: int = 24,
) -> dict[int, int]:
    """Return for each class the point that stands for it.

    The member nearest to the medoid of the largest island whose decoded image is called that
    class; where there is none, of the next island; else the largest island's medoid.

    Args:
        found: As from :func:`islands`.
        calls: The classes that the images decoded from points are called.
        tries: Members of an island that are asked about, at most.
    """
    chosen: dict[int, int] = {}
    for island in found:
        members = island.members[:tries]
        right = members[calls(members) == island.label] if island.label not in chosen else []
        if len(right):
            chosen[island.label] = int(right[0])
    return {island.label: island.medoid for island in reversed(found)} | chosen


def called(
    places: ArrayLike, points: ArrayLike, labels: ArrayLike, k: int = VOTES
) -> Int[np.ndarray, " n"]:
    """Return the class that most of the ``k`` points nearest to each place have.

    A tied vote goes to the smallest class.
    """
    z, label = np.asarray(points, np.float64), np.asarray(labels)
    k = min(k, len(z))
    near = np.asarray(KDTree(z).query(np.asarray(places, np.float64), k)[1]).reshape(-1, k)
    classes = np.unique(label)
    votes = (label[near][:, :, None] == classes).sum(axis=1)
    return classes[votes.argmax(axis=1)]
