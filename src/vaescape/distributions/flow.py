"""Gaussian noise through invertible maps."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event, full_precision
from vaescape.distributions.gaussian import Gaussian
from vaescape.distributions.picking import pick

Maps = Callable[[Float[Tensor, "*B H"] | None], Sequence[Any]]
"""Takes a context and returns zuko's transforms, from noise to codes."""


class Flow(Event):
    """z = f_T ∘ … ∘ f_1(ε), ε Gaussian (Rezende & Mohamed 2015).

    Args:
        base: Of ε: batch (*batch), event (D,).
        maps: Takes the context and returns f_1, …, f_T.
        context: (*batch, H), or None.
    """

    scores_pairs = False

    def __init__(
        self, base: Gaussian, maps: Maps, context: Float[Tensor, "*B H"] | None = None
    ) -> None:
        self.base, self.maps, self.context = base, maps, context
        with full_precision(base.loc):
            self.transforms = maps(context)
        super().__init__(base.loc.shape, 1)

    @property
    def point_estimate(self) -> Tensor:
        """The image of the mean of ε; the mean of z has no closed form."""
        return self._through(self.base.mean)[0]

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return f(ε): (*S, *batch, D)."""
        return self.joint_rsample(sample_shape)[0]

    def joint_rsample(self, shape: _size = ()) -> tuple[Tensor, Tensor]:
        """Return f(ε) and log p(ε) − log |det ∂f/∂ε|, in nats."""
        noise = self.base.rsample(torch.Size(shape))
        z, log_det = self._through(noise)
        return z, self.base.log_prob(noise) - log_det

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density of any z, through the inverse, in nats: (*S, *batch)."""
        log_det = torch.zeros_like(value[..., 0])
        with full_precision(value):
            for transform in reversed(self.transforms):
                value, change = transform.inv.call_and_ladj(value)
                log_det = log_det + change
        return self.base.log_prob(value) + log_det

    def tempered(self, temperature: float) -> "Flow":
        return Flow(self.base.tempered(temperature), self.maps, self.context)

    def component(self, index: Tensor) -> "Flow":
        context = None if self.context is None else pick(self.context, index, 1)
        return Flow(self.base.component(index), self.maps, context)

    def _through(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return f(z) and log |det ∂f/∂z|."""
        log_det = torch.zeros_like(z[..., 0])
        with full_precision(z):
            for transform in self.transforms:
                z, change = transform.call_and_ladj(z)
                log_det = log_det + change
        return z, log_det
