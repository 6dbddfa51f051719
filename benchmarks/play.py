"""``vaescape play`` in a real browser: how soon it is there, and how the map follows β."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.explorer import HEIGHT, MAP, WIDTH, browser_of, saved, trained
from benchmarks.page import RESULTS, Goal, conditions, leave, spread, table

GOALS = {
    "address": Goal("from the command to its address", "s", 10.0),
    "first": Goal("from the navigation to the first frame of the training", "s", 5.0),
    "frames": Goal("frames of the map while hovering", "1/s", 8.0, more=True),
    "hover": Goal("interval of the browser's frames while hovering, 95th percentile", "ms", 16.8),
    "response": Goal("from a change of β to the map's first response, median", "ms", 150),
    "steps": Goal("training steps while hovering", "1/s", 40, more=True),
    "page": Goal("the 83 steps of `swift` in a saved page, from the press of the button", "s", 6.0),
}
STEPS = 83
"""Of recipe ``swift``: 0.35 epochs of 60,000 images in batches of 256."""
WATCH = """
window.seen = { maps: [], frames: [], turned: 0, answers: [] }
const look = (now) => { seen.frames.push(now); requestAnimationFrame(look) }
requestAnimationFrame(look)
const note = () => {
    const at = document.querySelector('[data-step]')
    if (!at || at.dataset.frame === seen.frame) return
    seen.frame = at.dataset.frame
    seen.maps.push([performance.now(), Number(at.dataset.step)])
    if (seen.turned && at.dataset.beta === seen.beta) {
        seen.answers.push(performance.now() - seen.turned)
        seen.turned = 0
    }
}
new MutationObserver(note).observe(document, {
    subtree: true, childList: true, attributeFilter: ['data-frame'],
})
"""
"""Notes the frames of the browser and of the training, and how long a change of β takes to show."""
TURN = """([step, beta]) => {
    const input = document.querySelector('input[data-knob="β"]')
    input.value = step
    Object.assign(seen, { turned: performance.now(), beta })
    input.dispatchEvent(new Event('input', { bubbles: true }))
}"""


def measure(*, seconds: float, turns: int, threads: int, out: Path = RESULTS) -> None:
    """Play, hover and turn β; leave ``play.md``.

    Args:
        seconds: Of hovering.
        turns: Changes of β.
        threads: Of the training.
        out: Where the results go.
    """
    from playwright.sync_api import sync_playwright

    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        browser_of(playwright) as browser,
    ):
        root = Path(folder)
        with playing(root, threads) as (address, took):
            found: dict[str, Any] = {"address": took} | _played(browser, address, seconds, turns)
        file, _ = saved(trained(root, threads), root / "explorer.html", threads)
        found |= in_page(browser, file)
    rows = [
        [goal.title, f"{found[name]:.3g} {goal.unit}", goal.wanted] for name, goal in GOALS.items()
    ]
    text = (
        f"{conditions(threads)}\nRecipe `swift` on Fashion-MNIST in `vaescape play`, in headless "
        f"Chromium at {WIDTH} × {HEIGHT}; {seconds:g} s of hovering over the map, then {turns} "
        f"changes of β, whose responses took {spread(found['responses'])} ms. The saved page "
        f"trains on 9,000 of its images: after {found['done']} steps, of which the map showed "
        f"{found['frames_in_page']}, the negative ELBO of 1,000 others was {found['held_out']} "
        "nats.\n\n" + table(["what", "measured", "asked for"], rows)
    )
    leave("play", "Train while you watch", text, found, out)


@contextmanager
def playing(folder: Path, threads: int) -> Iterator[tuple[str, float]]:
    """Yield the address of a training that is played with, and the seconds until it was there."""
    command = [sys.executable, "-m", "vaescape", "play", "--no-browser", "--threads", str(threads)]
    began = perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=folder, env=dict(os.environ)
    )
    assert process.stdout is not None
    try:
        found = next(filter(None, (re.search(r"http://\S+", line) for line in process.stdout)))
        yield found[0], perf_counter() - began
    finally:
        process.terminate()
        process.wait(30)


def _played(browser: Any, address: str, seconds: float, turns: int) -> dict[str, Any]:
    # The page's policy forbids eval, which `wait_for_function` needs.
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, bypass_csp=True)
    page.add_init_script(WATCH)
    began = perf_counter()
    page.goto(address)
    page.locator("[data-step]").wait_for(timeout=120_000)
    first = perf_counter() - began
    left, top, right, bottom = MAP
    page.evaluate("Object.assign(seen, { maps: [], frames: [] })")
    began, n = perf_counter(), 0
    while perf_counter() - began < seconds:
        n += 1
        page.mouse.move(left + n * 7 % (right - left), top + n * 3 % (bottom - top))
    frames, maps = page.evaluate("[seen.frames, seen.maps]")
    gaps = [b - a for a, b in pairwise(frames)]
    passed = (maps[-1][0] - maps[0][0]) / 1000
    for turn in range(turns):
        step, beta = ((64, "16"), (32, "1"))[turn % 2]
        page.evaluate(TURN, [step, beta])
        page.wait_for_function("seen.turned === 0", timeout=60_000)
        page.wait_for_timeout(700)
    responses = page.evaluate("seen.answers")
    return {
        "first": first,
        "frames": (len(maps) - 1) / passed,
        "hover": statistics.quantiles(gaps, n=20)[-1],
        "steps": (maps[-1][1] - maps[0][1]) / passed,
        "response": statistics.median(responses),
        "responses": responses,
    }


def in_page(browser: Any, file: Path) -> dict[str, Any]:
    """Return how long a saved page takes for the steps of ``swift``, and where that leads."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, bypass_csp=True)
    page.goto(file.as_uri())
    page.locator("summary", has_text="Train in this page").click()
    start = page.get_by_role("button", name="▶ Train")
    page.wait_for_timeout(5000)  # the rest of the page is opened and the background decoded
    began = perf_counter()
    start.click(timeout=60_000)
    page.wait_for_function(
        f"Number(document.querySelector('[data-step]')?.dataset.step) >= {STEPS}", timeout=120_000
    )
    took = perf_counter() - began
    at = page.locator("[data-step]")
    row = page.get_by_role("row", name="Negative ELBO").get_by_role("cell").last
    found = {
        "page": took,
        "done": int(at.get_attribute("data-step")),
        "frames_in_page": int(at.get_attribute("data-frame")),
        "held_out": row.inner_text(),
    }
    page.close()
    return found
