"""The pages in Firefox, as Debian has it, by WebDriver BiDi: one run, two, and a training."""

import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from web_person import SETTLED, WAIT, numbers

FIREFOX = os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "ui.prefersReducedMotion": 1,
}


READY = "document.querySelector('[role=application]') && !document.querySelector('.progress')"
FRAMES = "[...document.querySelectorAll('iframe')].map((frame) => frame.contentDocument)"


class Firefox:
    """A window of Firefox: scripts, pointer and keys, and what the page complains of."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.numbers = socket, itertools.count(1)
        self.complaints: list[str] = []
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded"])
        self.window = self.ask("browsingContext.create", type="tab")["context"]
        self.ask(
            "browsingContext.setViewport",
            context=self.window,
            viewport={"width": 1280, "height": 800},
        )

    def ask(self, method: str, **parameters: Any) -> Any:
        """Send a command; return its result."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self.socket.recv(timeout=WAIT))
            if told.get("method") == "log.entryAdded" and told["params"]["level"] != "info":
                self.complaints.append(told["params"]["text"])
            if told.get("id") == number:
                assert told["type"] == "success", told
                return told["result"]

    def open(self, address: str, ready: str = READY) -> None:
        """Open a page, and wait until its decoder is ready."""
        self.ask("browsingContext.navigate", context=self.window, url=address, wait="none")
        self.until(lambda: self.value(ready), "the decoder does not open")

    def value(self, expression: str) -> Any:
        """Return what an expression gives, as JSON has it."""
        found = self.ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self.window},
            awaitPromise=True,
        )
        assert found["type"] == "success", found
        return json.loads(found["result"].get("value", "null"))

    def until(self, seen: Any, otherwise: str) -> None:
        """Wait until something is seen."""
        end = time.monotonic() + WAIT
        while not seen():
            assert time.monotonic() < end, otherwise
            time.sleep(0.05)

    def act(self, kind: str, *actions: dict[str, Any]) -> None:
        """Move, press and turn, with a pointer or a wheel."""
        source = {"type": kind, "id": kind, "actions": list(actions)}
        self.ask("input.performActions", context=self.window, actions=[source])

    def hover(self, x: int, y: int) -> np.ndarray:
        """Return the z that the lens names at a place."""
        self.act("pointer", *({"type": "pointerMove", "x": at, "y": y} for at in (x - 3, x)))
        self.value(f"({SETTLED})()")
        code = "document.querySelector('.lens .code')?.textContent"
        self.until(lambda: "=" in (self.value(code) or ""), "the lens names no code")
        return np.array(numbers(self.value(code).partition("=")[2]))

    def lens(self) -> torch.Tensor:
        """Return what the lens shows: (28, 28)."""
        pixels = self.value(
            "Array.from(document.querySelector('.lens canvas').getContext('2d')"
            ".getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 === 0))"
        )
        return torch.tensor(pixels).reshape(28, 28) / 255


@pytest.fixture(scope="module")
def firefox(tmp_path_factory) -> Iterator[Firefox]:
    """Debian's Firefox, or the one that FIREFOX names."""
    if FIREFOX is None:
        if os.environ.get("CI"):
            pytest.fail("There is no Firefox, and this run must see the page in it. Install it.")
        pytest.skip("needs Firefox: apt-get install firefox-esr, or set FIREFOX to its path")
    from websockets.sync.client import connect

    profile = tmp_path_factory.mktemp("firefox")
    lines = (f'user_pref("{name}", {json.dumps(value)});' for name, value in PREFERENCES.items())
    (profile / "user.js").write_text("\n".join(lines))
    command = [FIREFOX, "--headless", "--no-remote", "--remote-debugging-port=0"]
    log = profile.with_name("firefox.log")
    with log.open("w") as out:
        process = subprocess.Popen([*command, "--profile", str(profile)], stdout=out, stderr=out)
    try:
        end = time.monotonic() + WAIT
        while not (found := re.search(r"BiDi listening on (\S+)", log.read_text())):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        with connect(f"{found[1]}/session", max_size=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait(WAIT)


@pytest.fixture(scope="module")
def page(firefox, saved) -> Firefox:
    """The study's page in it."""
    firefox.open(saved.as_uri())
    return firefox


@pytest.fixture(autouse=True)
def quiet(firefox) -> Iterator[None]:
    """At the end, nothing was complained of."""
    yield
    firefox.value("1")  # so that what was said has been heard
    complaints, firefox.complaints = firefox.complaints, []
    assert not complaints


def test_the_decoder_follows_the_pointer(page, study):
    for place in ((420, 300), (520, 380)):
        code = torch.tensor(page.hover(*place)).float()
        expected = study.decode(code[None]).squeeze()
        page.until(
            lambda expected=expected: (page.lens() - expected).abs().mean() < 0.03,
            "another image is shown",
        )
    assert page.value("document.querySelectorAll('[role=alert]').length") == 0


def test_the_wheel_zooms_about_the_pointer(page):
    before = page.hover(420, 300), page.hover(520, 380)
    page.hover(420, 300)
    page.act("wheel", {"type": "scroll", "x": 420, "y": 300, "deltaX": 0, "deltaY": -500})
    page.until(
        lambda: (
            np.ptp([page.hover(420, 300), page.hover(520, 380)], axis=0).sum()
            < 0.75 * np.ptp(before, axis=0).sum()
        ),
        "nothing is zoomed",
    )
    np.testing.assert_allclose(page.hover(420, 300), before[0], atol=0.03)


def test_a_click_pins_and_the_keys_work(page):
    page.hover(470, 340)
    press = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
    page.act("pointer", {"type": "pointerMove", "x": 470, "y": 340}, *press)
    page.until(lambda: page.value("!!document.querySelector('.head .name')"), "nothing is pinned")
    keys = [{"type": kind, "value": "v"} for kind in ("keyDown", "keyUp")]
    page.act("key", *keys)
    page.until(lambda: page.value("!!document.querySelector('dialog table')"), "no table")


CARD = """new Promise((done) => {
    HTMLAnchorElement.prototype.click = () => {} // nothing is written to the disk
    const address = URL.createObjectURL
    URL.createObjectURL = (blob) => {
        if (blob.type === 'image/png')
            createImageBitmap(blob).then(({ width, height }) => done([width, height]))
        return address.call(URL, blob)
    }
    document.querySelector('[aria-label="Save a share card"]').click()
})"""


def test_the_share_card_is_made(page):
    assert page.value(CARD) == [1200, 630]


# Two runs ----------------------------------------------------------------------------------------


def test_what_is_pointed_at_in_one_run_is_decoded_in_the_other(firefox, two, two_saved):
    ready = READY.replace("document", "page")
    firefox.open(two_saved.as_uri(), f"{FRAMES}.length === 2 && {FRAMES}.every((page) => {ready})")
    line = "Number(document.querySelector('line[data-image]')?.dataset.image ?? -1)"
    told = f"{FRAMES}.map((page) => page.querySelector('.lens .code')?.textContent ?? '')"

    def found() -> bool:
        """Point along a row of the first map until an image is hit."""
        nonlocal x
        x += 4
        assert x < 560, "no image is hit"
        firefox.act("pointer", {"type": "pointerMove", "x": x, "y": 470})
        firefox.value(f"({SETTLED})()")
        return firefox.value(line) >= 0

    x = 200
    firefox.until(found, "there is no line")
    image = firefox.value(line)
    for side, within in ((0, 0.3), (1, 0.02)):  # the pointer is near it, the other lens at it
        code = two.views[side].codes.mean[image]
        firefox.until(lambda side=side: "=" in firefox.value(told)[side], "no code is named")
        named = numbers(firefox.value(told)[side].partition("=")[2])
        np.testing.assert_allclose(named, code, atol=within)
    press = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
    firefox.act("pointer", *press)
    pinned = f"{FRAMES}.map((page) => page.querySelectorAll('[aria-label^=\"Unpin \"]').length)"
    firefox.until(lambda: firefox.value(pinned) == [1, 1], "it is not pinned in both")


# A training --------------------------------------------------------------------------------------


@pytest.mark.network
def test_a_training_plays_and_follows_beta(firefox, address):
    at = "document.querySelector('[data-step]')?.dataset ?? {}"
    firefox.open(address, f"({at}).step > 5 && {READY}")
    firefox.value(
        """(() => { const knob = document.querySelector('input[data-knob="β"]')
            knob.value = 64
            knob.dispatchEvent(new Event('input', { bubbles: true })) })()"""
    )
    firefox.until(lambda: firefox.value(at)["beta"] == "16", "β stays")
    before = firefox.value(at)
    firefox.until(
        lambda: int(firefox.value(at)["step"]) > int(before["step"]) + 5, "the training stands"
    )
    assert int(firefox.value(at)["frame"]) > int(before["frame"])
    assert len(firefox.hover(420, 400)) == 2
    firefox.ask("browsingContext.navigate", context=firefox.window, url="about:blank", wait="none")
