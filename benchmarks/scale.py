"""Beyond one machine: several processes, packed sets, codes of whole sets, ten million on a map."""

import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import growth
from benchmarks.environments import environment
from benchmarks.explorer import (
    HEIGHT,
    WATCH,
    WIDTH,
    browser_of,
    frames,
    rate,
    tell,
    until_ready,
)
from benchmarks.page import RESULTS, Goal, conditions, leave, summary, table

BATCH, IMAGES = 128, 60_000
CODES, SHARD, CLASSES = 10_000_000, 50_000, 10
DRAGS = 8
"""Across the map, at each of two scales."""

GOALS = {
    "two": Goal(
        "W = 2 processes against W = 1, one thread each, S = 2 shards", "×", 1.8, more=True
    ),
    "eight": Goal("time of a step with S = 8 shards against S = 1, one process", "×", 1.15),
    "packed": Goal("training on a packed set against one in memory", "×", 0.95, more=True),
    "encode": Goal("`vaescape encode` against `Study.encode`", "×", 0.9, more=True),
    "open": Goal(
        "codes opened, page made and drawn in the browser; the pyramid was there", "s", 3.0
    ),
    "pan": Goal("frames a second while dragging, tiles arriving", "1/s", 30, more=True),
    "tab": Goal("memory of the tab, after all of it", "MB", 600),
}
MORE = {
    "one_rate": ("W = 1, S = 2", "images/s"),
    "two_rate": ("W = 2, S = 2", "images/s"),
    "plain_rate": ("W = 1, S = 1, in memory", "images/s"),
    "eight_rate": ("W = 1, S = 8", "images/s"),
    "packed_rate": ("W = 1, S = 1, packed", "images/s"),
    "study_rate": ("`Study.encode`", "images/s"),
    "encode_rate": ("`vaescape encode`", "images/s"),
    "pyramid": ("the pyramid is built, once", "s"),
    "pyramid_memory": ("peak memory of the process that builds it", "MB"),
    "pyramid_size": ("the pyramid", "MB"),
    "launch": ("the whole command until it says its address, imports too", "s"),
    "server_memory": ("memory of the server that is no file, after all of it", "MB"),
    "region": ("a lasso of a tenth of the codes is counted", "s"),
    "find": ("an image is found by its id", "s"),
}


def measure(*, rounds: int, steps: int, codes: int, threads: int, out: Path = RESULTS) -> None:
    """Measure all of it, and leave ``scale.md``.

    Args:
        rounds: Times that each training, encoding and opening is measured, in turn.
        steps: Of each training.
        codes: On the map.
        threads: Of encoding and of the server; training has one for each process.
        out: Where to.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        values = _training(root, rounds, steps) | _encoding(root, rounds, threads)
        found, version = _map(root, rounds, codes, threads)
        values |= found
    text = (
        f"{conditions(threads, {'Chromium': version})}\n"
        f"Training: recipe `paper` on {IMAGES:,} images of 28 × 28, batch {BATCH}, float32, "
        f"{steps} steps after 10 of warm-up, one thread for each process, {rounds} times in turn. "
        f"Encoding: {IMAGES:,} images, {threads} threads. The map: {codes:,} synthetic codes of "
        f"{CLASSES} classes in two dimensions, Chromium without a GPU. All numbers are medians.\n\n"
        f"{summary(GOALS, values)}\n\n{details(values)}"
    )
    leave("scale", "Beyond one machine", text, values, out)


def details(values: dict[str, list[float]]) -> str:
    """Return the table of what stands behind it."""
    rows = [
        [title, f"{_said(statistics.median(values[key]))} {unit}",
         f"{_said(min(values[key]))}–{_said(max(values[key]))}"]
        for key, (title, unit) in MORE.items()
    ]  # fmt: skip
    return table(["what", "median", "spread"], rows)


def _said(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratios(above: list[float], below: list[float]) -> list[float]:
    """Return the ratio of each round."""
    return [a / b for a, b in zip(above, below, strict=True)]


# Training and encoding ---------------------------------------------------------------------------


def _training(root: Path, rounds: int, steps: int) -> dict[str, list[float]]:
    from vaescape.data import opened
    from vaescape.data.packing import pack

    arrays = root / "set.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28), np.uint8)
    np.savez(arrays, images=pixels, labels=np.zeros(IMAGES, np.uint8))
    pack(opened(f"npz(path={str(arrays)!r})"), root / "packed", source=str(arrays))
    measured = partial(_rate, steps=steps)
    kinds: dict[str, Callable[[], float]] = {
        "one_rate": lambda: measured(1, shards=2),
        "two_rate": lambda: measured(2, shards=2),
        "plain_rate": lambda: measured(1, shards=1),
        "eight_rate": lambda: measured(1, shards=8),
        "packed_rate": lambda: measured(1, shards=1, packed=str(root / "packed")),
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, run in kinds.items():
            found[kind].append(run())
            tell(f"{MORE[kind][0]}: {found[kind][-1]:,.0f} images/s")
    return found | {
        "two": _ratios(found["two_rate"], found["one_rate"]),
        "eight": _ratios(found["plain_rate"], found["eight_rate"]),
        "packed": _ratios(found["packed_rate"], found["plain_rate"]),
    }


def _rate(processes: int, **sizes: Any) -> float:
    """Return the images per second of a training in so many processes of one thread."""
    request = json.dumps(growth.START | {"images": IMAGES, "batch": BATCH, "threads": 1} | sizes)
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launch if processes > 1 else []), "-m", "benchmarks.growth"]
    done = subprocess.run(
        [*command, request], env=environment(1), capture_output=True, text=True, check=True
    )
    first = done.stdout[done.stdout.index("{") :]  # several processes may write into one line
    return json.JSONDecoder().raw_decode(first)[0]["rate"]


def _encoding(root: Path, rounds: int, threads: int) -> dict[str, list[float]]:
    """Return the images per second of both ways, in one process; the run is left in the folder."""
    import torch

    from vaescape import Study
    from vaescape.encoding import encode

    torch.set_num_threads(threads)
    data = f"npz(path={str(root / 'set.npz')!r})"
    study = Study("paper", data=data, limit=1024, epochs=1, threads=threads).fit()
    study.save(root / "run")
    images = [study.data.load(split) for split in ("train", "test")]
    count = sum(map(len, images))
    found: dict[str, list[float]] = {"study_rate": [], "encode_rate": []}
    for n in range(rounds):
        start = time.perf_counter()
        for part in images:
            study.encode(part)
        found["study_rate"].append(count / (time.perf_counter() - start))
        start = time.perf_counter()
        encode(study, study.data, root / f"codes-{n}")
        found["encode_rate"].append(count / (time.perf_counter() - start))
        tell(", ".join(f"{MORE[kind][0]}: {found[kind][-1]:,.0f} images/s" for kind in found))
    return found | {"encode": _ratios(found["encode_rate"], found["study_rate"])}


# The map -----------------------------------------------------------------------------------------


def write_codes(folder: Path, run: Path, count: int) -> Path:
    """Write synthetic codes of a run of two dimensions, as `vaescape encode` would."""
    from vaescape.codes import FORMAT, MANIFEST
    from vaescape.files import write_json
    from vaescape.runs import RunFolder

    folder.mkdir()
    starts = range(0, count, SHARD)
    sizes = [min(SHARD, count - start) for start in starts]
    names = [f"train-{n:05d}.npz" for n in range(len(starts))]
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write_shard, [folder / name for name in names], starts, sizes))
    told = {
        "format": FORMAT, "run": run.name, "data_sha256": "", "title": "Synthetic codes",
        "weights_sha256": RunFolder.open(run).record["weights_sha256"], "latent": 2,
        "classes": [f"class {n}" for n in range(CLASSES)], "splits": {"train": count},
        "files": dict(zip(names, sizes, strict=True)),
    }  # fmt: skip
    write_json(folder / MANIFEST, told)
    return folder


def _write_shard(path: Path, start: int, size: int) -> None:
    """Write codes about ten places, each class wide in a direction of its own."""
    rng = np.random.default_rng(start)
    label = rng.integers(0, CLASSES, size)
    turn = 2 * np.pi * label / CLASSES
    way = np.stack([np.cos(turn), np.sin(turn)], 1)
    z = 1.6 * way + rng.normal(0, 0.25, (size, 2)) + way * rng.normal(0, 0.4, (size, 1))
    ids = np.array([f"photos/{n:08d}.png" for n in range(start, start + size)])
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, id=ids, label=label, z=z.astype(np.float32),
        log_var=rng.normal(-4, 0.1, (size, 2)).astype(np.float32),
    )  # fmt: skip
    path.write_bytes(buffer.getvalue())


def _map(root: Path, rounds: int, count: int, threads: int) -> tuple[dict[str, list[float]], str]:
    from playwright.sync_api import sync_playwright

    tell(f"writing {count:,} codes")
    codes = write_codes(root / "ten-million", root / "run", count)
    found: dict[str, list[float]] = {}
    request = json.dumps({"run": str(root / "run"), "codes": str(codes)})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", request], env=environment(threads),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found |= {name: [value] for name, value in json.loads(done.stdout).items()}
    tell(f"pyramid built in {found['pyramid'][0]:.1f} s")
    version = ""
    with sync_playwright() as playwright:
        for n in range(rounds):
            with browser_of(playwright) as browser, served(root / "run", codes, threads) as server:
                version = browser.version
                for name, value in visit(browser, *server).items():
                    found.setdefault(name, []).append(value)
            told = {key: found[key][-1] for key in GOALS if key in found}
            tell(f"visit {n + 1}: " + ", ".join(f"{key} {v:.3g}" for key, v in told.items()))
    return found, version


def build(run: str, codes: str) -> dict[str, float]:
    """Return the seconds, the peak memory and the size of a pyramid, in MB."""
    import resource

    from vaescape.codes import Codes
    from vaescape.explore.live import open_run
    from vaescape.explore.pyramid import FILE, pyramid

    study = open_run(Path(run))
    start = time.perf_counter()
    pyramid(Codes.open(Path(codes)), study)
    return {
        "pyramid": time.perf_counter() - start,
        "pyramid_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "pyramid_size": (Path(codes) / FILE).stat().st_size / 1e6,
    }


COMMAND = """
import sys
from pathlib import Path
from vaescape.cli import exploring
print("imported", flush=True)
run, codes = map(Path, sys.argv[1:])
exploring.serve(run, "127.0.0.1", None, False, None, None, codes)
"""
"""What `vaescape explore RUN --codes CODES --no-browser` does; says when it begins."""


@contextmanager
def served(run: Path, codes: Path, threads: int) -> Iterator[tuple[str, float, float, int]]:
    """Serve codes.

    Yields:
        The address, seconds from the start of the process until it was said, those of them after
        the imports, and the process.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(run), str(codes)], env=environment(threads), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        running.stdout.readline()
        imported = time.perf_counter()
        address = running.stdout.readline().strip()
        ready = time.perf_counter()
        try:
            yield address, ready - start, ready - imported, running.pid
        finally:
            running.terminate()


def visit(
    browser: Any, address: str, launch: float, opened: float, process: int
) -> dict[str, float]:
    """Return what one opening of the page measures."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(address)
    until_ready(page)
    drawn = page.evaluate("seen.points / 1000")
    page.wait_for_timeout(3000)  # the rest is opened and the background decoded
    intervals: list[float] = []
    for _ in range(2):
        intervals += frames(page, lambda: _drag(page))
        for _ in range(3):  # eight times as large
            page.mouse.wheel(0, -500)
            page.wait_for_timeout(700)
    found = {
        "open": opened + drawn,
        "launch": launch,
        "pan": rate(intervals),
        "region": page.evaluate(REGION) / 1000,
        "find": page.evaluate(FIND.format(name="photos/00012345.png")) / 1000,
        "tab": _memory(context),
        "server_memory": _private(process),
    }
    context.close()
    return found


REGION = """
(async () => {
    const outline = [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]
    const body = JSON.stringify({ strokes: [{ operation: 'replace', outline }], shown: null })
    const began = performance.now()
    const headers = { 'content-type': 'application/json' }
    await (await fetch('region', { method: 'POST', body, headers })).json()
    return performance.now() - began
})()
"""
FIND = """
(async () => {{
    const began = performance.now()
    const headers = {{ 'content-type': 'application/json' }}
    const body = JSON.stringify({{ id: '{name}' }})
    const found = await (await fetch('image', {{ method: 'POST', body, headers }})).json()
    if (!found) throw new Error('{name} was not found')
    return performance.now() - began
}})()
"""


def _drag(page: Any) -> None:
    """Drag the map by more than a window, and back: new tiles come all the time."""
    for n in range(DRAGS):
        start, end = (760, 200) if n % 4 < 2 else (200, 760)
        page.mouse.move(start, 420)
        page.mouse.down()
        page.mouse.move(end, 420 + 40 * (-1) ** n, steps=40)
        page.mouse.up()


def _memory(context: Any) -> float:
    """Return the memory that the page's process has of its own, in MB."""
    session = context.browser.new_browser_cdp_session()
    told = session.send("SystemInfo.getProcessInfo")["processInfo"]
    return max(_private(one["id"]) for one in told if one["type"] == "renderer")


def _private(process: int) -> float:
    """Return the resident memory of a process that is no file, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["RssAnon"].split()[0]) * 1.024e-3


if __name__ == "__main__":
    print(json.dumps(build(**json.loads(sys.argv[1]))))
