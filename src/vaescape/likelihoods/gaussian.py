"""Gaussian pixels, with σ fixed or learned. The unit is the pixel, in [0, 1]."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.components import require
from vaescape.conditionals import Likelihood
from vaescape.distributions import Gaussian


class GaussianLikelihood(Likelihood, name="gaussian"):
    """Gaussian pixels around a sigmoid mean, one fixed σ.

    σ = √½ makes the loss the summed squared error, up to a constant.

    Args:
        sigma: Standard deviation in pixels, where white is 1.
    """

    log_scale: Tensor

    def __init__(self, sigma: float = 0.1) -> None:
        super().__init__()
        require(lambda v: 0 < v < math.inf, "a number above 0", sigma=sigma)
        self.register_buffer("log_scale", torch.tensor(math.log(sigma)), persistent=False)

    def channels(self, size: int) -> int:
        """Return one mean per image channel."""
        return size

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Gaussian:
        """Return the distribution, batch (*S)."""
        return Gaussian(raw.sigmoid(), self.log_scale.to(raw.dtype), event_dims=3)


class LearnedGaussianLikelihood(Likelihood, name="gaussian-learned"):
    """Gaussian pixels around a sigmoid mean, one σ for all pixels, learned with the weights.

    (Rybkin et al. 2021.) log σ has a soft floor at −6, below the step of an 8-bit pixel: on
    constant images the optimum is σ = 0, where the density has no bound.

    Args:
        sigma: Where it starts, in pixels, where white is 1.
    """

    FLOOR = -6.0

    def __init__(self, sigma: float = 0.5) -> None:
        super().__init__()
        require(lambda v: math.exp(self.FLOOR) < v < math.inf, "a number above 0.0025", sigma=sigma)
        above = math.log(sigma) - self.FLOOR
        self.raw_log_scale = nn.Parameter(torch.tensor(above + math.log(-math.expm1(-above))))

    @property
    def log_scale(self) -> Float[Tensor, ""]:
        """Log σ."""
        return self.FLOOR + F.softplus(self.raw_log_scale)

    def channels(self, size: int) -> int:
        """Return one mean per image channel."""
        return size

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Gaussian:
        """Return the distribution, batch (*S)."""
        return Gaussian(raw.sigmoid(), self.log_scale.to(raw.dtype), event_dims=3)
