"""Class colours for all kinds of colour vision, most distinct for neighbouring classes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.colors import to_hex, to_rgb
from numpy.typing import ArrayLike
from scipy.optimize import quadratic_assignment

from vaescape.plots.fields import class_centroids, class_overlap

PETROFF10: tuple[str, ...] = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
"""Ten colours that stay apart under every colour blindness (Petroff, 2021, arXiv 2107.02270)."""

# Linear RGB to cone responses and on to Oklab (Ottosson, 2020): distance there is difference seen.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# Linear RGB as seen without long, medium or short cones (Machado et al., 2009, severity 1).
_EYES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]],
    ]
)  # fmt: skip


def class_colours(points: ArrayLike, labels: ArrayLike, n: int) -> list[str]:
    """One hex colour per class, latent neighbours most distinct, for all figures of a run.

    Args:
        points: Latent means (N, D).
        labels: Classes (N,), whole numbers below ``n``.
        n: Number of classes.
    """
    return assign_colours(points, labels, palette(n))


def assign_colours(points: ArrayLike, labels: ArrayLike, colours: Sequence[str]) -> list[str]:
    """The given colours, dealt to classes 0, 1, … so that those which mix get distinct pairs.

    Minimises Σ_ij overlap_ij · exp(−distance_ij / 0.1) over the ways to deal, a quadratic
    assignment solved by pairwise exchange from a few fixed starts; for more than 20 classes, where
    that would take minutes, by the relaxation of Vogelstein et al. (2015).
    """
    n = len(colours)
    if n < 2:
        return list(colours)
    overlap = class_overlap(points, labels, n, k=30)
    flow = overlap + overlap.T + _closeness(points, labels, n)
    np.fill_diagonal(flow, 0.0)
    confusion = np.exp(-colour_distances(colours) / 0.1)
    method, seeds = ("faq", 1) if n > 20 else ("2opt", 8)
    tries = [
        quadratic_assignment(
            flow, confusion, method=method, options={"rng": np.random.default_rng(seed)}
        )
        for seed in range(seeds)
    ]
    best = min(tries, key=lambda result: result.fun)
    return [str(colours[int(i)]) for i in best.col_ind]


def _closeness(points: ArrayLike, labels: ArrayLike, n: int) -> Float[np.ndarray, "n n"]:
    """A small pull between classes that are near without mixing."""
    centres = np.nan_to_num(class_centroids(points, labels, n))
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    return 0.05 * np.exp(-distances / max(float(np.median(distances)), 1e-9))


def colour_distances(colours: Sequence[str]) -> Float[np.ndarray, "n n"]:
    """Oklab distance of each pair to the worst-off of four eyes, three of them colour-blind."""
    seen = oklab(np.clip(_linear(colours) @ _EYES.transpose(0, 2, 1), 0, 1))
    return np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1).min(axis=0)


def oklab(linear: Float[np.ndarray, "*S 3"]) -> Float[np.ndarray, "*S 3"]:
    """Linear RGB in [0, 1] as lightness, green–red and blue–yellow (Ottosson, 2020)."""
    return np.cbrt(linear @ _CONES.T) @ _OKLAB.T


def _linear(colours: Sequence[str]) -> Float[np.ndarray, "n 3"]:
    rgb = np.array([to_rgb(colour) for colour in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def palette(n: int) -> list[str]:
    """``n`` colours: petroff10, then each farthest from all before (Glasbey et al., 2007)."""
    chosen = list(PETROFF10[:n])
    if n <= len(PETROFF10):
        return chosen
    levels = np.linspace(0, 1, 12)
    candidates = [to_hex((r, g, b)) for r in levels for g in levels for b in levels]
    lab = oklab(_linear(candidates))
    readable = (lab[:, 0] > 0.45) & (lab[:, 0] < 0.85)  # on white and on near-black paper
    candidates, lab = [c for c, ok in zip(candidates, readable, strict=True) if ok], lab[readable]
    nearest = np.linalg.norm(lab[:, None] - oklab(_linear(chosen))[None], axis=-1).min(axis=1)
    while len(chosen) < n:
        pick = int(nearest.argmax())
        chosen.append(candidates[pick])
        nearest = np.minimum(nearest, np.linalg.norm(lab - lab[pick], axis=-1))
    return chosen
