"""What one waits for before anything happens, and for a whole run."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.contest import arena, ask
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


def whole(
    *, recipe: str, options: list[str], rounds: int, keras: int, threads: int, out: Path = RESULTS
) -> None:
    """Time ``vaescape run``, all of it, process start included; leave ``whole-run.md``.

    Each recipe has its own row, which stays until it is measured again.

    Args:
        recipe: What is run.
        options: More words of the command.
        rounds: How often.
        keras: Epochs of the study in Keras to train before the runs, timed without its start, for
            a ratio; 0 for none.
        threads: Of each.
        out: Where the results are.
    """
    command = ["run", recipe, *options]
    peer = _keras(keras, threads) if keras else None
    seconds, stages = [], {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as root:
            seconds.append(
                _time([sys.executable, "-m", "vaescape", *command, "--root", root], threads)
            )
            (record,) = Path(root).glob("*/run.json")
            stages = json.loads(record.read_text())["stages"]
            metrics = json.loads((record.parent / "metrics.json").read_text())
    before = out / "whole-run.json"
    found = json.loads(before.read_text()) if before.exists() else {}
    found[" ".join(command)] = {
        "seconds": seconds,
        "stages": stages,
        "negative_elbo": metrics["test"]["negative_elbo"],
        "keras_epoch_seconds": peer,
        "conditions": conditions(threads),
    }
    leave("whole-run", "A whole run", "\n\n".join(map(_told, found.items())), found, out)


def _keras(epochs: int, threads: int) -> list[float]:
    """Return the seconds of so many epochs of the study in Keras."""
    with arena() as folder:
        return ask("keras", folder, threads, "train", images=60_000, parts=epochs)["seconds"]


def _told(item: tuple[str, dict[str, Any]]) -> str:
    command, found = item
    seconds, stages = found["seconds"], found["stages"]
    parts = ", ".join(f"{name} {value:.1f}" for name, value in stages.items())
    middle = statistics.median(seconds)
    text = (
        f"## `vaescape {command}`\n\n{found['conditions']}\nIn a fresh process, from its start to "
        f"its end: **{middle:.1f} s** (median of {len(seconds)}, {spread(seconds, '.1f')}). The "
        f"stages of the last run, in seconds: {parts}. Its negative ELBO on the test images is "
        f"{found['negative_elbo']:.2f} nats."
    )
    if peer := found["keras_epoch_seconds"]:
        epoch = statistics.median(peer)
        text += (
            f"\n\nKeras on TensorFlow, just before: {epoch:.1f} s an epoch of the same model "
            f"(median of {len(peer)}, {spread(peer, '.1f')}), {20 * epoch:.0f} s for 20. The "
            f"whole run over Keras' training alone: **{middle / 20 / epoch:.2f}**."
        )
    return text


def _time(command: list[str], threads: int) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment(threads), capture_output=True, check=True)
    return time.perf_counter() - start
