"""The predicted class: as overlay, under the pointer, and across the boundary from a pin."""

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.neighbors import KNeighborsClassifier
from test_accessible import serious
from web_person import numbers

from vaescape.explore.sections.classifier import classifier
from vaescape.explore.view import View

SIDE = 128


@pytest.fixture(scope="module")
def vote(z, labels):
    """The k-NN of the codes that the page shows."""
    return KNeighborsClassifier(25).fit(z, labels)


@pytest.fixture(scope="module")
def cells(content):
    """Where the cells of the prediction lie, the top row first: (128, 128, 2)."""
    about = content.manifest["classifier"]
    share = (np.arange(SIDE) + 0.5) / SIDE
    x, y = (low + share * (high - low) for low, high in (about["x"], about["y"]))
    return np.stack(np.meshgrid(x, y[::-1]), -1)


@pytest.fixture(scope="module")
def expected(vote, cells):
    """The class of each cell, and its share of the neighbours: (128, 128) each."""
    shares = vote.predict_proba(cells.reshape(-1, 2)).reshape(SIDE, SIDE, -1)
    return shares.argmax(-1), shares.max(-1)


def cell(cells, z):
    """Return the row and the column of the cell of a place."""
    return np.abs(cells[:, 0, 1] - z[1]).argmin(), np.abs(cells[0, :, 0] - z[0]).argmin()


def around(field, row, column):
    """Return the values of the cell and its neighbours."""
    return field[row - 1 : row + 2, column - 1 : column + 2]


@pytest.fixture
def shown(person):
    person.overlay("Predicted class")
    person.until(lambda: person.layer("overlay")[..., 3].max() > 0)
    return person


PLACES = [(220, 200), (300, 330), (400, 250), (520, 420), (640, 300), (700, 550)]


def test_the_lens_and_the_colour_tell_the_class_that_the_nearest_images_have(
    shown, study, cells, expected, content
):
    lay, classes, told = shown.lay(), list(study.classes), 0
    for place in PLACES:
        at = cell(cells, lay.z(*place))
        label = expected[0][at]
        if not 1 < min(at) <= max(at) < SIDE - 2 or (around(expected[0], *at) != label).any():
            continue
        shown.hover(*place)
        said = shown.page.locator("main .lens").first.get_by_text("Predicted:").inner_text()
        name, _, share = said.removeprefix("Predicted: ").removesuffix("\u00a0%").partition(", ")
        assert name == classes[label]
        shares = 100 * around(expected[1], *at)
        assert shares.min() - 1 <= float(share) <= shares.max() + 1
        colour = bytes.fromhex(content.manifest["colours"][label][1:])
        pixel = shown.layer("overlay")[place[1], place[0]]
        assert np.abs(pixel[:3].astype(int) - list(colour)).max() < 25
        told += 1
    assert told >= 3


def test_a_pin_has_its_nearest_image_across_the_boundary(shown, z, labels, cells, expected, study):
    lay = shown.lay()
    x, y = lay.screen(z).T
    free = np.flatnonzero((x > 200) & (x < 850) & (y > 120) & (y < 600))
    pinned = free[len(free) // 2]
    shown.click(*lay.at(z[pinned]))
    head = shown.section("Pins").locator(".head .name").inner_text()
    index = int(numbers(head)[-1]) + (len(study.train) if "test" in head else 0)
    inside = [1 < min(cell(cells, place)) <= max(cell(cells, place)) < SIDE - 2 for place in z]
    predicted = np.array([expected[0][cell(cells, place)] for place in z])
    far = np.linalg.norm(z - z[index], axis=1)
    far[~np.array(inside) | (predicted == predicted[index])] = np.inf
    nearest = far.argmin()
    across = shown.section("Pins").locator(".across")
    text = across.inner_text()
    number = nearest - len(study.train) if nearest >= len(study.train) else nearest
    assert f"image {number}" in text
    assert f"predicted {study.classes[predicted[nearest]]}" in text
    across.get_by_role("button").click()
    shown.until(lambda: f"image {number}" in shown.section("Pins").locator(".head").inner_text())


def test_the_keys_reach_it_and_it_is_said(person, study):
    person.map().focus()
    for _ in range(7):
        person.press("o")
        if "Predicted class" in person.said():
            break
    person.until(lambda: person.layer("overlay")[..., 3].max() > 0)
    person.press("ArrowRight")
    named = rf"Predicted: ({'|'.join(study.classes)}), \d+\u00a0%"
    person.until(lambda: re.search(named, person.said()))


def test_axe_finds_nothing_serious_beside_it(visit, saved, axe):
    person = visit(saved).person()
    person.page.evaluate(axe)
    person.overlay("Predicted class")
    person.until(lambda: person.layer("overlay")[..., 3].max() > 0)
    person.click(430, 300)
    for scheme in ("light", "dark"):
        person.page.emulate_media(color_scheme=scheme)
        for width, height in ((1280, 800), (390, 844)):
            person.page.set_viewport_size({"width": width, "height": height})
            person.settle()
            assert serious(person) == ""


def test_somebodys_classifier_is_named_and_its_word_is_shown(study, write, visit, tmp_path):
    weight = np.zeros((784, 4), np.float32)
    weight[:, 2] = 1  # logits: the more light, the surer of class 2
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weight"], ["y"]),
        ],
        "light",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 28, 28])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(weight, "weight")],
    )
    opset = [helper.make_opsetid("", 18)]
    path = tmp_path / "light & <b>shade.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    entries, blobs = classifier(View(study, classifier=path))
    page = write(**entries, blobs=blobs)
    person = visit(page).person()
    person.overlay("Predicted class")
    person.until(lambda: person.layer("overlay")[..., 3].max() > 0)
    assert path.name in person.section("Layers").inner_text()
    person.hover(430, 300)
    said = person.page.locator("main .lens").first.get_by_text("Predicted:").inner_text()
    assert said == f"Predicted: {study.classes[2]}, 100\u00a0%"
