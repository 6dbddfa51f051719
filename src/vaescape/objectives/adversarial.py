"""The aggregate posterior held to the prior by an adversary."""

from torch import Tensor
from torch.nn import functional as F

from vaescape.conditions import NOT_NEGATIVE, require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss, one_layer
from vaescape.objectives.critic import Critic, gradient_only


class Adversarial(EvidenceObjective, name="adversarial"):
    """reconstruction − weight·E[log critic(z)]: codes like samples of the prior.

    The adversarial autoencoder (Makhzani et al. 2016), with posterior ``point`` the WAE-GAN of
    Tolstikhin et al. 2018, algorithm 1. The critic learns to distinguish codes from samples of
    the prior, which receives no gradient. Critic and model step together, on one batch.

    Args:
        latent_dim: D, filled in from the run.
        weight: Of the adversarial term, in nats per image.
        hidden: Width of the critic's two layers.
    """

    needs = (one_layer,)

    def __init__(self, latent_dim: int, weight: float = 10.0, hidden: int = 256) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, weight=weight)
        self.weight, self.critic = weight, Critic(latent_dim, hidden)

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the model's loss; ``critic`` is the critic's own, in nats: log 2 is the aim."""
        latent, terms = self.only_latent(e), e.terms()
        detected = F.softplus(self.critic.log_ratio(latent.z[0])).mean()
        critic = self.critic.cross_entropy(latent.z[0], latent.prior_draws())
        total = terms["reconstruction"] + self.weight * detected + gradient_only(critic)
        return Loss(total, terms | {"detected": detected, "critic": critic})
