"""Gaussian pixels, with σ fixed, learned, fitted or of each pixel. Pixels are in [0, 1].

All but the fixed σ have a floor below the step of an 8-bit pixel (``distributions.floor``).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaescape.components import require
from vaescape.conditionals import Likelihood, Measure
from vaescape.distributions import FittedGaussian, Gaussian
from vaescape.distributions.floor import FLOOR, above_floor, raw_of


class GaussianLikelihood(Likelihood, name="gaussian"):
    """Gaussian pixels around a sigmoid mean, one fixed σ.

    −log p = Σ (x − m)² / 2σ² + log σ + ½ log 2π (Kingma & Welling 2014, appendix C.2). σ = √½ makes
    the loss the summed squared error, up to a constant.

    Args:
        sigma: Standard deviation in pixels, where white is 1.
    """

    measure = Measure.REAL_LINE
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

    −log p = Σ (x − m)² / 2σ² + log σ + ½ log 2π (Rybkin et al. 2021). At its best σ an
    image of D pixels costs D/2 (log 2πe + log MSE).

    Args:
        sigma: Where it starts, in pixels, where white is 1.
    """

    measure = Measure.REAL_LINE

    def __init__(self, sigma: float = 0.5) -> None:
        super().__init__()
        self.raw_log_scale = nn.Parameter(torch.tensor(raw_of(sigma=sigma)))

    @property
    def log_scale(self) -> Float[Tensor, ""]:
        """Log σ."""
        return above_floor(self.raw_log_scale)

    def channels(self, size: int) -> int:
        """Return one mean per image channel."""
        return size

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Gaussian:
        """Return the distribution, batch (*S)."""
        return Gaussian(raw.sigmoid(), self.log_scale.to(raw.dtype), event_dims=3)


class PixelGaussianLikelihood(Likelihood, name="gaussian-pixel"):
    """Gaussian pixels around a sigmoid mean, each with a σ from the network.

    Kingma & Welling 2014, appendix C.2: −log p = Σ (x − m)² / 2σ² + log σ + ½ log 2π, with the
    floor of ``gaussian-learned``.

    Args:
        sigma: Where a network whose output is zero starts, in pixels, where white is 1.
    """

    measure = Measure.REAL_LINE

    def __init__(self, sigma: float = 0.5) -> None:
        super().__init__()
        self.start = raw_of(sigma=sigma)

    def channels(self, size: int) -> int:
        """Return a mean and a log σ per image channel."""
        return 2 * size

    def forward(self, raw: Float[Tensor, "*S P H W"]) -> Gaussian:
        """Return the distribution, batch (*S)."""
        mean, spread = raw.chunk(2, dim=-3)
        return Gaussian(mean.sigmoid(), above_floor(self.start + spread), event_dims=3)


class OptimalGaussianLikelihood(Likelihood, name="gaussian-optimal"):
    """Gaussian pixels around a sigmoid mean, one σ: always the root mean squared error.

    −log p = Σ (x − m)² / 2σ² + log σ + ½ log 2π (Rybkin et al. 2021). In training σ²
    is the mean squared error over the draws, images and pixels of the batch, so minus the mean
    log-density of D pixels is D/2 (log 2πe + log MSE). That is a profile likelihood, not a density:
    it is fitted to what it scores. Everywhere else σ² is the running mean that training left, as in
    batch normalisation: nothing is fitted to images that are evaluated.
    """

    measure = Measure.REAL_LINE
    MEMORY = 100
    """Batches that the running mean goes back to, roughly; all of them before there are as many."""
    variance: Tensor
    batches: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("variance", torch.tensor(0.25))
        self.register_buffer("batches", torch.tensor(0.0))

    def channels(self, size: int) -> int:
        """Return one mean per image channel."""
        return size

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Gaussian:
        """Return the distribution, batch (*S)."""
        mean, log_scale = raw.sigmoid(), 0.5 * self.variance.log().to(raw.dtype)
        if self.training:
            return FittedGaussian(mean, self.fit, log_scale)
        return Gaussian(mean, log_scale, event_dims=3)

    def fit(self, mse: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Return the best log σ of a batch, and remember it."""
        best = mse.clamp(min=math.exp(2 * FLOOR))
        self.batches += 1
        share = (1 / self.batches).clamp(min=1 / self.MEMORY)
        self.variance.lerp_(best.to(self.variance), share)
        return 0.5 * best.log()
