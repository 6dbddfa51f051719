"""Where classes lie: a class may be in several pieces, and its mean in none of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

NEIGHBOURS = 12
"""Of a point, that it is connected with."""
SMOOTHED = 0.03
"""Share of a class whose distance tells the density at a point."""
PROMINENCE = 1.1
"""Of a mode above the saddle to a denser one, in nats of density: a factor of three."""
MASS = 0.8
"""Share of a class that its region of highest density holds."""
LEAST = 0.1
"""Share of a class that makes an island."""
LOOKED_AT = 2000
"""Points of a class that are used, at most, evenly chosen; more change nothing visible."""
VOTES = 25
"""Nearest points that say the class of a place."""
TRIES = 24
"""Members of an island that are asked about, at most, for one that stands for its class."""


@dataclass(frozen=True, eq=False)
class Island:
    """A piece of a class: the points about one mode of its density."""

    label: int
    share: float
    """Of the class's points."""
    members: Int[np.ndarray, " M"]
    """Which points, the medoid first, then by their distance to it."""

    @property
    def medoid(self) -> int:
        """The member nearest to all others in sum."""
        return int(self.members[0])


def islands(points: ArrayLike, labels: ArrayLike) -> list[Island]:
    """Return the islands of every class, those of a class together, the largest first.

    The region of highest density of a class (Hyndman, 1996) is cut where the density between two
    modes falls much below both of them. There is no grid, so the dimension is free. A class without
    a piece of the share ``LEAST`` of it has its largest.

    Args:
        points: (N, D), one row for each image.
        labels: Their classes: (N,), −1 for none.
    """
    z, label = np.asarray(points, np.float64), np.asarray(labels)
    z = z.reshape(len(label), -1)
    return [
        island
        for c in np.unique(label[label >= 0])
        for island in _of_class(z, np.flatnonzero(label == c), int(c))
    ]


def _of_class(
    z: Float[np.ndarray, "N D"], members: Int[np.ndarray, " M"], label: int
) -> list[Island]:
    if len(members) > LOOKED_AT:
        members = members[np.linspace(0, len(members) - 1, LOOKED_AT).astype(int)]
    own, density = _dense(z[members])
    dense = members[own]
    pieces = _modes(z[dense], density[own])
    sizes = np.bincount(pieces)
    shares = sizes / len(dense)
    found = [piece for piece in np.argsort(-sizes, kind="stable") if shares[piece] >= LEAST]
    return [
        Island(label, float(shares[piece]), _from_the_middle(z, dense[pieces == piece]))
        for piece in found or [sizes.argmax()]
    ]


def _dense(
    z: Float[np.ndarray, "M D"],
) -> tuple[Int[np.ndarray, " K"], Float[np.ndarray, " M"]]:
    """Return the points where the density is highest, and the log density at all, up to a constant.

    By the distance to a neighbour (Loftsgaarden & Quesenberry, 1965), as if in two dimensions at
    most: in many the estimate would be all noise.
    """
    k = min(max(NEIGHBOURS, round(SMOOTHED * len(z))), len(z) - 1)
    if k < 1:
        return np.arange(len(z)), np.zeros(len(z))
    far = np.asarray(KDTree(z).query(z, k + 1)[0])[:, -1]
    density = -min(z.shape[1], 2) * np.log(np.maximum(far, 1e-12))
    kept = np.argsort(-density, kind="stable")[: max(1, round(MASS * len(z)))]
    return np.sort(kept), density


def _modes(z: Float[np.ndarray, "K D"], density: Float[np.ndarray, " K"]) -> Int[np.ndarray, " K"]:
    """Return the mode that each point belongs to, numbered from 0.

    Points join the mode of their densest neighbour, the densest points first; a mode joins a denser
    one where the saddle between them is less than ``PROMINENCE`` below it (Chazal et al., 2013).
    """
    k = min(NEIGHBOURS + 1, len(z))
    order = np.argsort(-density, kind="stable")  # a point is its rank from here on: 0 the densest
    near = np.asarray(KDTree(z[order]).query(z[order], k)[1]).reshape(len(z), k).tolist()
    linked: list[set[int]] = [set(row) for row in near]
    for i, row in enumerate(near):
        for j in row:
            linked[j].add(i)
    root, level = list(range(len(z))), density[order].tolist()

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for i in range(len(z)):
        for j in sorted(j for j in linked[i] if j < i):
            a, b = sorted((find(i), find(j)))
            if b == i or level[b] - level[i] < PROMINENCE:
                root[b] = a
    modes = np.empty(len(z), int)
    modes[order] = order[[find(i) for i in range(len(z))]]
    return np.unique(modes, return_inverse=True)[1]


def _from_the_middle(
    z: Float[np.ndarray, "N D"], members: Int[np.ndarray, " M"]
) -> Int[np.ndarray, " M"]:
    apart = cdist(z[members], z[members])
    return members[np.argsort(apart[apart.sum(axis=1).argmin()], kind="stable")]


def ends(
    found: list[Island],
    calls: Callable[[Int[np.ndarray, " n"]], Int[np.ndarray, " n"]],
) -> dict[int, int]:
    """Return for each class the point that stands for it.

    The member nearest to the medoid of the largest island whose decoded image is called that
    class; where there is none, of the next island; else the largest island's medoid.

    Args:
        found: As from :func:`islands`.
        calls: The classes that the images decoded from points are called.
    """
    chosen: dict[int, int] = {}
    for island in found:
        members = island.members[:TRIES]
        right = members[calls(members) == island.label] if island.label not in chosen else []
        if len(right):
            chosen[island.label] = int(right[0])
    return {island.label: island.medoid for island in reversed(found)} | chosen


def called(places: ArrayLike, points: ArrayLike, labels: ArrayLike) -> Int[np.ndarray, " n"]:
    """Return the class that most of the ``VOTES`` points nearest to each place have.

    A tied vote goes to the smallest class.
    """
    label = np.asarray(labels)
    return class_shares(places, points, label, int(label.max()) + 1).argmax(axis=1)


def class_shares(
    places: ArrayLike, points: ArrayLike, labels: ArrayLike, classes: int, k: int = VOTES
) -> Float[np.ndarray, "n E"]:
    """Return the classes of the points nearest to each place, as shares: a k-NN classifier.

    Args:
        places: Where: (n, D).
        points: (N, D).
        labels: Their classes, from 0: (N,).
        classes: E, how many there are.
        k: How many points; all, where there are fewer.
    """
    z, label = np.asarray(points, np.float64), np.asarray(labels)
    k = min(k, len(z))
    near = np.asarray(KDTree(z).query(np.asarray(places, np.float64), k)[1]).reshape(-1, k)
    return np.stack([(label[near] == c).mean(axis=1) for c in range(classes)], axis=-1)
