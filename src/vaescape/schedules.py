"""Schedules: pure functions of the share of training done, so nothing has to be counted."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

Schedule = Callable[[Float[Tensor, ""]], Float[Tensor, ""]]


def ramp(target: float, until: float, cycles: int = 1) -> Schedule:
    """Return a line from 0 to ``target`` at the share ``until`` of training, constant after it.

    ``until=0`` is constant from the first step. With several cycles training is cut into as many
    equal parts, and each has a ramp of its own, up to the share ``until`` of the part (Fu et al.
    2019, eq. 6 and 7). At the last step (t = 1) the value is the target, whatever the number of
    epochs and cycles.
    """
    if until == 0:
        return lambda t: target * t.new_ones(())
    return lambda t: target * (_within(t * cycles) / until).clamp(max=1)


def _within(cycle: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the share done of the running cycle, in (0, 1]: whole numbers are ends."""
    return cycle - (cycle.ceil() - 1).clamp(min=0)
