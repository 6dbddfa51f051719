"""requirements.lock: all that `make setup` installs besides PyTorch, each file by its SHA-256."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "requirements.lock").read_text()
PYTORCH = re.compile(r"torch|triton|nvidia-.*|cuda-.*")
"""Taken from PyTorch's own index, by the machine's kind: see the Makefile."""


def locked() -> dict[str, list[Requirement]]:
    """Return what the lock pins, by name."""
    found: dict[str, list[Requirement]] = {}
    for line in TEXT.replace("\\\n", " ").splitlines():
        pin = Requirement(line.split("--hash", 1)[0].strip())
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", line), line
        found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


PINS = locked()


def version(pin: Requirement) -> Version:
    """Return the one version that a pin allows."""
    (one,) = pin.specifier
    assert one.operator == "=="
    return Version(one.version)


def needed(extras: tuple[str, ...]) -> list[Requirement]:
    """Return what pyproject.toml asks for, extras of extras too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [*project["dependencies"]]
    for extra in extras:
        waiting += project["optional-dependencies"][extra]
    found = []
    for text in waiting:
        asked = Requirement(text)
        found += needed_of(project, asked) if asked.name == "vaescape" else [asked]
    return found


def needed_of(project: dict, asked: Requirement) -> list[Requirement]:
    found = []
    for extra in asked.extras:
        for text in project["optional-dependencies"][extra]:
            inner = Requirement(text)
            found += needed_of(project, inner) if inner.name == "vaescape" else [inner]
    return found


def test_lock_and_project_agree():
    for asked in needed(("all", "dev")):
        if PYTORCH.fullmatch(asked.name):
            continue
        for pin in PINS[canonicalize_name(asked.name)]:
            assert asked.specifier.contains(version(pin)), (str(asked), str(pin))


def test_lock_and_constraints_agree():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            given = Requirement(line)
            for pin in PINS.get(canonicalize_name(given.name), []):
                assert given.specifier.contains(version(pin)), (line, str(pin))


def test_what_the_locked_need_is_locked():
    for name, pins in PINS.items():
        if not any(pin.marker is None or pin.marker.evaluate() for pin in pins):
            continue
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        for text in requires:
            asked = Requirement(text)
            if asked.marker is None or asked.marker.evaluate({"extra": ""}):
                inner = canonicalize_name(asked.name)
                assert inner in PINS or PYTORCH.fullmatch(inner), f"{name} needs {text}"


def test_pytorch_is_taken_from_its_index_and_no_address_is_named():
    assert not [name for name in PINS if PYTORCH.fullmatch(name)]
    assert "://" not in TEXT
    assert "--index-url" not in TEXT


def test_the_set_up_installs_the_lock_with_its_hashes():
    recipe = (ROOT / "Makefile").read_text()
    assert "--no-deps --require-hashes -r requirements.lock" in recipe


@pytest.mark.parametrize("name", ["numpy", "jinja2", "markupsafe", "urllib3"])
def test_direct_and_indirect_needs_are_there(name):
    assert name in PINS
