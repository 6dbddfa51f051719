"""Gaussian pixels, with σ fixed, learned, fitted or of each pixel. Pixels are in [0, 1].

All but the fixed σ have a floor below the step of an 8-bit pixel (``distributions.floor``).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaescape.conditionals import Likelihood, Measure
from vaescape.conditions import POSITIVE, one_of, require
from vaescape.distributions import FittedGaussian, Gaussian
from vaescape.distributions.floor import FLOOR, above_floor, raw_of

SCALES = ("fixed", "learned", "pixel", "optimal")


class GaussianLikelihood(Likelihood, name="gaussian"):
    """Gaussian pixels around a sigmoid mean: −log p = Σ (x − m)² / 2σ² + log σ + ½ log 2π.

    Kingma & Welling 2014, appendix C.2. What σ is, ``scale`` says. ``fixed``: one number; σ = √½
    makes the loss the summed squared error, up to a constant. ``learned``: one number, learned with
    the weights (Rybkin et al. 2021); at its best an image of D pixels costs D/2 (log 2πe + log
    MSE). ``pixel``: one of each pixel, from the network. ``optimal``: one, in training always the
    root mean squared error over the draws, images and pixels of the batch (Rybkin et al. 2021).
    That is a profile likelihood, not a density: it is fitted to what it scores. Everywhere else σ²
    is the running mean that training left, as in batch normalisation: nothing is fitted to images
    that are evaluated.

    Args:
        scale: "fixed", "learned", "pixel" or "optimal".
        sigma: σ in pixels, where white is 1; unless fixed, where it starts. None: 0.1 if fixed,
            else 0.5.
    """

    measure = Measure.REAL_LINE
    variants = (
        "gaussian(scale='learned')",
        "gaussian(scale='pixel')",
        "gaussian(scale='optimal')",
    )
    MEMORY = 100
    """Batches that the running mean goes back to, roughly; all of them before there are as many."""
    fixed: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, scale: str = "fixed", sigma: float | None = None) -> None:
        super().__init__()
        require(*one_of(SCALES), scale=scale)
        sigma = (0.1 if scale == "fixed" else 0.5) if sigma is None else sigma
        require(*POSITIVE, sigma=sigma)
        self.scale = scale
        if scale == "fixed":
            self.register_buffer("fixed", torch.tensor(math.log(sigma)), persistent=False)
        elif scale == "learned":
            self.raw_log_scale = nn.Parameter(torch.tensor(raw_of(sigma=sigma)))
        elif scale == "pixel":
            self.start = raw_of(sigma=sigma)
        else:
            self.register_buffer("variance", torch.tensor(sigma**2))
            self.register_buffer("batches", torch.tensor(0.0))

    @property
    def log_scale(self) -> Tensor:
        """Log σ, where it is one number."""
        if self.scale == "learned":
            return above_floor(self.raw_log_scale)
        return self.fixed if self.scale == "fixed" else 0.5 * self.variance.log()

    def channels(self, size: int) -> int:
        """Return one mean per image channel, and a log σ where each pixel has its own."""
        return 2 * size if self.scale == "pixel" else size

    def forward(self, raw: Float[Tensor, "*S P H W"]) -> Gaussian:
        if self.scale == "pixel":
            mean, spread = raw.chunk(2, dim=-3)
            return Gaussian(mean.sigmoid(), above_floor(self.start + spread), event_dims=3)
        mean, log_scale = raw.sigmoid(), self.log_scale.to(raw.dtype)
        if self.scale == "optimal" and self.training:
            return FittedGaussian(mean, self.fit, log_scale)
        return Gaussian(mean, log_scale, event_dims=3)

    def fit(self, mse: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Return the best log σ of a batch, and remember it."""
        best = mse.clamp(min=math.exp(2 * FLOOR))
        self.batches += 1
        share = (1 / self.batches).clamp(min=1 / self.MEMORY)
        self.variance.lerp_(best.to(self.variance), share)
        return 0.5 * best.log()
