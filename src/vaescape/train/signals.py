"""Stopping in good order: a first signal asks, a second one insists."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vaescape.errors import InterruptedRun

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
ECHO = 1.0
"""Seconds in which a second signal is the first again: `timeout` and `make` send theirs twice."""


class Stop:
    """A request to stop: ``signal`` is None until one came. It is itself the signal handler."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.since = 0.0

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        """Note the first signal; leave at once on the second, unless it is an echo."""
        now = time.monotonic()
        if self.signal is None:
            self.signal, self.since = number, now
        elif now - self.since < ECHO:
            return
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)

    def interruption(self, what_now: str) -> InterruptedRun:
        """Return the exception that tells who stopped the run and what to do now."""
        number = signal.Signals(self.signal or signal.SIGTERM)
        return InterruptedRun(f"Stopped by {NAMES[number]}. {what_now}", EXIT_CODES[number])


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a request that loops can poll; then the old handlers come back.

    Used inside itself it gives the outer request, so a command can wrap all that it does and
    training inside obeys the same signal. Outside the main thread Python allows no handlers, and
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
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
