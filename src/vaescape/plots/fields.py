"""Statistics of the classes on a map, as arrays: centroids, medoids, neighbours, overlap."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from vaescape.geometry.islands import class_shares, islands


class Field(NamedTuple):
    """Neighbours' classes over a plane; row 0 has the smallest second coordinate."""

    x: Float[np.ndarray, " R"]
    """First coordinates of the cells' centres."""
    y: Float[np.ndarray, " R"]
    """Second coordinates of the cells' centres."""
    majority: Int[np.ndarray, "R R"]
    """The class of most neighbours."""
    share: Float[np.ndarray, "R R"]
    """That class's share of the neighbours, in [0, 1]."""
    entropy: Float[np.ndarray, "R R"]
    """Entropy of the neighbours' classes in nats: 0 where all agree, log(classes) where all mix."""
    supported: Bool[np.ndarray, "R R"]
    """Whether encoded images lie near."""


def class_centroids(points: ArrayLike, labels: ArrayLike, n: int) -> Float[np.ndarray, "n D"]:
    """Mean point of each class; NaN for a class without points."""
    z, label = _labelled(points, labels)
    centroids = np.full((n, z.shape[1]), np.nan)
    for c in np.unique(label):
        centroids[c] = z[label == c].mean(axis=0)
    return centroids


def class_medoids(points: ArrayLike, labels: ArrayLike, n: int) -> Int[np.ndarray, " n"]:
    """Index of the medoid of each class's largest island; −1 for none."""
    medoids = np.full(n, -1)
    for island in reversed(islands(*_labelled(points, labels))):
        medoids[island.label] = island.medoid
    return medoids


def class_overlap(
    points: ArrayLike, labels: ArrayLike, n: int, k: int = 25
) -> Float[np.ndarray, "n n"]:
    """Row c: the classes of the ``k`` nearest other points of class c's points, as shares.

    A class without points has a row of zeros.
    """
    z, label = _labelled(points, labels)
    k = min(k, len(z) - 1)
    shares = np.zeros((n, n))
    if k < 1:
        return shares
    near = np.asarray(KDTree(z).query(z, k + 1)[1])
    others = _without_self(near)
    np.add.at(shares, (np.repeat(label, k), label[others].ravel()), 1.0)
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1.0)


def _without_self(near: Int[np.ndarray, "N k1"]) -> Int[np.ndarray, "N k"]:
    """Each point's neighbours without itself, which need not be first among equal points."""
    own = near == np.arange(len(near))[:, None]
    own[~own.any(axis=1), -1] = True
    return near[~own].reshape(len(near), -1)


def neighbour_field(
    points: ArrayLike,
    labels: ArrayLike,
    n: int,
    *,
    k: int = 25,
    resolution: int = 200,
    limits: tuple[float, float, float, float] | None = None,
) -> Field:
    """The classes of the ``k`` points nearest to each cell of a plane.

    Args:
        points: Points of a plane (N, 2).
        labels: Classes (N,).
        n: Number of classes.
        k: Number of neighbours.
        resolution: Cells along each side.
        limits: ``(left, right, bottom, top)``; by default all but the outermost 0.1 % of points.
    """
    z, label = _labelled(points, labels)
    left, right, bottom, top = limits or frame(z)
    x, y = _centres(left, right, resolution), _centres(bottom, top, resolution)
    cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    tree = KDTree(z)
    shares = class_shares(cells, z, label, n, k)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=-1)
    shape = (resolution, resolution)
    return Field(
        x,
        y,
        shares.argmax(axis=-1).reshape(shape),
        shares.max(axis=-1).reshape(shape),
        entropy.reshape(shape),
        (tree.query(cells)[0] <= _reach(tree, right - left, top - bottom)).reshape(shape),
    )


def _reach(tree: KDTree, width: float, height: float) -> float:
    """How far from an image a place still counts as lived in: the spacing of the sparsest tenth."""
    spacing = tree.query(tree.data, min(6, tree.n))[0].reshape(tree.n, -1)[:, -1]
    return max(float(np.quantile(spacing, 0.9)), 0.01 * max(width, height))


def frame(points: ArrayLike) -> tuple[float, float, float, float]:
    """``(left, right, bottom, top)`` around all but the outermost 0.1 % of points (N, 2)."""
    z = np.asarray(points, float)
    low, high = np.quantile(z, 0.001, axis=0), np.quantile(z, 0.999, axis=0)
    pad = 0.06 * np.where(high > low, high - low, 1.0)
    (left, bottom), (right, top) = low - pad, high + pad
    return float(left), float(right), float(bottom), float(top)


def _centres(low: float, high: float, cells: int) -> Float[np.ndarray, " cells"]:
    return low + (np.arange(cells) + 0.5) * (high - low) / cells


def _labelled(
    points: ArrayLike, labels: ArrayLike
) -> tuple[Float[np.ndarray, "N D"], Int[np.ndarray, " N"]]:
    z, label = np.asarray(points, float), np.asarray(labels, int)
    if z.ndim != 2 or len(z) != len(label):
        raise ValueError(f"Expected points (N, D) with N labels; got {z.shape} and {label.shape}.")
    return z, label
