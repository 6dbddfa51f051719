"""Damaged files and killed processes: what is read ends in a value or a sentence, no run is lost.

An input is a whole file, or a request of the live page, with a few changes (``damage``); each
target reads one kind.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.fault_targets import Target, targets
from vaescape.errors import VaescapeError


def fuzz(target: Target, folder: Path, seeds: range) -> list[tuple[int, str]]:
    """Return the seeds whose inputs ended in anything but a value or a sentence."""
    bad = []
    place = folder / f"fuzz-{target.name}"
    place.mkdir(exist_ok=True)
    for seed in seeds:
        (place / target.name).write_bytes(target.change(target.whole, random.Random(seed)))
        try:
            target.read(place / target.name)
        except VaescapeError:
            pass
        except Exception as error:
            bad.append((seed, f"{type(error).__name__}: {error}"[:200]))
    return bad


KILLED = ("--limit", "128", "--batch", "32", "--epochs", "40", "--threads", "1")


def kills(folder: Path, number: int, seed: int = 0) -> dict[str, int]:
    """Kill and resume trainings until so many were killed; count what was lost or differs."""
    from vaescape.runs import RunFolder

    dice, counts = random.Random(seed), {"kills": 0, "finished": 0, "lost": 0, "changed": 0}
    options = ("train", "first-look", "--network", "mlp(layers=1, hidden=4)", *KILLED)
    _finish(_command(folder, *options, "--name", "whole"))
    weights = (folder / "runs" / "whole" / "weights.safetensors").read_bytes()
    fresh = True
    while counts["kills"] < number:
        more = ("--name", "x", "--overwrite", "--checkpoint-seconds", "0")
        process = _command(folder, *(*options, *more) if fresh else ("resume", "runs/x"))
        run = folder / "runs" / "x" / "run.json"
        before = run.stat().st_mtime_ns if run.exists() else 0
        while process.poll() is None and (not run.exists() or run.stat().st_mtime_ns == before):
            time.sleep(0.002)
            if not fresh:
                break
        try:
            process.wait(dice.expovariate(1 / (0.3 if fresh else 2.5)))
        except subprocess.TimeoutExpired:
            process.send_signal(dice.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
            process.wait()
            counts["kills"] += 1
        try:
            done = RunFolder.open(folder / "runs" / "x").status == "finished"
        except VaescapeError:
            counts["lost"] += 1
            done = True
        if done and run.exists():
            counts["finished"] += 1
            found = (folder / "runs" / "x" / "weights.safetensors").read_bytes()
            counts["changed"] += found != weights
        fresh = done
    return counts


def rank_kills(folder: Path, number: int, seed: int = 0) -> dict[str, int]:
    """Kill any of two processes of torchrun at any moment; count the runs whose weights differ.

    Every other kill waits for the next checkpoint, so that it comes while they train.
    """
    from vaescape.runs import RunFolder
    from vaescape.train.checkpoint import newest

    dice = random.Random(seed)
    counts = {"kills": 0, "launches": 0, "finished": 0, "changed": 0}
    options = ("train", "first-look", "--network", "mlp(layers=1, hidden=4)", *KILLED)
    options = (
        *options,
        "--epochs",
        "150",
        "--shards",
        "4",
        "--checkpoint-seconds",
        "0.1",
        "--name",
    )
    _finish(_command(folder, *options, "one"))
    whole = RunFolder.open(folder / "runs" / "one", finished=True).record["weights_sha256"]
    ranks = ("--standalone", "--nproc-per-node", "2", "--max-restarts", str(number))
    while counts["kills"] < number:
        torchrun = ("-m", "torch.distributed.run", *ranks)
        process = _command(folder, *options, "two", "--overwrite", launcher=torchrun)
        counts["launches"] += 1
        while process.poll() is None:
            step = newest(folder / "runs" / "two" / "checkpoints")
            if dice.random() < 0.5:
                while process.poll() is None and newest(folder / "runs/two/checkpoints") == step:
                    time.sleep(0.01)
            time.sleep(dice.expovariate(1))
            alive = _children(process.pid)
            if alive and counts["kills"] < number:
                with suppress(ProcessLookupError):
                    os.kill(dice.choice(alive), signal.SIGKILL)
                    counts["kills"] += 1
        if process.returncode == 0:
            counts["finished"] += 1
            run = RunFolder.open(folder / "runs" / "two", finished=True)
            counts["changed"] += run.record["weights_sha256"] != whole
    return counts


def _children(process: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process)], stdout=subprocess.PIPE, check=False)
    return [int(line) for line in found.stdout.split()]


def _command(
    folder: Path, *arguments: str, launcher: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "vaescape", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a training that others are compared with."""
    if process.wait():
        raise RuntimeError(
            f"Expected a finished training. It ended with code {process.returncode}."
        )


def measure(inputs: int, number: int, ranks: int) -> int:
    """Fuzz each target with so many inputs and kill so often; return how many faults were found.

    Args:
        inputs: Of each target.
        number: Kills of single processes.
        ranks: Kills of processes of torchrun.
    """
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        for target in targets(Path(name)).values():
            start = time.perf_counter()
            bad = fuzz(target, Path(name), range(inputs))
            print(f"{target.name}: {inputs:,} inputs, {len(bad)} faults, "
                  f"{time.perf_counter() - start:.0f} s", flush=True)  # fmt: skip
            for seed, what in bad[:5]:
                print(f"  seed {seed}: {what}")
            faults += len(bad)
        if number:
            counts = kills(Path(name), number)
            print(", ".join(f"{name} {count}" for name, count in counts.items()), flush=True)
            faults += counts["lost"] + counts["changed"]
        if ranks:
            counts = rank_kills(Path(name), ranks)
            print(
                "torchrun: " + ", ".join(f"{name} {count}" for name, count in counts.items()),
                flush=True,
            )
            faults += counts["launches"] - counts["finished"] + counts["changed"]
    return faults
