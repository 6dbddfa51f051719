"""The Bernoulli, for black and white images."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Likelihood, Measure
from vaescape.distributions import Bernoulli
from vaescape.errors import DataError


class BernoulliLikelihood(Likelihood, name="bernoulli"):
    """Black or white pixels: the cross-entropy where it is a likelihood (Kingma & Welling 2014).

    log p = Σ x log λ + (1 − x) log(1 − λ), λ the sigmoid of the network's output (appendix C.1).
    """

    measure = Measure.BINARY

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Bernoulli:
        return Bernoulli(raw)

    def check_images(self, x: Float[Tensor, "*S C H W"]) -> None:
        """Check that every pixel is exactly 0 or 1.

        Raises:
            DataError: If one is grey: its probability would be zero.
        """
        grey = x[(x != 0) & (x != 1)]
        if len(grey):
            raise DataError(
                f"Likelihood 'bernoulli' expects pixels that are 0 or 1. Got {grey[0]:.4g}, and "
                f"{len(grey) / x.numel():.0%} of all pixels are grey. Make them black and "
                "white with --binarise dynamic, or use 'continuous-bernoulli'."
            )
