"""A probability for every level of every pixel."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Likelihood, Measure
from vaescape.distributions.levels import LEVELS, CategoricalLevels


class CategoricalLikelihood(Likelihood, name="categorical"):
    """A probability of its own for each of the 256 levels of a pixel (van den Oord et al. 2016).

    log p = Σ log softmax(raw)_k at the level k = round(255 x) of each pixel. As in PixelRNN: free
    to take any shape, and blind to which levels are neighbours. The network gives 256 numbers per
    pixel, most of its cost.
    """

    measure = Measure.BYTE

    def channels(self, size: int) -> int:
        """Return 256 logits per image channel."""
        return LEVELS * size

    def forward(self, raw: Float[Tensor, "*S P H W"]) -> CategoricalLevels:
        return CategoricalLevels(raw.unflatten(-3, (-1, LEVELS)).movedim(-3, -1))
