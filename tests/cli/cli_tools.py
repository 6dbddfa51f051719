"""How the tests of the command line drive it: as a process of its own, or in this one."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from vaescape.cli import BUG, main
from vaescape.signals import SIGNALS

COMMAND = str(Path(sys.executable).with_name("vaescape"))
NETWORK = ("--network", "conv(channels=[4, 8], hidden=8)")
SMALL = ("--limit", "60", "--batch", "20", "--epochs", "2", *NETWORK, "--threads", "1")
PATIENCE = 240
"""Seconds after which a command counts as hung; all take a few on an idle machine."""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


@dataclass(frozen=True)
class Told:
    """What a command left with and said."""

    code: int | None
    out: str
    err: str


@dataclass(frozen=True)
class Home:
    """Where a run was made, and what the command said."""

    path: Path
    told: Told

    @property
    def run(self) -> Path:
        return self.path / "runs" / "look"


def vaescape(*arguments: str, cwd: Path, **options: Any) -> Told:
    """Run the installed command to its end."""
    return ended(started(*arguments, cwd=cwd, **options))


def started(
    *arguments: str, cwd: Path | str, command: tuple[str, ...] = (COMMAND,), **options: Any
):
    """Start the installed command."""
    return subprocess.Popen(
        [*command, *arguments],
        cwd=cwd,
        text=True,
        stdin=subprocess.DEVNULL,
        **{"env": ENVIRONMENT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def ended(process: subprocess.Popen) -> Told:
    """Wait for a command."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Told(process.returncode, out, err)


def wait_until(done: Callable[[], Any], process: subprocess.Popen) -> None:
    """Wait until something holds, as long as the process lives."""
    end = time.monotonic() + PATIENCE
    while not done():
        assert process.poll() is None, ended(process)
        assert time.monotonic() < end
        time.sleep(0.005)


def tell(*arguments: str) -> Told:
    """Run the command in this process: the same code without the seconds that torch's import takes.

    A fault of vaescape fails the test.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with (
        mock.patch.object(sys, "argv", ["vaescape", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    assert isinstance(code, int)
    assert code != BUG, err.getvalue()
    return Told(code, out.getvalue(), err.getvalue())


def assert_mistake(told: Told, *words: str) -> None:
    """The person is told in a sentence, and exit code 2 tells the script."""
    assert told.code == 2, told
    assert told.err.startswith("vaescape: "), told.err
    assert told.err.count("\n") == 1, told.err
    assert told.err.rstrip().endswith((".", "?")), told.err
    assert "Traceback" not in told.err
    for word in words:
        assert word in told.err
