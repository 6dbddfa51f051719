"""Results as text that says how to get them again: ``docs/results/<name>.md`` and ``.json``."""

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def spread(values: Sequence[float], form: str = ".3g") -> str:
    """Return the least and the most of several measurements."""
    return f"{min(values):{form}}–{max(values):{form}}"


class Goal(NamedTuple):
    """What is measured, its unit, and what was asked for."""

    title: str
    unit: str
    asked: float
    more: bool = False
    """Whether more is better."""

    @property
    def wanted(self) -> str:
        """What was asked for, in words."""
        return f"{'≥' if self.more else '≤'} {self.asked:g} {self.unit}"


def summary(goals: dict[str, Goal], values: dict[str, list[float]]) -> str:
    """Return the table of what was measured beside what was asked for."""
    rows = []
    for key, goal in goals.items():
        middle = statistics.median(values[key])
        met = middle >= goal.asked if goal.more else middle <= goal.asked
        told = f"{middle:.3g} {goal.unit}", spread(values[key]), goal.wanted
        rows.append([goal.title, *told, "yes" if met else "no"])
    return table(["what", "median", "spread", "asked for", "met"], rows)


def conditions(threads: int, versions: dict[str, str] | None = None) -> str:
    """Return when, where, with what and by which command something was measured."""
    own = {"Python": platform.python_version(), "PyTorch": torch.__version__} | (versions or {})
    return (
        f"{date.today()}, commit {commit()}. {processor()}, {threads} thread{'s' * (threads > 1)}, "
        f"{flags()}, no GPU. "
        + ", ".join(f"{name} {version}" for name, version in own.items())
        + f".\n\n    {command()}\n"
    )


def command() -> str:
    """Return the command that is measuring."""
    return f"python -m benchmarks {' '.join(sys.argv[1:])}"


def commit() -> str:
    """Return the commit that is measured, and whether anything differs from it."""
    changed = " with changes" if _output("git", "-C", str(ROOT), "status", "--porcelain") else ""
    return _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") + changed


def processor() -> str:
    """Return the processor's name, as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0]} ({len(named)} cores)" if named else platform.machine()


INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""What of a processor's flags decides how fast networks are."""


def instructions() -> list[str]:
    """Return which of ``INSTRUCTIONS`` the processor has, as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    listed = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return [name for name in INSTRUCTIONS if name in listed.partition(":")[2].split()]


def flags() -> str:
    """Return what PyTorch uses of the processor, and what it has."""
    has = " ".join(instructions()) or "unknown"
    return f"PyTorch uses {torch.backends.cpu.get_cpu_capability()} (flags: {has})"


def leave(name: str, title: str, text: str, numbers: Any, out: Path = RESULTS) -> None:
    """Print a page and write it, with the numbers behind it as JSON."""
    page = f"# {title}\n\n{text.rstrip()}\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.md").write_text(page)
    (out / f"{name}.json").write_text(json.dumps(numbers, indent=1) + "\n")
    print(page)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
