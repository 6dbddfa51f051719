"""Damaged files and killed processes: what is read ends in a value or a sentence, no run is lost.

Each target reads one kind of file. An input is a whole file with a few changes, drawn from a seed:
a bit, a byte, a piece cut out or doubled; in JSON also any value put in the place of another.
"""

import copy
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaescape.errors import VaescapeError

ODD = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        10**30,
        1.5,
        -0.0,
        1e308,
        "",
        "x",
        "\x1b[31m",
        "[/b]",
        "²",
        "=1",
    ),
    *(
        ":X",
        "normal(x={[]:1})",
        "-" * 3000,
        [],
        [[]],
        {},
        {"": 0},
        {"step": "1"},
        "🙂" * 50,
        "1" * 5000,
    ),
]


@dataclass(frozen=True)
class Target:
    """A kind of file and what reads it."""

    whole: bytes
    read: Callable[[Path], object]
    name: str


def mutated(whole: bytes, dice: random.Random) -> bytes:
    """Return a file with a few changes."""
    if dice.random() < 0.6:
        if whole[:1] == b"{":
            *before, last = (
                whole.splitlines() if b'\n{"' in whole or whole[1:2] != b"\n" else [whole]
            )
            text = json.dumps(_changed(json.loads(last), dice)).encode(errors="replace")
            return b"\n".join([*before, text, *[b'{"step": 99}', b""] * dice.randrange(2)])
        if whole[8:9] == b"{":  # safetensors: the size of a header, the header, bytes
            size = int.from_bytes(whole[:8], "little")
            header = json.loads(whole[8 : 8 + size])
            if dice.random() < 0.7:
                inner = _changed(json.loads(header["__metadata__"]["vaescape"]), dice)
                header["__metadata__"]["vaescape"] = json.dumps(inner)
            else:
                header = _changed(header, dice)
            text = json.dumps(header).encode(errors="replace")
            return len(text).to_bytes(8, "little") + text + whole[8 + size :]
    data = bytearray(whole)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        at, size = dice.randrange(len(data) + 1), dice.choice((1, 4, 8, 100))
        how = dice.randrange(5)
        if how == 0 and at < len(data):
            data[at] ^= 1 << dice.randrange(8)
        elif how == 1:
            data[at : at + size] = dice.randbytes(size)
        elif how == 2:
            del data[at : at + size]
        elif how == 3:
            data[at:at] = data[at : at + size]
        else:
            del data[at:]
    return bytes(data)


def _changed(value: Any, dice: random.Random) -> Any:
    """Return JSON with another value somewhere, one missing or one more."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        for key in inner if isinstance(inner, dict) else range(len(inner)):
            places.append((inner, key))
            if isinstance(inner[key], dict | list):
                waiting.append(inner[key])
    if not places:
        return dice.choice(ODD)
    inner, key = dice.choice(places)
    if dice.random() < 0.2:
        del inner[key]
    elif dice.random() < 0.1:
        inner[key] = [inner[key]] * 3
    else:
        inner[key] = copy.deepcopy(dice.choice(ODD))
    return value


def targets(folder: Path) -> dict[str, Target]:
    """Return what is read, with whole files made in a folder from a small run."""
    import numpy as np

    from vaescape import pipeline, schema
    from vaescape.cli import tables
    from vaescape.components import parse
    from vaescape.data.picture import open_picture
    from vaescape.explore.regions import _held
    from vaescape.recipes import Configuration, configuration
    from vaescape.report.svg import safe_svg
    from vaescape.runs import RunFolder, read_json
    from vaescape.train import CheckpointFolder
    from vaescape.train.weights import digest, pack, restore

    options = {"network": "mlp(layers=1, hidden=4)", "limit": 40, "epochs": 1, "batch": 20}
    run, study = pipeline.start(configuration("first-look", threads=1, **options), root=folder)
    pipeline.train(run, study)
    pipeline.measure(run, study, None, bounds=((2, 9),), paths=5)
    record = (run / "run.json").read_bytes()
    whole = {name: (run / name).read_bytes() for name in os.listdir(run.path) if "." in name[1:]}
    (checkpoint,) = list((run / "checkpoints").glob("step-*"))[-1:]

    config = run.configuration | {"data_sha256": study.data.digest()}

    def shown(path: Path) -> None:
        with redirect_stdout(io.StringIO()):
            opened = RunFolder.open(path.parent)
            Configuration.from_dict(opened.configuration)
            tables.print_run(opened)

    def measured(path: Path) -> None:
        old = json.loads(record) | {"format": 1}
        old.pop("metrics_sha256")
        (path.parent / "run.json").write_text(json.dumps(old))
        with redirect_stdout(io.StringIO()):
            tables.print_metrics(RunFolder.open(path.parent).metrics)

    def logged(path: Path) -> None:
        (path.parent / "run.json").write_bytes(record)
        shown(path)

    def resumed(path: Path) -> None:
        content = path.read_bytes()
        named = path.with_name(f"step-0000000001-{digest(content)[:16]}.safetensors")
        path.rename(named)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CheckpointFolder(path.parent, config).load()
        named.unlink()

    def selected(path: Path) -> None:
        places = np.random.default_rng(0).normal(size=(9, 2))
        for region in read_json(path, schema.REGIONS).get("regions", []):
            with suppress(ValueError):  # told as damage by explore.regions
                _held(region["strokes"], places)

    def pictured(path: Path) -> None:
        open_picture(path)

    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (9, 9), (200, 10, 0)).save(stream, "PNG")
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g id="a">'
        b'<path d="M 0 0" style="stroke: #000"/><use href="#a"/></g></svg>'
    )
    stroke = {"outline": [[0, 0], [1, 0], [0.5, 1]], "operation": "add"}
    drawn = {"regions": [{"name": "boots", "map": "latent", "strokes": [stroke]}]}
    network = pack(study.model.state_dict(), {"step": 3})
    found = [
        Target(record, shown, "run.json"),
        Target(whole["metrics.json"], measured, "metrics.json"),
        Target(whole["metrics.jsonl"], logged, "metrics.jsonl"),
        Target(checkpoint.read_bytes(), resumed, "checkpoint"),
        Target(network, lambda p: restore(p.read_bytes(), study.model, p), "weights"),
        Target(json.dumps(drawn).encode(), selected, "regions.json"),
        Target(svg, lambda p: safe_svg(p.read_text(errors="replace"), "x"), "figure.svg"),
        Target(stream.getvalue(), pictured, "picture.png"),
        Target(
            b"conv(channels=[4, 8], hidden=8)",
            lambda p: parse(p.read_text(errors="replace")),
            "component",
        ),
    ]
    return {target.name: target for target in found}


def fuzz(target: Target, folder: Path, seeds: range) -> list[tuple[int, str]]:
    """Return the seeds whose inputs ended in anything but a value or a sentence."""
    bad = []
    place = folder / f"fuzz-{target.name}"
    place.mkdir(exist_ok=True)
    for seed in seeds:
        (place / target.name).write_bytes(mutated(target.whole, random.Random(seed)))
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
    _command(folder, *options, "--name", "whole").wait()
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


def _command(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "vaescape", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def measure(inputs: int, number: int) -> int:
    """Fuzz each target with so many inputs and kill so often; return how many faults were found."""
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        for target in targets(Path(name)).values():
            start = time.perf_counter()
            bad = fuzz(target, Path(name), range(inputs))
            print(f"{target.name}: {inputs:,} inputs, {len(bad)} faults, "
                  f"{time.perf_counter() - start:.0f} s")  # fmt: skip
            for seed, what in bad[:5]:
                print(f"  seed {seed}: {what}")
            faults += len(bad)
        if number:
            counts = kills(Path(name), number)
            print(", ".join(f"{name} {count}" for name, count in counts.items()))
            faults += counts["lost"] + counts["changed"]
    return faults
