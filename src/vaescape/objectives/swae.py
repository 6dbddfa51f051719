"""The aggregate posterior held to the prior along random lines."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from vaescape.conditions import NOT_NEGATIVE, ONE_OR_MORE, require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss, one_layer


class SWAE(EvidenceObjective, name="swae"):
    """reconstruction + weight·SW²(q(z), p(z)): the sliced Wasserstein autoencoder.

    Kolouri et al. 2019, algorithm 1, with the squared distance. The batch's codes are compared
    with as many samples of the prior, which receives no gradient. Both are projected onto random
    directions, where optimal transport pairs them in sorted order. In one dimension SW² is W₂²; a
    shift by m counts |m|²/D. There is no KL term; the paper's posterior is ``point``.

    Args:
        weight: Of SW², in nats per image.
        projections: Random directions, new ones at every step.
    """

    couples_batch = True

    needs = (one_layer,)

    def __init__(self, weight: float = 100.0, projections: int = 50) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, weight=weight)
        require(*ONE_OR_MORE, projections=projections)
        self.weight, self.projections = weight, projections

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the loss; ``sliced_wasserstein2`` is of two samples, so above 0 for equal laws."""
        latent, terms = self.only_latent(e), e.terms()
        lines = directions(latent.z[0], self.projections)
        distance = sliced_wasserstein2(latent.z[0], latent.prior_draws(), lines)
        total = terms["reconstruction"] + self.weight * distance
        return Loss(total, terms | {"sliced_wasserstein2": distance})


def directions(z: Float[Tensor, "N D"], count: int) -> Float[Tensor, "D L"]:
    """Return so many uniformly random directions in the space of these codes."""
    return normalize(torch.randn(z.shape[-1], count, dtype=z.dtype, device=z.device), dim=0)


def sliced_wasserstein2(
    x: Float[Tensor, "N D"], y: Float[Tensor, "N D"], lines: Float[Tensor, "D L"]
) -> Float[Tensor, ""]:
    """Return the squared sliced Wasserstein distance of two samples of one size, along lines.

    In one dimension the best transport keeps the order (Bonneel et al. 2015, section 2.2).
    """
    ordered = [(sample @ lines).sort(dim=0).values for sample in (x, y)]
    return (ordered[0] - ordered[1]).square().mean()
