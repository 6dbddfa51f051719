"""Somebody's own picture: chosen, dropped, pasted or drawn; prepared, encoded, decoded."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from web_person import numbers


def png(pixels) -> bytes:
    """Return a picture as a file."""
    image = Image.fromarray(np.asarray(pixels, np.uint8))
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


def test_the_heading_stays_in_sight_when_the_pad_opens(person, panel):
    panel.get_by_role("button", name="Draw one").click()
    heading, scroll = panel.locator("h2, summary").first, person.page.locator("aside .scroll")
    person.until(lambda: heading.bounding_box()["y"] >= scroll.bounding_box()["y"] - 1)
    panel.get_by_role("button", name="Draw one").click()


def test_a_picture_from_the_disk_is_encoded_and_decoded(person, panel, study, z):
    pixels = study.test.pixels[3, 0]
    choose(person, png(pixels))
    encoded(person, panel, study, pixels)
    error = (study.reconstruct(pixels[None, None]) - pixels / 255).square().mean().item()
    told = panel.get_by_text("MSE").first.inner_text()
    assert float(told.partition("MSE")[2]) == pytest.approx(error, rel=0.1)
    person.until(lambda: panel.locator(".near canvas").count() == 6)
    names = panel.locator(".near canvas").evaluate_all("all => all.map(one => one.ariaLabel)")
    code = study.encode(pixels[None, None])[0].numpy()
    near = np.linalg.norm(z[len(study.train) :] - code, axis=1).argsort()[:6]
    assert [numbers(name)[-1] for name in names] == near.tolist()
    panel.get_by_role("button", name="Pin it on the map").click()
    head = person.section("Pins").locator(".head")
    person.until(lambda: head.inner_text().startswith("mine.png"))
    person.shows(person.picture("Original"), pixels / 255, 0.004)


def test_ink_on_paper_is_turned_to_light_on_black(person, panel, study):
    pixels = study.test.pixels[5, 0]
    hand_over(person, "drop", png(255 - pixels))
    person.until(panel.get_by_role("checkbox", name="Invert").is_checked)
    encoded(person, panel, study, pixels)
    panel.get_by_role("checkbox", name="Invert").uncheck()
    encoded(person, panel, study, 255 - pixels)
    person.until(lambda: "Unlike the training data" in panel.inner_text())
    panel.get_by_role("checkbox", name="Invert").check()
    encoded(person, panel, study, pixels)
    choose(person, png(study.test.pixels[0, 0]))
    person.until(
        lambda: not panel.get_by_role("checkbox", name="Invert").is_checked()
    )  # each is judged anew


def test_every_step_of_the_preparation_is_shown(person, panel):
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[10:20, 30:36] = [255, 0, 0]
    hand_over(person, "paste", png(pixels))
    steps = panel.locator(".stages figure")
    person.until(lambda: steps.count() == 5)
    panel.get_by_role("checkbox", name="Crop").check()
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
    panel.get_by_role("checkbox", name="Crop").uncheck()


def test_a_picture_is_prepared_as_python_does_it(person, panel, study):
    y, x = np.mgrid[:90, :130]
    paper = np.stack([255 - x // 2, 200 + y // 3, 250 - y // 2], -1).astype(np.uint8)
    paper[30:60, 40:70] = [20, 40, 90]
    glass = np.zeros((70, 50, 4), np.uint8)
    glass[20:40, 10:45] = [255, 250, 255, 255]  # white ink on nothing
    partly = np.full((60, 60), 100, np.uint8)
    partly[:, :8] = 255  # the border's mean is bright, its median is not
    for pixels in (paper, glass, partly):
        content = png(pixels)
        choose(person, content)
        prepared, _ = study.preparation.picture(content)
        person.shows(person.picture("What is encoded"), prepared / 255, 0.004)


def test_a_file_that_is_no_picture_is_told_in_a_sentence(person, panel, study):
    choose(person, b"not a picture")
    assert "“mine.png” is not a picture this browser can read" in person.alert()
    choose(person, png(study.test.pixels[0, 0]))
    person.until(lambda: person.page.get_by_role("alert").count() == 0)
    hand_over(person, "drop", b"words", "words.txt", "text/plain")
    assert "“words.txt” is not a picture" in person.alert()
    choose(person, png(study.test.pixels[0, 0]))
    person.until(lambda: person.page.get_by_role("alert").count() == 0)


def test_a_picture_lands_on_the_map_by_itself(person, panel, study):
    choose(person, png(study.test.pixels[6, 0]))
    person.settle()
    choose(person, png(study.test.pixels[7, 0]), "shape.png")
    pins = person.section("Pins")
    person.until(lambda: "shape.png" in pins.locator(".head").inner_text())
    lay = person.lay()
    told = panel.get_by_role("img", name="Its reconstruction")
    told.wait_for()
    x, y = (round(at) for at in lay.at(study.encode(study.test.pixels[7:8])[0]))
    ring = person.layer("marks")[y - 10 : y + 11, x - 10 : x + 11]
    assert (ring[..., :3].min(-1) > 240).sum() > 20


def test_a_drawing_is_encoded_while_it_is_drawn(person, panel):
    person.button("Draw one").click()
    pad = person.page.get_by_role("application", name="Drawing pad")
    box = pad.bounding_box()

    def at(x, y):
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    mouse = person.page.mouse
    mouse.move(*at(0.3, 0.3))
    mouse.down()
    for corner in ((0.7, 0.3), (0.7, 0.7)):
        mouse.move(*at(*corner), steps=4)
    beside = person.page.get_by_role("img", name="What the decoder makes of it")
    beside.wait_for()  # the button is still held
    for seen in (beside, pad):
        place = seen.bounding_box()
        assert place["y"] >= 0
        assert place["y"] + place["height"] <= person.page.viewport_size["height"]
    encoded_as = person.picture("Your drawing as it is encoded")
    open_one = person.grey(encoded_as)
    for corner in ((0.3, 0.7), (0.3, 0.3)):
        mouse.move(*at(*corner), steps=4)
    mouse.up()
    # the outline is closed by now, and filled as the shapes of the set are
    person.until(lambda: person.grey(encoded_as)[12:16, 12:16].min() > 0.3)
    assert open_one[12:16, 12:16].max() < 0.1
    assert panel.get_by_role("checkbox", name="Crop").is_checked()  # a picture is not cropped
    filled = person.page.get_by_label("Fill and shade like the training images")
    filled.uncheck()
    person.until(lambda: person.grey(encoded_as)[12:16, 12:16].max() < 0.1)
    filled.check()
    person.until(lambda: person.grey(encoded_as)[12:16, 12:16].min() > 0.3)
    seen = person.grey(encoded_as)
    person.button("Clear the pad").click()
    pad.focus()
    person.press("Shift+ArrowDown", "Shift+ArrowDown")
    person.until(lambda: (person.grey(encoded_as) - seen).abs().max() > 0.2)
    person.button("Draw one").click()


def verdict(study, z, labels, code):
    """Return the largest share of the 25 nearest, in percent, and the names that may have it."""
    near = labels[np.linalg.norm(z - code.numpy(), axis=1).argsort()[:25]]
    counts = np.bincount(near)
    return 4 * counts.max(), [study.classes[i] for i in np.flatnonzero(counts == counts.max())]


def test_a_pinned_picture_keeps_the_classes_near_its_code(person, panel, study, z, labels):
    pixels = study.test.pixels[8, 0]
    choose(person, png(pixels))
    encoded(person, panel, study, pixels)
    share, names = verdict(study, z, labels, study.encode(pixels[None, None])[0])
    said = person.section("Pins").locator(".verdict")
    person.until(lambda: f"{share}\u00a0% of the 25 nearest" in said.inner_text())
    assert said.locator("strong").inner_text() in names
    assert panel.get_by_text("of the 25 nearest").count() == 1


def test_a_pinned_drawing_keeps_its_verdict_on_the_pad_and_in_its_pin(person, panel):
    person.button("Draw one").click()
    box = person.page.get_by_role("application", name="Drawing pad").bounding_box()
    person.drag([(box["x"] + 60, box["y"] + 60), (box["x"] + 120, box["y"] + 60)])
    beside = panel.locator(".beside")
    beside.get_by_text("of the 25 nearest").wait_for()
    name = beside.locator("strong").inner_text()
    panel.get_by_role("button", name="Pin it on the map").click()
    pinned = person.section("Pins").locator(".verdict")
    person.until(lambda: pinned.inner_text().startswith(name))
    assert beside.locator("strong").inner_text() == name
    person.button("Draw one").click()
