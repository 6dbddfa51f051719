"""Help, version, and what an import costs."""

import subprocess
import sys

import pytest
from cli_tools import ENVIRONMENT, tell, vaescape

import vaescape as package
from vaescape.cli.app import app

COMMANDS = [
    command.name or command.callback.__name__  # type: ignore[union-attr]
    for command in app.registered_commands
]


def test_all_the_commands_are_known_here():
    assert set(COMMANDS) == {
        *("run", "train", "resume", "evaluate", "figures", "report", "sample", "interpolate"),
        *("traverse", "reconstruct", "compare", "data", "list", "show"),
        *("export", "explore", "fit-prior", "reproduce", "embed", "score"),
        *("pack", "encode", "play"),
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str):
    told = tell(command, "--help")
    assert told.code == 0
    assert f"vaescape {command}" in told.out.partition("Example")[2]
    assert tell(command, "-h") == told


def test_nothing_at_all_is_a_call_for_help():
    told = tell()
    assert "Start with vaescape run first-look" in told.out + told.err
    assert told.code in (0, 2)  # as the version of typer has it


def test_version(tmp_path):
    told = vaescape("--version", cwd=tmp_path)
    assert (told.code, told.out, told.err) == (0, f"vaescape {package.__version__}\n", "")


HEAVY = ("torch", "matplotlib", "sklearn", "scipy", "PIL", "pooch")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("vaescape", (*HEAVY, "numpy", "typer")),
        ("vaescape.cli.app", HEAVY),
        ("vaescape.cli", HEAVY),
    ],
)
def test_imports_stay_light(module: str, heavy: tuple[str, ...]):
    code = f"import sys, {module}; print(*[m for m in {heavy!r} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (told.stdout, told.stderr) == ("\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("runn",), ("No such command 'runn'", "'run'")),
        (("run", "--epocs", "3"), ("--epocs", "--epochs")),
        (("run", "--epochs", "many"), ("--epochs", "number")),
        (("evaluate",), ("Missing argument", "run")),
    ],
)
def test_a_slip_of_the_hand_is_answered(elsewhere, arguments, words):
    told = tell(*arguments)
    assert told.code == 2
    assert all(word in told.err for word in words)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch has another OpenMP elsewhere")
@pytest.mark.parametrize(("given", "expected"), [({}, 10_000), ({"GOMP_SPINCOUNT": "7"}, 7)])
def test_waiting_threads_soon_leave_the_cores_to_others(tmp_path, given, expected):
    environment = ENVIRONMENT | {"OMP_DISPLAY_ENV": "verbose"} | given
    told = vaescape("data", "shapes", cwd=tmp_path, env=environment)  # loads PyTorch
    assert f"GOMP_SPINCOUNT = '{expected}'" in told.err
