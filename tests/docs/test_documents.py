"""What the documents say is true: their Python runs, their links lead somewhere."""

import doctest
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vaescape
from vaescape import components
from vaescape.errors import OptionError
from vaescape.figures import draw, render
from vaescape.testing import laws_of

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


def test_the_readmes_python_runs_as_it_stands(tmp_path, monkeypatch):
    code, whole = blocks(ROOT / "README.md", "python")
    found: dict = {}
    exec(code, found)
    assert found["z"].shape == (512, 2)
    assert found["images"].shape == (8, 1, 28, 28)
    assert found["fresh"].shape == (64, 1, 28, 28)
    assert found["morph"].shape == (11, 1, 28, 28)
    monkeypatch.chdir(tmp_path)
    small = '"first-look", limit=60, batch=20, epochs=0.5, network="mlp(hidden=8)"'
    exec(whole.replace('"paper", latent=8', small), found)
    assert found["nats"] > 0
    assert (tmp_path / "runs" / "first-look" / "report.html").exists()


GUIDE = {
    found[1]: block
    for block in blocks(ROOT / "docs" / "adding.md", "python")
    if (found := re.match(r"# (\w+)\.py\n", block))
}


@pytest.fixture
def guide(tmp_path, monkeypatch) -> Iterator[None]:
    """The examples of the guide as files, importable."""
    for name, block in GUIDE.items():
        (tmp_path / f"{name}.py").write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in GUIDE:
        sys.modules.pop(name, None)


def test_the_guide_has_an_example_of_each_kind():
    assert len(GUIDE) == len(blocks(ROOT / "docs" / "adding.md", "python")) == 10


@pytest.mark.parametrize("name", GUIDE)
def test_an_example_of_the_guide_keeps_the_laws_as_printed(name: str, guide, tmp_path):
    module = importlib.import_module(name)
    made = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, components.Component)
        and value.__module__ == name
    ]
    assert made
    for cls in made:
        if cls.kind in ("optimiser", "schedule"):
            changes: dict[str, Any] = {cls.kind: cls}
            study = vaescape.Study("first-look", limit=40, batch=20, epochs=1, **changes)
            assert study.fit().encode(study.test).isfinite().all()
        elif cls.kind == "figure":
            study = vaescape.Study("first-look", limit=40, batch=20, epochs=1).fit()
            for theme in ("light", "dark"):
                (file,) = render(study, tmp_path, [f"{name}:{cls.__name__}"], theme=theme).values()
                assert file.read_text().count("<path") > 20
            with pytest.raises(OptionError, match="two test images"):
                draw(vaescape.Study("first-look", limit=1), f"{name}:{cls.__name__}")
        else:
            laws_of(cls.kind, cls)


def test_the_laws_of_the_guide_are_called_as_printed(guide):
    (code,) = blocks(ROOT / "docs" / "adding.md", "py")
    exec(code, {})


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_every_command_in_the_readme_exists():
    from vaescape.cli.app import app

    names = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    mentioned = set(re.findall(r"vaescape ([a-z]+)", " ".join(blocks(ROOT / "README.md", "sh"))))
    assert mentioned <= names
    assert mentioned >= {
        "run",
        "sample",
        "interpolate",
        "reconstruct",
        "evaluate",
        "compare",
        "list",
    }


@pytest.mark.parametrize("name", ["vaescape", "vaescape.study", "vaescape.testing"])
def test_docstring_examples_run(name: str):
    failed, attempted = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert attempted
    assert not failed


def test_the_version_is_said_once():
    assert f'version = "{vaescape.__version__}"' in (ROOT / "pyproject.toml").read_text()
