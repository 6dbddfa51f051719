"""What an objective is: a function of what a training step produced."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from vaescape.batch import Batch
from vaescape.components import Component
from vaescape.models.evidence import Evidence, LatentVariableModel


@dataclass(frozen=True)
class Loss:
    """What is minimised, and what is worth watching."""

    total: Float[Tensor, ""]
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Means over the batch, scalars or vectors, on the device: nothing reads them between ticks."""


class Objective(nn.Module, Component, ABC):
    """A scalar to minimise, in nats per image."""

    kind = "objective"

    @abstractmethod
    def forward(self, model: LatentVariableModel, batch: Batch, t: Float[Tensor, ""]) -> Loss:
        """Return the loss of a batch; ``t`` is the share of training done, in [0, 1]."""


class EvidenceObjective(Objective):
    """An objective that reads the evidence and nothing else: nine in ten."""

    samples: int = 1

    def forward(self, model: LatentVariableModel, batch: Batch, t: Float[Tensor, ""]) -> Loss:
        """Return the loss of the evidence of a batch."""
        return self.loss(model.evidence(batch.x, batch.label, samples=self.samples), t)

    @abstractmethod
    def loss(self, e: Evidence, t: Any) -> Loss:
        """Return the loss, given the evidence and the share of training done."""
