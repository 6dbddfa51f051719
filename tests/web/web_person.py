"""What a person does with the page, and what is to be seen of it."""

import base64
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vaescape.explore.blobs import Blob

LENS = ".lens canvas"
LAYERS = ("backdrop", "overlay", "points", "marks")
"""The map's canvases, bottom to top."""
SETTLED = "() => new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))"
NUMBER = re.compile(r"[−-]?\d+(?:\.\d+)?")
WAIT = 60.0
"""Seconds; an idle machine needs a fraction of one."""
PATIENCE = 60_000
"""Milliseconds; a page is there in a few seconds on an idle machine."""


def values(blob: Blob) -> np.ndarray:
    """Return the numbers that the page reads from a blob."""
    kinds = {"u8": "u1", "u16": "<u2", "f16": "<f2", "f32": "<f4"}
    found = np.frombuffer(blob.content, kinds[blob.about["dtype"]]).reshape(blob.about["shape"])
    if not blob.about["scale"]:
        return found
    low, high = np.array(blob.about["scale"]).T
    return low + found / (255 if blob.about["dtype"] == "u8" else 65535) * (high - low)


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, whichever minus sign they have."""
    return [float(part.replace("−", "-")) for part in NUMBER.findall(text)]


@dataclass(frozen=True)
class Lay:
    """Where the plane lies on the screen."""

    scale: float
    x: float
    y: float

    def at(self, z: Sequence[float] | torch.Tensor | np.ndarray) -> tuple[float, float]:
        """Return where a place of the plane is, in pixels from the top left."""
        return self.x + float(z[0]) * self.scale, self.y - float(z[1]) * self.scale

    def z(self, x: float, y: float) -> tuple[float, float]:
        """Return what place of the plane is there."""
        return (x - self.x) / self.scale, (self.y - y) / self.scale

    def screen(self, z: np.ndarray) -> np.ndarray:
        """Return where places are: (N, 2)."""
        return np.stack([self.x + z[:, 0] * self.scale, self.y - z[:, 1] * self.scale], 1)


class Person:
    """Somebody in front of an open page, with a mouse and a keyboard."""

    def __init__(self, page: Any) -> None:
        self.page = page

    # Doing ---------------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def map(self) -> Any:
        return self.page.get_by_role("application", name="Latent map")

    def mode(self, name: str) -> None:
        self.page.get_by_role("group", name="Mode").get_by_role("button", name=name).click()

    def section(self, title: str) -> Any:
        """Return a section of the panel, unfolded."""
        found = self.page.locator("details", has=self.page.locator("summary", has_text=title))
        if found.get_attribute("open") is None:
            found.locator("summary").click()
        return found

    def dock(self) -> Any:
        return self.page.locator("section.dock")

    def click(self, x: float, y: float) -> None:
        self.page.mouse.move(x, y)
        self.page.mouse.click(x, y)
        self.settle()

    def drag(self, path: Iterable[tuple[float, float]], *held: str) -> None:
        """Drag along places of the screen, with keys held."""
        mouse, (first, *others) = self.page.mouse, list(path)
        for key in held:
            self.page.keyboard.down(key)
        mouse.move(*first)
        mouse.down()
        for place in others:
            mouse.move(*place, steps=3 if len(others) < 50 else 1)
        mouse.up()
        for key in held:
            self.page.keyboard.up(key)
        self.settle()

    def zoom(self, doublings: int, x: float, y: float) -> None:
        """Turn the wheel over a place: each turn in doubles the scale."""
        self.page.mouse.move(x, y)
        for _ in range(abs(doublings)):
            self.page.mouse.wheel(0, -500 if doublings > 0 else 500)
            self.settle()

    def download(self, act: Callable[[], Any]) -> tuple[str, bytes]:
        """Return the name and the bytes of the file that something saves."""
        with self.page.expect_download() as found:
            act()
        return found.value.suggested_filename, Path(found.value.path()).read_bytes()

    def copied(self, act: Callable[[], Any]) -> str:
        """Return what something puts on the clipboard."""
        self.page.evaluate("navigator.clipboard.writeText('')")
        act()
        read = "navigator.clipboard.readText()"
        self.until(lambda: self.page.evaluate(read), "nothing was copied")
        return self.page.evaluate(read)

    def tidy(self) -> None:
        """Leave the page as it was when it opened, but for what was zoomed and morphed."""
        page = self.page
        page.mouse.move(2, 790)
        self.press("Escape")
        self.mode("Lasso")
        self.press("Escape")
        self.mode("Explore")
        for name in ("Clear", "Show all"):
            for found in page.get_by_role("button", name=name, exact=True).all():
                found.click()
        for prefix in ("Unpin ", "Forget "):
            while (found := page.locator(f"button[aria-label^='{prefix}']")).count():
                found.first.evaluate("button => button.click()")
        self.overlay("None")
        self.map().focus()
        self.press("0")
        self.settle()

    # Seeing --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until what was done is on the screen."""
        self.page.evaluate(SETTLED)

    def until(self, seen: Callable[[], Any], otherwise: str = "") -> None:
        """Wait until something is seen."""
        for _ in range(int(WAIT / 0.05)):
            if seen():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(otherwise or "it was not seen in time")

    def told(self) -> torch.Tensor:
        """Return the z that the lens names."""
        text = self.page.locator(".lens .code").first.inner_text()
        return torch.tensor(numbers(text.partition("=")[2]))

    def hover(self, x: float, y: float) -> torch.Tensor:
        """Return the z that the lens names at a place."""
        self.page.mouse.move(x - 3, y)
        self.page.mouse.move(x, y)
        self.settle()
        return self.told()

    def lay(self) -> Lay:
        """Return where the plane lies, from what the lens names at two places."""
        (left, top), (right, bottom) = (160.0, 150.0), (900.0, 330.0)
        (u, v), (s, t) = self.hover(left, top).tolist(), self.hover(right, bottom).tolist()
        scale = (right - left + bottom - top) / (s - u + v - t)
        x = (left + right - (u + s) * scale) / 2
        return Lay(scale, x, (top + bottom + (v + t) * scale) / 2)

    def pixels(self, locator: Any) -> np.ndarray:
        """Return what a canvas shows: (H, W, 4) bytes."""
        return _pixels(locator.evaluate("canvas => canvas.toDataURL()"))

    def layer(self, name: str) -> np.ndarray:
        """Return one canvas of the map."""
        return self.pixels(self.page.locator(".map canvas").nth(LAYERS.index(name)))

    def grey(self, locator: Any) -> torch.Tensor:
        """Return what a small canvas shows, in [0, 1]: (H, W)."""
        return torch.from_numpy(self.pixels(locator)[..., 0].astype(np.float32) / 255)

    def greys(self, locator: Any) -> list[torch.Tensor]:
        """Return what all small canvases show at this moment, however many there are."""
        urls = locator.evaluate_all("all => all.map((canvas) => canvas.toDataURL())")
        return [torch.from_numpy(_pixels(url)[..., 0].astype(np.float32) / 255) for url in urls]

    def picture(self, label: str) -> Any:
        """Return the picture of that name."""
        return self.page.get_by_role("img", name=label, exact=True)

    def shows(self, locator: Any, expected: torch.Tensor, within: float = 0.01) -> None:
        """Wait until a picture is the expected one, in the mean over its pixels."""

        def off() -> float:
            return float((self.grey(locator) - expected.squeeze()).abs().mean())

        self.until(lambda: off() < within, "another picture is shown")

    def lens(self, expected: torch.Tensor, within: float = 0.03) -> None:
        """Wait until the lens shows an image; z is told to two decimals."""
        self.shows(self.page.locator(LENS).first, expected, within)

    def said(self) -> str:
        """Return what a screen reader was told last."""
        return self.page.locator(".hidden-text[aria-live]").inner_text()

    def overlay(self, title: str) -> None:
        """Choose an overlay."""
        label = self.page.locator("label", has_text="Overlay")
        label.locator("select").select_option(title)
        self.settle()

    def alert(self) -> str:
        """Return what the page warns of."""
        found = self.page.get_by_role("alert").first
        found.wait_for()
        return found.inner_text()


class Visit:
    """A page that was opened, with all that it complained of or asked for outside itself."""

    def __init__(
        self, browser: Any, path: Path, *, address: str = "", script: str = "", **context: Any
    ) -> None:
        settings = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
        self.context = browser.new_context(**(settings | context), offline=True)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)
        if script:
            self.page.add_init_script(script)
        self.page.goto(path.as_uri() + address)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(("file:", "blob:", "data:")):
            self.complaints.append(f"asked for {request.url}")

    def ready(self) -> Any:
        """Return the page when its decoder has passed its own test."""
        self.page.get_by_role("application").wait_for()
        self.page.get_by_role("progressbar", name="Opening the decoder").wait_for(state="detached")
        return self.page

    def person(self) -> Person:
        """Return somebody in front of it."""
        return Person(self.ready())


def _pixels(url: str) -> np.ndarray:
    content = base64.b64decode(url.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
