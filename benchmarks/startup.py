"""What one waits for before anything happens, and for a whole run."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environments import VENVS, environment, python
from benchmarks.page import RESULTS, conditions, leave, spread, table


def measure(*, rounds: int, threads: int, out: Path = RESULTS) -> None:
    """Time imports and ``--help`` in fresh processes, in turn; leave ``startup.md``."""
    ours = sys.executable
    commands = {
        "`python -c pass`": [ours, "-c", "pass"],
        "`import vaescape`": [ours, "-c", "import vaescape"],
        "`vaescape --help`": [ours, "-m", "vaescape", "--help"],
        "`vaescape list recipe`": [ours, "-m", "vaescape", "list", "recipe"],
        "`from vaescape import Study`": [ours, "-c", "from vaescape import Study"],
        "`import torch`": [ours, "-c", "import torch"],
    }
    if (VENVS / "keras" / "ready").exists():
        commands["`import keras` (TensorFlow)"] = [python("keras"), "-c", "import keras"]
    if (VENVS / "pythae" / "ready").exists():
        commands["`import pythae.models`"] = [python("pythae"), "-c", "import pythae.models"]
    seconds = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            seconds[name].append(_time(command, threads))
    rows = [
        [name, f"{statistics.median(found[1:]):.2f}", spread(found[1:], ".2f")]
        for name, found in seconds.items()
    ]
    text = (
        f"{conditions(threads)}\nA fresh process each, {rounds} rounds in turn after one "
        "untimed.\n\n" + table(["what", "s, median", "spread"], rows)
    )
    leave("startup", "Start-up", text, seconds, out)


def whole(*, recipe: str, rounds: int, threads: int, out: Path = RESULTS) -> None:
    """Time ``vaescape run``, all of it, process start included; leave ``whole-run.md``."""
    seconds = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as root:
            command = [sys.executable, "-m", "vaescape", "run", recipe, "--root", root]
            seconds.append(_time(command, threads))
    text = (
        f"{conditions(threads)}\n`vaescape run {recipe}` in a fresh process: start, training, "
        "baseline, evaluation, figures, report, explorer. "
        f"Median {statistics.median(seconds):.1f} s ({spread(seconds, '.1f')}) of {rounds} runs."
    )
    leave("whole-run", "A whole run", text, seconds, out)


def _time(command: list[str], threads: int) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment(threads), capture_output=True, check=True)
    return time.perf_counter() - start
