"""The training film as a person plays it: the points move and the decoder is the one of then."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from vaescape.explore.page import save
from vaescape.pipeline import start, train
from vaescape.recipes import configuration
from vaescape.runs import FILM
from vaescape.study import Study
from vaescape.train.film import kept, rewind

LENS, POINTS = ".lens canvas", "canvas.points"


def pixels(page, selector: str) -> torch.Tensor:
    """Return what a canvas shows, its red channel times its opacity, in [0, 1]: (H, W)."""
    text = page.locator(selector).first.evaluate("canvas => canvas.toDataURL()")
    image = Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGBA")
    found = torch.from_numpy(np.asarray(image).astype(np.float32) / 255)
    return found[..., 0] * found[..., 3]


def hover(page, x: float, y: float) -> torch.Tensor:
    """Return the z that the lens names at shares of the window."""
    size = page.viewport_size
    page.mouse.move(x * size["width"] - 3, y * size["height"])
    page.mouse.move(x * size["width"], y * size["height"])
    told = page.locator(".lens .code").first.inner_text().replace("−", "-")
    return torch.tensor([float(part) for part in re.findall(r"-?\d+\.\d+", told)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, study = start(
        configuration("first-look", film=4, limit=600, epochs=2, batch=50, threads=1),
        root=tmp_path_factory.mktemp("runs"),
    )
    train(folder, study)
    return folder


@pytest.fixture(scope="module")
def page_with_film(run, tmp_path_factory):
    return save(Study.load(run), tmp_path_factory.mktemp("film") / "film.html", film=4)


def opened(visit, path, **context):
    page = visit(path, **context).ready()
    page.get_by_role("group", name="Mode").get_by_role("button", name="Film").click()
    return page, page.get_by_role("slider", name="Moment of the training")


def test_scrubbing_back_shows_the_decoder_of_then(visit, page_with_film, run):
    page, slider = opened(visit, page_with_film)
    z = hover(page, 0.45, 0.4)
    page.wait_for_timeout(400)
    trained, points = pixels(page, LENS), pixels(page, POINTS)
    slider.focus()
    page.keyboard.press("Home")
    page.get_by_text("Step 0, epoch 0").wait_for()
    page.wait_for_timeout(600)
    then = Study.load(run)
    rewind(then.model, kept(run / FILM)[0])
    untrained = pixels(page, LENS)
    assert (untrained - then.decode(z)[0]).abs().mean() < 0.03
    assert (untrained - trained).abs().mean() > 0.05
    assert (pixels(page, POINTS) - points).abs().mean() > 0.001
    page.keyboard.press("End")
    page.wait_for_timeout(600)
    assert (pixels(page, LENS) - trained).abs().mean() < 0.01
    assert torch.equal(pixels(page, POINTS), points)


def test_the_background_is_the_one_of_then(visit, page_with_film):
    page, slider = opened(visit, page_with_film)
    page.wait_for_timeout(1500)
    before = pixels(page, "canvas >> nth=0")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1500)
    assert (pixels(page, "canvas >> nth=0") - before).abs().mean() > 0.02


def test_an_image_is_followed_through_the_training(visit, page_with_film, run):
    page, slider = opened(visit, page_with_film)
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(800)
    seen = pixels(page, POINTS)
    y, x = (seen > 0.3).nonzero()[0].tolist()
    page.mouse.click(x, y)
    name = page.locator(".followed .name")
    name.wait_for()
    index = int(name.inner_text().split()[-1])
    reconstruction = ".followed canvas[aria-label='Reconstructed at this moment']"
    page.locator(reconstruction).wait_for()
    study = Study.load(run)
    for key, path in (("End", None), ("Home", kept(run / FILM)[0])):
        slider.focus()
        page.keyboard.press(key)
        page.wait_for_timeout(800)
        if path:
            rewind(study.model, path)
        expected = study.decode(study.encode(study.test[index : index + 1]))[0]
        assert (pixels(page, reconstruction) - expected).abs().mean() < 0.02
    page.get_by_role("button", name="Let go").click()
    assert name.count() == 0


def test_it_plays_to_the_end_and_stops(visit, page_with_film):
    page, slider = opened(visit, page_with_film)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.wait_for_function("document.querySelector('[aria-label^=\"Moment\"]').value !== '3'")
    page.get_by_role("button", name="Play").wait_for(timeout=20_000)
    assert slider.input_value() == "3"


def test_another_mode_has_the_trained_decoder_again(visit, page_with_film):
    page, slider = opened(visit, page_with_film)
    hover(page, 0.45, 0.4)
    page.wait_for_timeout(400)
    trained = pixels(page, LENS)
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(600)
    page.get_by_role("group", name="Mode").get_by_role("button", name="Explore").click()
    hover(page, 0.45, 0.4)
    page.wait_for_timeout(600)
    assert (pixels(page, LENS) - trained).abs().mean() < 0.01


def test_many_dimensions_are_filmed_on_their_plane(visit, tmp_path):
    chosen = configuration("first-look", film=3, latent=3, limit=200, epochs=1, batch=50, threads=1)
    folder, study = start(chosen, root=tmp_path)
    train(folder, study)
    page, slider = opened(visit, save(Study.load(folder), tmp_path / "film.html", film=3))
    page.wait_for_timeout(500)
    trained = pixels(page, POINTS)
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(800)
    then = pixels(page, POINTS)
    assert (then - trained).abs().mean() > 0.001
    page.get_by_role("button", name="Two axes").click()
    page.get_by_text("Step 4, epoch 1").wait_for()


def test_it_fits_a_phone(visit, page_with_film):
    page, slider = opened(visit, page_with_film, viewport={"width": 390, "height": 844})
    slider.wait_for()
    box = slider.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_a_film_there_is_no_such_mode(visit, saved):
    page = visit(saved).ready()
    assert page.get_by_role("button", name="Film").count() == 0
