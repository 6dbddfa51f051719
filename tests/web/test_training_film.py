"""The training film as a person plays it: the points move and the decoder is the one of then."""

import base64
import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from web_person import SETTLED, Person

from vaescape.explore.page import save
from vaescape.explore.sections import plane
from vaescape.pipeline import start, train
from vaescape.recipes import configuration
from vaescape.runs import FILM
from vaescape.study import Study
from vaescape.train.film import kept, rewind

LENS, POINTS, BACKDROP = ".lens canvas", "canvas.points", "canvas >> nth=0"


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
    page.evaluate(SETTLED)
    told = page.locator(".lens .code").first.inner_text().replace("−", "-")
    return torch.tensor([float(part) for part in re.findall(r"-?\d+\.\d+", told)])


def until(page, seen: Callable[[], Any], otherwise: str) -> None:
    """Wait until something is seen."""
    Person(page).until(seen, otherwise)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return how far two pictures are apart, in the mean over their pixels."""
    return float((one - other).abs().mean())


def lens(page, expected: torch.Tensor, within: float = 0.02) -> None:
    """Wait until the lens shows an image."""
    until(page, lambda: apart(pixels(page, LENS), expected) < within, "the lens shows another")


def still(page, selector: str) -> torch.Tensor:
    """Return what a canvas shows once it no longer changes."""
    seen = [pixels(page, selector)]

    def quiet() -> bool:
        page.wait_for_timeout(400)
        seen.append(pixels(page, selector))
        return bool(seen[-1].any()) and torch.equal(seen[-1], seen[-2])

    until(page, quiet, "it never came to rest")
    return seen[-1]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    folder, study = start(
        configuration("first-look", film=4, limit=600, epochs=8, batch=50, threads=1),
        root=tmp_path_factory.mktemp("runs"),
    )
    train(folder, study)
    return folder


@pytest.fixture(scope="module")
def page_with_film(filmed, tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.html"
    with pytest.MonkeyPatch.context() as patch:  # the fields are not looked at here
        patch.setattr(plane, "FIELD", 16)
        patch.setattr(plane, "CELLS", 8)
        return save(Study.load(filmed), path, film=4)


def opened(visit, path, **context):
    page = visit(path, **context).ready()
    page.get_by_role("group", name="Mode").get_by_role("button", name="Film").click()
    return page, page.get_by_role("slider", name="Snapshot of the training")


def played(page, slider, act: Callable[[], Any]) -> list[str]:
    """Return the snapshots shown from an act until the film has stopped, however slow we look."""
    slider.evaluate(
        """one => {
            window.seen = []
            const note = () => window.seen.push(one.ariaValueText)
            new MutationObserver(note).observe(one, { attributeFilter: ['aria-valuetext'] })
        }"""
    )
    act()
    last = slider.get_attribute("max")
    ended = lambda: len(page.evaluate("window.seen")) > int(last)  # noqa: E731
    until(page, ended, "it did not play to the end")
    page.get_by_role("button", name="Play").wait_for()
    return page.evaluate("window.seen")


def test_space_plays_once_the_film_is_chosen(visit, page_with_film):
    page, slider = opened(visit, page_with_film)
    seen = played(page, slider, lambda: page.keyboard.press(" "))
    assert seen[0] == "Step 0, epoch 0"
    assert seen[-1] == "Step 96, epoch 8"


def test_scrubbing_back_shows_the_decoder_of_then(visit, page_with_film, filmed):
    page, slider = opened(visit, page_with_film)
    z = hover(page, 0.45, 0.4)
    study = Study.load(filmed)
    trained = study.decode(z)[0]
    lens(page, trained, 0.03)
    points = still(page, POINTS)
    slider.focus()
    page.keyboard.press("Home")
    page.get_by_text("Step 0, epoch 0").wait_for()
    rewind(study.model, kept(filmed / FILM)[0])
    untrained = study.decode(z)[0]
    assert apart(untrained, trained) > 0.05
    lens(page, untrained, 0.03)
    until(page, lambda: apart(pixels(page, POINTS), points) > 0.001, "the points did not move")
    page.keyboard.press("End")
    lens(page, trained, 0.03)
    until(page, lambda: torch.equal(pixels(page, POINTS), points), "the points are elsewhere")


def test_every_snapshot_stands_in_the_middle_between_the_panels(visit, page_with_film):
    page, slider = opened(visit, page_with_film)
    slider.focus()
    for key in ("Home", "ArrowRight", "End"):
        page.keyboard.press(key)
        x = (still(page, POINTS) > 0).nonzero()[:, 1].float()
        low, high = x.quantile(torch.tensor([0.002, 0.998])).tolist()
        panel = page.locator("aside .scroll").bounding_box()["x"]
        assert abs((low + high) / 2 - (12 + panel - 12) / 2) < 16, key


def test_the_background_is_the_one_of_then(visit, page_with_film):
    page, slider = opened(visit, page_with_film)
    before = still(page, BACKDROP)
    slider.focus()
    page.keyboard.press("Home")
    until(page, lambda: apart(pixels(page, BACKDROP), before) > 0.02, "the background is the same")


def test_an_image_is_followed_through_the_training(visit, page_with_film, filmed):
    page, slider = opened(visit, page_with_film)
    slider.focus()
    page.keyboard.press("Home")
    page.get_by_text("Step 0, epoch 0").wait_for()
    seen = still(page, POINTS)
    y, x = (seen > 0.3).nonzero()[0].tolist()
    page.mouse.click(x, y)
    name = page.locator(".followed .name")
    name.wait_for()
    index = int(name.inner_text().split()[-1])
    reconstruction = ".followed canvas[aria-label='Reconstructed at this snapshot']"
    page.locator(reconstruction).wait_for()
    study = Study.load(filmed)
    for key, path in (("End", None), ("Home", kept(filmed / FILM)[0])):
        slider.focus()
        page.keyboard.press(key)
        if path:
            rewind(study.model, path)
        expected = study.decode(study.encode(study.test[index : index + 1]))[0]
        until(
            page,
            lambda expected=expected: apart(pixels(page, reconstruction), expected) < 0.02,
            f"another reconstruction is shown at {key}",
        )
    page.get_by_role("button", name="Stop following").click()
    name.wait_for(state="detached")


def test_it_plays_to_the_end_and_stops(visit, page_with_film, filmed):
    page, slider = opened(visit, page_with_film)
    seen = played(page, slider, page.get_by_role("button", name="Play").click)
    assert [text.split(",")[0] for text in seen] == [f"Step {step}" for step in kept(filmed / FILM)]
    page.wait_for_timeout(1000)
    assert slider.input_value() == "3"


def test_another_mode_has_the_trained_decoder_again(visit, page_with_film, filmed):
    page, slider = opened(visit, page_with_film)
    trained = Study.load(filmed).decode(hover(page, 0.45, 0.4))[0]
    lens(page, trained, 0.03)
    slider.focus()
    page.keyboard.press("Home")
    until(page, lambda: apart(pixels(page, LENS), trained) > 0.05, "the decoder is the same")
    page.get_by_role("group", name="Mode").get_by_role("button", name="Explore").click()
    hover(page, 0.45, 0.4)
    lens(page, trained, 0.03)


def test_many_dimensions_are_filmed_on_their_plane(visit, tmp_path):
    chosen = configuration("first-look", film=3, latent=3, limit=200, epochs=1, batch=50, threads=1)
    folder, study = start(chosen, root=tmp_path)
    train(folder, study)
    page, slider = opened(visit, save(Study.load(folder), tmp_path / "film.html", film=3))
    trained = still(page, POINTS)
    slider.focus()
    page.keyboard.press("Home")
    until(page, lambda: apart(pixels(page, POINTS), trained) > 0.001, "the points did not move")
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
