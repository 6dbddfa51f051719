"""A rate that is led to a target."""

from torch import Tensor

from vaescape.conditions import NOT_NEGATIVE, ONE_OR_MORE, require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss
from vaescape.schedules import ramp


class Capacity(EvidenceObjective, name="capacity"):
    """reconstruction + γ·|E[KL] − C(t)|: the KL is held at C nats, which grows during training.

    Burgess et al. 2018, eq. 8. The mean over the batch is taken before the absolute value: images
    may differ in what they need, as long as their mean is C.

    Args:
        nats: What C rises to, in nats per image.
        gamma: Weight of the distance to C.
        until: Share of training, in [0, 1], over which C rises from 0 to ``nats``.
        samples: Draws of z per image.
    """

    couples_batch = True

    def __init__(
        self, nats: float = 25.0, gamma: float = 30.0, until: float = 0.8, samples: int = 1
    ) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, nats=nats, gamma=gamma)
        require(lambda v: 0 <= v <= 1, "a share of training between 0 and 1", until=until)
        require(*ONE_OR_MORE, samples=samples)
        self.gamma, self.target, self.samples = gamma, ramp(nats, until=until), samples

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the loss; ``capacity`` is C(t) in nats."""
        terms, target = e.terms(), self.target(t)
        total = terms["reconstruction"] + self.gamma * (terms["kl"] - target).abs()
        return Loss(total, terms | {"capacity": target})
