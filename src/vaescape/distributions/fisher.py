"""Fisher information of what likelihoods return, each in one place.

To add one: ``@information.register``.
"""

from functools import singledispatch

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace

from vaescape.distributions.gaussian import Gaussian
from vaescape.distributions.levels import BRIGHTEST, LEVELS, CategoricalLevels
from vaescape.distributions.logistic import DiscretisedLogistic
from vaescape.distributions.pixels import ContinuousBernoulli, PseudoBernoulli
from vaescape.errors import ComponentError

Information = tuple[Float[Tensor, "*batch P"], Float[Tensor, "*batch P"]]


@singledispatch
def information(p: Distribution) -> Information:
    """Return parameters θ of which the Fisher information of p is diagonal, and that diagonal.

    In nats: KL(p_θ ‖ p_θ₊dθ) = ½ Σ I dθ² + O(|dθ|³).

    Raises:
        ComponentError: Where it is not known in closed form.
    """
    raise ComponentError(
        f"The Fisher information of {type(p).__name__} is not known in closed form. Take the "
        "pull-back metric of the decoded images, or another likelihood."
    )


@information.register
def _(p: Independent) -> Information:
    return information(p.base_dist)


@information.register
def _(p: PseudoBernoulli) -> Information:
    """Of the logit: λ (1 − λ). On grey pixels, where it is no density, by its name alone."""
    return p.logits, p.mean * (1 - p.mean)


@information.register
def _(p: ContinuousBernoulli) -> Information:
    """Of the logit, which is the natural parameter: the variance of x."""
    return p.logits, p.variance


@information.register
def _(p: Gaussian) -> Information:
    """Of μ: 1/σ²; of log σ: 2."""
    theta = torch.stack([p.loc, p.log_scale.expand_as(p.loc)], -1)
    return theta, torch.stack([1 / p.variance, torch.full_like(p.loc, 2.0)], -1)


@information.register
def _(p: Laplace) -> Information:
    """Of the median: 1/b²; of log b: 1."""
    theta = torch.stack([p.loc, p.scale.log()], -1)
    return theta, torch.stack([p.scale**-2, torch.ones_like(p.loc)], -1)


@information.register
def _(p: CategoricalLevels) -> Information:
    """Of 2√P(k): 1, as Σ dP²/P = Σ (d 2√P)²; the 256 of a pixel lie on a sphere."""
    return _of_probabilities(p.pixel.logits.log_softmax(-1))


@information.register
def _(p: DiscretisedLogistic) -> Information:
    """Of 2√P(k) of the 256 levels: 1."""
    x = torch.arange(LEVELS, device=p.loc.device).to(p.loc)[:, None] / BRIGHTEST
    pixel = DiscretisedLogistic(p.loc[..., None, None], p.log_scale[..., None, None], event_dims=1)
    return _of_probabilities(pixel.log_prob(x))


def _of_probabilities(log_probability: Tensor) -> Information:
    theta = 2 * (log_probability / 2).exp()
    return theta, torch.ones_like(theta)
