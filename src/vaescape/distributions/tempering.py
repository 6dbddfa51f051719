"""Draws at a temperature: closer to the modes below 1, further away above."""

from typing import TypeVar

from jaxtyping import Float
from torch import Size, Tensor
from torch.distributions import Distribution

from vaescape.conditions import require
from vaescape.distributions.base import Event, as_event

E = TypeVar("E", bound=Event)


def tempered(p: E, temperature: float) -> E:
    """Return a distribution at a temperature; at 1 it is itself.

    Raises:
        ComponentError: If the temperature is not above 0, or there is nothing that it changes.
    """
    require(lambda v: 0 < v < float("inf"), "a number above 0", temperature=temperature)
    return p if temperature == 1 else p.tempered(temperature)


def draws(p: Distribution, n: int, temperature: float = 1.0) -> Float[Tensor, "n *event"]:
    """Return ``n`` draws at a temperature: one of each where p is a batch of so many."""
    q = tempered(as_event(p), temperature)
    return q.sample() if q.batch_shape else q.sample(Size((n,)))
