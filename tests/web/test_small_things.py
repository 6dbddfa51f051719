"""What was found by looking closely: each as a person would meet it."""

import itertools

import pytest
from test_by_key_and_finger import Hand

from vaescape.evaluation.remarks import remarks
from vaescape.explore.sections import about
from vaescape.explore.view import View

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def phone(visit, saved):
    """Somebody with a telephone."""
    return visit(saved, **PHONE).person()


def overflowing(person, selector):
    """Return the elements in a part of the page that stick out of it to the right."""
    return person.page.locator(selector).evaluate(
        """part => {
            const edge = part.getBoundingClientRect().right + 1
            const out = [...part.querySelectorAll('*')]
            const beyond = one => one.getBoundingClientRect().right > edge
            return out.filter(beyond).map(one => one.className)
        }"""
    )


def test_what_the_evaluation_remarked_is_told_first(write, visit, study, monkeypatch):
    (said,) = remarks({"images": 9, "active_units": {"by_variance": 0}}, 2)
    monkeypatch.setattr(about, "_measured", lambda _: {"test": {}, "remarks": [said]})
    found, _ = about.about(View(study))
    person = visit(write(remarks=found["remarks"])).person()
    assert person.alert().startswith(said)
    person.button("Close this message").click()
    assert person.page.get_by_role("alert").count() == 0


@pytest.mark.parametrize("mode", ["Morph", "Lasso"])
def test_on_a_phone_nothing_covers_the_map_and_no_row_is_cut(phone, study, mode):
    phone.mode(mode)
    phone.page.touchscreen.tap(150, 220)
    phone.settle()
    assert phone.page.locator(".lens").count() == 0
    if mode == "Morph":
        for end, label in (("End A", 0), ("End B", 3)):
            select = phone.page.get_by_label(end, exact=True)
            select.select_option(study.classes[label])
        phone.page.locator("section[aria-label=Morph][aria-busy=false]").wait_for()
        phone.until(lambda: phone.page.locator(".way dl").count() == 3)
    assert overflowing(phone, "section.dock > section") == []


def test_on_a_phone_a_title_of_two_lines_is_whole(write, visit):
    person = visit(write(title="Fashion-MNIST: latent space (swift)"), **PHONE).person()
    title = person.page.get_by_role("heading", level=1)
    assert title.evaluate("h1 => h1.scrollHeight <= h1.clientHeight")


@pytest.mark.parametrize("x", [20, 160, 194, 230, 370])
@pytest.mark.parametrize("y", [200, 600])
def test_on_a_phone_the_lens_is_whole_and_not_under_the_finger(phone, x, y):
    phone.page.touchscreen.tap(x, y)
    lens = phone.page.locator(".card.lens")
    lens.wait_for()
    phone.settle()
    box = lens.bounding_box()
    assert 0 <= box["x"] <= 390 - box["width"]
    assert not (
        box["x"] <= x <= box["x"] + box["width"] and box["y"] <= y <= box["y"] + box["height"]
    )


def test_the_lens_is_out_of_the_way_while_a_lasso_is_drawn(person):
    person.mode("Lasso")
    person.page.mouse.move(300, 300)
    lens = person.page.locator(".lens")
    lens.first.wait_for()
    person.page.mouse.down()
    person.page.mouse.move(400, 300, steps=3)
    person.settle()
    assert lens.count() == 0
    person.page.mouse.up()


def test_region_arithmetic_stays_in_the_panel(person):
    person.mode("Lasso")
    for name, left in (("a region with quite a long name", 300), ("another of much the same", 520)):
        person.drag([(left, 250), (left + 150, 400)], "Alt")
        person.page.get_by_label("Name of the region").fill(name)
        person.press("Enter")
        # the keyboard is the map's again, so its keys work
        assert person.page.evaluate("document.activeElement.ariaLabel") == "Latent map"
    panel = person.section("Regions")
    panel.get_by_text("standard deviations apart").wait_for()
    assert overflowing(person, ".arithmetic") == []


def test_why_nothing_can_be_copied_is_said(person):
    panel = person.section("Save and share")
    person.page.mouse.move(1100, 300)  # off the map
    button = panel.get_by_role("button", name="Copy as Python")
    person.until(button.is_disabled)
    assert panel.get_by_text("Pin an image or a place to copy it as Python.").count() == 1


def test_nearest_images_of_a_pin_are_images_that_the_page_carries(person, study):
    person.click(480, 300)
    row = person.section("Pins").locator(".strip").first.locator("canvas")
    person.until(lambda: row.count() == 12)
    names = row.evaluate_all("all => all.map(one => one.ariaLabel)")
    assert all("test image" in name and "reconstructed" not in name for name in names)


def test_on_a_line_there_is_no_spherical_path(odd, visit):
    _, page = odd("small-line", latent=1, network="mlp(hidden=16)", epochs=2)
    person = visit(page).person()
    person.mode("Morph")
    person.page.get_by_label("End A", exact=True).select_option(index=1)
    person.page.get_by_label("End B", exact=True).select_option(index=2)
    person.until(lambda: person.page.locator(".way dl").count() == 2)
    assert person.page.get_by_role("radio", name="Spherical").count() == 0


def test_on_a_phone_an_end_chosen_in_the_panel_leaves_map_and_modes_in_sight(phone):
    phone.page.touchscreen.tap(150, 300)
    phone.page.locator(".sheet .handle").tap()
    phone.button("Morph from (A)").tap()
    modes, dock, sheet = (
        phone.page.locator(part) for part in ("header .modes", "section.dock", ".sheet")
    )
    dock.wait_for()
    phone.until(lambda: sheet.bounding_box()["height"] == 64)
    phone.settle()
    boxes = [part.bounding_box() for part in (modes, dock, sheet)]
    gaps = [low["y"] - high["y"] - high["height"] for high, low in itertools.pairwise(boxes)]
    assert gaps[0] > 200  # the map
    assert gaps[1] >= 0


def test_on_a_phone_the_table_breaks_no_word(phone, study):
    phone.press("v")
    table = phone.page.locator("dialog table")
    table.locator("tbody button").first.tap()
    near = table.get_by_role("list", name="Nearest images")
    phone.until(lambda: near.get_by_role("button").count() == 12)
    lines = table.locator(".name").evaluate_all(
        """all => all.map(one => {
            const range = document.createRange()
            range.selectNodeContents(one)
            return new Set([...range.getClientRects()].map(box => box.top)).size
        })"""
    )
    assert lines == [1] * (len(study.classes) + 12)
    assert phone.page.locator("dialog").evaluate("d => d.scrollWidth <= d.clientWidth")


def test_on_a_phone_the_frame_of_a_morph_is_shown_large(phone, study):
    phone.mode("Morph")
    for end, label in (("End A", 0), ("End B", 3)):
        phone.page.get_by_label(end, exact=True).select_option(study.classes[label])
    phone.page.locator("section[aria-label=Morph][aria-busy=false]").wait_for()
    large = phone.picture("The frame shown")
    phone.until(lambda: phone.page.locator(".way dl").count() == 3)
    phone.page.get_by_label("Frame", exact=True).fill("9")
    strip = phone.page.get_by_role("img", name="Geodesic: 16 frames from A to B").locator("canvas")
    phone.shows(large, phone.grey(strip)[:, 9 * 28 : 10 * 28], 0.004)
    box = large.bounding_box()
    assert min(box["width"], box["height"]) > 100
    assert box["x"] + box["width"] <= 390


def test_on_a_phone_all_six_boxes_of_the_machine_are_in_sight(phone):
    phone.mode("Machine")
    dock = phone.dock().bounding_box()
    found = phone.page.get_by_role("region", name="Machine")
    assert found.evaluate("part => part.tabIndex") == 0  # it scrolls, so that keys must reach it
    boxes = found.locator("li")
    assert boxes.count() == 6
    for box in boxes.all():
        for part in (box.locator("h3"), box.locator("h3 + *")):
            seen = part.bounding_box()
            assert seen["x"] + seen["width"] <= dock["x"] + dock["width"]
            assert seen["y"] + seen["height"] <= dock["y"] + dock["height"]
    assert overflowing(phone, "section.dock > section") == []


def test_a_place_tapped_before_the_machine_opens_is_not_its_z(phone):
    phone.page.touchscreen.tap(120, 300)
    phone.settle()
    phone.mode("Machine")
    found = phone.page.get_by_role("region", name="Machine")
    z = found.locator("li", has=phone.page.get_by_role("heading", name="Latent z"))
    phone.until(lambda: "You choose it" not in z.inner_text())
    phone.page.touchscreen.tap(200, 250)
    phone.until(lambda: "You choose it" in z.inner_text())


def test_on_a_phone_a_panel_speaks_of_a_finger(phone):
    phone.mode("Morph")
    assert "Tap two points" in phone.dock().inner_text()


def test_the_probe_does_not_cross_out_the_letter_of_an_end(person, study):
    person.mode("Morph")
    person.click(480, 300)
    cross = person.map().locator("svg")
    person.settle()
    assert cross.count() == 0
    person.hover(560, 300)
    assert cross.count() == 1


def test_options_in_a_message_are_not_broken(write, visit):
    said = "The codes say little. Try a smaller --beta or free bits (--objective 'elbo(x)')."
    person = visit(write(remarks=[said]), **PHONE).person()
    assert person.alert().startswith(said)
    lines = person.page.locator(".option").evaluate_all(
        "all => all.map(e => e.getClientRects().length)"
    )
    assert lines == [1, 1]


def test_on_a_line_the_height_of_the_points_is_explained(odd, visit):
    _, page = odd("small-line", latent=1, network="mlp(hidden=16)", epochs=2)
    person = visit(page).person()
    assert person.section("Layers").get_by_text("height only keeps the points apart").count() == 1


def test_sliders_say_that_no_dimension_is_active(odd, visit):
    options = {"network": "mlp(hidden=16)", "objective": "elbo(beta=60)", "epochs": 2}
    _, page = odd("collapsed", latent=16, **options)
    person = visit(page).person()
    person.mode("Sliders")
    dock = person.dock()
    dock.get_by_text("0 of 16 active").wait_for()
    said = dock.get_by_text("No dimension is active")
    assert said.count() == 1
    person.button("Regions").click()
    assert said.count() == 0


def test_on_a_phone_a_drawing_is_in_sight_on_the_map(phone):
    phone.press("+", "+", "+", "+")  # most of the map is off the screen
    sheet, hand = phone.page.locator("aside.sheet"), Hand(phone.page)
    hand.put("Start", (195, 844 - 44))
    hand.put("Move", (195, 400))
    hand.put("Move", (195, 60))
    hand.put("End")
    phone.section("Your picture")
    phone.button("Draw one").click()
    box = phone.page.get_by_role("application", name="Drawing pad").bounding_box()
    phone.drag([(box["x"] + 60, box["y"] + 60), (box["x"] + 120, box["y"] + 60)])
    phone.page.locator(".beside").get_by_text("of the 25 nearest").wait_for()
    assert sheet.bounding_box()["height"] > 700
    phone.button("Pin it on the map").click()
    phone.until(lambda: phone.page.locator(".verdict").count() == 1)
    phone.until(lambda: sheet.bounding_box()["height"] < 844 / 2)
    phone.settle()
    white = phone.layer("marks")[130 : int(sheet.bounding_box()["y"]), :, :3].min(-1) > 240
    assert white.sum() > 20  # the ring of its pin
