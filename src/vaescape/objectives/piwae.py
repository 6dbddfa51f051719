"""Two importance-weighted bounds, one for each side of the model."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.components import require
from vaescape.models.evidence import Evidence
from vaescape.objectives.critic import gradient_only
from vaescape.objectives.importance import PathWeighted, log_mean_exp


class PIWAE(PathWeighted, name="piwae"):
    """−log 1/MK Σ w: decoder and prior learn from ``iwae``, the encoder from ``miwae``.

    Rainforth et al. 2018: the decoder has the tightest bound that the M·K draws of an
    image give, the encoder −1/M Σ_m log 1/K Σ_k w, whose gradient has less noise. One pass serves
    both. What is reported is the decoder's bound.

    Args:
        samples: K, draws of z in a group. An image has M·K draws in all.
        groups: M.
    """

    def __init__(self, samples: int = 10, groups: int = 5) -> None:
        require(lambda v: v >= 1, "1 or more", samples=samples, groups=groups)
        super().__init__(groups * samples)
        self.groups = groups

    def bound(self, log_weight: Float[Tensor, "MK B"], e: Evidence) -> Float[Tensor, " B"]:
        """Return the bound of all draws, with a gradient of its own for either side.

        ∂ log w of a draw counts w / Σ w for the decoder, Σ over all draws, and w / M Σ w for the
        encoder, Σ over the group. The first is ``ratio`` times the second; what comes back through
        z is divided by it. The score of q reaches the encoder alone.
        """
        latent, value = self.only_latent(e), log_weight.detach()
        share, ratio = shares(value, self.groups)
        if latent.z.requires_grad:
            latent.z.register_hook(lambda gradient: gradient / ratio[..., None])
        score = share * latent.q.log_prob(latent.z.detach())
        return log_mean_exp(value) + gradient_only((ratio * share * log_weight - score).sum(0))


def shares(
    log_weight: Float[Tensor, "MK B"], groups: int
) -> tuple[Float[Tensor, "MK B"], Float[Tensor, "MK B"]]:
    """Return w / M Σ w over the group of each draw, and how many times that w / Σ w over all is.

    The second is M times the group's share of all weight, kept above the square of what a number
    resolves: there the group is lost to the decoder, and one can still divide by it.
    """
    grouped = log_weight.unflatten(0, (groups, -1))
    ratio = groups * grouped.logsumexp(1, keepdim=True).softmax(0)
    ratio = ratio.clamp_min(torch.finfo(ratio.dtype).eps ** 2).expand_as(grouped)
    return (grouped.softmax(1) / groups).flatten(0, 1), ratio.flatten(0, 1)
