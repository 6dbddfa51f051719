"""All the mass in one place."""

import torch
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event
from vaescape.errors import ComponentError


class Point(Event):
    """All draws are one value: what the encoder of a plain autoencoder returns. It has no density.

    Args:
        value: (*batch, *event).
        event_dims: 1 for a code, 3 for an image.
    """

    has_density = False

    def __init__(self, value: Tensor, event_dims: int = 1) -> None:
        self.value = value
        super().__init__(value.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return self.value

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        return self.value.expand(self._extended_shape(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """Refuse: a point has no density.

        Raises:
            ComponentError: Always.
        """
        raise ComponentError(
            "A point posterior has no density, so it has neither a KL nor an evidence bound. "
            "Train it with elbo(beta=0), which needs none, or use posterior 'gaussian'."
        )
