"""How sure a mean over images or paths is: bootstrap intervals."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vaescape.errors import OptionError

RESAMPLES = 1000
_DRAWS_AT_ONCE = 1_000_000


class Interval(NamedTuple):
    """An estimate between the ends of its interval, in the unit of the values."""

    estimate: float
    low: float
    high: float


def interval(
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the statistic of ``values`` and its percentile bootstrap interval.

    The values are drawn again with replacement, all N of them, ``RESAMPLES`` times; the interval
    lies between the (1 ± level)/2 quantiles of the statistic (Efron, 1979; Efron & Tibshirani,
    1993, section 13.3). It speaks of other images or paths, not of other training seeds.

    Args:
        values: One finite number per image or path, N of them.
        statistic: ``statistic(samples (R, N), axis=1)`` gives R numbers, as ``np.mean`` does.
        level: Share of such intervals that hold the true value, between 0 and 1.
        seed: Same seed, same interval.

    Raises:
        OptionError: When there is nothing to resample, or a value is not finite.
    """
    sample = np.asarray(values, dtype=np.float64)
    _check(sample, level)
    rng = np.random.default_rng(seed)
    rows = max(1, _DRAWS_AT_ONCE // sample.size)
    sizes = [min(rows, RESAMPLES - done) for done in range(0, RESAMPLES, rows)]
    draws = [
        statistic(sample[rng.integers(sample.size, size=(size, sample.size))], axis=1)
        for size in sizes
    ]
    low, high = np.quantile(np.concatenate(draws), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(sample[None], axis=1)[0]), float(low), float(high))


def _check(sample: np.ndarray, level: float) -> None:
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
    if not 0 < level < 1:
        raise OptionError(f"level lies between 0 and 1, got {level}. Try 0.95.")
