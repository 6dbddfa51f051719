"""Orderly stopping: a first signal takes effect at a safe point, a second one immediately.

A handler that raised could be called inside ``__del__``, where Python drops exceptions.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from vaescape.errors import InterruptedRun

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
ECHO = 1.0
"""Seconds in which a second signal is the first again: `timeout` and `make` send theirs twice."""


class Stopped(BaseException):
    """A requested stop, raised at a safe point: no Exception, so nobody takes it for an error."""

    def __init__(self, number: int, what_now: str = "") -> None:
        super().__init__(number)
        self.number, self.what_now = signal.Signals(number), what_now

    def __str__(self) -> str:
        return f"Stopped by {NAMES[self.number]}. {self.what_now}".rstrip()


class Stop:
    """A request to stop: ``signal`` is None until one came. It is itself the signal handler."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.since = 0.0
        self.before: dict[int, Any] = {}
        """The handlers that it stands in for."""

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        """Note the first signal. The second gets the handler that was there before."""
        now = time.monotonic()
        if self.signal is None:
            self.signal, self.since = number, now
        elif now - self.since >= ECHO:
            before = self.before.get(number)
            if isinstance(before, Callable):
                before(number, frame)
            else:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)

    def install(self) -> None:
        """Become the handler of both signals."""
        for number in SIGNALS:
            self.before[number] = signal.signal(number, self)

    def interruption(self, what_now: str) -> InterruptedRun:
        """Return the exception that tells who stopped the run and what to do now."""
        number = signal.Signals(self.signal or signal.SIGTERM)
        return InterruptedRun(f"Stopped by {NAMES[number]}. {what_now}", EXIT_CODES[number])


def stop_if_requested() -> None:
    """A safe point: raise :class:`Stopped` if a signal was noted."""
    stop = signal.getsignal(signal.SIGTERM)
    if isinstance(stop, Stop) and stop.signal is not None:
        raise Stopped(stop.signal)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a request that loops can poll; then the old handlers come back.

    Used inside itself it gives the outer request, so a command can wrap all that it does and
    training inside sees the same signal. Outside the main thread Python allows no handlers, and
    none is set.
    """
    outer = signal.getsignal(signal.SIGTERM)
    if isinstance(outer, Stop):
        yield outer
        return
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    stop.install()
    try:
        yield stop
    finally:
        for number, handler in stop.before.items():
            signal.signal(number, handler or signal.SIG_DFL)
