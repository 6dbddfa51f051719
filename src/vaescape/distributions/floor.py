"""Scales that are learned, kept off zero.

On constant images the best scale is zero, where the density has no bound, so a learned one has a
floor below the step of an 8-bit pixel (Rybkin et al. 2021).
"""

import math

from torch import Tensor
from torch.nn import functional as F

from vaescape.conditions import require

FLOOR = -6.0
"""Of the log of a scale."""


def above_floor(raw: Tensor) -> Tensor:
    """Return a log-scale, above a soft floor that lets gradients through."""
    return FLOOR + F.softplus(raw)


def raw_of(**scale: float) -> float:
    """Return the number whose log-scale is that of the one named: inverse of :func:`above_floor`.

    Raises:
        ComponentError: If it is below the floor, by its name.
    """
    require(lambda v: math.exp(FLOOR) < v < math.inf, "a number above 0.0025", **scale)
    (value,) = scale.values()
    above = math.log(value) - FLOOR
    return above + math.log(-math.expm1(-above))
