"""Schedules: pure functions of the share of training done, so nothing has to be counted."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

Schedule = Callable[[Float[Tensor, ""]], Float[Tensor, ""]]


def ramp(target: float, until: float) -> Schedule:
    """Return a line from 0 to ``target`` at the share ``until`` of training, constant after it.

    ``until=0`` is constant from the first step. At the last step (t = 1) the value is the target,
    whatever the number of epochs.
    """
    if until == 0:
        return lambda t: target * t.new_ones(())
    return lambda t: target * (t / until).clamp(max=1)
