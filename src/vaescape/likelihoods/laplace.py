"""Laplace pixels. The unit is the pixel, in [0, 1]."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, Laplace

from vaescape.components import require
from vaescape.conditionals import Likelihood, Measure


class LaplaceLikelihood(Likelihood, name="laplace"):
    """Laplace pixels around a sigmoid median, one fixed scale: the summed absolute error.

    −log p = ∑ |x − m| / b + log 2b (Laplace 1774): an outlier costs less than under a Gaussian.

    Args:
        scale: b, the mean absolute deviation in pixels, where white is 1.
    """

    measure = Measure.REAL_LINE
    scale: Tensor

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        require(lambda v: 0 < v < math.inf, "a number above 0", scale=scale)
        self.register_buffer("scale", torch.tensor(float(scale)), persistent=False)

    def channels(self, size: int) -> int:
        """Return one median per image channel."""
        return size

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Independent:
        """Return the distribution, batch (*S)."""
        pixels = Laplace(raw.sigmoid(), self.scale.to(raw.dtype), validate_args=False)
        return Independent(pixels, 3, validate_args=False)
