"""Importance-weighted bounds, and estimators of their gradients."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.conditions import ONE_OR_MORE, one_of, require
from vaescape.models.evidence import Evidence, log_ratio
from vaescape.objectives.base import (
    EvidenceObjective,
    Loss,
    density,
    one_layer,
    path_gradient,
)
from vaescape.objectives.critic import gradient_only

ESTIMATORS = ("score", "stl", "dreg", "piwae")


class IWAE(EvidenceObjective, name="iwae"):
    """−log 1/K Σ w, with w = p(x, z) / q(z | x): a bound that tightens as K grows.

    Burda et al. 2016, eq. 8. One draw gives the ELBO with the KL estimated at the draw. The encoder
    is run once, the decoder for every draw. The more draws, the more noise in the encoder's
    gradient (Rainforth et al. 2018), against which there are groups and estimators:

    With M groups it is −1/M Σ_m log 1/K Σ_k w (MIWAE, Rainforth et al. 2018): groups take noise out
    of the gradient, draws in a group make the bound tighter. K = 1 is ``elbo`` with M draws. With β
    it is −(β·ELBO + (1 − β)·log 1/K Σ w) on the same draws (CIWAE, the same paper).

    Estimator ``score`` is the gradient of the bound. ``stl`` leaves out the score of q, whose mean
    is zero: log q is taken with its parameters stopped, so the encoder's gradient comes through z
    alone and vanishes where q is the exact posterior (Roeder et al. 2017); with more than one draw
    it is biased. ``dreg`` is doubly reparameterised, without bias: through z the encoder receives
    Σ (w / Σ w)² ∂ log w / ∂z · ∂z / ∂φ (Tucker et al. 2019). ``piwae`` gives the decoder the
    gradient of the bound of all M·K draws, which is what is reported, and the encoder that of the
    groups, in one pass (PIWAE, Rainforth et al. 2018).

    Args:
        samples: K, draws of z in a group. An image has M·K draws in all.
        groups: M.
        estimator: Of the gradient: "score", "stl", "dreg" or "piwae".
        beta: Share of the ELBO, in [0, 1]; with "score" or "stl".
    """

    weighs_draws = True
    variants = (
        "iwae(samples=2, estimator='stl')",
        "iwae(samples=2, estimator='dreg')",
        "iwae(samples=2, groups=3)",
        "iwae(samples=2, groups=3, estimator='piwae')",
        "iwae(samples=2, beta=0.5)",
    )

    def __init__(
        self, samples: int = 50, groups: int = 1, estimator: str = "score", beta: float = 0.0
    ) -> None:
        super().__init__()
        require(*ONE_OR_MORE, samples=samples, groups=groups)
        require(*one_of(ESTIMATORS), estimator=estimator)
        require(lambda v: 0 <= v <= 1, "a share between 0 and 1", beta=beta)
        free = estimator in ("score", "stl")
        require(lambda v: v == 0 or free, f"0 with estimator {estimator!r}", beta=beta)
        self.samples, self.groups = groups * samples, groups
        self.estimator, self.beta = estimator, beta
        if estimator != "score":
            self.needs = density, one_layer, path_gradient

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return minus the bound, averaged over images and groups."""
        log_likelihood = e.log_likelihood()
        bound = self.bound(log_likelihood + self.log_ratio(e), e)
        return Loss(-bound.mean(), e.terms(log_likelihood))

    def log_ratio(self, e: Evidence) -> Float[Tensor, "MK B"]:
        """Return log p(z) − log q(z | x), with q's parameters stopped unless it is "score"."""
        if self.estimator == "score":
            return log_ratio(e.latents)
        latent = self.only_latent(e)
        return latent.log_p() - latent.q.stopped().log_prob(latent.z)

    def bound(self, log_weight: Float[Tensor, "MK B"], e: Evidence) -> Float[Tensor, "*M B"]:
        """Return the bound on log p(x) of each image and group, in nats."""
        if self.estimator == "piwae":
            return self._two_sided(log_weight, e)
        grouped = log_weight.unflatten(0, (self.groups, -1))
        if self.estimator == "dreg":
            z, share = self.only_latent(e).z, grouped.detach().softmax(1).flatten(0, 1)
            if z.requires_grad:
                z.register_hook(lambda gradient: share[..., None] * gradient)
        bound = log_mean_exp(grouped, dim=1)
        return self.beta * log_weight.mean(0) + (1 - self.beta) * bound if self.beta else bound

    def _two_sided(self, log_weight: Float[Tensor, "MK B"], e: Evidence) -> Float[Tensor, " B"]:
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
    """Return s = w / (M Σ w), the sum over the group of a draw, and r with r s = w / Σ w over all.

    r is M times the group's share of all weight. It is kept above ε², the square of the number
    type's resolution, so that one can divide by it.
    """
    grouped = log_weight.unflatten(0, (groups, -1))
    ratio = groups * grouped.logsumexp(1, keepdim=True).softmax(0)
    ratio = ratio.clamp_min(torch.finfo(ratio.dtype).eps ** 2).expand_as(grouped)
    return (grouped.softmax(1) / groups).flatten(0, 1), ratio.flatten(0, 1)


def log_mean_exp(log_weight: Tensor, dim: int = 0) -> Tensor:
    """Return log 1/K Σ exp(log_weight) over a dimension."""
    return log_weight.logsumexp(dim) - math.log(log_weight.shape[dim])
