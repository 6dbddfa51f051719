"""Draws at a temperature: nearer to the modes below 1, further away above.

A distribution takes part by a method ``tempered(τ)``, for τ above 0. Whatever has a scale has it
times τ (Kingma & Dhariwal 2018, section 6): a Gaussian, and with it each Gaussian of a mixture or
of a hierarchy, whose weights stay, and the noise of a flow. What lies on a sphere has its
concentration divided by τ², which for a narrow one is the same. Categorical variables have their
logits divided by τ.
"""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaescape.components import require
from vaescape.errors import ComponentError

P = TypeVar("P")


def tempered(p: P, temperature: float) -> P:
    """Return a distribution at a temperature; at 1 it is itself.

    Raises:
        ComponentError: If the temperature is not above 0, or there is nothing that it changes.
    """
    require(lambda v: 0 < v < float("inf"), "a number above 0", temperature=temperature)
    if temperature == 1:
        return p
    at = getattr(p, "tempered", None)
    if at is None:
        raise ComponentError(
            f"A temperature of {temperature:g} has no meaning for {type(p).__name__}, which has "
            "neither a scale nor logits that it could change. Use a temperature of 1, or a prior "
            "such as 'normal', 'mixture' or 'autoregressive'."
        )
    return at(temperature)


def draws(p: Distribution, n: int, temperature: float = 1.0) -> Float[Tensor, "n *event"]:
    """Return ``n`` draws at a temperature: one of each where p is a batch of so many."""
    p = tempered(p, temperature)
    return p.sample() if p.batch_shape else p.sample(torch.Size((n,)))
