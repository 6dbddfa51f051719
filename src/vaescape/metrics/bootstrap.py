"""How sure a mean over images or paths is: bootstrap intervals."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vaescape.errors import OptionError

LEVEL, RESAMPLES = 0.95, 1000
_DRAWS_AT_ONCE = 1_000_000


class Interval(NamedTuple):
    """An estimate between the ends of its interval, in the unit of the values."""

    estimate: float
    low: float
    high: float


def interval(values: ArrayLike, *, seed: int = 0) -> Interval:
    """Return the mean of ``values`` and its 95 % percentile bootstrap interval.

    The values are drawn again with replacement, all N of them, ``RESAMPLES`` times; the interval
    lies between the 2.5 % and 97.5 % quantiles of the mean (Efron, 1979; Efron & Tibshirani, 1993,
    section 13.3). It speaks of other images or paths, not of other training seeds.

    Args:
        values: One finite number per image or path, N of them.
        seed: Same seed, same interval.

    Raises:
        OptionError: When there is nothing to resample, or a value is not finite.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise OptionError(
            f"An interval needs a list of at least one value, got an array of shape {sample.shape}."
            " Give one number per image or path."
        )
    if not np.isfinite(sample).all():
        bad = np.count_nonzero(~np.isfinite(sample))
        raise OptionError(
            f"An interval needs finite values, but {bad} of {sample.size} are not. "
            "Leave those out and say how many they were."
        )
    rng = np.random.default_rng(seed)
    rows = max(1, _DRAWS_AT_ONCE // sample.size)
    sizes = [min(rows, RESAMPLES - done) for done in range(0, RESAMPLES, rows)]
    draws = [
        sample[rng.integers(sample.size, size=(size, sample.size))].mean(axis=1) for size in sizes
    ]
    low, high = np.quantile(np.concatenate(draws), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(sample.mean()), float(low), float(high))
