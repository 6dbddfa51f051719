"""KL divergences and joint draws.

``torch.distributions.kl_divergence`` fails under ``torch.compile(fullgraph=True)`` on its first
call (its dispatch takes the minimum of a generator), so the closed forms that we use are looked up
here.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaescape.distributions.codes import code_kl
from vaescape.distributions.gaussian import Gaussian, gaussian_kl


def kl_per_dimension(q: Distribution, p: Distribution) -> Float[Tensor, "*S B D"] | None:
    """Return the closed-form KL(q ‖ p) of each latent dimension in nats, or None."""
    if isinstance(q, Gaussian) and isinstance(p, Gaussian):
        return gaussian_kl(q, p).flatten(-q.event_dims)
    return None


def kl(q: Distribution, p: Distribution) -> Float[Tensor, "*S B"] | None:
    """Return the closed-form KL(q ‖ p) in nats, or None: then it is estimated from draws."""
    terms = kl_per_dimension(q, p)
    return code_kl(q, p) if terms is None else terms.sum(-1)


def rsample_with_log_prob(
    q: Distribution, shape: tuple[int, ...] = ()
) -> tuple[Tensor, Float[Tensor, "*S B"] | None]:
    """Return reparameterised draws, and their log-density where it comes free (else None)."""
    return q.rsample(torch.Size(shape)), None
