"""A home with one whole run in it, made once by the installed command."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli_tools import SMALL, Home, vaescape


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Home:
    """A folder with runs/look: trained, with its baseline, evaluated, drawn and reported."""
    path = tmp_path_factory.mktemp("home")
    told = vaescape("run", "first-look", *SMALL, "--baseline", "--name", "look", cwd=path)
    assert told.code == 0, told.err
    return Home(path, told)


@pytest.fixture
def at_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The same, with its folder as the current one."""
    monkeypatch.chdir(home.path)
    return home


@pytest.fixture
def copied(home: Home, elsewhere: Path) -> Path:
    """A copy of the run to change or break, runs/look in the current folder."""
    return Path(shutil.copytree(home.run, elsewhere / "runs" / "look")).relative_to(elsewhere)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
