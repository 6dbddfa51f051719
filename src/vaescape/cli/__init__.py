"""The command line. ``main`` turns mistakes into sentences and exit codes."""

import os
import sys
import warnings
from typing import Any

from vaescape.errors import VaescapeError


def main() -> None:
    """Run ``vaescape``: 0 when all went well, 2 for a mistake that the message says how to mend.

    75 after SIGTERM and 130 after Ctrl-C, when the state is saved and ``vaescape resume`` goes on.
    """
    from vaescape.cli.app import app

    warnings.showwarning = _note
    try:
        app(prog_name="vaescape", standalone_mode=True)
    except VaescapeError as error:
        _say(f"vaescape: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("vaescape: Stopped by Ctrl-C. `vaescape resume RUN` does what is left of a run.")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    _say(f"vaescape: note: {message}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
