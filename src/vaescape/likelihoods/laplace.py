"""Laplace pixels. The unit is the pixel, in [0, 1]."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaescape.components import require
from vaescape.conditionals import Likelihood, Measure
from vaescape.distributions import Laplace
from vaescape.distributions.floor import above_floor, raw_of


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

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Laplace:
        """Return the distribution, batch (*S)."""
        return Laplace(raw.sigmoid(), self.scale.to(raw.dtype))


class LearnedLaplaceLikelihood(Likelihood, name="laplace-learned"):
    """Laplace pixels around a sigmoid median, one scale for all, learned with the weights.

    −log p = ∑ |x − m| / b + log 2b. The best b is the mean absolute error, above the floor of
    ``gaussian(scale='learned')``: the Laplace of Rybkin et al. 2021.

    Args:
        scale: Where b starts, in pixels, where white is 1.
    """

    measure = Measure.REAL_LINE

    def __init__(self, scale: float = 0.5) -> None:
        super().__init__()
        self.raw_log_scale = nn.Parameter(torch.tensor(raw_of(scale=scale)))

    @property
    def scale(self) -> Float[Tensor, ""]:
        """The mean absolute deviation."""
        return above_floor(self.raw_log_scale).exp()

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Laplace:
        """Return the distribution, batch (*S)."""
        return Laplace(raw.sigmoid(), self.scale.to(raw.dtype))
