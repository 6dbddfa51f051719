"""A run folder that somebody else made, and that names code: no command imports it unasked."""

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_tools import tell

from vaescape import Study
from vaescape.cli.app import app
from vaescape.errors import RunError

RUN = "runs/look"
COMMANDS = {
    "resume": [],
    "evaluate": [],
    "embed": ["picture.png"],
    "encode": [],
    "score": ["picture.png"],
    "figures": ["map"],
    "report": [],
    "export": [],
    "explore": ["--save", "page.html"],
    "fit-prior": ["--prior", "mixture"],
    "sample": ["-n", "2"],
    "interpolate": ["0", "1"],
    "traverse": [],
    "reconstruct": ["0"],
    "compare": [],
    "show": [],
}
TEXTS = {
    "parts.model": "payload:X",
    "parts.network": " payload:X(hidden=3)",
    "parts.posterior": "payload:X",
    "parts.likelihood": "pixelcnn(base='payload:X')",
    "parts.prior": "payload:X()",
    "parts.objective": "vae-gan(critic='payload:X(a=1)')",
    "train.optimiser": "payload:X",
    "train.schedule": "payload:X",
    "data": "payload:X",
}


def poison(run: Path, place: str, text: str) -> None:
    """Name a component in run.json that leaves a file behind when it is imported."""
    Path("payload.py").write_text(
        "import pathlib\npathlib.Path('imported').touch()\n"
        "from vaescape.priors.normal import StandardNormal as X\n"
    )
    record: dict[str, Any] = json.loads((run / "run.json").read_text())
    home = record["configuration"]
    *outer, last = place.split(".")
    for name in outer:
        home = home[name]
    home[last] = text
    (run / "run.json").write_text(json.dumps(record))


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch, elsewhere: Path):
    """With the current folder on the path, as ``python -m vaescape`` has it."""
    monkeypatch.syspath_prepend(str(elsewhere))
    yield
    sys.modules.pop("payload", None)


def test_every_command_that_opens_a_run_is_tried():
    opening = {
        command.name or command.callback.__name__.rstrip("_")
        for command in app.registered_commands
        if command.callback
        and {"run", "runs"} & inspect.signature(command.callback).parameters.keys()
    }
    assert opening == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_imports_what_a_run_names(command: str, copied: Path):
    poison(copied, "parts.prior", "payload:X")
    told = tell(command, RUN, *COMMANDS[command])
    assert not Path("imported").exists()
    if command in ("compare", "show"):  # they read what is recorded, and build nothing
        assert told.code == 0
    else:
        assert told.code == 2
        assert "'payload:X'" in told.err
        assert "--trust-code" in told.err
        assert "PYTHONPATH" not in told.err


@pytest.mark.parametrize("place", TEXTS)
def test_no_text_of_a_run_is_imported(place: str, copied: Path):
    poison(copied, place, TEXTS[place])
    with pytest.raises(RunError, match=r"'payload:X'.*trust_code=True"):
        Study.load(copied)
    assert not Path("imported").exists()


def test_a_fitted_prior_is_not_imported_either(copied: Path):
    poison(copied, "parts.prior", "normal")
    record = json.loads((copied / "run.json").read_text())
    record["priors"] = {"X": {"spec": "payload:X", "sha256": "0" * 64}}
    (copied / "run.json").write_text(json.dumps(record))
    told = tell("sample", RUN, "-n", "2", "--prior", "X")
    assert not Path("imported").exists()
    assert (told.code, "'payload:X'" in told.err) == (2, True)


def test_trusted_code_is_imported(copied: Path):
    poison(copied, "parts.prior", "payload:X")
    told = tell("sample", RUN, "-n", "2", "--trust-code")
    assert (told.code, told.err) == (0, "")
    assert Path("imported").exists()


def test_trusted_code_is_imported_in_python(copied: Path):
    poison(copied, "parts.prior", "payload:X")
    assert Study.load(copied, trust_code=True).sample(3).shape == (3, 1, 28, 28)
