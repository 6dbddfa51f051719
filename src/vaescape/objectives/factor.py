"""The total correlation, estimated by an adversary."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.conditions import NOT_NEGATIVE, require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss, density, one_layer
from vaescape.objectives.critic import Critic, gradient_only


class FactorVAE(EvidenceObjective, name="factor"):
    """−ELBO + γ·TC(z), the total correlation estimated by a critic (Kim & Mnih 2018, eq. 2 and 3).

    The critic learns to distinguish codes from codes whose dimensions were shuffled over the
    batch, one by one. Its logit estimates the log density ratio, and the mean of the logit the
    total correlation. An estimate may be below 0. Critic and model step together, on one batch.

    Args:
        latent_dim: D, filled in from the run.
        gamma: Weight of the total correlation.
        hidden: Width of the critic's two layers.
    """

    couples_batch = True

    needs = density, one_layer

    def __init__(self, latent_dim: int, gamma: float = 10.0, hidden: int = 256) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, gamma=gamma)
        self.gamma, self.critic = gamma, Critic(latent_dim, hidden)

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the model's loss; ``critic`` is the critic's own, in nats."""
        z, terms = self.only_latent(e).z[0], e.terms()
        correlation = self.critic.log_ratio(z).mean()
        critic = self.critic.cross_entropy(z, shuffled(z))
        total = terms["reconstruction"] + terms["kl"] + self.gamma * correlation
        watched = {"total_correlation": correlation, "critic": critic}
        return Loss(total + gradient_only(critic), terms | watched)


def shuffled(z: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """Return codes with each dimension permuted over the batch separately, so that TC is zero."""
    return z.gather(0, torch.rand_like(z).argsort(0))
