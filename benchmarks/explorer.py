"""The explorer's page in a real browser: how soon it is there, and how it follows the hand."""

import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.environments import environment
from benchmarks.page import RESULTS, Goal, conditions, leave, summary

WATCH = """
const seen = { points: null, ready: null, frames: [], decodes: [] }
window.seen = seen
const drawn = (canvas) => {
    const { width, height } = canvas
    const pixels = canvas.getContext('2d').getImageData(width >> 2, height >> 1, width >> 1, 8).data
    return new Uint32Array(pixels.buffer).some(Boolean)
}
const lookAfter = () => {
    const points = document.querySelectorAll('.map canvas')[2]
    if (seen.points === null && points && drawn(points)) seen.points = performance.now()
}
const look = (now) => {
    seen.frames.push(now)
    if (seen.points === null) scheduler.postTask(lookAfter, { priority: 'user-blocking' })
    const waits = document.querySelector('[role=progressbar]')
    if (seen.points !== null && seen.ready === null && !waits) seen.ready = performance.now()
    requestAnimationFrame(look)
}
requestAnimationFrame(look)
const Plain = window.Worker
window.Worker = class extends Plain {
    constructor(...given) {
        super(...given)
        this.addEventListener('message', () => {
            if (this.one) seen.decodes.push(performance.now() - this.began)
        })
    }
    postMessage(message, transfer) {
        const { kind, network, inputs } = message
        this.one = kind === 'run' && network === 'decoder' && inputs[0].shape[0] === 1
        if (this.one) seen.last = [this, structuredClone(message)]
        this.began = performance.now()
        super.postMessage(message, transfer)
    }
}
const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds))
seen.again = async (times) => {
    const [worker, message] = seen.last
    seen.decodes.length = 0
    while (seen.decodes.length < times) {
        await pause(40)
        worker.postMessage(structuredClone(message), [])
        await new Promise((go) => worker.addEventListener('message', go, { once: true }))
    }
    return seen.decodes
}
"""
"""Notes when points are drawn, when the decoder is ready, every frame, and how long one image takes
to be decoded; has the last one decoded again, so many times."""
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WIDTH, HEIGHT = 1280, 800
MAP = (60, 100, 900, 760)
"""Left, top, right, bottom of the part of the window that is nothing but map."""


GOALS = {
    "points": Goal("points on the screen, from the start of the navigation", "s", 0.5),
    "ready": Goal("decoder ready, its self-test passed, from the same", "s", 2.5),
    "hover": Goal("interval of frames while hovering, 95th percentile", "ms", 16.8),
    "pan": Goal("frames a second while dragging", "1/s", 30, more=True),
    "zoom": Goal("frames a second while zooming", "1/s", 30, more=True),
    "decode": Goal("one image decoded, to the worker and back, median", "ms", 1.0),
    "follow": Goal("the same for a move of the mouse: the answer waits for the frame", "ms", 16.7),
    "size": Goal("the page", "MB", 9.0),
    "save": Goal("`vaescape explore RUN --save`, all of it", "s", 20.0),
}


def measure(
    run: Path | None, *, rounds: int, moves: int, threads: int, out: Path = RESULTS
) -> None:
    """Save the page of a run, open it so many times, and leave ``explorer.md``.

    Args:
        run: Its folder; without one, recipe ``swift`` is trained.
        rounds: Times that the page is opened.
        moves: Of the pointer, each time.
        threads: CPU threads of training and saving.
        out: Where to.
    """
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        root = Path(name)
        tell("saving the page" if run else "training, then saving the page")
        file, seconds = saved(run or trained(root, threads), root / "explorer.html", threads)
        tell(f"saved in {seconds:.1f} s")
        with browser_of(playwright) as browser:
            version = browser.version
            found = []
            for number in range(1, rounds + 1):
                found.append(visit(browser, file, moves))
                tell(f"visit {number} of {rounds}: {briefly(found[-1])}")
        size = file.stat().st_size / 1e6
    values = {key: [one[key] for one in found] for key in found[0]}
    values |= {"size": [size], "save": [seconds]}
    text = (
        f"{conditions(threads, {'Chromium': version})}\n"
        f"{found[0]['images']:,.0f} images, {WIDTH} × {HEIGHT}, from `file://`, no GPU, {rounds} "
        f"times; {moves} moves of the mouse each.\n\n{summary(GOALS, values)}"
    )
    leave("explorer", "The explorer's page", text, values, out)


def tell(text: str) -> None:
    """Say how far the measuring has come: all of it takes minutes."""
    print(text, file=sys.stderr, flush=True)


def briefly(found: dict[str, float]) -> str:
    """Return what one visit measured, in a line."""
    return ", ".join(
        f"{key} {value:.3g} {GOALS[key].unit}" for key, value in found.items() if key in GOALS
    )


def saved(run: Path, file: Path, threads: int) -> tuple[Path, float]:
    """Return the page of a run, and the seconds that a process took to write it."""
    command = [sys.executable, "-m", "vaescape", "explore", str(run), "--save", str(file)]
    start = time.perf_counter()
    subprocess.run(command, env=environment(threads), capture_output=True, check=True)
    return file, time.perf_counter() - start


def visit(browser: Any, file: Path, moves: int) -> dict[str, float]:
    """Return what one opening of a page measures."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, offline=True)
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(file.as_uri())
    until_ready(page)
    page.wait_for_timeout(3000)  # the rest is opened and the background decoded
    points, ready = page.evaluate("[seen.points / 1000, seen.ready / 1000]")
    images = page.evaluate(
        "(({ data }) => data.train + data.test)(JSON.parse(manifest.textContent))"
    )
    found = {
        "images": float(images),
        "points": points,
        "ready": ready,
        "hover": percentile(frames(page, lambda: _hover(page, moves)), 95),
        "pan": rate(frames(page, lambda: _pan(page, moves // 4))),
        "zoom": rate(frames(page, lambda: _zoom(page, moves // 10))),
        "follow": _follow(page, max(20, moves // 5)),
        "decode": statistics.median(page.evaluate(f"seen.again({max(20, moves // 5)})")),
    }
    context.close()
    return found


# The hand ----------------------------------------------------------------------------------------


def until_ready(page: Any, seconds: float = 120) -> None:
    """Wait for the decoder; ``wait_for_function`` is forbidden by the page's policy."""
    end = time.monotonic() + seconds
    while not page.evaluate("seen.ready !== null"):
        if time.monotonic() > end:
            raise TimeoutError(f"The decoder was not ready after {seconds:g} s.")
        page.wait_for_timeout(50)


def _places(count: int) -> Iterator[tuple[float, float]]:
    """Places of a Lissajous curve over the map: everywhere, and never still."""
    left, top, right, bottom = MAP
    for i in range(count):
        turn = 2 * math.pi * i / 300
        x, y = math.sin(2 * turn + 1), math.sin(3 * turn)
        yield (left + right + x * (right - left)) / 2, (top + bottom + y * (bottom - top)) / 2


def _hover(page: Any, moves: int) -> None:
    for place in _places(moves):
        page.mouse.move(*place)  # comes back when the page has drawn a frame


def _pan(page: Any, moves: int) -> None:
    page.mouse.move(480, 420)
    page.mouse.down()
    for i in range(moves):
        turn = 2 * math.pi * i / 60
        page.mouse.move(480 + 150 * math.sin(turn), 420 + 150 * (1 - math.cos(turn)))
    page.mouse.up()


def _zoom(page: Any, turns: int) -> None:
    page.mouse.move(480, 420)
    for i in range(2 * turns):
        page.mouse.wheel(0, -60 if i < turns else 60)
        page.wait_for_timeout(16)


def _follow(page: Any, moves: int) -> float:
    """Return the median milliseconds of one decode when the pointer moves now and then."""
    page.evaluate("seen.decodes.length = 0")
    for place in _places(moves):
        page.mouse.move(*place)
        page.wait_for_timeout(40)
    return statistics.median(page.evaluate("seen.decodes"))


def frames(page: Any, act: Any) -> list[float]:
    """Return the milliseconds between frames while something is done."""
    page.evaluate("seen.frames.length = 0")
    act()
    times = page.evaluate("seen.frames")
    return [after - before for before, after in pairwise(times)]


def rate(intervals: list[float]) -> float:
    """Return frames a second."""
    return 1000 / statistics.fmean(intervals)


def percentile(values: list[float], share: float) -> float:
    """Return the value that so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(share / 100 * len(values)) - 1)]


# What is needed ----------------------------------------------------------------------------------


def trained(root: Path, threads: int) -> Path:
    """Return the folder of a run of recipe ``swift``."""
    from vaescape.pipeline import start, train
    from vaescape.recipes import configuration

    folder, study = start(configuration("swift", threads=threads), root=root)
    train(folder, study)
    return folder.path


@contextmanager
def browser_of(playwright: Any) -> Iterator[Any]:
    """Debian's Chromium, or the one that CHROMIUM names."""
    path = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )
    opened = playwright.chromium.launch(executable_path=path, args=SWITCHES)
    yield opened
    opened.close()
