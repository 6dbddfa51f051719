"""A page in small and a trained run, without the front end's build."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from explore_studies import BUILT

from vaescape.explore import live, page
from vaescape.pipeline import start, train
from vaescape.recipes import configuration
from vaescape.study import Study


@pytest.fixture
def built(monkeypatch) -> str:
    """Stands for the front end."""
    for module in (page, live):
        monkeypatch.setattr(module, "template", lambda: BUILT)
        monkeypatch.setattr(module, "runtime", dict)
    return BUILT


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A run folder: trained, not evaluated."""
    parts = {"network": "conv(channels=[4, 8], hidden=8)", "limit": 100, "batch": 50, "epochs": 2}
    folder, study = start(
        configuration("first-look", threads=1, **parts), root=tmp_path_factory.mktemp("runs")
    )
    train(folder, study)
    return folder.path


@pytest.fixture(scope="session")
def study(run) -> Study:
    """What it trained."""
    return Study.load(run)
