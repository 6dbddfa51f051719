"""Autoencoders regularised without noise."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import jvp

from vaescape.batch import Batch
from vaescape.conditionals import Label
from vaescape.conditions import NOT_NEGATIVE, require
from vaescape.models.base import Model
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss, one_layer, with_penalties


class RAE(EvidenceObjective, name="rae"):
    """reconstruction + norm·E‖z‖²/2 + l2·‖θ‖² + gradient·E‖∂x/∂z‖², θ the decoder's weights.

    The regularised autoencoders of Ghosh et al. 2020, section 3, for posterior ``point``: what the
    noise of a VAE does to the decoder, a penalty does. ``l2`` is their RAE-L2, ``gradient`` their
    RAE-GP. Nothing holds the codes to a prior, so sample from one that is fitted afterwards,
    ``vaescape fit-prior``. Norms are squared and summed, as the reconstruction is summed over
    pixels.

    Args:
        norm: Weight of half the squared norm of the codes, in nats; without it, a decoder of small
            weights is made up for by large codes.
        l2: Weight of the sum of the decoder's squared weights.
        gradient: Weight of the squared Frobenius norm of the decoded image's Jacobian, in pixels
            where white is 1 per unit of z; estimated along one random direction for each image.
    """

    needs = (one_layer,)

    def __init__(self, norm: float = 0.1, l2: float = 1e-3, gradient: float = 0.0) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, norm=norm, l2=l2, gradient=gradient)
        self.norm, self.l2, self.gradient = norm, l2, gradient

    def forward(self, model: Model, batch: Batch, t: Float[Tensor, ""]) -> Loss:
        """Return the loss; the penalties of the decoder are among the metrics, not weighted."""
        e = model.evidence(batch.x, batch.label).without(batch.rows)
        loss = with_penalties(self.loss(e, t), e)
        penalties: dict[str, Tensor] = {}
        if self.l2:
            penalties["decoder_l2"] = squared_norm(model.likelihood)  # pyright: ignore
        if self.gradient:
            z = e.latents[0].z[0]
            penalties["decoder_gradient"] = squared_jacobian(model, z, batch.label).mean()
        weights = {"decoder_l2": self.l2, "decoder_gradient": self.gradient}
        total = sum((weights[name] * value for name, value in penalties.items()), loss.total)
        return Loss(total, loss.metrics | penalties)

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return what needs no decoder: the reconstruction and half the squared norm of codes."""
        z, terms = self.only_latent(e).z, e.terms()
        half_norm = 0.5 * z.square().sum(-1).mean()
        total = terms["reconstruction"] + self.norm * half_norm
        return Loss(total, terms | {"half_norm": half_norm})


def squared_norm(module: nn.Module) -> Float[Tensor, ""]:
    """Return the sum of the squares of all its parameters."""
    return torch.stack([p.square().sum() for p in module.parameters()]).sum()


def squared_jacobian(
    model: Model, z: Float[Tensor, "B D"], label: Label = None
) -> Float[Tensor, " B"]:
    """Return an estimate without bias of ‖∂E[x]/∂z‖² of each code, with E[x] the decoded image.

    E‖Ju‖² = ‖J‖² for signs u, each +1 or −1 at random (Hutchinson 1990).
    """
    signs = 2.0 * torch.randint_like(z, 2) - 1
    moved = jvp(lambda at: model.decode((at,), label).mean, (z,), (signs,))[1]
    return moved.flatten(1).square().sum(-1)
