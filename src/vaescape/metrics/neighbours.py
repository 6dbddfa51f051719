"""What the latent space captures: classes in it, and the neighbourhoods of the images it keeps.

``DEFINITIONS`` states each measure in one sentence.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from vaescape.errors import OptionError
from vaescape.metrics.bootstrap import interval

DEFINITIONS = {
    "knn_accuracy": (
        "Share of test images whose class is the most frequent one among the k nearest training "
        "images in latent space (posterior means, Euclidean distance; k = 5 unless stated). "
        "Chance is the share of the largest class of the test images."
    ),
    "linear_probe_accuracy": (
        "Share of test images whose class a multinomial logistic regression, fitted to the "
        "standardised posterior means of the training images, gives."
    ),
    "silhouette": (
        "Mean over test images of (b − a) / max(a, b), where a is the mean latent distance to the "
        "other images of its class and b that to the nearest other class (−1 to 1)."
    ),
    "trustworthiness": (
        "One minus the normalised rank, in pixel space, by which the k nearest neighbours in "
        "latent space fall outside the k nearest in pixel space: low if images that differ are "
        "neighbours on the map (0 to 1; k = 5 unless stated)."
    ),
    "continuity": (
        "The same with the two spaces swapped: low if images that are neighbours in pixel space "
        "are far apart on the map (0 to 1; k = 5 unless stated)."
    ),
}
"""What each measure is: printed in the report."""

NEEDS = {
    "knn_accuracy": "it needs two classes, more images than classes, and 5 training images",
    "linear_probe_accuracy": "it needs two classes, and more images than classes",
    "silhouette": "it needs two classes, and more images than classes",
    "trustworthiness": "it needs 11 test images",
    "continuity": "it needs 11 test images",
}
"""Why a measure is left out."""

K = 5
"""The k of the numbers that stand alone: scikit-learn's default for all three measures."""

KNN_KS = (3, 5, 7, 9, 11, 13, 15)
"""The k of Norouzi et al. (2020), Exemplar VAE."""

MAP_KS = (5, 20)
"""The default, and 20, at which published two-dimensional maps of Fashion-MNIST were scored."""

MOST_IMAGES = 10_000
"""Measures that compare every image with every other take a random subset of a larger set."""

_ROWS_AT_ONCE = 500
_MOST_STEPS = 1000


class Preservation(NamedTuple):
    """How well each of N images keeps its neighbours, by k; the mean over images is the measure."""

    trustworthiness: dict[int, Float[np.ndarray, " N"]]
    continuity: dict[int, Float[np.ndarray, " N"]]


def knn_correct(
    train_z: Float[np.ndarray, "N D"],
    train_y: Int[np.ndarray, " N"],
    test_z: Float[np.ndarray, "M D"],
    test_y: Int[np.ndarray, " M"],
    *,
    ks: Sequence[int] = (K,),
) -> dict[int, Bool[np.ndarray, " M"]]:
    """Return, by k, which test points their k nearest training points classify rightly.

    A tied vote goes to the smallest class, as in scikit-learn's ``KNeighborsClassifier``.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=max(ks)).fit(train_z)
    nearest = train_y[search.kneighbors(test_z, return_distance=False)]
    classes = np.unique(train_y)
    votes = (nearest[:, :, None] == classes).cumsum(axis=1)
    return {k: classes[votes[:, k - 1].argmax(axis=1)] == test_y for k in ks}


def probe_correct(
    train_z: Float[np.ndarray, "N D"],
    train_y: Int[np.ndarray, " N"],
    test_z: Float[np.ndarray, "M D"],
    test_y: Int[np.ndarray, " M"],
) -> Bool[np.ndarray, " M"]:
    """Return which test points a logistic regression on standardised latents classifies rightly."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_STEPS))
    with warnings.catch_warnings():
        # One that has not converged is scored as it is: its accuracy says how good it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(train_z, train_y)
    return probe.predict(test_z) == test_y


def silhouettes(z: Float[np.ndarray, "N D"], y: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return the silhouette of each point in its class (Rousseeuw, 1987)."""
    from sklearn import config_context
    from sklearn.metrics import silhouette_samples

    with config_context(working_memory=64):
        return np.asarray(silhouette_samples(z, y))


def preservation(
    x: Shaped[np.ndarray, "N *image"],
    z: Float[np.ndarray, "N D"],
    *,
    ks: Sequence[int] = (K,),
) -> Preservation:
    """Return each image's share in trustworthiness and continuity (Venna & Kaski, 2001).

    With r(i, j) the rank of j among the neighbours of i in pixel space, and U_k(i) its k nearest in
    latent space, the trustworthiness is the mean over i of

        1 − 2 / (k (2N − 3k − 1)) Σ_{j ∈ U_k(i)} max(0, r(i, j) − k)

    and continuity the same with the spaces swapped. scikit-learn's ``trustworthiness`` gives the
    mean alone, which cannot be resampled. Equal distances share their mean rank. Distances are
    computed in the precision of the inputs; the time grows with N².

    Raises:
        OptionError: When k is half the number of images or more.
    """
    n = len(x)
    if not 0 < max(ks) < n / 2:
        raise OptionError(
            f"k must be below half the number of images, {n}, got {max(ks)}. Take a smaller k."
        )
    flat = (torch.as_tensor(space).flatten(1) for space in (x, z))
    spaces = [points - points.mean(0) for points in flat]  # there distances round off least
    parts = torch.arange(n).split(_ROWS_AT_ONCE)
    ranks = [_ranks(spaces, rows, max(ks)) for rows in parts]
    in_x, in_z = (torch.cat(parts).numpy() for parts in zip(*ranks, strict=True))
    return Preservation(
        trustworthiness={k: _kept(in_x, k) for k in ks},
        continuity={k: _kept(in_z, k) for k in ks},
    )


def _ranks(spaces: list[Tensor], rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the ranks in the first space of the k nearest in the second, and the reverse."""
    in_x, in_z = (_distances(space, rows) for space in spaces)
    near_x, near_z = (d.topk(k, largest=False).indices for d in (in_x, in_z))
    return _rank(in_x, near_z), _rank(in_z, near_x)


def _distances(points: Float[Tensor, "N D"], rows: Int[Tensor, " R"]) -> Float[Tensor, "R N"]:
    """Return the distances to all points, with infinity from each point to itself."""
    return torch.cdist(points[rows], points).float().scatter_(1, rows[:, None], torch.inf)


def _rank(distances: Float[Tensor, "R N"], which: Int[Tensor, "R K"]) -> Float[Tensor, "R K"]:
    """Return the rank, from 1, of these columns in their row; ties share their mean rank."""
    values = distances.gather(1, which).numpy()
    ranks = [_rank_in(*pair) for pair in zip(distances.numpy(), values, strict=True)]
    return torch.from_numpy(np.stack(ranks))


def _rank_in(row: Float[np.ndarray, " N"], values: Float[np.ndarray, " K"]) -> np.ndarray:
    """Return the rank of values of a row; what is farther than all of them is not sorted."""
    ordered = np.sort(row[row <= values.max()])
    below, up_to = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (below + up_to + 1) / 2


def _kept(ranks: Float[np.ndarray, "N K"], k: int) -> Float[np.ndarray, " N"]:
    """Return one less each point's normalised excess of rank over k."""
    excess = np.maximum(0, ranks[:, :k].astype(np.float64) - k).sum(axis=1)
    return 1 - 2 * excess / (k * (2 * len(ranks) - 3 * k - 1))


def neighbours(
    train_z: Float[np.ndarray, "N D"],
    train_y: Int[np.ndarray, " N"] | None,
    test_z: Float[np.ndarray, "M D"],
    test_y: Int[np.ndarray, " M"] | None,
    test_x: Float[np.ndarray, "M C H W"],
    *,
    seed: int = 0,
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> dict[str, Any]:
    """Return every measure of ``DEFINITIONS`` on the test images with its 95 % interval, for JSON.

    ``{"knn_accuracy": {"estimate", "low", "high", "k": 5, "by_k": {"3": {"estimate", "low",
    "high"}, …}}, "linear_probe_accuracy": {"estimate", "low", "high"}, "silhouette": …,
    "trustworthiness": … as knn_accuracy, "continuity": …}``. What the data do not allow is left
    out: all that needs classes where there are fewer than two, and a k too large for the set.

    Args:
        train_z: Latent means of the training images.
        train_y: Their classes.
        test_z: Latent means of the test images.
        test_y: Their classes.
        test_x: The test images, for pixel space.
        seed: Chooses the subset where there are more than ``MOST_IMAGES`` test images.
        progress: Wraps the list of pieces of work, for instance ``tqdm``.
    """
    train_z, test_z = train_z.astype(np.float64), test_z.astype(np.float64)
    subset = _subset(len(test_z), seed)
    work = [lambda: _preservation(test_x[subset], test_z[subset])]
    if train_y is not None and test_y is not None and _classed(train_y, test_y[subset]):
        split = (train_z, train_y, test_z, test_y)
        work += [
            lambda: _knn(*split),
            lambda: {"linear_probe_accuracy": _estimate(probe_correct(*split))},
            lambda: {"silhouette": _estimate(silhouettes(test_z[subset], test_y[subset]))},
        ]
    found = {name: value for piece in progress(work) for name, value in piece().items()}
    return {name: found[name] for name in DEFINITIONS if name in found}


def _subset(n: int, seed: int) -> Int[np.ndarray, " S"]:
    """Return the indices of all images, or of ``MOST_IMAGES`` random ones in order."""
    if n <= MOST_IMAGES:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, MOST_IMAGES, replace=False))


def _classed(*labels: Int[np.ndarray, " N"]) -> bool:
    """Return whether each has usable classes: at least two, and fewer than images."""
    return all(1 < len(np.unique(y)) < len(y) for y in labels)


def _knn(train_z: np.ndarray, train_y: np.ndarray, *test: np.ndarray) -> dict[str, Any]:
    ks = [k for k in KNN_KS if k <= len(train_z)]
    found = _by_k("knn_accuracy", knn_correct(train_z, train_y, *test, ks=ks)) if ks else {}
    for accuracy in found.values():
        accuracy["chance"] = float(np.unique(test[1], return_counts=True)[1].max() / len(test[1]))
    return found


def _preservation(x: np.ndarray, z: np.ndarray) -> dict[str, Any]:
    ks = [k for k in MAP_KS if k < len(x) / 2]
    if not ks:
        return {}
    kept = preservation(x, z, ks=ks)
    return _by_k("trustworthiness", kept.trustworthiness) | _by_k("continuity", kept.continuity)


def _by_k(name: str, values: Mapping[int, np.ndarray]) -> dict[str, Any]:
    """Return the interval for every k, and beside them the one that stands alone."""
    table = {k: _estimate(v) for k, v in values.items()}
    if K not in table:
        return {}
    return {name: {**table[K], "k": K, "by_k": {str(k): v for k, v in table.items()}}}


def _estimate(values: np.ndarray) -> dict[str, float]:
    return interval(values)._asdict()
