"""Structural similarity."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Likelihood, Measure
from vaescape.conditions import POSITIVE, require
from vaescape.distributions import Similarity
from vaescape.quantities import DISSIMILARITY


class SSIM(Likelihood, name="ssim"):
    """One less the structural similarity, summed over pixels: a score, and not a density.

    weight·Σ (1 − SSIM), SSIM the map of Wang et al. 2004, eq. 13, through windows of 11 × 11 pixels
    at every pixel, images mirrored at their edges; its use as a loss is that of Zhao et al. 2017.
    It compares luminance, contrast and structure within a window, not single pixels. It has no
    unit: the weight sets its scale relative to a KL in nats, and no bound made of it is one on
    log p(x).

    Args:
        weight: Of 1 − SSIM, which is from 0 to 2, for each pixel and channel.
    """

    measure = Measure.NONE
    quantity = DISSIMILARITY

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        require(*POSITIVE, weight=weight)
        self.weight = weight

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Similarity:
        return Similarity(raw.sigmoid(), self.weight)
