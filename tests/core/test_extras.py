"""What only some people need is an extra, and who lacks it is told how to install it."""

import sys
import tomllib
from pathlib import Path

import pytest

from vaescape import Study
from vaescape.cli import exploring
from vaescape.errors import MissingExtraError
from vaescape.export.onnx import networks
from vaescape.extras import EXTRAS, require_extra

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
MODULES = {"umap-learn": "umap"}


def names(requirements: list[str]) -> set[str]:
    """Return the modules that requirements bring, those of other extras of ours too."""
    found: set[str] = set()
    for requirement in requirements:
        name = requirement.split(">=")[0]
        if name.startswith("vaescape["):
            inner = name.removeprefix("vaescape[").removesuffix("]").split(",")
            found |= set().union(*(names(PROJECT["optional-dependencies"][i]) for i in inner))
        else:
            found.add(MODULES.get(name, name))
    return found


def test_the_core_needs_twelve_packages_at_most():
    assert len(PROJECT["dependencies"]) <= 12


def test_the_extras_are_those_of_the_project():
    for name, modules in EXTRAS.items():
        assert names(PROJECT["optional-dependencies"][name]) == set(modules)


@pytest.mark.parametrize("name", EXTRAS)
def test_a_missing_extra_is_named_with_its_command(monkeypatch, name):
    for module in EXTRAS[name]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as told:
        require_extra(name, "This")
    assert f'pip install "vaescape[{name}]"' in str(told.value)
    assert all(module in str(told.value) for module in EXTRAS[name])


@pytest.fixture(scope="module")
def study() -> Study:
    return Study("first-look", network="mlp(hidden=8)", limit=60)


def test_without_onnx_an_export_says_what_it_needs(monkeypatch, study):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r'pip install "vaescape\[export\]"'):
        networks(study)


def test_without_zuko_a_flow_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(MissingExtraError, match=r'pip install "vaescape\[flows\]"'):
        Study("first-look", network="mlp(hidden=8)", limit=60, prior="flow").model  # noqa: B018


def test_without_a_server_the_live_explorer_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r'pip install "vaescape\[explore\]"'):
        exploring.serve(Path("none"), "127.0.0.1", None, False, None, None)
