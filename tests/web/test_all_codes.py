"""All codes of a set in a real browser: counts far out, points near, ids, regions and tables."""

import csv
import io
import re
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import uvicorn
from web_person import Person

from vaescape.codes import Codes
from vaescape.encoding import encode
from vaescape.explore import server
from vaescape.explore.crowd import Crowd
from vaescape.explore.live import Live
from vaescape.explore.pyramid import pyramid
from vaescape.explore.sections import plane

pytestmark = pytest.mark.network
POINTS = "canvas.points"


@pytest.fixture(scope="module")
def codes(run, study, tmp_path_factory) -> Codes:
    """The codes of the run's own images, each moved a little, for many of them are equal."""
    out = encode(study, study.data, tmp_path_factory.mktemp("sets") / "codes", shard=500)
    rng = np.random.default_rng(0)
    for path in sorted(out.glob("*.npz")):
        with np.load(path) as file:
            arrays = dict(file)
        arrays["z"] = (arrays["z"] + rng.normal(0, 0.002, arrays["z"].shape)).astype(np.float32)
        np.savez_compressed(path, **arrays)
    return Codes.open(out)


@pytest.fixture(scope="module")
def person(study, codes, browser) -> Iterator[Person]:
    """Somebody in front of the page, its server behind it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plane, "FIELD", 16)
        patch.setattr(plane, "CELLS", 8)
        patch.setattr("vaescape.explore.pyramid.NEAR", 60)  # so that there are counts far out
        patch.setattr("vaescape.explore.pyramid.SAMPLE", 300)
        live = Live(study, Crowd(pyramid(codes, study), study))
        listening = server.listen(port=0)
        port = listening.getsockname()[1]
        app = server.application(live, "secret", server.names("127.0.0.1", port))
        running = uvicorn.Server(server.settings(app))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, reduced_motion="reduce", accept_downloads=True
        )
        page = context.new_page()
        page.set_default_timeout(60_000)
        complaints: list[str] = []
        page.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/secret/")
        page.get_by_role("application").wait_for()
        page.get_by_role("progressbar", name="Opening the decoder").wait_for(state="detached")
        yield Person(page)
        context.close()
        running.should_exit = True
        thread.join(20)
        listening.close()
        assert complaints == []


@pytest.fixture(scope="module")
def all_of(codes) -> tuple[np.ndarray, np.ndarray]:
    return codes.arrays()


def search(person: Person) -> Any:
    return person.page.get_by_role("combobox", name="Search commands, classes and images")


def pinned(person: Person) -> str:
    found = person.page.locator("details", has=person.page.locator("summary", has_text="Pins"))
    return found.inner_text() if found.count() else ""


def told(person: Person) -> str:
    return person.section("All codes").inner_text()


def test_far_out_the_map_has_the_counts_of_all_codes(person, all_of):
    z, labels = all_of
    person.until(lambda: "Zoom in until they are points" in told(person))
    assert f"{len(z):,} codes" in told(person)
    assert f"{len(z):,} images" in person.page.locator("#map-description").inner_text()
    legend = person.section("Classes").inner_text()
    for count in np.bincount(labels):
        assert f"{count:,}" in legend
    lay = person.lay()
    drawn = person.layer("points")[..., 3] > 0
    screen = lay.screen(z)
    inside = (screen > [10, 60]).all(1) & (screen < [940, 780]).all(1)
    at = np.rint(screen[inside]).astype(int)
    near = np.stack([drawn[at[:, 1] + dy, at[:, 0] + dx] for dx in (-2, 0, 2) for dy in (-2, 0, 2)])
    assert near.any(0).mean() > 0.99  # every code has colour about it
    assert drawn[60:780, 10:940].mean() < 0.6


def test_zoomed_in_every_code_is_a_point_that_can_be_pinned(person, codes, all_of, study):
    z, labels = all_of
    person.press("0")
    person.zoom(3, *person.lay().at(z[321]))
    person.until(lambda: "Every code in view is a point" in told(person))
    drawn = person.layer("points")[..., 3] > 200
    rows, columns = np.nonzero(drawn[300:500, 300:700])
    x, y = 300 + float(columns[len(columns) // 2]), 300 + float(rows[len(rows) // 2])
    there = person.hover(x, y)
    person.click(x, y)
    person.until(lambda: ", train/" in pinned(person) or ", test/" in pinned(person))
    label, name = re.findall(r"(.+), ((?:train|test)/\d+)", pinned(person))[0]
    row = codes.find(name)
    assert row is not None
    assert label.strip() == codes.classes[labels[row]]
    assert np.allclose(z[row], there.numpy(), atol=0.03)  # told to two decimals, within 8 pixels
    person.lens(study.decode(torch.from_numpy(z[row : row + 1]))[0], within=0.05)


def test_an_image_is_found_by_its_id(person, codes, all_of, study):
    z, labels = all_of
    row = 321
    (name,) = codes.ids(np.array([row]))
    person.press("0", "/")
    search(person).fill(name)
    found = person.page.get_by_role("option", name=f"Go to {name}, {codes.classes[labels[row]]}")
    found.wait_for()
    person.press("Enter")
    person.until(lambda: name in pinned(person))
    person.until(lambda: np.allclose(person.told().numpy(), z[row], atol=0.006))
    person.press("/")
    search(person).fill("train/999999")
    person.page.get_by_text("Nothing by that name").wait_for()
    person.press("Escape")


def test_a_lasso_counts_all_codes_and_exports_them_with_their_ids(person, codes, all_of):
    z, labels = all_of
    person.press("0")
    person.mode("Lasso")
    lay = person.lay()
    corners = np.median(z, 0) + np.array([[-0.8, -0.5], [0.7, 0.6]])
    person.button("Rectangle").click()
    person.drag([lay.at(corner) for corner in corners])
    dock = person.dock()
    dock.locator(".count").wait_for()
    count = int(dock.locator(".count strong").inner_text().replace(",", ""))
    low, high = (np.array(lay.z(*np.rint(lay.at(corner)))) for corner in corners)
    slack = 2 / lay.scale
    least = ((z > low + slack) & (z < high - slack)).all(1)
    most = ((z > low - slack) & (z < high + slack)).all(1)
    assert least.sum() <= count <= most.sum()
    assert count > 500
    assert "of 256 of them" in dock.inner_text()
    _, content = person.download(dock.get_by_role("button", name="CSV").click)
    lines = list(csv.DictReader(io.StringIO(content.decode())))
    assert len(lines) == count
    places = np.array([[line["z0"], line["z1"]] for line in lines], float)
    ids = dict(zip(codes.ids(np.arange(len(z))), range(len(z)), strict=True))
    rows = np.array([ids[line["id"]] for line in lines])
    assert np.array_equal(places.astype(np.float32), z[rows])
    assert least[np.setdiff1d(np.arange(len(z)), rows)].sum() == 0
    assert [line["class"] for line in lines] == [codes.classes[label] for label in labels[rows]]


def test_a_named_region_is_counted_and_hidden_classes_are_left_out(person, codes, all_of):
    _, labels = all_of
    dock = person.dock()
    before = int(dock.locator(".count strong").inner_text().replace(",", ""))
    dock.get_by_label("Name of the region").fill("middle")
    dock.get_by_role("button", name="Keep").click()
    person.until(lambda: f"{before:,}" in person.section("Regions").inner_text())
    hidden = codes.classes[labels[0]]
    legend = person.section("Classes")
    legend.get_by_role("button", name=hidden).click()
    read: Any = lambda: int(dock.locator(".count strong").inner_text().replace(",", ""))  # noqa: E731
    person.until(lambda: dock.locator(".count strong").count() and read() < before)
    legend.get_by_role("button", name=hidden).click()
    person.until(lambda: dock.locator(".count strong").count() and read() == before)


def test_a_region_that_the_server_cannot_count_is_told(person):
    person.page.route("**/region", lambda route: route.fulfill(status=200, body="null"))
    person.mode("Lasso")
    person.drag([(300, 200), (340, 240)])
    person.until(lambda: "could not count them" in person.dock().inner_text())
    person.page.unroute("**/region")
