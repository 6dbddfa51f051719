"""Morphs: two ends, three ways between them, their lengths, and the film."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from web_person import numbers

from vaescape.explore import fields
from vaescape.geometry.geodesic import geodesic
from vaescape.geometry.paths import linear, spherical

WAYS = ("Straight", "Spherical", "Geodesic")


def way(person, name):
    return person.page.locator(".way", has=person.page.get_by_role("radio", name=name))


def lengths(person, name):
    """Return the length of a way in images and in latents, as the page tells it."""
    return [float(text) for text in way(person, name).locator("dd").all_inner_texts()]


def frames(person):
    return person.page.locator("label:has-text('Frames') input")


def ready(person):
    """Wait until all three ways have been found."""
    person.until(lambda: person.page.locator(".way dl").count() == 3)
    person.page.locator("section[aria-label=Morph][aria-busy=false]").wait_for()


@pytest.fixture
def person(person):
    person.mode("Morph")
    person.zoom(1, 480, 200)
    person.zoom(-1, 480, 200)  # whoever moved the map keeps it where it is
    for number in range(1, 4):
        for found in person.page.get_by_role("button", name=f"Remove waypoint {number}").all():
            found.click()
    if (box := person.page.get_by_label("Even speed")).count():
        box.uncheck()
    return person


@pytest.fixture
def ends(person, study, z, content):
    """The ends of a morph from the middle of one class to that of another."""
    for end, label in (("End A", 0), ("End B", 3)):
        person.page.get_by_label(end, exact=True).select_option(study.classes[label])
    ready(person)
    chosen = content.manifest["representatives"]
    return [torch.tensor(z[chosen[label]], dtype=torch.float32) for label in (0, 3)]


def fine(study, path):
    """Return the length of a way in images: the sum of L2 distances between its frames."""
    return study.decode(path).flatten(1).diff(dim=0).norm(dim=1).sum().item()


def test_two_clicks_make_three_ways(person):
    lay = person.lay()
    person.click(320, 200)
    person.click(620, 380)
    ready(person)
    apart = np.hypot(300, 180) / lay.scale
    assert lengths(person, "Straight")[1] == pytest.approx(
        apart, rel=0.05
    )  # a point nearby is meant
    person.until(lambda: (person.layer("marks")[280:300, 460:480].min(-1) > 150).any())


def test_the_lens_leaves_the_way_in_sight(person):
    """From right to left: the lens of the second click stands on the side without the way."""
    person.click(620, 380)
    person.click(320, 200)
    ready(person)
    person.hover(321, 201)
    lens = person.page.locator("main .card.lens")
    person.until(lambda: (box := lens.bounding_box()) and box["x"] + box["width"] < 320)
    person.hover(619, 380)
    person.until(lambda: (box := lens.bounding_box()) and box["x"] > 620)


def test_a_and_b_set_the_ends_where_the_probe_is(person):
    lay = person.lay()
    person.map().focus()
    for key, place in (("a", (300, 300)), ("b", (600, 300))):
        person.hover(*place)
        person.press(key)
    ready(person)
    assert lengths(person, "Straight")[1] == pytest.approx(300 / lay.scale, rel=0.02)


def test_a_and_b_of_a_pin_open_the_morph(person, z):
    """As one who has pinned something and has seen no dock yet."""
    person.mode("Explore")
    person.page.get_by_label("Table view")  # nothing is open but the panel
    person.map().focus()
    for key, place in (("a", (300, 300)), ("b", (600, 300))):
        person.hover(*place)
        person.press(key)
    ready(person)
    person.mode("Explore")
    person.click(480, 300)
    person.button("Morph from (A)").click()
    person.page.get_by_label("Morph", exact=True).wait_for()
    assert person.button("B").get_attribute("aria-pressed") == "false"  # both ends are set
    person.mode("Explore")
    person.button("Morph to (B)").click()
    ready(person)


def test_the_saved_map_shows_names_paths_and_ends(person, study, ends, content):
    lay = person.lay()
    panel = person.section("Save and share")
    _, found = person.download(panel.get_by_role("button", name="SVG").click)
    svg = found.decode()
    assert svg.count("<polyline") == 6  # each of three ways, dark and bright
    assert 'stroke-dasharray="10 6"' in svg
    assert all(f">{end}</text>" in svg for end in "AB")
    for island in content.manifest["islands"]:
        assert f">{study.classes[island['label']]}</text>" in svg
    _, found = person.download(panel.get_by_role("button", name="PNG", exact=True).click)
    png = np.asarray(Image.open(io.BytesIO(found)).convert("L")).astype(float)
    scale = png.shape[0] / (800 + 34)
    shown = person.layer("marks")
    for end in ends:
        x, y = lay.at(end)
        assert shown[round(y) - 8, round(x), 3] > 200  # a badge on the screen
        spot = png[round((y - 7 + 34) * scale) :, round(x * scale) :][:3, :3]
        assert spot.max() > 240  # and in the file


def test_lengths_are_those_that_python_measures(person, study, ends):
    a, b = ends
    t = torch.linspace(0, 1, 65)
    straight, bent = linear(a, b, t), spherical(a, b, t)
    assert lengths(person, "Straight") == pytest.approx(
        [fine(study, straight), float((b - a).norm())], rel=0.01
    )
    assert lengths(person, "Spherical") == pytest.approx(
        [fine(study, bent), bent.diff(dim=0).norm(dim=1).sum().item()], rel=0.01
    )


def test_the_geodesic_is_as_short_as_pythons_and_walked_evenly(person, study, ends):
    a, b = ends
    given = fields.decoder(study)
    found = geodesic(lambda z: given(z).mean, a[None], b[None], nodes=33)[0]
    shown = lengths(person, "Geodesic")[0]
    assert shown <= lengths(person, "Straight")[0] * 1.005
    assert shown == pytest.approx(fine(study, found), rel=0.05)
    note = person.page.locator(".note").inner_text()
    assert note.startswith("Geodesic: ")
    assert "shortest path on the 64 × 64 metric" in note
    speeds = way(person, "Geodesic").locator("svg[role=img]").get_attribute("aria-label")
    slow, fast = numbers(speeds)[-2:]
    assert fast < 1.5 * slow


def test_even_speed_makes_every_way_even(person, ends):
    def ratio():
        label = way(person, "Straight").locator("svg[role=img]").get_attribute("aria-label")
        slow, fast = numbers(label)[-2:]
        return fast / slow

    before = ratio()
    person.page.get_by_label("Even speed").check()
    person.until(lambda: ratio() < min(1.5, before))


def test_the_film_is_the_decoded_way_frame_by_frame(person, study, ends):
    a, b = ends
    person.page.get_by_role("radio", name="Straight").check()
    frame = person.page.get_by_label("Frame", exact=True)
    frame.fill("0")
    person.shows(person.picture("Straight, frame 1"), study.decode(a))
    frame.focus()
    for _ in range(3):
        person.press("ArrowRight")
    t = torch.linspace(0, 1, 16)
    person.shows(person.picture("Straight, frame 4"), study.decode(linear(a, b, t)[3]))
    strip = way(person, "Straight").locator(".strip canvas")
    box = strip.bounding_box()
    person.click(box["x"] + box["width"] * 0.97, box["y"] + box["height"] / 2)
    person.shows(person.picture("Straight, frame 16"), study.decode(b))
    frames(person).fill("8")
    person.until(lambda: person.pixels(strip).shape[1] == 8 * 28)
    person.until(lambda: person.page.locator(".film output").inner_text() == "8 / 8")
    frames(person).fill("16")


def test_space_plays_and_stops_the_film_and_g_changes_the_way(person, ends):
    told = person.page.locator(".film output")
    person.page.get_by_label("Frame", exact=True).fill("0")
    person.map().focus()
    person.press(" ")
    person.until(lambda: numbers(told.inner_text())[0] > 3)
    person.press(" ")
    person.settle()
    stopped = told.inner_text()
    person.page.wait_for_timeout(250)
    assert told.inner_text() == stopped
    chosen = []
    for _ in range(3):
        person.press("g")
        radios = person.page.locator("input[name=way]")
        chosen.append(radios.evaluate_all("all => all.findIndex(one => one.checked)"))
    assert sorted(chosen) == [0, 1, 2]
    person.page.get_by_role("radio", name="Straight").check()
    person.press("g")  # also with the focus on the choice itself
    assert not person.page.get_by_role("radio", name="Straight").is_checked()


def test_the_way_goes_through_a_waypoint_that_is_dragged(person, ends):
    lay = person.lay()
    person.page.get_by_role("radio", name="Straight").check()
    ready(person)
    direct = lengths(person, "Straight")[1]
    (x0, y0), (x1, y1) = (lay.at(end) for end in ends)
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    away = (middle[0] + 60, middle[1] - 90)
    person.drag([middle, away])
    person.button("Remove waypoint 1").wait_for()
    ready(person)
    through = sum(np.hypot(x - away[0], y - away[1]) for x, y in ((x0, y0), (x1, y1))) / lay.scale
    person.until(lambda: lengths(person, "Straight")[1] == pytest.approx(through, rel=0.03))
    assert through > direct
    person.button("Remove waypoint 1").click()
    person.until(lambda: lengths(person, "Straight")[1] == pytest.approx(direct, rel=0.01))
    person.button("+ Waypoint").click()
    person.button("Remove waypoint 1").wait_for()


def test_following_the_data_may_only_make_the_way_longer(person, ends):
    before = lengths(person, "Geodesic")[0]
    slider = person.page.get_by_label("Stay near the data")
    slider.fill("1")
    person.settle()
    ready(person)
    assert lengths(person, "Geodesic")[0] >= 0.99 * before
    slider.fill("0")
    person.settle()
    ready(person)
    assert lengths(person, "Geodesic")[0] == pytest.approx(before, rel=0.02)


def test_ends_are_swapped(person, study, ends):
    a, b = ends
    person.shows(person.picture("End A, decoded"), study.decode(a))
    person.button("Swap the ends").click()
    person.shows(person.picture("End A, decoded"), study.decode(b))
    person.shows(person.picture("End B, decoded"), study.decode(a))


def test_films_are_saved(person, study, ends):
    a, _ = ends
    person.page.get_by_role("radio", name="Straight").check()
    panel = person.section("Save and share")
    name, found = person.download(panel.get_by_role("button", name="GIF").click)
    film = Image.open(io.BytesIO(found))
    assert name.endswith(".gif")
    length = film.n_frames  # pyright: ignore[reportAttributeAccessIssue]
    assert (length, film.width) == (30, 9 * 28)  # 16 there, 14 back
    assert film.height > 9 * 28  # the caption
    first = np.asarray(film.convert("L"), np.float32)[: 9 * 28 : 9, ::9] / 255
    assert np.abs(first - study.decode(a)[0].numpy()).max() < 0.01
    _, found = person.download(panel.get_by_role("button", name="Strips as PNG").click)
    strips = np.asarray(Image.open(io.BytesIO(found)).convert("L"), np.float32) / 255
    assert strips.shape == (3 * 58 + 2, 110 + 16 * 58 + 2)
    for row in range(3):
        shown = strips[2 + 58 * row :, 112:][:56:2, :56:2]
        assert np.abs(shown - study.decode(a)[0].numpy()).max() < 0.01
    person.page.get_by_label("And back").uncheck()
    frames(person).fill("8")
    ready(person)
    video = panel.get_by_role("button", name=re.compile("^(WebM|MP4)$"))
    name, found = person.download(video.click)
    assert (found[:4] == b"\x1aE\xdf\xa3") if name.endswith("webm") else (found[4:8] == b"ftyp")
    person.page.get_by_label("And back").check()
    frames(person).fill("16")
