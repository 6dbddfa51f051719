"""Where a result comes from: versions, machine, source and command, without naming anyone."""

import os
import platform
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_GIT_SECONDS = 5
_ABSOLUTE_PATH = re.compile(r"""(?:(?<![\w.~:/])|(?<=^-\w))/(?:[^'"=,()]*/)?([^'"=,()/]+)""")


def record() -> dict[str, Any]:
    """Return what a later reader needs to repeat a result; plain JSON values only.

    It holds no host name, no user name and no absolute path. Whatever cannot be found out is None.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(sys.argv),
        "versions": _versions(),
        "machine": _machine(),
        "git": git_state(Path(__file__).parent),
    }


def command(arguments: list[str]) -> str:
    """Return a command line with the bare program name, "~" for home and "…/" for other roots."""
    names = [Path(argument).name for argument in arguments[:1]]
    program = ["vaescape" if name == "__main__.py" else name for name in names]  # of `python -m`
    line = shlex.join(program + [_without_root(argument) for argument in arguments[1:]])
    return line.encode(errors="replace").decode()


def _without_root(argument: str) -> str:
    home = re.escape(os.path.expanduser("~"))
    return _ABSOLUTE_PATH.sub(r"…/\1", re.sub(rf"{home}(?=[/\\'\"]|$)", "~", argument))


def git_state(package: Path) -> dict[str, Any] | None:
    """Return the commit of the checkout ``root/src/package`` and whether the package differs.

    None if the package does not lie in a checkout of its own, or git is missing, slow or refuses.
    """
    root = package.parents[1]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--", package))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str | Path) -> str:
    # Inside a git hook, GIT_DIR and its like point to somebody else's repository.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", root, *arguments],
        env=clean | {"GIT_OPTIONAL_LOCKS": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_GIT_SECONDS,
        check=True,
        text=True,
        errors="replace",
    ).stdout


def _versions() -> dict[str, str]:
    return {
        "vaescape": version("vaescape"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
    }


def _machine() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_gib": _memory_gib(),
        "cuda": _cuda(),
    }


def _cpu() -> str:
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(errors="replace")
        if model := re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE):
            return model[1].strip()
    return platform.processor() or platform.machine()


def _cores() -> int | None:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (OSError, ValueError):
        return None


def _cuda() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
