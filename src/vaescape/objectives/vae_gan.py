"""A reconstruction error that is learned: the distance of what a critic sees."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.batch import Batch
from vaescape.components import construct
from vaescape.conditions import NOT_NEGATIVE, ONE_OR_MORE, require
from vaescape.models.evidence import Evidence
from vaescape.nets.base import Network, Shape
from vaescape.objectives.base import (
    EvidenceObjective,
    Loss,
    density,
    one_layer,
    with_penalties,
)
from vaescape.objectives.critic import frozen, gradient_only


class VAEGAN(EvidenceObjective, name="vae-gan"):
    """KL + ½‖f(x) − f(x̃)‖² + weight·E[−log D], f what a critic of images sees (Larsen et al. 2016).

    Algorithm 1. f is the critic's last layer before its answer D: how likely an image is a real one
    and not decoded, from a code of its own or a draw of the prior. The error in f stands where the
    pixels' reconstruction stood, which is still reported; the adversarial term reaches the decoder
    alone. ``weight`` is 1/γ of the paper, in the form that does not saturate. What is minimised is
    no bound on log p(x).

    Args:
        shape: (C, H, W), filled in from the run.
        weight: Weight of the adversarial term relative to the error in f.
        critic: The critic's network, a component text.
        features: Numbers in f.
    """

    needs = density, one_layer

    def __init__(
        self, shape: Shape, weight: float = 1.0, critic: str = "conv", features: int = 128
    ) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, weight=weight)
        require(*ONE_OR_MORE, features=features)
        network: Network = construct("network", critic)
        self.weight, self.critic = weight, ImageCritic(network.encoder(shape, features), features)

    def forward(self, model: Any, batch: Batch, t: Float[Tensor, ""]) -> Loss:
        """Return the loss; ``critic`` is the critic's own, in nats: log 2 where it is at chance."""
        e = model.evidence(batch.x, batch.label).without(batch.rows)
        loss, latent = with_penalties(self.loss(e, t), e), e.latents[0]
        drawn = torch.stack([latent.z[0].detach(), latent.prior_draws()])
        decoded = model.decode((drawn,), batch.label).mean.flatten(0, 1)
        fooled = F.softplus(-self.critic.stopped(decoded)[1]).mean()
        own = self.critic.cross_entropy(batch.x, decoded)
        total = loss.total + self.weight * fooled + gradient_only(own)
        return Loss(total, loss.metrics | {"fooled": fooled, "critic": own})

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the terms of the evidence: the KL, and the error in the critic's features."""
        self.only_latent(e)
        terms = e.terms()
        seen, decoded = (self.critic.stopped(x)[0] for x in (e.x, e.likelihood.mean[0]))
        error = 0.5 * (seen - decoded).square().sum(-1).mean()
        return Loss(terms["kl"] + error, terms | {"feature_error": error})


class ImageCritic(nn.Module):
    """Tells real images from decoded ones.

    Args:
        encoder: From images to features (B, F).
        features: F.
    """

    def __init__(self, encoder: nn.Module, features: int) -> None:
        super().__init__()
        self.encoder, self.answer = encoder, nn.Linear(features, 1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B F"], Tensor]:
        """Return the features f and the log-odds (B,) that each image is real."""
        features = F.leaky_relu(self.encoder(x), 0.2)
        return features, self.answer(features).squeeze(-1).to(x)

    def stopped(self, x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B F"], Tensor]:
        """Return the same, with a gradient to the images alone."""
        return frozen(self, x)

    def cross_entropy(
        self, real: Float[Tensor, "B C H W"], decoded: Float[Tensor, "M C H W"]
    ) -> Float[Tensor, ""]:
        """Return its loss, in nats. No gradient reaches the images."""
        of_real, of_decoded = (self(x.detach())[1] for x in (real, decoded))
        return 0.5 * (F.softplus(-of_real).mean() + F.softplus(of_decoded).mean())
