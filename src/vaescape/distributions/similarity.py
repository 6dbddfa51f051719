"""A score of images by structural similarity."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event
from vaescape.metrics.reconstruction import mirrored, ssim_map


class Similarity(Event):
    """A score of images: ``log_prob`` is minus the weighted structural dissimilarity.

    It is **not** a density: over [0, 1] its exponential does not add up to one.

    Args:
        mean: The decoded image, pixels in [0, 1]: (*batch, C, H, W).
        weight: Of 1 − SSIM, per pixel.
    """

    def __init__(self, mean: Float[Tensor, "*B C H W"], weight: float) -> None:
        self.loc, self.weight = mean, weight
        super().__init__(mean.shape, 3)

    @property
    def mean(self) -> Tensor:
        return self.loc

    def log_prob(self, value: Tensor) -> Float[Tensor, "*S"]:
        """Return weight · Σ (SSIM − 1) over pixels and channels: 0 for the decoded image itself."""
        similar = ssim_map(mirrored(self.loc), mirrored(value))
        return self.weight * self.sum_event(similar - 1)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return copies of the decoded image: there is no noise around it."""
        return self.loc.expand(self._extended_shape(torch.Size(sample_shape)))
