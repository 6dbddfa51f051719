"""How smoothly images change along paths between two images.

No single number suffices: a pixel cross-fade has the shortest and straightest path possible,
through images that do not exist. ``DEFINITIONS`` states each measure in one sentence.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import normalize

from vaescape.errors import OptionError
from vaescape.metrics.bootstrap import interval
from vaescape.metrics.nearest import Nearest

DEFINITIONS = {
    "length_ratio": (
        "Length of the decoded path over its chord: the sum of the Euclidean distances between "
        "successive images over the distance between the first and the last decoded image "
        "(pixels in [0, 1]; no unit; at least 1, which is a straight line in pixel space; "
        "1 by definition for a path that never moves)."
    ),
    "step_ratio": (
        "Largest over mean Euclidean distance between successive images "
        "(no unit; at least 1, which is constant speed; 1 by definition for a path that never "
        "moves)."
    ),
    "curvature": (
        "Total turning: the sum of the angles between successive steps of the path in pixel space "
        "(radians; 0 is a straight line; independent of contrast; steps of no length are skipped)."
    ),
    "nearest_distance": (
        "Euclidean distance, over the pixels in [0, 1], from an in-between image (the two ends "
        "left out) to its nearest real image, averaged along the path."
    ),
    "end_distance": (
        "The same distance for the two end images of the path as shown, averaged: the value "
        "to compare the nearest distance with (for the cross-fade the ends are real images "
        "themselves)."
    ),
    "support": (
        "Share of the in-between latent points at which the log density of the aggregate "
        "posterior is at least the 5th percentile of that of encoded real images "
        "(0 to 1; real images have 0.95)."
    ),
    "log_density": (
        "Log density of the aggregate posterior at the in-between latent points, averaged along "
        "the path (nats; comparable only between paths in one latent space)."
    ),
}
"""What each measure is, with its unit: printed in the report."""

PERCENTILE = 5.0
"""Where support begins: this percentage of encoded real images have a lower log density."""

RESOLUTION = 1e-6
"""A root-mean-square change per pixel below this counts as none: it is float32 rounding."""

PathFunction = Callable[
    [Float[Tensor, "P *event"], Float[Tensor, "P *event"], Float[Tensor, " T"]],
    Float[Tensor, "P T *event"],
]

MOST = 100_000
PATHS = 300
"""For each kind of pair."""

_PATHS_AT_ONCE = 100


class Density(NamedTuple):
    """The log density that support is judged by, in nats."""

    log_density: Callable[[Float[Tensor, "M D"]], Float[Tensor, " M"]]
    of_real: Float[Tensor, " N"]
    """Its values at encoded real images, preferably not those that the density is built from."""


class Walk(NamedTuple):
    """A kind of path: N points to walk between, how to walk, and how a point becomes an image."""

    points: Float[Tensor, "N *event"]
    path: PathFunction
    decode: Callable[[Tensor], Float[Tensor, "M C H W"]]
    density: Density | None = None


class PathStatistics(NamedTuple):
    """Three numbers without scale for each of P paths; see ``DEFINITIONS``."""

    length_ratio: Float[Tensor, " P"]
    step_ratio: Float[Tensor, " P"]
    curvature: Float[Tensor, " P"]
    """In radians."""


def cross_fade(images: Float[Tensor, "N C H W"]) -> Walk:
    """Return the baseline that mixes the two original images, (1 − t) a + t b, pixel by pixel."""

    def fade(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        return torch.lerp(a[:, None], b[:, None], t.view(1, -1, *(1,) * (a.dim() - 1)))

    return Walk(images, fade, decode=lambda mixed: mixed)


def pairs(labels: Int[Tensor, " N"], n: int, same: bool, seed: int = 0) -> Int[Tensor, "P 2"]:
    """Return the indices of ``n`` random pairs of different images, of one class or of two.

    The first image is uniform over those that have a partner, the second uniform over its partners;
    pairs may repeat. Where no image has a partner (one class only and ``same`` false, or one image
    per class and ``same`` true), there are no pairs: shape (0, 2).
    """
    classes = labels.cpu().numpy()
    order = np.argsort(classes, kind="stable")
    _, start, size = np.unique(classes[order], return_index=True, return_counts=True)
    start, size = np.repeat(start, size), np.repeat(size, size)
    partners = size - 1 if same else len(order) - size
    eligible = np.flatnonzero(partners)
    if not len(eligible):
        return torch.empty(0, 2, dtype=torch.long)
    rng = np.random.default_rng(seed)
    first = rng.choice(eligible, n)
    ahead = rng.integers(partners[first])
    start, size = start[first], size[first]
    if same:
        second = start + (first - start + 1 + ahead) % size
    else:
        second = (start + size + ahead) % len(order)
    return torch.from_numpy(order[np.stack([first, second], axis=1)])


def path_statistics(images: Float[Tensor, "P T C H W"]) -> PathStatistics:
    """Return length over chord, largest over mean step, and total turning of P decoded paths.

    A path whose mean step is below ``RESOLUTION`` never moves: it has 1, 1 and 0. A chord below it
    is taken as ``RESOLUTION``, so that a path which returns to its start has a large finite ratio.
    """
    frames = images.flatten(2)
    resolution = RESOLUTION * math.sqrt(frames.shape[2])
    steps = frames.diff(dim=1)
    sizes = vector_norm(steps, dim=2)
    chord = vector_norm(frames[:, -1] - frames[:, 0], dim=1).clamp(min=resolution)
    moves = sizes.mean(1) > resolution
    return PathStatistics(
        length_ratio=torch.where(moves, sizes.sum(1) / chord, 1.0).clamp(min=1),
        step_ratio=torch.where(moves, sizes.amax(1) / sizes.mean(1), 1.0),
        curvature=torch.where(moves, _turning(steps, sizes > resolution), 0.0),
    )


def _turning(steps: Float[Tensor, "P S N"], moving: Tensor) -> Float[Tensor, " P"]:
    """Return the summed angles between successive steps; a pause keeps the last heading."""
    first = moving.int().argmax(1, keepdim=True)
    index = torch.arange(steps.shape[1], device=steps.device)
    latest = torch.where(moving, index, 0).cummax(1).values.maximum(first)
    heading = normalize(steps, dim=2).take_along_dim(latest[..., None], dim=1)
    return _angle(heading[:, :-1], heading[:, 1:]).sum(1)


def _angle(u: Float[Tensor, "*B N"], v: Float[Tensor, "*B N"]) -> Float[Tensor, "*B"]:
    """Return the angle between unit vectors in radians, exact near 0 where acos is not.

    Kahan (2006), "How Futile are Mindless Assessments of Roundoff", section 12.
    """
    return 2 * torch.atan2(vector_norm(u - v, dim=-1), vector_norm(u + v, dim=-1))


def support(
    log_density_path: Float[Tensor, "P T"],
    log_density_real: Float[Tensor, " N"],
    percentile: float = PERCENTILE,
) -> Float[Tensor, " P"]:
    """Return the share of each path's in-between points that are as likely as real ones.

    As likely: of a log density (nats) no lower than that percentile of ``log_density_real``.
    """
    floor = torch.quantile(log_density_real, percentile / 100)
    return (log_density_path[:, 1:-1] >= floor).to(log_density_path.dtype).mean(1)


def smoothness(
    walks: Mapping[str, Walk],
    labels: Int[Tensor, " N"] | None,
    real: Float[Tensor, "R C H W"],
    *,
    paths: int = PATHS,
    frames: int = 11,
    seed: int = 0,
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> dict[str, Any]:
    """Return the mean of every measure, for every kind of pair and of walk, ready for JSON.

    All walks join the same pairs. The result is ``{"settings": {...}, "same": {walk: {measure:
    {"estimate", "low", "high"}}}, "different": {...}}``; a kind of pair that the labels do not
    allow is left out, and without labels there is one kind, ``"any"``. Support and log density are
    measured for the walks that have a density.

    Args:
        walks: Kinds of path by name, each over the same N images in the same order.
        labels: Class of each image.
        real: Images that in-between images are compared with, preferably training images: compared
            with the images that the paths join, a cross-fade is near its own ends. The time is
            proportional to their number.
        paths: Paths for each kind of pair.
        frames: Images on a path, its two ends included.
        seed: Same seed, same pairs and intervals.
        progress: Wraps the list of pieces of work, for instance ``tqdm``.

    Raises:
        OptionError: When a path has no in-between images, or the walks differ in their images.
    """
    count = _check(walks, labels, paths, frames)
    work = [
        (kind, name, chunk)
        for kind, ends in _ends(labels, count, paths, seed).items()
        for name in walks
        for chunk in ends.split(_PATHS_AT_ONCE)
    ]
    found, nearest = defaultdict(list), Nearest(real)
    with torch.no_grad():
        for kind, name, chunk in progress(work):
            found[kind, name].append(_measure(walks[name], chunk, frames, nearest))
    settings = {"paths": paths, "frames": frames, "real_images": len(real), "seed": seed}
    result: dict[str, Any] = {"settings": settings | {"percentile": PERCENTILE}}
    for (kind, name), parts in found.items():
        joined = {measure: torch.cat([part[measure] for part in parts]) for measure in parts[0]}
        result.setdefault(kind, {})[name] = {
            measure: interval(values.cpu())._asdict() for measure, values in joined.items()
        }
    return result


def _ends(labels: Tensor | None, count: int, paths: int, seed: int) -> dict[str, Tensor]:
    """Return the pairs of each kind that exists."""
    if labels is None:
        kinds = {"any": pairs(torch.zeros(count, dtype=torch.long), paths, True, seed)}
    else:
        kinds = {
            "same": pairs(labels, paths, True, seed),
            "different": pairs(labels, paths, False, seed),
        }
    return {kind: ends for kind, ends in kinds.items() if len(ends)}


def _measure(walk: Walk, ends: Tensor, frames: int, nearest: Nearest) -> dict[str, Tensor]:
    """Return every measure of the paths between these pairs of points."""
    a, b = walk.points[ends[:, 0]], walk.points[ends[:, 1]]
    t = torch.linspace(0, 1, frames, dtype=a.dtype, device=a.device)
    points = walk.path(a, b, t).flatten(0, 1)
    images = walk.decode(points)
    by_path = (len(ends), frames)
    away = nearest(images).unflatten(0, by_path)
    measures = path_statistics(images.unflatten(0, by_path))._asdict()
    measures["nearest_distance"] = away[:, 1:-1].mean(1)
    measures["end_distance"] = away[:, [0, -1]].mean(1)
    if walk.density is not None:
        log_density = walk.density.log_density(points).unflatten(0, by_path)
        measures["support"] = support(log_density, walk.density.of_real)
        measures["log_density"] = log_density[:, 1:-1].mean(1)
    return measures


def _check(walks: Mapping[str, Walk], labels: Tensor | None, paths: int, frames: int) -> int:
    """Return the number of images that all walks share."""
    if frames < 3:
        raise OptionError(
            f"A path needs at least 3 frames, two ends and one between, got {frames}. Try 11."
        )
    if not 1 <= paths <= MOST:
        raise OptionError(
            f"Smoothness needs at least 1 path and at most {MOST:,}, got {paths}. Try {PATHS}."
        )
    counts = {f"walk {name!r}": len(walk.points) for name, walk in walks.items()}
    if labels is not None:
        counts["labels"] = len(labels)
    if len(set(counts.values())) != 1:
        got = ", ".join(f"{name} {n}" for name, n in counts.items()) or "none"
        raise OptionError(
            f"All walks and the labels must be of the same images, got {got}. "
            "Encode one set of images for all of them."
        )
    return next(iter(counts.values()))
