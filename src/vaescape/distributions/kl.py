"""KL divergences, joint draws, and scores of all pairs.

``torch.distributions.kl_divergence`` fails under ``torch.compile(fullgraph=True)`` on its first
call (its dispatch takes the minimum of a generator), so the closed forms that we use are looked up
here.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution

from vaescape.distributions.base import Event
from vaescape.distributions.codes import code_kl
from vaescape.distributions.full_rank import FullRankGaussian, full_rank_kl
from vaescape.distributions.gaussian import Gaussian, gaussian_kl
from vaescape.distributions.sphere import PowerSpherical, UniformSphere, power_spherical_kl
from vaescape.distributions.von_mises_fisher import VonMisesFisher, von_mises_fisher_kl


def kl_per_dimension(q: Distribution, p: Distribution) -> Float[Tensor, "*S B D"] | None:
    """Return the closed-form KL(q ‖ p) of each latent dimension in nats, or None."""
    if isinstance(q, Gaussian) and isinstance(p, Gaussian):
        return gaussian_kl(q, p).flatten(-q.event_dims)
    return None


def kl(q: Distribution, p: Distribution) -> Float[Tensor, "*S B"] | None:
    """Return the closed-form KL(q ‖ p) in nats, or None: then it is estimated from draws."""
    if isinstance(q, FullRankGaussian) and isinstance(p, Gaussian):
        return full_rank_kl(q, p)
    if isinstance(q, PowerSpherical) and isinstance(p, UniformSphere):
        return power_spherical_kl(q)
    if isinstance(q, VonMisesFisher) and isinstance(p, UniformSphere):
        return von_mises_fisher_kl(q)
    terms = kl_per_dimension(q, p)
    return code_kl(q, p) if terms is None else terms.sum(-1)


def rsample_with_log_prob(
    q: Distribution, shape: tuple[int, ...] = ()
) -> tuple[Tensor, Float[Tensor, "*S B"] | None]:
    """Return reparameterised draws, and their log-density where it comes free (else None)."""
    joint = getattr(q, "rsample_with_log_prob", None)
    return (q.rsample(torch.Size(shape)), None) if joint is None else joint(torch.Size(shape))


def log_prob_of_pairs(p: Distribution, values: Float[Tensor, "J *event"]) -> Float[Tensor, "S J"]:
    """Return log pₛ(xⱼ), in nats, of every value under each of S distributions."""
    at_once = getattr(p, "log_prob_of_pairs", None)
    if at_once is not None:
        return at_once(values)
    return torch.stack([p.log_prob(value) for value in values], dim=1)


def without(p: Distribution, rows: Int[Tensor, " B"] | None) -> Distribution:
    """Return a prior that leaves each of B training images out of itself, if it is made of them.

    Args:
        p: Any distribution; only one with a method ``without`` changes.
        rows: Which training images the batch consists of; None where they are others.
    """
    leave_out = getattr(p, "without", None)
    return p if rows is None or leave_out is None else leave_out(rows)


def centre(q: Distribution) -> Float[Tensor, "*S B D"]:
    """Return the code that stands for each distribution: its mean, unless it says otherwise."""
    return q.centre if isinstance(q, Event) else q.mean
