"""Provenance: enough to repeat a result, nothing that names a person or a machine."""

import getpass
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from vaescape import provenance
from vaescape.provenance import command, git_state, record

with_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_the_record_is_json_with_every_field():
    got = record()
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert set(got) == {"date", "command", "versions", "machine", "git"}
    assert set(got["versions"]) == {"vaescape", "python", "torch", "numpy"}
    assert all(got["versions"].values())
    assert set(got["machine"]) == {"platform", "cpu", "cores", "memory_gib", "cuda"}
    assert 1 <= got["machine"]["cores"] <= (os.cpu_count() or 1)
    assert got["machine"]["cpu"]
    assert datetime.fromisoformat(got["date"]).utcoffset() == timedelta(0)


def test_the_record_names_no_one(monkeypatch):
    home = os.path.expanduser("~")
    monkeypatch.setattr(sys, "argv", [f"{home}/bin/vaescape", "run", "--data-dir", f"{home}/data"])
    text = json.dumps(record(), ensure_ascii=False)
    assert platform.node() not in text
    assert home not in text
    if getpass.getuser() != "root":
        assert getpass.getuser() not in text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["/opt/venv/bin/vaescape", "run", "paper"], "vaescape run paper"),
        (["/opt/venv/lib/vaescape/__main__.py", "run", "paper"], "vaescape run paper"),
        (["vaescape", "--out", "runs/paper/x.png"], "vaescape --out runs/paper/x.png"),
        (["vaescape", "--data-dir", "/home/ada/data/f"], "vaescape --data-dir '~/data/f'"),
        (["vaescape", "--data-dir=/home/ada"], "vaescape '--data-dir=~'"),
        (["vaescape", "-o/home/ada/x"], "vaescape '-o~/x'"),
        (["vaescape", "/home/adams/x"], "vaescape '…/x'"),
        (["vaescape", "/scratch/ada lovelace/f m"], "vaescape '…/f m'"),
        (["vaescape", "-o/scratch/ada/x"], "vaescape '-o…/x'"),
        (
            ["vaescape", "folder('/mnt/ada/x', size=28)"],
            """vaescape 'folder('"'"'…/x'"'"', size=28)'""",
        ),
        (["vaescape", "../data", "./x", "~/y"], "vaescape ../data ./x '~/y'"),
        (["vaescape", "elbo(beta=4)"], "vaescape 'elbo(beta=4)'"),
        (["vaescape", "\udcff"], "vaescape '?'"),
        ([], ""),
    ],
)
def test_commands_show_no_absolute_path(monkeypatch, arguments, line):
    monkeypatch.setenv("HOME", "/home/ada")
    assert command(arguments) == line


@pytest.fixture
def checkout(tmp_path) -> Path:
    package = tmp_path / "src" / "vaescape"
    package.mkdir(parents=True)
    (package / "loss.py").write_text("beta = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    return package


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", root, *identity, *arguments], capture_output=True, text=True, check=True
    ).stdout


@with_git
def test_a_checkout_gives_commit_and_dirt(checkout):
    head = git(checkout, "rev-parse", "HEAD").strip()
    assert git_state(checkout) == {"commit": head, "dirty": False}
    (checkout.parents[1] / "runs").mkdir()
    (checkout.parents[1] / "runs" / "x").write_text("not the source")
    assert git_state(checkout) == {"commit": head, "dirty": False}
    (checkout / "prior.py").write_text("a new component\n")
    assert git_state(checkout) == {"commit": head, "dirty": True}


@with_git
def test_another_repository_around_an_installation_is_not_ours(checkout):
    installed = checkout / "site-packages" / "vaescape"
    installed.mkdir(parents=True)
    assert git_state(installed) is None


@with_git
def test_inside_a_git_hook_the_checkout_is_still_its_own(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert git_state(checkout) is not None


@with_git
def test_a_checkout_without_commits_is_none(tmp_path):
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path / "src" / "vaescape") is None


def test_without_git_it_is_none(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path / "src" / "vaescape") is None


def test_a_git_that_hangs_is_given_up(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(provenance, "_GIT_SECONDS", 0.2)
    start = time.monotonic()
    assert git_state(tmp_path / "src" / "vaescape") is None
    assert time.monotonic() - start < 5
