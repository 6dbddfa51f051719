"""The command line. ``main`` turns mistakes into sentences and exit codes."""

import io
import os
import signal
import sys
import warnings
from types import FrameType
from typing import Any

from vaescape.errors import VaescapeError

STOPS = {signal.SIGINT: ("Ctrl-C", 130), signal.SIGTERM: ("SIGTERM", 75)}


class Stopped(BaseException):
    """A signal outside of training: no Exception, so that nobody takes it for a damaged file."""


def main() -> None:
    """Run ``vaescape``: 0 when all went well, 2 for a mistake that the message says how to mend.

    75 after SIGTERM and 130 after Ctrl-C, when the state is saved and ``vaescape resume`` goes on.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal has our letters
    for number in STOPS:
        signal.signal(number, _stop)
    warnings.showwarning = _note
    # A thread that waits for another soon sleeps: where somebody else works on the cores too, those
    # that wait would keep those that they wait for from them.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        from vaescape.cli.app import app

        app(prog_name="vaescape")
    except VaescapeError as error:
        _leave_in_peace()
        _say(f"vaescape: {error}")
        sys.exit(error.exit_code)
    except Stopped as stopped:
        name, code = STOPS[stopped.args[0]]
        _say(f"vaescape: Stopped by {name}. `vaescape resume RUN` does what is left of a run.")
        sys.exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    _leave_in_peace()
    raise Stopped(signal.Signals(number))


def _leave_in_peace() -> None:
    """Ignore what comes on the way out: `timeout` and `make` send their signal twice."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


def _note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    _say(f"vaescape: note: {message}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
