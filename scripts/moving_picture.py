"""Film a walk over an explorer's map, for the README: hover, morph.

    python scripts/moving_picture.py runs/paper/explorer.html docs/images/explorer.webp

Needs Chromium (``CHROMIUM`` names another) and ``pip install playwright pillow``. The walk is the
page's own: a pointer that moves from class to class, the keys A and B, the morph's film.
"""

import argparse
import base64
import gzip
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1120, "height": 700}
SHOWN = (840, 525)
"""Pixels of the film: the page needs more, to show its panel beside the map."""
PER_SECOND = 10
ARROW = """() => {
    const arrow = document.createElement('div')
    arrow.innerHTML = `<svg width="22" height="30" viewBox="0 0 22 30">
        <path d="M1 1v23l6-5 4 9 4-2-4-9h8z" fill="#fff" stroke="#000" stroke-width="1.6"/></svg>`
    arrow.style.cssText = 'position:fixed;left:0;top:0;z-index:99;pointer-events:none'
    document.body.append(arrow)
    addEventListener('pointermove', ({ clientX, clientY }) => {
        arrow.style.transform = `translate(${clientX - 1}px, ${clientY - 1}px)`
    }, true)
}"""
Place = np.ndarray


class Film:
    """The frames of a page, and a pointer that one can see."""

    def __init__(self, page: Page) -> None:
        self.page, self.frames = page, []
        self.at = np.array([SIZE["width"] * 0.3, SIZE["height"] * 0.2])
        page.evaluate(ARROW)

    def take(self, count: int = 1, patience: int = 70) -> None:
        """Add what the page shows, once it has had time to decode."""
        for _ in range(count):
            self.page.wait_for_timeout(patience)
            shot = Image.open(io.BytesIO(self.page.screenshot()))
            self.frames.append(shot.convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS))

    def go(self, to: Place, frames: int) -> None:
        """Move the pointer, slow at both ends."""
        start = self.at
        for share in ease(frames):
            self.at = start + share * (to - start)
            self.page.mouse.move(*self.at.tolist())
            self.take()

    def wander(self, places: list[Place], frames: int) -> None:
        """Move the pointer through places on a smooth curve."""
        for place in curve([self.at, *places], ease(frames)):
            self.at = place
            self.page.mouse.move(*place.tolist())
            self.take()

    def save(self, path: Path, quality: int) -> None:
        """Write the frames as an animated WebP, each but the first as what changes."""
        first, *others = self.frames
        first.save(
            path, save_all=True, append_images=others, duration=1000 // PER_SECOND, loop=0,
            quality=quality, method=4, kmin=len(others), kmax=len(self.frames),
        )  # fmt: skip


def ease(frames: int) -> np.ndarray:
    """Return shares of a way from 0 to 1, slow at both ends."""
    share = np.arange(1, frames + 1) / frames
    return share * share * (3 - 2 * share)


def curve(places: list[Place], shares: np.ndarray) -> Iterator[Place]:
    """Yield points of the Catmull–Rom spline through places, at a constant speed on average."""
    p = np.array([places[0], *places, places[-1]])
    for at in shares * (len(places) - 1):
        i = min(int(at), len(places) - 2)
        t, (a, b, c, d) = at - i, p[i : i + 4]
        yield (
            2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        ) / 2  # fmt: skip


# Where the classes are ---------------------------------------------------------------------------


def classes(path: Path) -> dict[str, Place]:
    """Return the middle of each class in the latent plane, from a page's own blobs."""
    text = path.read_text(encoding="utf-8")
    manifest = json.loads(found(text, "manifest"))
    entries = manifest["blobs"]
    codes, labels = (blob(text, name, entries[name]) for name in ("latents", "labels"))
    low, high = np.array(entries["latents"]["scale"]).T
    z = low + codes / 65535 * (high - low)
    names = manifest["data"]["classes"]
    return {name: np.median(z[labels == n], axis=0) for n, name in enumerate(names)}


def found(text: str, name: str) -> str:
    """Return what a slot of the page holds."""
    match = re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', text, re.DOTALL)
    if match is None:
        raise SystemExit(f"The page has no {name}. Give one that `vaescape explore --save` wrote.")
    return match[1]


def blob(text: str, name: str, entry: dict[str, Any]) -> np.ndarray:
    """Return whole numbers as the page carries them."""
    content = gzip.decompress(base64.b64decode(found(text, f"blob-{name}")))
    numbers = np.frombuffer(content, "u1").reshape(entry.get("planes", 1), -1).T.tobytes()
    return np.frombuffer(numbers, {"u8": "u1", "u16": "<u2"}[entry["dtype"]]).reshape(
        entry["shape"]
    )


def on_screen(page: Page) -> Any:
    """Return the function from codes to the screen, from what the lens says at two places."""
    corners = np.array([[200.0, 150.0], [700.0, 450.0]])
    codes = []
    for x, y in corners:
        page.mouse.move(x - 2, y)
        page.mouse.move(x, y)
        page.wait_for_timeout(300)
        told = page.locator(".lens .code").first.inner_text().replace("−", "-")
        codes.append([float(part) for part in re.findall(r"-?\d+\.\d+", told)])
    (first, last), (a, b) = corners, np.array(codes)
    return lambda z: first + (z - a) / (b - a) * (last - first)


# The walk ----------------------------------------------------------------------------------------


def walk(film: Film, middles: dict[str, Place]) -> None:
    """Hover over the classes, and morph one into another."""
    page, where = film.page, on_screen(film.page)
    seen = {name: where(z) for name, z in middles.items()}
    film.at, *tour = ordered(list(seen.values()), np.array([205.0, 330.0]))
    page.mouse.move(*film.at.tolist())
    film.take()
    film.wander(tour, 30)
    a, b = farthest(list(seen.values()))
    film.go(a, 7)
    page.keyboard.press("a")
    film.go(b, 7)
    page.keyboard.press("b")
    film.take()
    page.get_by_role("group", name="Mode").get_by_role("button", name="Morph").click()
    page.wait_for_timeout(2500)
    page.keyboard.press("0")
    page.wait_for_timeout(3000)
    film.take()
    frame = page.get_by_role("slider", name="Frame", exact=True).bounding_box()
    assert frame is not None
    left, middle = frame["x"] + 8, frame["y"] + frame["height"] / 2
    film.go(np.array([left, middle]), 4)
    page.mouse.down()
    film.go(np.array([left + frame["width"] - 16, middle]), 20)
    page.mouse.up()
    film.frames += film.frames[-1:] * 5


def ordered(places: list[Place], start: Place) -> list[Place]:
    """Return places, each the nearest to the one before."""
    left, way = list(places), [start]
    while left:
        nearest = min(range(len(left)), key=lambda n: np.hypot(*(left[n] - way[-1])))
        way.append(left.pop(nearest))
    return way[1:]


def farthest(places: list[Place]) -> tuple[Place, Place]:
    """Return the two places with the longest way between them."""
    pairs = ((a, b) for n, a in enumerate(places) for b in places[:n])
    return max(pairs, key=lambda pair: np.hypot(*(pair[0] - pair[1])))


def main() -> None:
    """Film a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path, help="an explorer.html of two latent dimensions")
    parser.add_argument("out", type=Path, help="an animated .webp")
    parser.add_argument("--quality", type=int, default=45, help="of each frame, 0 to 100")
    given = parser.parse_args()
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        context = opened.new_context(viewport=SIZE, color_scheme="dark", reduced_motion="reduce")
        page = context.new_page()
        page.goto(given.page.resolve().as_uri())
        page.get_by_role("application").wait_for()
        page.get_by_role("progressbar", name="Opening the decoder").wait_for(state="detached")
        page.keyboard.press("p")
        page.wait_for_timeout(1500)
        page.keyboard.press("0")
        film = Film(page)
        walk(film, classes(given.page))
        film.save(given.out, given.quality)
        opened.close()
    seconds, size = len(film.frames) / PER_SECOND, given.out.stat().st_size / 1e6
    print(f"{given.out}: {len(film.frames)} frames, {seconds:.1f} s, {size:.2f} MB")


if __name__ == "__main__":
    main()
