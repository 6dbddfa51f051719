"""Whatever ends a command, a person reads one sentence and a script a code."""

import os
import subprocess
import sys

import pytest
from cli_tools import ENVIRONMENT, ended, started

from vaescape import cli

PRELUDE = """
import sys
from vaescape import cli
from vaescape.cli.app import app
@app.command()
def fail():
    {what}
sys.argv = ["vaescape", *sys.argv[1:]]
cli.main()
"""


def failing(what: str, *options: str, environment: dict[str, str] | None = None, **more):
    """Run a command that does this."""
    command = (sys.executable, "-c", PRELUDE.format(what=what))
    env = ENVIRONMENT | (environment or {})
    return ended(started(*options, "fail", cwd=os.getcwd(), command=command, env=env, **more))


@pytest.mark.parametrize(
    ("what", "code", "sentence"),
    [
        ("{}['x']", 70, "This should not have happened: KeyError: 'x'. It is a fault of vaescape"),
        ("raise MemoryError", 2, "There is not enough memory: none is left. Take fewer images"),
        ("bytearray(1 << 60)", 2, "There is not enough memory: "),
        ("import torch; torch.empty(1 << 50)", 2, "can't allocate memory"),
        ("import numpy; numpy.empty(1 << 55)", 2, "Unable to allocate"),
        ("def f(): f()\n    f()", 70, "RecursionError: maximum recursion depth"),
        ("raise OSError(28, 'No space left on device')", 2, "Could not write: No space left"),
    ],
)
def test_every_end_is_one_sentence(what, code, sentence):
    told = failing(what)
    assert told.code == code, told
    assert sentence in told.err
    assert told.err.count("\n") == 1
    assert told.err.startswith("vaescape: ")


def test_a_traceback_comes_only_when_asked_for():
    for told in (
        failing("{}['x']", "--debug"),
        failing("{}['x']", environment={cli.DEBUG: "1"}),
    ):
        assert told.code == 70
        assert "Traceback" in told.err
        assert told.err.splitlines()[-1].startswith("vaescape: This should not have happened")


def test_control_characters_do_not_reach_the_terminal():
    told = failing("raise __import__('vaescape.errors').errors.RunError('\\x1b[31m\\x9b\\u202ex')")
    assert told.code == 2
    assert told.err == "vaescape: \\x1b[31m\\x9b\\u202ex\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a full device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_told(unbuffered):
    with open("/dev/full", "w") as full:
        told = failing("print('x')", stdout=full, environment={"PYTHONUNBUFFERED": unbuffered})
    assert told.code == 2
    assert told.err == (
        "vaescape: Could not write: No space left on device. Free some space, then try again.\n"
    )


def test_a_reader_that_leaves_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE.format(what="print('x' * 10**7)"), "fail"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) in (1, cli.CLOSED_PIPE)


def test_closed_streams_are_no_error():
    told = ended(
        started(
            cwd=os.getcwd(),
            command=("sh", "-c", f"{sys.executable} -m vaescape --version >&- 2>&-"),
        )
    )
    assert (told.code, told.err) == (0, "")
