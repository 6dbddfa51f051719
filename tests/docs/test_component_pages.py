"""The pages of components are those of the docstrings, and what they show works."""

import inspect
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

import vaescape.data  # noqa: F401 — registers the data sets
from vaescape.batch import Batch
from vaescape.catalogue import KINDS, command, entry, model_with, pictures, tiny
from vaescape.components import known
from vaescape.errors import ComponentError
from vaescape.recipes import Parts, configuration

sys.path.insert(0, str(Path(__file__).parents[2]))

from scripts.components import PAGES, page

MEMBERS = [(kind, name) for kind in KINDS for name in known(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_up_to_date(kind: str):
    found = (PAGES / f"{KINDS[kind]}.md").read_text()
    assert found == page(kind), "Make it again: python scripts/components.py"
    assert [line[3:] for line in found.splitlines() if line.startswith("## ")] == [*known(kind)]


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_every_component_names_its_source_and_tells_its_arguments(kind: str, name: str):
    told = entry(kind, name)
    assert re.search(r"\b(1[789]|20)\d\d\b", told.summary + told.details), "Which paper?"
    for argument in told.arguments:
        assert len(argument.meaning) > 1, argument.name
        assert not argument.required, argument.name


@pytest.mark.parametrize("kind", ["posterior", "prior", "likelihood", "objective"])
def test_every_part_of_the_bound_gives_its_formula(kind: str):
    for name in known(kind):
        told = entry(kind, name)
        assert re.search(r"[=∝−·∏Σ]", told.summary + told.details), name


def changes_of(line: str) -> dict:
    """What a command changes of the recipe, as the command line reads it."""
    words = shlex.split(line)
    assert words[:2] == ["vaescape", "run"]
    found, rest = {}, words[2:]
    while rest:
        flag = rest.pop(0).removeprefix("--")
        found[flag] = True if flag == "conditional" else rest.pop(0)
    return found


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_the_example_makes_a_model_that_has_it(kind: str, name: str):
    from vaescape.cli.running import run

    line = entry(kind, name).command
    assert line is not None
    changes = changes_of(line)
    assert set(changes) <= set(inspect.signature(run).parameters)
    parts = configuration("paper", **changes).parts
    assert getattr(parts, kind).partition("(")[0] == name
    model, objective = tiny(parts)
    batch = Batch(pictures(parts)[:4] / 255, torch.tensor([0, 1, 2, 0]))
    assert objective(model, batch, torch.tensor(0.5)).total.isfinite()


def test_what_a_part_needs_beside_it_is_in_its_example():
    assert entry("prior", "normal").command == "vaescape run"
    assert entry("posterior", "vq").command == (
        "vaescape run --posterior 'vq(codes=512)' --prior uniform-codes"
    )
    assert entry("posterior", "point").command == (
        "vaescape run --posterior point --objective 'elbo(beta=0)'"
    )
    assert "--model m2 " in str(entry("objective", "m2").command)
    assert str(entry("objective", "m2").command).endswith("--conditional")
    assert str(entry("likelihood", "bernoulli").command).endswith("--binarise dynamic")
    assert entry("data", "npz").command is None
    assert entry("optimiser", "adam").command == "vaescape run --optimiser 'adam(beta1=0.9)'"


def test_what_goes_with_nothing_says_why():
    with pytest.raises(ComponentError, match="components must be 1 or more"):
        model_with(prior="vamp(components=0)")
    with pytest.raises(ComponentError, match="no prior named 'vmap'. Did you mean 'vamp'"):
        entry("prior", "vmap")


def test_facts_of_the_run_are_not_arguments():
    assert [a.name for a in entry("prior", "vamp").arguments] == [
        "components",
        "from_data",
        "noise",
    ]
    assert entry("prior", "vamp").arguments[0].default == 500
    assert command(Parts()) == "vaescape run"
