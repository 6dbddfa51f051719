"""The map: pins, zoom, classes, layers, overlays and samples, done by hand and looked at."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from web_person import numbers, values

from vaescape.explore import fields

ORANGE, BLUE = np.array([255, 169, 14]), np.array([63, 144, 255])


@pytest.fixture
def lay(person):
    return person.lay()


def free(lay, z):
    """Which images lie where nothing but the map is."""
    x, y = lay.screen(z).T
    return (x > 120) & (x < 900) & (y > 110) & (y < 700)


def lonely(lay, z, among):
    """Return the image that has most room about it on the screen."""
    room = np.sort(cdist(lay.screen(z), lay.screen(z)), 1)[:, 1]
    return int(np.argmax(np.where(free(lay, z) & among, room, -1)))


def name(study, index, labels):
    train = len(study.train)
    split = f"training image {index}" if index < train else f"test image {index - train}"
    return f"{study.classes[labels[index]]}, {split}"


def pin(person, lay, z, index):
    person.click(*lay.at(z[index]))
    person.page.mouse.move(1100, 30)


# The lens ----------------------------------------------------------------------------------------


def test_the_lens_says_who_lives_near_and_whether_anybody_does(person, lay, study, z, labels):
    code = person.hover(*lay.at(z[0])).numpy()
    lens = person.page.locator("main .lens").first
    far = np.linalg.norm(z - code, axis=1)
    near = lens.locator(".near").inner_text()
    assert study.classes[labels[far.argmin()]] in near
    assert numbers(near)[-1] == pytest.approx(far.min(), abs=0.012)
    count = np.bincount(labels[far.argsort()[:50]], minlength=4)
    told = lens.locator(".bar").get_attribute("aria-label").partition(": ")[2]
    assert numbers(told)[0] == pytest.approx(2 * count.max(), abs=4)
    person.press("l")
    panel = person.page.locator("aside .lens")
    panel.get_by_text("Denser here than around").wait_for()
    assert numbers(panel.get_by_text("among the 50 nearest").inner_text())[0] == numbers(told)[0]
    person.press("l")
    for _ in range(3):
        person.press("-")
    person.settle()
    person.hover(200, 660)
    person.until(lambda: "Far from all images" in lens.inner_text())
    assert lens.locator(".extrapolation").count() == 1


def test_real_images_take_the_place_of_their_points_from_the_middle_zoom_on(person, lay, study, z):
    index = lonely(lay, z, np.arange(len(z)) >= len(study.train))
    x, y = lay.at(z[index])
    person.page.mouse.move(1100, 30)
    person.settle()
    before = person.layer("marks")
    person.zoom(2, x, y)
    person.page.mouse.move(1100, 30)
    image = study.test.floats()[index - len(study.train), 0]

    def alike(marks, right, down):
        top, left = round(y) - 20 + down, round(x) - 20 + right
        part = marks[top : top + 40, left : left + 40]
        if part.std() == 0:
            return 0
        small = torch.nn.functional.interpolate(part[None, None], (28, 28), mode="area")[0, 0]
        return float(np.corrcoef(small.flatten(), image.flatten())[0, 1])

    def shown(marks, error=12):
        layer = torch.from_numpy(marks[..., 0].astype(np.float32) / 255)
        near = range(-error, error + 1, 2)
        return max(alike(layer, right, down) for right in near for down in near) > 0.8

    assert not shown(before)
    person.zoom(2, x, y)
    person.page.mouse.move(1100, 30)
    person.until(lambda: shown(person.layer("marks"), 24))


# Searching ---------------------------------------------------------------------------------------


def search(person, text):
    """Search for something; return what is found."""
    person.button("Search").click()
    person.page.get_by_label("Search commands, classes and images").fill(text)
    return person.page.get_by_role("listbox", name="Results").get_by_role("option")


def test_an_image_is_found_by_its_number_and_the_map_goes_there(person, study, z, labels):
    train = len(study.train)
    found = search(person, "12")
    called = [f"Go to test image 12, {study.classes[labels[train + 12]]}",
              f"Go to training image 12, {study.classes[labels[12]]}"]  # fmt: skip
    person.until(
        lambda: all(
            name in text for name, text in zip(called, found.all_inner_texts(), strict=False)
        )
    )
    person.press("ArrowDown", "Enter")
    head = person.section("Pins").locator(".head")
    person.until(lambda: "training image 12" in head.inner_text())
    code = person.hover((1280 - 316 + 12) / 2, (800 + 60 - 12) / 2)
    near = np.abs(z[12] - code.numpy()).max()
    assert near < 0.1 * np.ptp(z)


def test_a_key_right_after_escape_goes_to_the_map(person):
    person.zoom(1, 400, 400)
    zoomed = person.lay().scale
    person.page.evaluate("document.activeElement.blur()")
    person.press("/")
    person.page.get_by_role("dialog", name="Search").evaluate(
        """async (dialog) => {
            dialog.dispatchEvent(new Event('cancel')) // Escape; no other task comes in between
            await Promise.resolve().then(() => {})
            const options = { key: '0', bubbles: true }
            document.activeElement.dispatchEvent(new KeyboardEvent('keydown', options))
        }"""
    )
    person.until(lambda: person.lay().scale < 0.6 * zoomed)


def test_a_class_is_found_by_its_name(person, study, content):
    label = 2
    found = search(person, study.classes[label].upper())
    person.until(lambda: f"Go to {study.classes[label]}" in "".join(found.all_inner_texts()))
    found.filter(has_text=f"Go to {study.classes[label]}").click()
    head = person.section("Pins").locator(".head")
    person.until(lambda: head.inner_text().startswith(study.classes[label]))


# Pins --------------------------------------------------------------------------------------------


@pytest.fixture
def test_image(person, lay, study, z):
    """A test image that was clicked: the page holds its original."""
    index = lonely(lay, z, np.arange(len(z)) >= len(study.train))
    pin(person, lay, z, index)
    return index


def test_a_click_on_a_point_shows_what_the_model_makes_of_it(person, test_image, study, z, labels):
    panel = person.section("Pins")
    assert name(study, test_image, labels) in panel.inner_text()
    image = study.test.floats()[test_image - len(study.train)]
    decoded = study.decode(torch.tensor(z[test_image]))
    person.shows(person.picture("Original"), image, 0.03)
    person.shows(person.picture("Reconstruction"), decoded)
    told = numbers(panel.get_by_text("MSE").inner_text())
    assert told[0] == pytest.approx((image - decoded).square().mean().item(), rel=0.1)


def test_the_difference_is_orange_where_something_is_missing_and_blue_where_it_is_added(
    person, test_image
):
    person.until(lambda: person.picture("Reconstruction").count())
    person.page.wait_for_timeout(100)
    original, decoded = (
        person.grey(person.picture(label)).numpy() for label in ("Original", "Reconstruction")
    )
    missing = original - decoded
    strength = np.minimum(1, 1.6 * np.abs(missing))[..., None]
    expected = np.where(missing[..., None] > 0, ORANGE, BLUE) * strength
    shown = person.pixels(person.page.get_by_role("img", name="Difference"))[..., :3]
    assert np.abs(shown - expected).max() <= 4
    assert strength.max() > 0.2


def test_the_pins_neighbours_are_the_nearest_by_code_and_by_pixels(
    person, test_image, study, z, labels
):
    def strip(title):
        buttons = person.page.locator(f"h3:has-text('{title}') + ul button")
        return buttons.evaluate_all("all => all.map(one => one.title)")

    near = np.argsort(np.linalg.norm(z - z[test_image], axis=1), kind="stable")
    carried = near >= len(study.train)  # the page shows images, not what they are decoded to
    near = near[(near != test_image) & carried][:12]
    assert strip("Nearest in latent space") == [name(study, i, labels) for i in near]
    images = study.test.floats().flatten(1)
    first = len(study.train)
    alike = torch.cdist(images[test_image - first][None], images)[0].argsort()[1:13] + first
    person.until(lambda: len(strip("Nearest in pixels")) == 12)
    shown = strip("Nearest in pixels")
    assert len({name(study, int(i), labels) for i in alike} & set(shown)) >= 9  # WebP is lossy


def test_a_neighbour_that_is_clicked_is_pinned_too(person, test_image, study, z, labels):
    person.page.locator("h3:has-text('Nearest in latent space') + ul button").first.click()
    near = np.linalg.norm(z - z[test_image], axis=1)
    near[test_image] = np.inf
    second = name(study, int(near.argmin()), labels)
    panel = person.section("Pins")

    def headed(expected):
        person.until(lambda: panel.locator(".head").inner_text().startswith(expected), expected)

    headed(second)
    tabs = panel.locator(".tabs button")
    assert tabs.count() == 2
    tabs.first.click()
    headed(name(study, test_image, labels))
    person.button(f"Unpin {name(study, test_image, labels)}").click()
    headed(second)
    person.map().focus()
    person.press("Backspace")
    panel.wait_for(state="detached")


def test_the_pins_ellipses_are_those_of_its_posterior(person, study, content, z):
    lay = person.lay()
    sigma = np.exp(values(content.blobs["logvars"]) / 2)
    index = lonely(lay, z, np.arange(len(z)) < len(study.train))
    axis = int(sigma[index].argmax())
    doublings = math.floor(math.log2(110 / (sigma[index][axis] * lay.scale)))
    x, y = lay.at(z[index])
    person.click(x, y)
    person.zoom(doublings, x, y)
    person.page.mouse.move(1100, 30)
    told = numbers(person.section("Pins").get_by_text("σ =").inner_text().partition("σ =")[2])
    assert told[:2] == pytest.approx(sigma[index].tolist(), abs=2e-3)
    person.settle()
    marks, scale = person.layer("marks"), lay.scale * 2**doublings

    def white(times, sign):
        length = sign * times * sigma[index][axis] * scale
        at_x, at_y = round(x + length * (axis == 0)), round(y + length * (axis == 1))
        around = marks[max(0, at_y - 4) : at_y + 5, max(0, at_x - 4) : at_x + 5].min(-1)
        return bool((around > 200).any())

    for times, expected in ((1, True), (2, True), (1.5, False)):
        assert expected in [white(times, sign) for sign in (-1, 1)]


def test_a_click_beside_all_points_pins_the_place(person, lay, study, z):
    places = np.stack(np.meshgrid(np.arange(150, 880, 20), np.arange(130, 690, 20)), -1)
    places = places.reshape(-1, 2)
    empty = places[cdist(places, lay.screen(z)).min(1).argmax()]
    person.click(*empty.tolist())
    code = numbers(person.section("Pins").locator(".head").inner_text())
    assert code == pytest.approx(lay.z(*empty), abs=0.03)
    assert person.picture("Original").count() == 0
    person.shows(person.picture("Reconstruction"), study.decode(torch.tensor(code)), 0.02)


def test_a_pin_set_before_the_originals_are_there_gets_its_own(visit, saved, study, z):
    lay = visit(saved).person().lay()
    index = lonely(lay, z, np.arange(len(z)) >= len(study.train))
    other = visit(saved).page
    other.get_by_role("application").wait_for()
    other.mouse.click(*lay.at(z[index]))
    other.get_by_role("img", name="Original", exact=True).wait_for()
    other.get_by_text("σ =").wait_for()


# Zoom --------------------------------------------------------------------------------------------


def test_the_wheel_zooms_about_the_pointer(person):
    before, there = person.lay(), person.hover(520, 360)
    person.zoom(1, 520, 360)
    assert person.hover(520, 360).tolist() == pytest.approx(there.tolist(), abs=0.02)
    assert person.lay().scale == pytest.approx(2 * before.scale, rel=0.02)


def test_a_double_click_zooms_in_and_pins_nothing(person):
    before, there = person.lay(), person.hover(430, 250)
    person.page.mouse.dblclick(430, 250)
    person.settle()
    assert person.lay().scale > 1.5 * before.scale
    assert person.hover(430, 250).tolist() == pytest.approx(there.tolist(), abs=0.02)
    assert person.page.locator("summary", has_text="Pins").count() == 0


def test_plus_minus_and_nought_zoom(person):
    before = person.lay().scale
    person.press("+")
    person.settle()
    assert person.lay().scale == pytest.approx(1.6 * before, rel=0.02)
    person.press("-", "-")
    person.settle()
    assert person.lay().scale == pytest.approx(before / 1.6, rel=0.02)
    person.press("0")
    person.settle()
    assert person.lay().scale == pytest.approx(before, rel=0.02)


def test_a_drag_moves_the_map_with_the_hand(person):
    there = person.hover(400, 300)
    person.drag([(400, 300), (450, 330), (520, 380)])
    assert person.hover(520, 380).tolist() == pytest.approx(there.tolist(), abs=0.02)
    assert person.page.locator("summary", has_text="Pins").count() == 0


def test_dragging_needs_no_touch_screen_in_the_browser(visit, saved):
    person = visit(saved, script="delete window.TouchEvent").person()
    there = person.hover(400, 300)
    person.drag([(400, 300), (520, 380)])
    assert person.hover(520, 380).tolist() == pytest.approx(there.tolist(), abs=0.02)


def test_the_background_is_decoded_anew_for_every_zoom(person, study, lay):
    person.zoom(5, 640, 400)
    person.page.mouse.move(1100, 30)
    person.page.wait_for_timeout(600)  # the address says where we are once we are at rest
    where = dict(part.split("=") for part in person.page.url.partition("#")[2].split("&"))
    u, v = float(where["x"]), float(where["y"])
    scale = lay.scale * 32
    cell = 2.0 ** math.ceil(math.log2(28 / scale))
    column, row = math.floor(u / cell), math.floor(v / cell)
    expected = study.decode(torch.tensor([(column + 0.5) * cell, (row + 0.5) * cell]))[0]
    left, top = 640 + (column * cell - u) * scale, 400 - ((row + 1) * cell - v) * scale
    side = cell * scale

    def off():
        patch = torch.from_numpy(person.layer("backdrop")[..., 0].astype(np.float32) / 255)
        patch = patch[round(top) : round(top + side), round(left) : round(left + side)]
        small = torch.nn.functional.interpolate(patch[None, None], (28, 28), mode="area")[0, 0]
        return float((small - expected).abs().mean())

    person.until(lambda: off() < 0.03, "the cell in the middle is not what its place decodes to")


# Classes -----------------------------------------------------------------------------------------


def amounts(person, study):
    """Return how much of each class's colour the points show."""
    shown = person.layer("points").astype(int)
    found = {}
    for label in study.classes:
        style = person.page.locator(f".chip:has-text('{label}') .swatch").get_attribute("style")
        colour = np.array([int(part) for part in numbers(style)][:3])
        close = np.abs(shown[..., :3] - colour).max(-1) <= 10
        found[label] = int(shown[..., 3][close].sum())
    return found


def test_a_class_is_hidden_and_shown_alone(person, study, labels):
    first, second, *_ = study.classes
    chip = person.page.locator(f".chip:has-text('{first}')")
    assert numbers(chip.inner_text()) == [(labels == 0).sum()]
    before = amounts(person, study)
    assert min(before.values()) > 1000

    def seen():
        now = amounts(person, study)
        return [name for name in now if now[name] > before[name] / 10]

    chip.click()
    person.until(lambda: seen() == [name for name in study.classes if name != first])
    assert amounts(person, study)[second] > before[second] / 2
    person.button("Show all").click()
    person.until(lambda: seen() == list(study.classes))
    chip.dblclick()
    person.until(lambda: seen() == [first])
    person.press("Alt+2")
    person.until(lambda: seen() == [second])


def test_the_class_under_the_pointer_stands_out(person, study):
    first, second, *_ = study.classes
    before = amounts(person, study)
    person.page.locator(f".chip:has-text('{first}')").hover()

    def stands_out():
        during = amounts(person, study)
        return during[first] > before[first] and during[second] < before[second] / 2

    person.until(stands_out)


# Layers ------------------------------------------------------------------------------------------


def slide(person, label, key):
    person.section("Layers").get_by_label(label).focus()
    person.press(key)
    person.settle()


def test_the_background_fades(person):
    def seen():
        return person.page.screenshot(clip={"x": 100, "y": 200, "width": 300, "height": 300})

    person.until(lambda: person.layer("backdrop")[..., 3].mean() > 100)
    slide(person, "Decoded background", "Home")
    off = seen()
    slide(person, "Decoded background", "End")
    person.until(lambda: seen() != off)
    person.map().focus()
    person.press("Shift+B")
    person.until(lambda: seen() == off)
    person.press("Shift+B", "Shift+B")


def test_points_grow_and_fade(person):
    before = person.layer("points")[..., 3].astype(int)
    slide(person, "Point size", "End")
    person.until(lambda: (person.layer("points")[..., 3] > 0).sum() > 1.5 * (before > 0).sum())
    slide(person, "Point size", "Home")
    slide(person, "Point opacity", "Home")
    person.until(lambda: person.layer("points")[..., 3].max() == 0)
    person.section("Layers").get_by_label("Point opacity").fill("1")
    person.section("Layers").get_by_label("Point size").fill("1")


def test_class_names_are_on_the_map_unless_told_otherwise(person, lay, study, z, labels):
    box = person.section("Layers").get_by_label("Class names on the map")
    with_names = (person.layer("marks")[..., 3] > 0).sum()
    box.uncheck()
    person.until(lambda: (person.layer("marks")[..., 3] > 0).sum() < with_names / 4)
    box.check()


# Overlays ----------------------------------------------------------------------------------------


def brightness(person, places):
    """Return how bright the overlay is at places of the screen."""
    shown = person.layer("overlay")[..., :3].astype(float) @ [0.299, 0.587, 0.114]
    x, y = np.rint(places).astype(int).T
    return shown[y, x]


@pytest.fixture
def places(lay, content):
    """Places of the screen well inside the window that the fields cover, and their codes."""
    rng = np.random.default_rng(0)
    found = np.stack([rng.uniform(10, 1270, 4000), rng.uniform(70, 790, 4000)], 1)
    code = np.stack(lay.z(*found.T), 1)
    field = content.manifest["field"]
    low, high = np.array([field["x"], field["y"]]).T
    inside = ((code > low + 0.15 * (high - low)) & (code < high - 0.15 * (high - low))).all(1)
    return found[inside][:300], code[inside][:300]


def overlaid(person, title, sentence):
    person.overlay(title)
    person.until(lambda: sentence in person.section("Layers").inner_text())
    return person.section("Layers").locator(".ends span").all_inner_texts()


def test_the_speed_of_change_is_that_of_the_metric(person, study, places):
    ends = overlaid(person, "Speed of change", "a small step changes the image much")
    assert numbers(ends[0])[0] < numbers(ends[1])[0]
    person.until(lambda: person.layer("overlay")[..., 3].max() > 0)
    screen, code = places
    volume = fields.metric(study, torch.tensor(code, dtype=torch.float32)).det().sqrt()
    assert spearmanr(brightness(person, screen), volume.numpy()).statistic > 0.9  # pyright: ignore


def test_confusion_is_the_entropy_of_the_neighbours_classes(person, places, z, labels):
    overlaid(person, "Confusion", "50 nearest images are of many classes")
    person.until(lambda: person.layer("overlay")[..., 3].max() > 0)
    screen, code = places
    near = labels[np.argsort(cdist(code, z), 1)[:, :50]]
    share = np.stack([(near == label).mean(1) for label in range(4)], 1)
    entropy = -np.sum(share * np.log(np.maximum(share, 1e-9)), 1)
    assert spearmanr(brightness(person, screen), entropy).statistic > 0.8  # pyright: ignore


def test_the_priors_circles_are_where_they_should_be(person, lay):
    overlaid(person, "Prior", "1, 2 and 3 σ")
    person.until(lambda: person.layer("overlay")[..., 3].max() > 0)
    shown = person.layer("overlay")[..., 3] > 0

    def share(radius):
        angle = np.linspace(0, 2 * np.pi, 500)
        circle = lay.screen(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1))
        circle = np.rint(circle).astype(int)
        on = (circle >= 0).all(1) & (circle < [1280, 800]).all(1)
        return shown[circle[on][:, 1], circle[on][:, 0]].mean()

    assert share(1) > 0.5
    assert share(0.85) < 0.1
    assert share(1.15) < 0.1


def test_outlines_of_the_density_are_in_the_classes_colours(person, study):
    overlaid(person, "Class density", "50 % and 90 %")

    def seen(label):
        style = person.page.locator(f".chip:has-text('{label}') .swatch").get_attribute("style")
        colour = np.array([int(part) for part in numbers(style)][:3])
        return (np.abs(person.layer("overlay")[..., :3].astype(int) - colour).max(-1) < 6).sum()

    for label in study.classes:
        person.until(lambda label=label: seen(label) > 50)


def test_the_error_colours_the_points(person, study, content):
    before = amounts(person, study)
    ends = overlaid(person, "Reconstruction error", "how badly the image is reconstructed")
    person.until(lambda: sum(amounts(person, study).values()) < sum(before.values()) / 5)
    assert (person.layer("points")[..., 3] > 0).any()
    expected = np.quantile(values(content.blobs["errors"]), [0.01, 0.99])
    assert [numbers(end)[0] for end in ends] == pytest.approx(expected.tolist(), rel=0.05)


def test_o_goes_through_the_overlays_and_says_which(person):
    seen = []
    for _ in range(7):
        before = person.said()
        person.press("o")
        person.until(lambda before=before: person.said() != before)
        seen.append(person.said())
    assert seen[-1] == "Overlay: none."
    assert len(set(seen)) == 7


# Samples -----------------------------------------------------------------------------------------


def test_r_draws_from_the_prior_beside_where_the_data_are(person, study):
    person.press("r")
    panel = person.section("Samples")
    thumbs = panel.get_by_role("img")
    assert thumbs.count() == 16
    person.until(lambda: all(float(person.grey(one).max()) > 0.05 for one in thumbs.all()))
    once = person.layer("marks")
    panel.get_by_role("button", name="Draw again").click()
    person.until(lambda: (person.layer("marks") != once).any())
    thumbs.first.click()
    pinned = person.section("Pins").locator(".head").inner_text()
    assert pinned.startswith("Sample of the prior")
    panel.get_by_role("button", name="Clear").click()
    panel.wait_for(state="detached")


def test_shift_r_pins_an_image_of_a_class_on_show(person, study):
    person.page.locator(f".chip:has-text('{study.classes[1]}')").dblclick()
    person.map().focus()
    for _ in range(3):
        person.press("Shift+R")
    heads = person.section("Pins").locator(".tabs button, .head .name")
    named = heads.evaluate_all("all => all.map(one => one.ariaLabel ?? one.textContent)")
    assert all(name.startswith(study.classes[1]) for name in named)
    assert "image" in named[0]
