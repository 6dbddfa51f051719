"""The ELBO as a constrained problem."""

import torch
from torch import Tensor

from vaescape.conditions import ONE_OR_MORE, POSITIVE, require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss

LARGEST_LOG = 14.0
"""Of λ, either way: a tolerance out of reach must not end in an infinite loss."""


class GECO(EvidenceObjective, name="geco"):
    """KL + λ·(reconstruction − tolerance): the smallest KL at a given reconstruction tolerance.

    Rezende & Viola 2018, algorithm 1. λ is no choice but a Lagrange multiplier: after each training
    step it is multiplied by exp(rate · violation), the violation being a running mean, so it grows
    while reconstructions are worse than asked for and falls when they are better. At λ = 1 the
    gradient is that of the ELBO.

    Args:
        tolerance: The reconstruction term to reach, in nats per image. It depends on the data and
            the likelihood: train ``elbo`` first, and see what it reaches.
        rate: By how much log λ changes, per step and nat of violation.
        memory: Share of the running mean that is kept at each step, in [0, 1).
        samples: Draws of z per image.
    """

    couples_batch = True

    log_multiplier: Tensor
    kept: Tensor
    share: Tensor

    def __init__(
        self,
        tolerance: float = 250.0,
        rate: float = 1e-4,
        memory: float = 0.99,
        samples: int = 1,
    ) -> None:
        super().__init__()
        require(lambda v: abs(v) < float("inf"), "a number of nats", tolerance=tolerance)
        require(*POSITIVE, rate=rate)
        require(lambda v: 0 <= v < 1, "at least 0 and less than 1", memory=memory)
        require(*ONE_OR_MORE, samples=samples)
        self.tolerance, self.rate, self.memory, self.samples = tolerance, rate, memory, samples
        for name in ("log_multiplier", "kept", "share"):
            self.register_buffer(name, torch.zeros(()))

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the Lagrangian; ``multiplier`` is λ."""
        terms = e.terms()
        violation, multiplier = terms["reconstruction"] - self.tolerance, self.log_multiplier.exp()
        if self.training:
            self._remember(violation.detach())
        return Loss(terms["kl"] + multiplier * violation, terms | {"multiplier": multiplier})

    def _remember(self, violation: Tensor) -> None:
        """Update the running mean, kept / share: unbiased from the first step on. Then λ."""
        self.kept.lerp_(violation.to(self.kept), 1 - self.memory)
        self.share.lerp_(torch.ones_like(self.share), 1 - self.memory)
        self.log_multiplier.add_(self.rate * self.kept / self.share)
        self.log_multiplier.clamp_(-LARGEST_LOG, LARGEST_LOG)
