"""The methods of ``Event`` as functions that take any distribution of PyTorch.

``torch.distributions.kl_divergence`` fails under ``torch.compile(fullgraph=True)`` on its first
call (its dispatch takes the minimum of a generator), so it is not used.
"""

from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution

from vaescape.distributions.base import Event, Information, as_event


def kl_per_dimension(q: Distribution, p: Distribution) -> Float[Tensor, "*S B D"] | None:
    """Return the closed-form KL(q ‖ p) of each latent dimension in nats, or None."""
    return as_event(q).kl_per_dimension_to(as_event(p))


def kl(q: Distribution, p: Distribution) -> Float[Tensor, "*S B"] | None:
    """Return the closed-form KL(q ‖ p) in nats, or None: then it is estimated from draws."""
    return as_event(q).kl_to(as_event(p))


def rsample_with_log_prob(
    q: Distribution, shape: tuple[int, ...] = ()
) -> tuple[Tensor, Float[Tensor, "*S B"] | None]:
    """Return reparameterised draws, and their log-density where it comes free (else None)."""
    return as_event(q).joint_rsample(shape)


def log_prob_of_pairs(p: Distribution, values: Float[Tensor, "J *event"]) -> Float[Tensor, "S J"]:
    """Return log pₛ(xⱼ), in nats, of every value under each of S distributions."""
    return as_event(p).pairs(values)


def without(p: Distribution, rows: Int[Tensor, " B"] | None) -> Event:
    """Return a prior that leaves each of B training images out of itself, if it is made of them."""
    return as_event(p) if rows is None else as_event(p).without(rows)


def centre(q: Distribution) -> Float[Tensor, "*S B D"]:
    """Return the code that stands for each distribution."""
    return as_event(q).point_estimate


def information(p: Distribution) -> Information:
    """Return parameters in which the Fisher information is diagonal, and that diagonal."""
    return as_event(p).information()
