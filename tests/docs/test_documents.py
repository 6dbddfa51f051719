"""What the documents say is true: their Python runs, their links lead somewhere."""

import doctest
import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import vaescape
from vaescape import components
from vaescape.components import construct

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


def test_the_readmes_python_runs_as_it_stands(tmp_path, monkeypatch):
    code, whole = blocks(ROOT / "README.md", "python")
    found: dict = {}
    exec(code, found)
    assert found["z"].shape == (1024, 2)
    assert found["images"].shape == (8, 1, 28, 28)
    assert found["fresh"].shape == (64, 1, 28, 28)
    assert found["morph"].shape == (11, 1, 28, 28)
    monkeypatch.chdir(tmp_path)
    small = '"first-look", limit=60, batch=20, epochs=0.5, network="mlp(hidden=8)"'
    exec(whole.replace('"paper", latent=8', small), found)
    assert found["nats"] > 0
    assert (tmp_path / "runs" / "first-look" / "report.html").exists()


def test_the_new_prior_of_the_guide_is_one_class_and_keeps_all_laws(monkeypatch):
    from vaescape.batch import Batch
    from vaescape.build import build
    from vaescape.recipes import Parts

    (code,) = blocks(ROOT / "docs" / "adding.md", "python")
    header = (
        "import torch\nfrom torch import Tensor\nfrom torch.distributions import *\n"
        "from vaescape.conditionals import Prior\n"
    )
    known = {"prior": dict(components._registry["prior"])}  # it is not to stay for other tests
    monkeypatch.setattr(components, "_registry", components._registry | known)
    exec(header + code, {})
    prior = construct("prior", "laplace(scale=0.7)", latent_dim=3)
    assert prior().log_prob(torch.zeros(3)).shape == ()
    model, objective = build(Parts(prior="laplace(scale=0.7)", latent=3), shape=(1, 8, 8))
    objective(model, Batch(torch.rand(4, 1, 8, 8)), torch.tensor(0.0)).total.backward()
    (laws,) = blocks(ROOT / "docs" / "adding.md", "py")
    monkeypatch.setitem(sys.modules, "my_module", SimpleNamespace(LaplacePrior=type(prior)))
    exec(laws, {})


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
