"""Learning-rate schedules by name: pure functions of the share of training done."""

from abc import ABC, abstractmethod

from vaescape.components import Component
from vaescape.conditions import require


class Schedule(Component, ABC):
    """What share of the learning rate a step takes; nothing is counted, so nothing is saved."""

    kind = "schedule"

    @abstractmethod
    def __call__(self, t: float) -> float:
        """Return the factor at the share ``t`` of training, in (0, 1): the middle of a step."""


class Constant(Schedule, name="constant"):
    """The same learning rate from the first step to the last."""

    def __call__(self, t: float) -> float:
        """Return 1."""
        return 1.0


class OneCycle(Schedule, name="one-cycle"):
    """A line up from 0 to the learning rate, then a line down to 0 at the end (Smith 2018).

    Args:
        warmup: Share of training on the way up.
    """

    def __init__(self, warmup: float = 0.1) -> None:
        require(lambda v: 0 <= v < 1, "a share of training from 0 to below 1", warmup=warmup)
        self.warmup = warmup

    def __call__(self, t: float) -> float:
        """Return t / warmup, then (1 − t) / (1 − warmup)."""
        return t / self.warmup if t < self.warmup else (1 - t) / (1 - self.warmup)
