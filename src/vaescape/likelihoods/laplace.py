"""Laplace pixels. The unit is the pixel, in [0, 1]."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaescape.conditionals import Likelihood, Measure
from vaescape.conditions import POSITIVE, require
from vaescape.distributions import Laplace
from vaescape.distributions.floor import above_floor, raw_of


class LaplaceLikelihood(Likelihood, name="laplace"):
    """Laplace pixels around a sigmoid median, one scale for all: the summed absolute error.

    −log p = ∑ |x − m| / b + log 2b (Laplace 1774): an outlier costs less than under a Gaussian.
    With ``learned`` b is learned with the weights, above the floor of ``gaussian(scale='learned')``
    (Rybkin et al. 2021); the best b is the mean absolute error.

    Args:
        scale: b, the mean absolute deviation in pixels, where white is 1; if learned, where it
            starts. None: 0.1 if fixed, 0.5 if learned.
        learned: Whether b is learned.
    """

    measure = Measure.REAL_LINE
    variants = ("laplace(learned=True)",)
    fixed: Tensor

    def __init__(self, scale: float | None = None, learned: bool = False) -> None:
        super().__init__()
        scale = (0.5 if learned else 0.1) if scale is None else scale
        require(*POSITIVE, scale=scale)
        self.learned = learned
        if learned:
            self.raw_log_scale = nn.Parameter(torch.tensor(raw_of(scale=scale)))
        else:
            self.register_buffer("fixed", torch.tensor(float(scale)), persistent=False)

    @property
    def scale(self) -> Float[Tensor, ""]:
        """The mean absolute deviation."""
        return above_floor(self.raw_log_scale).exp() if self.learned else self.fixed

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Laplace:
        return Laplace(raw.sigmoid(), self.scale.to(raw.dtype))
