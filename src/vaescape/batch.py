"""What a training step is given."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor


class Batch(NamedTuple):
    """Images and their classes, on the device of the model."""

    x: Float[Tensor, "B C H W"]
    """Pixels in [0, 1], exactly k/255 for 8-bit data."""
    label: Int[Tensor, " B"] | None = None
    rows: Int[Tensor, " B"] | None = None
    """Which images of the training set they are; None for others."""
