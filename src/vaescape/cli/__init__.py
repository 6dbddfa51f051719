"""The command line. ``main`` turns mistakes into sentences and exit codes."""

import errno
import io
import os
import re
import signal
import sys
import traceback
import warnings
from typing import Any

from vaescape.errors import VaescapeError
from vaescape.signals import EXIT_CODES, Stop, Stopped

DEBUG = "VAESCAPE_DEBUG"
"""Environment variable: print tracebacks too. ``vaescape --debug`` sets it."""
BUG = 70
"""Exit code of what should not happen."""
CLOSED_PIPE = 141
"""Exit code of a command whose reader left: what a shell shows of one that SIGPIPE ended."""
_COMMANDS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""C0 (but tab and line feed), C1, changes of direction, line separators, halves of characters."""
_ALLOCATOR = ("can't allocate memory", "out of memory", "bad allocation", "Unable to allocate")


def main() -> None:
    """Run ``vaescape``: 0 when all went well, 2 for a mistake that the message says how to mend.

    75 after SIGTERM and 130 after Ctrl-C; 70 for a fault of vaescape itself, with a sentence.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal has our letters
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a second Ctrl-C gets
    Stop().install()
    warnings.showwarning = lambda message, *_, **__: _say(f"vaescape: note: {message}")
    # Threads that wait sleep soon: on busy cores, waiting in a loop takes time from those that
    # they wait for.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        from vaescape.cli.app import app

        try:
            app(prog_name="vaescape")
        except SystemExit as end:
            sys.stdout.flush()
            raise end
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt, Stopped) as error:
        code, sentence = _told(error)
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        if sentence:
            _say(f"vaescape: {sentence}")
        _silence(sys.stdout)
        sys.exit(code)


def _told(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the sentence of whatever ended a command."""
    if isinstance(error, Stopped):
        return EXIT_CODES[error.number], str(error)
    if isinstance(error, KeyboardInterrupt):
        return EXIT_CODES[signal.SIGINT], "Stopped by Ctrl-C."
    if isinstance(error, VaescapeError):
        return error.exit_code, str(error)
    if isinstance(error, BrokenPipeError):
        return CLOSED_PIPE, ""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return 2, f"Could not write: {error.strerror}. Free some space, then try again."
    if isinstance(error, MemoryError) or any(text in str(error) for text in _ALLOCATOR):
        return 2, (
            f"There is not enough memory: {_line(error) or 'none is left'}. Take fewer images "
            "(--limit, -n), a smaller --batch or a smaller model."
        )
    kind = type(error).__name__
    return BUG, (
        f"This should not have happened: {kind}: {_line(error) or 'no message'}. It is a fault of "
        f"vaescape; {DEBUG}=1 shows where. What was saved before is whole."
    )


def _line(error: BaseException) -> str:
    """Return the first line of what an exception says, of a readable length."""
    line = next(iter(str(error).strip().splitlines()), "")
    return (line if len(line) <= 200 else f"{line[:200]}…").rstrip(".")


def _say(text: str) -> None:
    """Print a sentence to standard error, if anybody can read it there."""
    try:
        print(plain(text), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _silence(sys.stderr)


def plain(text: str) -> str:
    """Return a text whose control characters are spelled out, so that a terminal ignores them."""
    return _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)


def _silence(stream: Any) -> None:
    """Let Python not complain at the end of a stream that cannot be written."""
    try:
        stream.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
