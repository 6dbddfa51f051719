"""What leaves the page: links, copies, pictures and words."""

import io
import itertools
import json
import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from web_person import numbers

from vaescape.explore import page as pages

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def panel(person):
    return person.section("Save and share")


def linked(person):
    """Return the address once it has followed."""
    before = ""
    while before != person.page.url:
        before = person.page.url
        person.page.wait_for_timeout(600)
        person.settle()
    return "#" + before.partition("#")[2]


def pin_somewhere(person, z, study):
    """Pin the test image that is the furthest from all others; return its name."""
    lay = person.lay()
    x, y = (screen := lay.screen(z)).T
    seen = (x > 200) & (x < 850) & (y > 120) & (y < 600) & (np.arange(len(z)) >= len(study.train))
    held = np.flatnonzero(seen)
    far = np.linalg.norm(screen[held, None] - screen, axis=2)
    far[np.arange(len(held)), held] = np.inf
    person.click(*screen[held[far.min(1).argmax()]])
    name = person.section("Pins").locator(".head .name").inner_text()
    assert "test image" in name
    return name


def test_a_link_opens_the_same_view_pin_and_morph(person, visit, saved, z, study):
    pinned = pin_somewhere(person, z, study)
    person.mode("Morph")
    person.click(300, 250)
    person.click(560, 330)
    person.page.locator(".way dl").nth(2).wait_for()
    person.page.get_by_role("radio", name="Spherical").check()
    person.zoom(2, 500, 300)
    there = person.lay()
    address = linked(person)
    other = visit(saved, address=address).person()
    other.until(other.page.get_by_role("radio", name="Spherical").is_checked)
    again = other.lay()
    assert again.scale == pytest.approx(there.scale, rel=0.02)
    assert again.z(500, 300) == pytest.approx(there.z(500, 300), abs=0.02)
    assert other.section("Pins").locator(".head .name").inner_text() == pinned
    other.picture("Original").wait_for()
    other.page.locator(".way dl").nth(2).wait_for()
    for name in ("Straight", "Spherical"):
        one, two = (
            each.page.locator(".way", has=each.page.get_by_role("radio", name=name))
            for each in (person, other)
        )
        told = one.locator("dl").inner_text()
        other.until(lambda found=two, told=told: found.locator("dl").inner_text() == told)


def test_a_panel_that_is_opened_again_pins_nothing_again(visit, saved):
    person = visit(saved, address="#v=1&p=0.31,0.42").person()
    head = person.section("Pins").locator(".head .name")
    assert head.inner_text() == "from the link"
    person.page.wait_for_timeout(600)
    person.press("p", "p")
    head.wait_for()
    assert person.section("Pins").locator(".tabs button").count() == 0
    person.page.set_viewport_size({"width": 390, "height": 844})
    person.page.locator(".sheet").wait_for()
    assert person.page.locator(".sheet .tabs button").count() == 0


def test_the_link_is_copied(person, panel):
    copied = person.copied(person.button("Copy link").click)
    assert copied == person.page.url.partition("#")[0] + linked(person)
    assert "Link copied" in person.alert()
    person.button("Close this message").click()
    person.map().focus()
    assert person.copied(lambda: person.press("c")) == copied
    person.button("Close this message").click()


DAMAGED = [
    *("#v=9", "#<b>", "#v=1&x=NaN&k=-3&a=1,2,3&r=%%%&d=nowhere"),
    "#v=1&p=1e999,0&w=;;&m=fast&l=7",
]


@pytest.mark.parametrize("address", DAMAGED)
def test_a_damaged_link_opens_the_page_all_the_same(visit, saved, address):
    person = visit(saved, address=address).person()
    assert person.page.get_by_role("alert").count() == 0
    assert len(person.hover(500, 300)) == 2


def test_a_saved_copy_is_a_whole_page_with_the_view_in_it(person, panel, visit, tmp_path, z, study):
    pinned = pin_somewhere(person, z, study)
    person.mode("Lasso")
    person.drag([(300, 150), (480, 330)], "Alt")
    person.press("n")
    person.page.keyboard.type("kept")
    person.press("Enter")
    person.mode("Explore")
    name, found = person.download(person.button("Save a copy").click)
    assert name.endswith(".html")
    (tmp_path / name).write_bytes(found)
    assert pages.check(tmp_path / name)["schema"] == 1
    other = visit(tmp_path / name).person()
    other.until(lambda: "kept" in other.section("Regions").inner_text())
    assert other.section("Pins").locator(".head .name").inner_text() == pinned
    other.section("Save and share")
    _, again = other.download(other.button("Save a copy").click)
    assert abs(len(again) - len(found)) < 2000  # a copy of a copy does not grow


def test_the_map_as_png_in_three_sizes(person, panel, study):
    for scale in (1, 2, 4):
        panel.locator("select").select_option(str(scale))
        name, found = person.download(panel.get_by_role("button", name="PNG", exact=True).click)
        picture = Image.open(io.BytesIO(found))
        assert name.endswith(".png")
        assert picture.size == ((1280 + 150) * scale, (800 + 34) * scale)
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    for label in range(len(study.classes)):
        swatch = pixels[(34 + 8 + 20 * label + 6) * 4, (1280 + 14 + 6) * 4]
        style = person.page.locator(".chip .swatch").nth(label).get_attribute("style")
        assert swatch.tolist() == [int(part) for part in numbers(style)][:3]
    panel.locator("select").select_option("2")


def test_the_map_as_svg_is_xml_with_every_point(person, panel, z, study):
    lay = person.lay()
    _, found = person.download(panel.get_by_role("button", name="SVG").click)
    root = ElementTree.fromstring(found)
    x, y = lay.screen(z).T
    inside = ((x > 0) & (x < 1280) & (y > 0) & (y < 800)).sum()
    assert len(root.findall(f".//{SVG}circle")) == pytest.approx(inside, abs=5)
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert {*study.classes, "z1", "z2"} <= texts
    (picture,) = root.iter(f"{SVG}image")
    assert picture.attrib["href"].startswith("data:image/")


def test_names_on_the_svg_stand_apart_as_on_the_map(person, panel, study):
    person.zoom(-3, 480, 300)
    _, found = person.download(panel.get_by_role("button", name="SVG").click)
    texts = list(ElementTree.fromstring(found).iter(f"{SVG}text"))
    names = [text for text in texts if text.text in study.classes]
    on_map = [name.attrib for name in names if "stroke" in name.attrib]
    assert on_map
    for one, other in itertools.combinations(on_map, 2):
        across, down = (abs(float(one[axis]) - float(other[axis])) for axis in "xy")
        assert across > 50 or down >= 19
    person.press("0")


def test_the_python_that_is_copied_runs(person, panel, study, run, monkeypatch):
    person.click(430, 300)
    monkeypatch.chdir(run.parent)
    left: dict = {}
    exec(person.copied(person.button("Copy as Python").click), left)
    person.shows(person.picture("Reconstruction"), left["images"][0])
    assert left["images"].shape == (1, 1, 28, 28)


def test_a_citation_is_copied(person, panel, run):
    text = person.copied(person.button("Cite (BibTeX)").click)
    assert text.startswith(f"@misc{{vaescape-{run.name},")
    assert text.count("{") == text.count("}")


def test_the_image_at_the_pointer_is_saved(person, panel, study):
    code = person.hover(430, 300)
    person.lens(study.decode(code))
    _, found = person.download(person.button("Image at the pointer").click)
    picture = np.asarray(Image.open(io.BytesIO(found)).convert("L"), np.float32) / 255
    assert np.abs(picture - study.decode(code)[0].numpy()).mean() < 0.03


def test_a_region_too_long_for_a_link_is_kept_in_the_copy_and_said(person, panel, tmp_path, visit):
    person.mode("Lasso")
    turn = np.linspace(0, 2 * np.pi, 400)
    radius = 120 + 25 * np.sin(37 * turn)
    for name in ("one", "two"):
        star = np.stack([480 + radius * np.cos(turn), 250 + radius * np.sin(turn)], 1)
        person.drag([tuple(place) for place in star.tolist()])
        person.press("n")
        person.page.keyboard.type(name)
        person.press("Enter")
    person.mode("Explore")
    person.copied(person.button("Copy link").click)
    assert "without the regions" in person.alert()
    _, found = person.download(person.button("Save a copy").click)
    state = found.decode().rpartition('id="state">')[2].partition("</script>")[0]
    assert [region["name"] for region in json.loads(state)["r"]] == ["one", "two"]


# The share card ----------------------------------------------------------------------------------

CARD = (1200, 630)
STRIP = 519, 75
"""Where the strip begins on the card, and its height."""
ROOM = 40, 84, 20
"""Pixels beside, over and under the data on the card's map."""


def shared(person) -> np.ndarray:
    """Return the card that one click saves: (630, 1200, 3)."""
    name, found = person.download(person.button("Save a share card").click)
    assert name.endswith("share-card.png")
    picture = Image.open(io.BytesIO(found))
    assert picture.size == CARD
    return np.asarray(picture.convert("RGB")).astype(float)


def fitted(z):
    """Return the box that an unzoomed map shows: all but the outermost, with a margin."""
    low, high = np.sort(z, 0)[np.rint(np.array([0.002, 0.998]) * (len(z) - 1)).astype(int)]
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def ends(person):
    """Return the ends of the morph, as the link has them."""
    told = parse_qs(linked(person).removeprefix("#"))
    return [np.array([float(value) for value in told[name][0].split(",")]) for name in "ab"]


def on_card(place, home):
    """Return where a place is on a card that shows a box: (low u, low v), (high u, high v)."""
    (left, bottom), (right, top) = home
    beside, over, under = ROOM
    wide, high = CARD[0] - 2 * beside, STRIP[0] - over - under
    scale = min(wide / (right - left), high / (top - bottom))
    x = beside + wide / 2 + (place[0] - (left + right) / 2) * scale
    return round(x), round(over + high / 2 - (place[1] - (bottom + top) / 2) * scale)


def films(card, count=16):
    """Return the frames of the card's strip, as small as the images: (16, 28, 28)."""
    wide = STRIP[1] * (count * 58 + 2) / 60  # 2 × 28 pixels a frame, and gaps of 2
    left = (CARD[0] - wide) / 2
    places = [left + 1.25 * (2 + 58 * i) for i in range(count)]
    frames = [
        Image.fromarray(card[STRIP[0] : STRIP[0] + STRIP[1]].astype(np.uint8)).resize(
            (28, 28), Image.Resampling.BOX, (x, 2.5, x + 70, 72.5)
        )
        for x in places
    ]
    return np.stack([np.asarray(frame.convert("L"), np.float32) / 255 for frame in frames])


def test_one_click_saves_a_card_with_title_map_and_a_strip_between_two_classes(
    visit, saved, study, content, z
):
    person = visit(saved).person()
    known = [n for n in content.manifest["representatives"] if n is not None]
    a, b = max(itertools.combinations(z[known], 2), key=lambda pair: np.hypot(*(pair[0] - pair[1])))
    card = shared(person)
    share = np.round(np.arange(16) * 39 / 15)[:, None] / 39
    expected = study.decode(torch.tensor(a + (b - a) * share).float()).squeeze(1).numpy()
    frames = films(card)
    off = [np.abs(frames - way).mean() for way in (expected, expected[::-1])]
    assert min(off) < 0.01
    home = fitted(z)
    for end in (a, b):  # the way on the map begins and ends where the two images lie
        x, y = on_card(end, home)
        assert card[y - 6 : y + 7, x - 6 : x + 7].max() > 200
    assert card[20:45, 24:300].max() > 240  # its title


def test_the_card_shows_the_morph_that_is_shown_and_what_is_zoomed_in_on(person, study, z):
    person.mode("Morph")
    person.click(300, 250)
    person.click(560, 330)
    person.page.locator(".way dl").nth(2).wait_for()
    person.page.get_by_role("radio", name="Straight").check()
    a, b = ends(person)
    share = np.arange(16)[:, None] / 15
    expected = study.decode(torch.tensor(a + (b - a) * share).float()).squeeze(1).numpy()
    before = shared(person)
    assert np.abs(films(before) - expected).mean() < 0.02
    person.zoom(2, 430, 290)
    person.settle()
    after = shared(person)
    assert np.abs(films(after) - films(before)).max() < 0.1
    assert np.abs(after[:519] - before[:519]).mean() > 5  # another part of the map
    person.mode("Explore")


def test_the_card_is_saved_from_a_phone_and_from_the_search(visit, saved):
    person = visit(saved, viewport={"width": 390, "height": 844}, has_touch=True).person()
    by_button = shared(person)
    person.press("/")
    person.page.keyboard.type("share card")
    _, found = person.download(lambda: person.press("Enter"))
    again = np.asarray(Image.open(io.BytesIO(found)).convert("RGB")).astype(float)
    assert np.abs(again - by_button).mean() < 2


KINDS = {
    "line": {"latent": 1},
    "many dimensions": {"latent": 16},
    "colour": {"size": 64, "channels": 3},
    "no labels": {"labelled": False},
    "codes": {"latent": 16, "posterior": "residual-vq(codes=12, stages=2, positions=4)"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_latent_space_has_a_card(odd, visit, kind):
    _, path = odd(f"card-{kind}", **KINDS[kind])
    card = shared(visit(path).person())
    strip = card[STRIP[0] + 5 : STRIP[0] + STRIP[1] - 5]
    beside = strip[:, :6, 0] == 10  # the paper beside a strip; without one, the map
    assert beside.all() == (kind not in ("no labels", "codes"))
    assert card[STRIP[0] + STRIP[1] + 5 :, 900:].max() > 200  # the name at the foot
    assert card[100:500].std() > 5


def test_the_gif_has_a_caption_below_every_frame(visit, saved, study):
    person = visit(saved).person()
    panel = person.section("Save and share")
    person.mode("Morph")
    person.click(300, 250)
    person.click(560, 330)
    person.page.locator(".way dl").nth(2).wait_for()
    _, found = person.download(panel.get_by_role("button", name="GIF", exact=True).click)
    film = Image.open(io.BytesIO(found))
    frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(film)]
    assert len(frames) == 30  # 16 there, and back without the ends
    assert frames[0].shape == (28 * 9 + 38, 28 * 9)
    captions = np.stack([frame[28 * 9 :] for frame in frames])
    assert (captions == captions[0]).all()
    for top in (0, 18):  # two lines
        assert (captions[0, top : top + 18] > 200).sum() > 50
    small = np.stack([frame[4 : 28 * 9 : 9, 4::9] for frame in frames]).astype(float) / 255
    expected = study.decode(torch.tensor(np.stack(ends(person))).float()).squeeze(1).numpy()
    assert np.abs(small[[0, 15]] - expected).mean() < 0.02
