"""What all our distributions share."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size


class Event(Distribution):
    """A distribution whose last ``event_dims`` dimensions are one event, with validation off.

    Validation would cost a device sync per object; shapes and ranges are checked at the border
    instead.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}  # pyright: ignore
    has_rsample = True

    def __init__(self, shape: torch.Size, event_dims: int) -> None:
        split = len(shape) - event_dims
        super().__init__(shape[:split], shape[split:], validate_args=False)

    @property
    def event_dims(self) -> int:
        """How many trailing dimensions make one event."""
        return len(self.event_shape)

    @property
    def centre(self) -> Tensor:
        """The one code that stands for all of them: the mean, where that is one of them."""
        return self.mean

    def sum_event(self, terms: Tensor) -> Tensor:
        """Return the sum over one event: (*S, *batch, *event) to (*S, *batch)."""
        return terms.flatten(-self.event_dims).sum(-1)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws, without gradients: (*sample_shape, *batch, *event)."""
        with torch.no_grad():
            return self.rsample(torch.Size(sample_shape))
