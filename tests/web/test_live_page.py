"""The live page in a real browser, with its server behind it: what a file cannot do."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from served import TOKEN, served  # pyright: ignore[reportMissingImports]
from web_person import SETTLED, Person

from vaescape import Study, regions
from vaescape.explore import live as live_module
from vaescape.explore import server
from vaescape.explore.live import Live, open_run
from vaescape.explore.sections import plane
from vaescape.pipeline import start, train
from vaescape.recipes import configuration
from vaescape.runs import CHECKPOINTS, LATENTS, LOG, WEIGHTS, RunFolder
from vaescape.train import CheckpointFolder

pytestmark = pytest.mark.network
LENS, POINTS = ".lens canvas", "canvas.points"
SMALL = {"limit": 400, "epochs": 8, "batch": 50, "threads": 1, "checkpoint_seconds": 0}
EARLY, LATE = 2, 64


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Fields of few cells: they are not looked at here, and every page computes its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plane, "FIELD", 16)
        patch.setattr(plane, "CELLS", 8)
        yield


# Runs --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> RunFolder:
    """A finished run that kept the checkpoint of every step."""
    root = tmp_path_factory.mktemp("runs")
    folder, study = start(configuration("first-look", **SMALL), root=root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointFolder, "_rotate", lambda self: None)
        train(folder, study)
    return folder


@pytest.fixture
def training(trained, tmp_path) -> RunFolder:
    """The same run as it was after two steps, its training still going on."""
    folder = RunFolder(shutil.copytree(trained.path, tmp_path / "run"))
    folder.update(status="training")
    for path in sorted((folder / CHECKPOINTS).iterdir()):
        if path.name[5:15] != f"{EARLY:010d}":
            path.unlink()
    for name in (LATENTS, WEIGHTS):
        (folder / name).unlink()
    (folder / LOG).write_text("")
    return folder


def advance(folder: RunFolder, trained: RunFolder) -> None:
    """The training gets to its last step."""
    (newest,) = (trained / CHECKPOINTS).glob(f"step-{LATE:010d}-*")
    shutil.copy(newest, folder / CHECKPOINTS)
    for row in trained.history():
        folder.append(row)


def finish(folder: RunFolder, trained: RunFolder) -> None:
    """The training ends."""
    for name in (WEIGHTS, LATENTS):
        shutil.copy(trained / name, folder / name)
    folder.update(status="finished")


# The page ----------------------------------------------------------------------------------------


@contextmanager
def serving(study: Study):
    """Yield the address of a study's live page."""
    with served(partial(server.application, Live(study, originals="test"))) as address:
        yield address


@pytest.fixture
def serve():
    """Serve a study until the test and its pages are done."""
    with ExitStack() as open_:
        yield lambda study: open_.enter_context(serving(study))


@pytest.fixture
def look(browser, serve):
    """Open an address; at the end, nothing was complained of and no other server asked."""
    contexts, complaints = [], []

    def opened(address: str, ready: bool = True):
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: r.url.startswith((address, "blob:", "data:"))
                or complaints.append(r.url))  # fmt: skip
        page.goto(address)
        if ready:
            page.get_by_role("application").wait_for()
            bar = page.get_by_role("progressbar", name="Opening the decoder")
            bar.wait_for(state="detached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def pixels(page, selector: str) -> torch.Tensor:
    """Return what a canvas shows, its red channel times its opacity, in [0, 1]: (H, W)."""
    text = page.locator(selector).first.evaluate("canvas => canvas.toDataURL()")
    image = Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGBA")
    found = torch.from_numpy(np.asarray(image).astype(np.float32) / 255)
    return found[..., 0] * found[..., 3]


def hover(page, x: float, y: float) -> torch.Tensor:
    """Return the z that the lens names at a place of the window."""
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.evaluate(SETTLED)
    told = page.locator(".lens .code").first.inner_text().replace("−", "-")
    return torch.tensor([float(part) for part in re.findall(r"-?\d+\.\d+", told)])


def shows(page, expected: torch.Tensor) -> None:
    """Wait until the lens shows an image; z is told to two decimals."""
    for _ in range(200):
        if (pixels(page, LENS) - expected.squeeze()).abs().mean() < 0.02:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the lens shows another image")


def section(page, title: str):
    """Return a section of the panel, unfolded."""
    found = page.locator("details", has=page.locator("summary", has_text=title))
    if found.get_attribute("open") is None:
        found.locator("summary").click()
    return found


# What it does ------------------------------------------------------------------------------------


def test_a_finished_run_opens_and_decodes_under_the_pointer(trained, serve, look):
    study = Study.load(trained)
    address = serve(study)
    page = look(address)
    assert page.get_by_role("alert").count() == 0
    shows(page, study.decode(hover(page, 500, 400)))
    assert page.locator("summary", has_text="Training").count() == 0


def test_a_running_training_is_followed(training, trained, serve, look):
    study = open_run(training.path)
    address = serve(study)
    page = look(address)
    z = hover(page, 500, 400)
    before = study.decode(z)
    shows(page, before)
    points = pixels(page, POINTS)
    told = section(page, "Training")
    assert "In training" in told.inner_text()
    advance(training, trained)
    told.get_by_text(re.compile(rf"step {LATE}, epoch")).wait_for()  # the log's last row
    told.get_by_text(re.compile(rf"networks are of step {LATE}")).wait_for()
    rows = trained.history()
    loss = [row["held_out"]["loss"] for row in rows]
    axes = told.locator(".chart > span").all_inner_texts()
    assert axes[0].split() == [f"{max(loss):.0f}", "nats", f"{min(loss):.0f}"]
    assert axes[1].split() == [str(rows[0]["step"]), "step", str(rows[-1]["step"])]
    late = Study.load(trained)
    assert (late.decode(z) - before).abs().mean() > 0.03
    shows(page, late.decode(z))
    moved = lambda: (pixels(page, POINTS) - points).abs().mean() > 0.001  # noqa: E731
    Person(page).until(moved, "the points did not move")
    finish(training, trained)
    told.get_by_text("Finished", exact=True).wait_for()
    with page.expect_navigation():
        told.get_by_role("button", name="Open the finished run").click()
    page.locator("summary", has_text="Layers").wait_for()
    assert page.locator("summary", has_text="Training").count() == 0
    shows(page, late.decode(hover(page, 500, 400)))


def test_who_does_not_follow_stays_where_they_are(training, trained, serve, look):
    study = open_run(training.path)
    address = serve(study)
    page = look(address)
    told = section(page, "Training")
    told.get_by_role("checkbox", name="Follow").uncheck()
    points = pixels(page, POINTS)
    advance(training, trained)
    told.get_by_text(re.compile(rf"step {LATE}\b")).first.wait_for()
    page.wait_for_timeout(1500)
    assert torch.equal(pixels(page, POINTS), points)


def test_a_region_is_saved_into_the_run_and_read_back_from_python(trained, serve, look):
    study = Study.load(trained)
    address = serve(study)
    page = look(address)
    page.get_by_role("group", name="Mode").get_by_role("button", name="Lasso").click()
    corners = [(350, 250), (650, 250), (650, 450), (350, 450)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in [*corners[1:], corners[0]]:
        page.mouse.move(*corner, steps=5)
    page.mouse.up()
    page.get_by_label("Name of the region").wait_for()
    told = int(page.locator(".count strong").inner_text().replace(",", ""))
    page.get_by_label("Name of the region").fill("</b> mine")
    page.keyboard.press("Enter")
    for _ in range(100):
        if (trained / "regions.json").exists():
            break
        page.wait_for_timeout(100)
    kept = json.loads((trained / "regions.json").read_text())
    assert [region["name"] for region in kept["regions"]] == ["</b> mine"]
    held = regions(study)["</b> mine"]
    assert abs(sum(map(len, held.values())) - told) <= max(2, 0.02 * told)
    assert told > 5
    again = look(address)
    assert "</b> mine" in section(again, "Regions").inner_text()


def test_a_geodesic_of_three_dimensions_is_the_servers(tmp_path, serve, look):
    study = Study("first-look", latent=3, limit=200, epochs=1, batch=50, threads=1).fit()
    study.folder = start(study.configuration, root=tmp_path)[0]
    study.folder.update(status="finished")
    address = serve(study)
    page = look(address)
    hover(page, 400, 300)
    page.keyboard.press("a")
    hover(page, 600, 500)
    page.keyboard.press("b")
    page.get_by_role("group", name="Mode").get_by_role("button", name="Morph").click()
    page.get_by_text("exact, by the server").wait_for()


@pytest.mark.parametrize("changes", [{}, {"conditional": True}], ids=["plain", "conditional"])
def test_networks_too_large_for_a_page_run_on_the_server(
    changes, tmp_path, serve, look, monkeypatch
):
    monkeypatch.setattr(live_module, "MOST_WEIGHTS", 0)
    study = Study("first-look", limit=200, epochs=1, batch=50, threads=1, **changes).fit()
    study.folder = start(study.configuration, root=tmp_path)[0]
    study.folder.update(status="finished")
    address = serve(study)
    page = look(address)
    label = 0 if changes else None
    shows(page, study.decode(hover(page, 500, 400), label))
    assert page.get_by_role("alert").count() == 0
    picture = io.BytesIO()
    Image.fromarray(study.test.pixels[0, 0].numpy()).save(picture, "PNG")
    own = section(page, "Your picture")
    files = {"name": "mine.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    own.locator("input[type=file]").first.set_input_files(files)
    own.get_by_text(re.compile(r"larger than that of (over )?\d+\s%")).first.wait_for()


def test_a_wrong_token_is_refused(trained, browser):
    with serving(Study.load(trained)) as address:
        page = browser.new_page()
        for wrong in (address.replace(TOKEN, "wrong"), address.replace(f"{TOKEN}/", "")):
            answer = page.goto(wrong)
            assert answer.status == 404
            assert "nothing at this address" in page.content()
        page.close()


def test_another_site_reaches_nothing(trained, browser, tmp_path):
    """A page from elsewhere that even knows the address, token and all."""
    with serving(Study.load(trained)) as address:
        other = tmp_path / "other.html"
        other.write_text("<!doctype html><title>other</title>")
        page = browser.new_page()
        page.goto(other.as_uri())
        ask = "url => fetch(url).then(a => a.text(), () => 'refused')"
        assert page.evaluate(ask, f"{address}regions") == "refused"
        page.close()


def test_it_opens_from_the_command_line_and_ctrl_c_stops_it(trained, look):
    command = [sys.executable, "-m", "vaescape", "explore", str(trained), "--no-browser"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, env=environment, stdout=pipe, stderr=pipe) as running:
        assert running.stdout
        assert running.stderr
        try:
            address = running.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", address)
            page = look(address)
            hover(page, 500, 400)
            page.context.close()
            running.send_signal(signal.SIGINT)
            began = time.monotonic()
            assert running.wait(30) == 0
            assert time.monotonic() - began < 15
            assert "Traceback" not in running.stderr.read()
        finally:
            running.kill()


def test_the_page_is_the_only_file_that_it_gives(trained, browser):
    with serving(Study.load(trained)) as address:
        page = browser.new_page()
        for path in ("run.json", "blob/..%2frun.json", "../run.json", "weights.safetensors"):
            assert page.goto(address + path).status in (404, 405)
        page.close()
        assert Path(trained / "run.json").exists()
