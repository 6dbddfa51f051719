"""The Laplace distribution."""

import torch
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event, Information


class Laplace(Event):
    """∏ Laplace(median, b), over the last ``event_dims`` dimensions.

    Args:
        median: (*batch, *event).
        scale: b, broadcastable to the median.
        event_dims: 1 for a code, 3 for an image.
    """

    def __init__(self, median: Tensor, scale: Tensor, event_dims: int = 3) -> None:
        self.each = torch.distributions.Laplace(median, scale, validate_args=False)
        super().__init__(median.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        """The median: (*batch, *event)."""
        return self.each.loc

    @property
    def variance(self) -> Tensor:
        """2 b²: (*batch, *event)."""
        return self.each.variance

    def parameters(self) -> dict[str, Tensor]:
        return {"log_scale": self.each.scale.log() + 0 * self.mean}

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws by the inverse CDF: (*S, *batch, *event)."""
        return self.each.rsample(torch.Size(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return −Σ |value − median| / b + log 2b in nats: (*S, *batch)."""
        return self.sum_event(self.each.log_prob(value))

    def information(self) -> Information:
        """Of the median: 1/b²; of log b: 1."""
        loc, scale = self.each.loc, self.each.scale
        theta = torch.stack([loc, scale.log()], -1)
        return theta, torch.stack([scale**-2, torch.ones_like(loc)], -1)
