"""The page by keyboard alone, by touch, and for those who want no motion."""

import numpy as np
import pytest
from web_person import Person, Visit, numbers

# Keyboard ----------------------------------------------------------------------------------------


def focused(page):
    """Return the name of what has the focus."""
    return page.evaluate(
        """() => {
            const { activeElement: e } = document
            return e.ariaLabel ?? e.labels?.[0]?.textContent ?? e.textContent.trim()
        }"""
    )


def test_tab_reaches_the_bar_the_map_and_the_panel_and_one_sees_where_one_is(visit, saved):
    page = visit(saved).ready()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break  # the page was left
        seen.append(focused(page))
        ring = page.evaluate(
            """() => {
                const style = getComputedStyle(document.activeElement)
                const drawn = getComputedStyle(document.activeElement, '::after')
                return style.outlineStyle !== 'none' || drawn.borderStyle === 'solid'
            }"""
        )
        assert ring, seen[-1]
    parts = ("Explore", "Help", "Latent map", "square", "Decoded background")
    order = [next(i for i, name in enumerate(seen) if part in name) for part in parts]
    assert order == sorted(order)


def test_arrows_move_the_probe_far_and_finely(person):
    person.hover(480, 300)
    person.map().focus()
    lay = person.lay()
    person.hover(480, 300)
    for key, right, up in (("ArrowRight", 10, 0), ("Shift+ArrowUp", 0, 50), ("ArrowLeft", -10, 0)):
        before = person.told().numpy()
        person.press(key)
        person.settle()
        moved = (person.told().numpy() - before) * lay.scale
        assert moved.tolist() == pytest.approx([right, up], abs=0.02 * lay.scale)


def test_enter_pins_and_brackets_walk_its_neighbours(person, study, z, labels):
    lay = person.lay()
    x, y = lay.screen(z).T
    index = int(np.flatnonzero((x > 300) & (x < 700) & (y > 150) & (y < 500))[0])
    person.hover(*lay.at(z[index]))
    person.map().focus()
    person.press("Enter")
    head = person.section("Pins").locator(".head .name").inner_text()
    assert head.startswith(tuple(study.classes))
    split, number = head.split(", ")[1].rsplit(" image ")
    pinned = int(number) + (len(study.train) if split == "test" else 0)
    near = np.linalg.norm(z - z[pinned], axis=1)
    near[pinned] = np.inf
    for key, rank in (("]", 0), ("]", 1), ("[", 0)):
        person.press(key)
        person.settle()
        neighbour = near.argsort()[rank]
        words = f"Neighbour {rank + 1}: {study.classes[labels[neighbour]]}"
        person.until(lambda words=words: person.said().startswith(words))
        assert person.told().tolist() == pytest.approx(z[neighbour].tolist(), abs=0.006)


def test_commands_are_found_by_their_words(person):
    person.press("/")
    person.page.keyboard.type("overlay prior")
    person.press("Enter")
    person.until(lambda: "1, 2 and 3 σ" in person.section("Layers").inner_text())
    person.press("Control+k")
    person.page.keyboard.type("no such thing")
    person.page.get_by_text("Nothing by that name").wait_for()
    person.press("Escape")
    person.page.locator("dialog").wait_for(state="detached")


def test_help_lists_the_keys(person):
    person.press("?")
    text = person.page.locator("dialog").inner_text()
    for words in ("Zoom in", "Next overlay", "Copy a link to this view", "Move the probe"):
        assert words in text
    person.button("Close").click()
    person.page.locator("dialog").wait_for(state="detached")


def test_the_table_says_what_the_map_shows(person, study, z, labels):
    person.press("v")
    table = person.page.locator("dialog table")
    rows = table.locator("tbody tr")
    person.until(lambda: rows.count() == len(study.classes))
    counts = {row.locator("th").inner_text(): numbers(row.locator("td").first.inner_text())[0]
              for row in rows.all()}  # fmt: skip
    assert counts == {name: (labels == i).sum() for i, name in enumerate(study.classes)}
    rows.first.locator("button").click()
    near = table.get_by_role("list", name="Nearest images").get_by_role("button")
    person.until(lambda: near.count() == 12)
    first = near.first.inner_text()
    near.first.click()
    head = person.section("Pins").locator(".head .name")
    person.until(lambda: head.inner_text().split(", ")[1] in first)


def theme(page):
    return page.evaluate("document.documentElement.dataset.theme")


def test_t_p_and_l_change_the_theme_the_panel_and_the_lens(person):
    page = person.page
    before = theme(page)
    person.press("t")
    person.until(lambda: theme(page) != before)
    person.press("t", "p")
    page.locator("aside .scroll").wait_for(state="detached")
    person.press("p")
    page.locator("aside .scroll").wait_for()
    person.hover(480, 300)
    person.press("l")
    page.locator("main .card.lens").wait_for(state="detached")
    page.locator("aside .lens .code").wait_for()
    person.press("l")
    page.locator("main .card.lens").wait_for()


def test_the_context_menu_by_mouse_and_keys(person):
    lay = person.lay()
    person.page.mouse.click(430, 320, button="right")
    menu = person.page.get_by_role("menu")
    menu.wait_for()
    items = menu.get_by_role("menuitem").all_inner_texts()
    assert items[1:3] == ["Morph from here (A)", "Morph to here (B)"]
    person.until(lambda: focused(person.page) == items[0])
    person.press("ArrowDown", "ArrowUp", "ArrowUp")
    person.until(lambda: focused(person.page) == items[-1])
    person.press("Escape")
    menu.wait_for(state="detached")
    person.page.mouse.click(430, 320, button="right")
    code = person.copied(menu.get_by_role("menuitem", name="Copy the code z").click)
    assert numbers(code) == pytest.approx(lay.z(430, 320), abs=14 / lay.scale + 0.02)


def test_the_theme_follows_the_system(visit, saved):
    person = visit(saved, color_scheme="light").person()
    assert theme(person.page) == "light"
    person.page.emulate_media(color_scheme="dark")
    person.until(lambda: theme(person.page) == "dark")


def test_the_help_has_a_tour_of_six_steps(visit, saved):
    person = visit(saved).person()
    person.button("Help").click()
    person.button("Take the tour").click()
    tour = person.page.locator(".tour")
    titles = set()
    for step in range(6):
        tour.get_by_text(f"{step + 1} of 6").wait_for()
        titles.add(tour.locator("h2").inner_text())
        assert person.page.locator(".ring").count() == (step >= 4)
        if step < 5:
            tour.get_by_role("button", name="Next").click()
    assert len(titles) == 6
    tour.get_by_role("button", name="Close").click()
    tour.wait_for(state="detached")
    person.button("Help").click()
    person.button("Take the tour").click()
    tour.wait_for()
    person.press("Escape")
    tour.wait_for(state="detached")


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_the_tour_points_at_the_machine_and_covers_nothing_of_it(visit, saved, size):
    person = visit(saved, viewport={"width": size[0], "height": size[1]}).person()
    person.mode("Machine")
    person.button("Help").click()
    person.button("Take the tour").click()
    tour = person.page.locator(".tour")
    for _ in range(4):
        tour.get_by_role("button", name="Next").click()
    assert "Machine" in tour.locator("p").inner_text()
    ring = person.page.locator(".ring").bounding_box()
    button = person.button("Machine").bounding_box()
    middle = [box["x"] + box["width"] / 2 for box in (ring, button)]
    assert middle[0] == pytest.approx(middle[1], abs=1)
    assert 0 < button["y"] - ring["y"] < 6
    box = tour.bounding_box()
    assert box["y"] + box["height"] <= person.dock().bounding_box()["y"]
    assert box["y"] >= button["y"] + button["height"]


# Touch -------------------------------------------------------------------------------------------


class Hand:
    """Fingers on the screen."""

    def __init__(self, page):
        self.page, self.client = page, page.context.new_cdp_session(page)

    def put(self, kind, *fingers, settled=True):
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
        event = {"type": f"touch{kind}", "touchPoints": points}
        self.client.send("Input.dispatchTouchEvent", event)
        if settled:
            Person(self.page).settle()

    def tap(self, x, y):
        self.put("Start", (x, y), settled=False)  # a finger that stays is no tap
        self.put("End")


@pytest.fixture(scope="module")
def tablet(browser, saved):
    found = Visit(browser, saved, has_touch=True)
    yield found
    found.context.close()
    assert not found.complaints


@pytest.fixture
def toucher(tablet):
    found = tablet.person()
    found.tidy()
    return found


def test_one_finger_looks_and_the_lens_is_above_it(toucher, study):
    lay = toucher.lay()
    hand = Hand(toucher.page)
    hand.put("Start", (430, 600))
    hand.put("Move", (440, 610))
    hand.put("Move", (500, 640))
    code = toucher.told()
    assert code.tolist() == pytest.approx(lay.z(500, 640), abs=0.02)
    toucher.lens(study.decode(code))
    box = toucher.page.locator(".lens").first.bounding_box()
    assert box["y"] + box["height"] <= 640 - 60
    assert abs(box["x"] + box["width"] / 2 - 500) < 10
    hand.put("End")
    assert toucher.lay().x == pytest.approx(lay.x, abs=3)  # the map stayed where it was


def test_two_fingers_pinch_and_pan(toucher):
    before = toucher.lay()
    hand = Hand(toucher.page)
    hand.put("Start", (400, 300), (500, 300))
    for step in range(1, 6):
        hand.put("Move", (400 - 10 * step, 300), (500 + 10 * step, 300))
    hand.put("End")
    after = toucher.lay()
    assert after.scale == pytest.approx(2 * before.scale, rel=0.03)
    assert after.z(450, 300) == pytest.approx(before.z(450, 300), abs=0.03)
    hand.put("Start", (400, 300), (500, 300))
    for step in range(1, 6):
        hand.put("Move", (400 + 10 * step, 300 + 6 * step), (500 + 10 * step, 300 + 6 * step))
    hand.put("End")
    moved = toucher.lay()
    assert moved.scale == pytest.approx(after.scale, rel=0.03)
    assert (moved.x - after.x, moved.y - after.y) == pytest.approx((50, 30), abs=6)
    assert toucher.page.locator("summary", has_text="Pins").count() == 0


def test_a_tap_pins_and_a_long_press_opens_the_menu(toucher):
    hand = Hand(toucher.page)
    hand.tap(430, 320)
    toucher.page.locator("summary", has_text="Pins").wait_for()
    hand.put("Start", (430, 320))
    menu = toucher.page.get_by_role("menu")
    menu.wait_for()
    hand.put("End")
    toucher.press("Escape")
    menu.wait_for(state="detached")


def test_a_finger_draws_a_lasso(toucher):
    toucher.mode("Lasso")
    hand = Hand(toucher.page)
    hand.put("Start", (300, 150))
    for place in ((520, 140), (620, 300), (480, 420), (320, 360)):
        hand.put("Move", place)
    hand.put("End")
    toucher.until(lambda: toucher.page.locator(".found .count").count())
    assert numbers(toucher.page.locator(".found .count").inner_text())[0] > 5


def test_the_help_speaks_of_what_a_person_points_with(visit, saved):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    for options, words in ((phone, ("finger", "tap")), ({}, ("scroll", "click"))):
        person = visit(saved, **options).person()
        person.button("Help").click()
        told = person.page.get_by_role("dialog").locator("p").inner_text()
        assert all(word in told for word in words)
        assert not (options and ("click" in told or "scroll" in told))


def test_a_phone_has_a_sheet_with_three_heights_and_its_lens_above_the_thumb(visit, saved):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    person = visit(saved, **phone).person()
    hand = Hand(person.page)
    hint = person.page.get_by_role("region", name="What this page shows")
    hint.wait_for()
    said, sheet = hint.bounding_box(), person.page.locator(".sheet").bounding_box()
    assert said["y"] + said["height"] <= sheet["y"]
    hand.put("Start", (200, 500))
    hand.put("Move", (210, 510))
    hint.wait_for(state="detached")
    box = person.page.locator(".lens").first.bounding_box()
    assert box["y"] + box["height"] <= 510 - 60
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    hand.put("End")
    heights = []
    told = person.page.locator(".sheet [aria-pressed]")
    before = told.evaluate_all("all => all.map(each => each.ariaPressed)")
    for act in (None, "tap", "tap", "tap", "pull", "tap"):
        if act == "tap":  # on the sheet alone, not on what comes under the finger
            person.page.touchscreen.tap(195, 844 - heights[-1] + 20)
        elif act == "pull":
            hand.put("Start", (195, 844 - heights[-1] + 20))
            hand.put("Move", (195, 100))
            hand.put("End")
        person.settle()
        heights.append(round(person.page.locator(".sheet").bounding_box()["height"]))
    half = round(844 * 0.46)
    assert heights == [64, half, 64, half, 844 - 72, 64]
    assert told.evaluate_all("all => all.map(each => each.ariaPressed)") == before
    hand.put("Start", (195, 844 - 64 + 20))
    hand.put("Move", (195, 844 - 64 - 20))
    hand.put("Move", (195, 844 - 64 + 20))
    hand.put("End")  # dragged, and back
    person.page.locator(".sheet .handle").press("Enter")
    person.settle()
    assert round(person.page.locator(".sheet").bounding_box()["height"]) == half
    assert person.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_tap_right_after_a_swipe_over_the_map_counts(visit, saved):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    person = visit(saved, **phone).person()
    hand = Hand(person.page)
    for _ in range(5):  # the browser swallowed about one in four
        hand.put("Start", (200, 500))
        hand.put("Move", (200, 150))
        hand.put("End")
        person.button("Help").tap()
        person.page.get_by_role("dialog").wait_for()
        person.press("Escape")
        person.page.get_by_role("dialog").wait_for(state="detached")


@pytest.fixture
def sheet(visit, saved):
    """Somebody with a telephone whose sheet is open."""
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    person = visit(saved, **phone).person()
    person.page.locator(".sheet .handle").tap()
    return person


def test_a_finger_that_scrolls_moves_no_slider(sheet):
    slider = sheet.page.get_by_label("Decoded background")
    slider.scroll_into_view_if_needed()
    sheet.settle()
    box, hand = slider.bounding_box(), Hand(sheet.page)
    x, y = box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2
    scrolled = sheet.page.locator(".sheet .scroll")
    before = scrolled.evaluate("part => part.scrollTop")
    hand.put("Start", (x, y))
    for step in range(1, 6):
        hand.put("Move", (x, y - 12 * step))
    hand.put("End")
    assert scrolled.evaluate("part => part.scrollTop") > before
    assert slider.input_value() == "0.4"
    y = slider.bounding_box()["y"] + box["height"] / 2
    hand.tap(x, y)
    sheet.until(lambda: slider.input_value() == "0.9")
    canvas = sheet.map().locator("canvas").first
    sheet.until(lambda: canvas.evaluate("canvas => canvas.style.opacity") == "0.9")
    hand.put("Start", (x, y))
    for step in range(1, 6):
        hand.put("Move", (x - box["width"] / 10 * step, y))
    hand.put("End")
    sheet.until(lambda: canvas.evaluate("canvas => canvas.style.opacity") == "0.4")


def test_a_finger_that_scrolls_over_a_strip_of_images_seeks_nothing(visit, saved, study):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    person = visit(saved, **phone).person()
    person.mode("Morph")
    for end, label in (("End A", 0), ("End B", 3)):
        person.page.get_by_label(end, exact=True).select_option(study.classes[label])
    person.until(lambda: person.page.locator(".way dl").count() == 3)
    at = person.page.get_by_label("Frame", exact=True)
    box = person.page.locator(".way .strip canvas").first.bounding_box()
    x, y = box["x"] + 0.53 * box["width"], box["y"] + box["height"] / 2
    hand = Hand(person.page)
    hand.put("Start", (x, y))
    for step in range(1, 6):
        hand.put("Move", (x, y - 12 * step))
    hand.put("End")
    assert at.input_value() == "0"
    box = person.page.locator(".way .strip canvas").first.bounding_box()
    hand.tap(x, box["y"] + box["height"] / 2)
    person.until(lambda: at.input_value() == "8")


# Motion ------------------------------------------------------------------------------------------


def test_with_less_motion_a_zoom_is_there_at_once(visit, saved):
    def scales(motion):
        person = visit(saved, reduced_motion=motion).person()
        person.page.wait_for_timeout(500)
        before = person.lay().scale
        person.press("+")
        person.settle()
        soon = person.lay().scale / before
        person.page.wait_for_timeout(1000)
        return soon, person.lay().scale / before

    assert scales("reduce") == pytest.approx((1.6, 1.6), rel=0.03)
    assert scales("no-preference")[1] == pytest.approx(1.6, rel=0.03)
