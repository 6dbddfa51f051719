"""The explorer's page is in every package, and is built when it is missing or old."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATIC = Path("src/vaescape/explore/static")
BUILT = ("page.html", "pair.html", "ort.wasm.gz", "LICENCES.txt")


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def web(tmp_path) -> Path:
    folder = tmp_path / "web"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.ts").write_text("1")
    (folder / "package.json").write_text("{}")
    return folder


def npm(folder: Path, monkeypatch, script: str) -> None:
    """Put a node and an npm of our own before those of the system."""
    for name, body in (("node", "echo v22.12.0"), ("npm", script)):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def fill(static: Path, when: float) -> None:
    static.mkdir(parents=True, exist_ok=True)
    for name in BUILT:
        (static / name).write_bytes(b"built")
        os.utime(static / name, (when, when))


def test_a_page_is_fresh_while_no_source_is_newer(hook, web, tmp_path):
    static = tmp_path / "static"
    assert not hook.is_fresh(web, static)
    now = (web / "src" / "main.ts").stat().st_mtime
    fill(static, now + 10)
    assert hook.is_fresh(web, static)
    fill(static, now - 10)
    assert not hook.is_fresh(web, static)
    assert hook.is_fresh(tmp_path / "none", static)  # as in an sdist without sources


def test_a_missing_page_is_built_by_npm(hook, web, tmp_path, monkeypatch):
    static, said = tmp_path / "static", tmp_path / "said"
    made = " ".join(str(static / name) for name in BUILT)
    build = f'echo "$@" >> {said}; mkdir -p {static}; touch {made}'
    npm(tmp_path, monkeypatch, build)
    hook.build(web, static)
    hook.build(web, static)  # is fresh by then
    install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    assert said.read_text().split() == [*install, "run", "build"]


def test_a_failed_build_is_told_in_a_sentence(hook, web, tmp_path, monkeypatch):
    npm(tmp_path, monkeypatch, "exit 1")
    with pytest.raises(SystemExit, match="npm ci"):
        hook.build(web, tmp_path / "static")


def test_without_node_the_build_asks_for_one(hook, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not hook.system_node()
    (tmp_path / "node").write_text("#!/bin/sh\necho v18.1.0\n")
    (tmp_path / "npm").write_text("#!/bin/sh\n")
    for name in ("node", "npm"):
        (tmp_path / name).chmod(0o755)
    assert not hook.system_node()


@pytest.mark.slow
def test_sdist_and_wheel_carry_the_page_and_no_sources_of_packages(tmp_path):
    tree = tmp_path / "tree"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout")
    for name in listed.stdout.splitlines():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    fill(tree / STATIC, 4e9)
    (tree / "web" / "node_modules" / "x").mkdir(parents=True)
    (tree / "web" / "node_modules" / "x" / "x.js").write_text("x")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(tree)]
    told = subprocess.run(build, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr + told.stdout
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    inside = zipfile.ZipFile(wheel).namelist()
    assert {f"vaescape/explore/static/{name}" for name in BUILT} <= {*inside}
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert any(name.endswith("explore/static/page.html") for name in names)
    assert any(name.endswith("/hatch_build.py") for name in names)
    assert not [name for name in [*names, *inside] if "node_modules" in name]
