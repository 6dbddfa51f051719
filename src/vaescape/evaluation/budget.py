"""How much to measure: all there is, or what a tenth of the training's time buys."""

from typing import Literal

from vaescape.evaluation.importance import BOUNDS, POOLED_BOUNDS, Bounds, pools
from vaescape.metrics import smoothness
from vaescape.metrics.pooled import POOL
from vaescape.study import Study

Measure = Literal["quick", "full"]

SHARE = 0.1
"""Of the training's time."""
DECODES = 3
"""Decoded images that take as long as a training step takes for one image, roughly: the encoder
and the gradients of both take as long as two more."""
LEAST = 10_000
"""Decoded images, however short the training was."""
FRAMES, GEODESIC = 11, 500
"""Images on a path; decodes of a search for a geodesic in three dimensions or more."""
DRAWS = 100
"""Of each image, where images do not share them."""


def budget(study: Study, measure: Measure) -> tuple[Bounds, int]:
    """Return which importance-weighted bounds to compute, and how many paths of each kind.

    Half of the budget is for the bound, half for the paths. With fewer samples a bound is
    less tight, with fewer images its mean is less precise; both numbers are reported with it.

    Args:
        study: Trained.
        measure: "full" for the whole, "quick" for what fits in the budget.
    """
    bounds, paths = (POOLED_BOUNDS if pools(study) else BOUNDS), smoothness.PATHS
    if measure == "full":
        return bounds, paths
    trained = study.configuration.train.epochs * len(study.train)
    half = max(LEAST, int(SHARE * DECODES * trained)) // 2
    images = len(study.test)
    if pools(study):
        samples = half * POOL // images
        bounds = ((_between(500, samples, bounds[0][0]), None),)
    else:
        bounds = ((DRAWS, _between(50, half // DRAWS, images)),)
    each = 2 * (3 * FRAMES + (0 if study.space.latent == 2 else GEODESIC))
    return bounds, _between(20, half // each, paths)


def _between(least: int, value: int, most: int) -> int:
    return min(max(least, value), most)
