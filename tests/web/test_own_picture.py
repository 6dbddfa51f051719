"""Somebody's own picture: chosen, dropped, pasted or drawn; prepared, encoded, decoded."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from web_person import numbers


def png(pixels, times=4) -> bytes:
    """Return a picture as a file, each pixel so many times enlarged."""
    image = Image.fromarray(np.asarray(pixels, np.uint8).repeat(times, 0).repeat(times, 1))
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


@pytest.fixture
def panel(person):
    return person.section("Your picture")


def choose(person, content, name="mine.png"):
    kind = {"name": name, "mimeType": "image/png", "buffer": content}
    person.page.locator("input[type=file]").set_input_files(kind)


def hand_over(person, event, content, name="mine.png", kind="image/png"):
    """Drop or paste a file."""
    person.page.evaluate(
        """([event, content, name, type]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))
            const data = new DataTransfer()
            data.items.add(new File([bytes], name, { type }))
            const options = { bubbles: true, cancelable: true, clientX: 400, clientY: 300 }
            const made = event === 'paste'
                ? new ClipboardEvent(event, { ...options, clipboardData: data })
                : new DragEvent(event, { ...options, dataTransfer: data })
            return document.querySelector('.map').dispatchEvent(made)
        }""",
        [event, base64.b64encode(content).decode(), name, kind],
    )


def encoded(person, panel, study, pixels):
    """Wait until a picture is encoded, and its reconstruction the study's own."""
    x = torch.as_tensor(pixels)[None, None]
    person.shows(person.picture("What is encoded"), x.float() / 255, 0.004)
    person.shows(person.picture("Its reconstruction"), study.reconstruct(x))


def test_a_picture_from_the_disk_is_encoded_and_decoded(person, panel, study, z):
    pixels = study.test.pixels[3, 0]
    choose(person, png(pixels))
    panel.get_by_role("checkbox", name="Crop").uncheck()
    encoded(person, panel, study, pixels)
    error = (study.reconstruct(pixels[None, None]) - pixels / 255).square().mean().item()
    told = panel.get_by_text("MSE").first.inner_text()
    assert float(told.partition("MSE")[2]) == pytest.approx(error, rel=0.1)
    person.until(lambda: panel.locator(".near canvas").count() == 6)
    names = panel.locator(".near canvas").evaluate_all("all => all.map(one => one.ariaLabel)")
    code = study.encode(pixels[None, None])[0].numpy()
    near = np.linalg.norm(z[len(study.train) :] - code, axis=1).argsort()[:6]
    assert [numbers(name)[-1] for name in names] == near.tolist()
    panel.get_by_role("button", name="Show it on the map").click()
    head = person.section("Pins").locator(".head")
    person.until(lambda: head.inner_text().startswith("mine.png"))
    person.shows(person.picture("Original"), pixels / 255, 0.004)
    panel.get_by_role("checkbox", name="Crop").check()


def test_ink_on_paper_is_turned_to_light_on_black(person, panel, study):
    pixels = study.test.pixels[5, 0]
    hand_over(person, "drop", png(255 - pixels))
    panel.get_by_role("checkbox", name="Crop").uncheck()
    person.until(panel.get_by_role("checkbox", name="Invert").is_checked)
    encoded(person, panel, study, pixels)
    panel.get_by_role("checkbox", name="Invert").uncheck()
    encoded(person, panel, study, 255 - pixels)
    person.until(lambda: "Unlike the training data" in panel.inner_text())
    panel.get_by_role("checkbox", name="Invert").check()
    encoded(person, panel, study, pixels)
    panel.get_by_role("checkbox", name="Crop").check()
    choose(person, png(study.test.pixels[0, 0]))
    person.until(
        lambda: not panel.get_by_role("checkbox", name="Invert").is_checked()
    )  # each is judged anew


def test_every_step_of_the_preparation_is_shown(person, panel):
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[10:20, 30:36] = [255, 0, 0]
    hand_over(person, "paste", png(pixels, 1))
    steps = panel.locator(".stages figure")
    person.until(lambda: steps.count() == 5)
    person.picture("What is encoded").wait_for()
    captions = [text.strip() for text in steps.locator("figcaption").all_inner_texts()]
    assert captions == ["picture", "grey", "inverted", "cropped", "28 × 28"]
    sizes = [person.pixels(one).shape[:2] for one in steps.locator("canvas").all()]
    assert sizes[0] == (60, 80)
    assert sizes[3] == (10, 10)
    assert sizes[4] == (28, 28)
    grey = person.grey(person.picture("What is encoded"))
    assert grey.max() == pytest.approx(0.299, abs=0.005)
    panel.get_by_role("checkbox", name="Grey by brightness").uncheck()
    person.until(lambda: person.grey(person.picture("What is encoded")).max() > 0.99)
    panel.get_by_role("checkbox", name="Grey by brightness").check()


def test_a_file_that_is_no_picture_is_told_in_a_sentence(person, panel, study):
    choose(person, b"not a picture")
    assert "“mine.png” is not a picture this browser can read" in person.alert()
    choose(person, png(study.test.pixels[0, 0]))
    person.until(lambda: person.page.get_by_role("alert").count() == 0)
    hand_over(person, "drop", b"words", "words.txt", "text/plain")
    assert "“words.txt” is not a picture" in person.alert()
    choose(person, png(study.test.pixels[0, 0]))
    person.until(lambda: person.page.get_by_role("alert").count() == 0)


def test_a_drawing_is_encoded(person, panel):
    person.button("Draw one").click()
    pad = person.page.get_by_role("application", name="Drawing pad")
    box = pad.bounding_box()

    def at(x, y):
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    person.drag([at(0.3, 0.3), at(0.7, 0.3), at(0.7, 0.7)])
    person.until(lambda: person.page.get_by_role("img", name="What is encoded").count())
    again = person.page.get_by_role("img", name="Its reconstruction").bounding_box()
    assert again["y"] + again["height"] <= person.page.viewport_size["height"]  # no need to scroll
    person.until(lambda: person.grey(person.picture("What is encoded")).max() > 0.9)
    seen = person.grey(person.picture("What is encoded"))
    assert seen[20:, :8].max() < 0.1  # the corner that the stroke left out
    person.button("Wipe").click()
    pad.focus()
    person.press("Shift+ArrowDown", "Shift+ArrowDown")
    person.until(lambda: (person.grey(person.picture("What is encoded")) - seen).abs().max() > 0.3)
    person.button("Draw one").click()
