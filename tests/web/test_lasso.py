"""The lasso: who is in a selection, what they have in common, and what is done with it."""

import base64
import csv
import io
import json

import numpy as np
import pytest
import torch
from matplotlib.path import Path as Outline
from web_person import numbers

CURVE = [(300, 200), (420, 130), (560, 150), (640, 260), (560, 380), (400, 400), (310, 320)]


def rectangle(left, top, right, bottom):
    return [(left, top), (right, bottom)]


A = rectangle(300, 150, 480, 330)
B = rectangle(430, 180, 640, 360)
C = rectangle(380, 120, 520, 260)


@pytest.fixture
def person(person):
    person.mode("Lasso")
    person.press("Escape")
    person.zoom(1, 480, 200)
    person.zoom(-1, 480, 200)  # whoever moved the map keeps it where it is
    return person


@pytest.fixture
def lay(person):
    return person.lay()


def selection(person):
    """Return the numbers of the images selected, from the JSON that the page saves."""
    person.settle()
    if not person.page.locator(".found").count():
        return set()
    _, found = person.download(person.button("JSON").click)
    return {(item["split"], item["id"]) for item in json.loads(found)["items"]}


def points(found, study):
    """Return the page's own numbers of images."""
    return sorted(i if split == "train" else i + len(study.train) for split, i in found)


def held(lay, z, corners):
    """Return which images an outline on the screen surely holds, and which it may: 3 pixels off."""
    screen = lay.screen(z)
    inside = Outline(corners).contains_points(screen)
    start, way = np.array(corners, float), np.roll(corners, -1, 0) - np.array(corners, float)
    share = ((screen[:, None] - start) * way).sum(2) / (way**2).sum(1)
    edge = screen[:, None] - start - share.clip(0, 1)[..., None] * way
    near = np.linalg.norm(edge, axis=2).min(1) < 3
    return set(np.flatnonzero(inside & ~near)), set(np.flatnonzero(inside | near))


def test_what_the_hand_draws_around_is_selected(person, lay, study, z, labels):
    person.drag([*CURVE, CURVE[0]])
    chosen = points(selection(person), study)
    surely, maybe = held(lay, z, CURVE)
    assert surely <= set(chosen) <= maybe
    assert len(chosen) > 20
    card = person.dock()
    assert numbers(card.locator(".count").inner_text())[0] == len(chosen)
    mine = z[chosen]
    spread = np.sqrt(((mine - mine.mean(0)) ** 2).mean())
    assert numbers(card.get_by_text("spread").inner_text())[0] == pytest.approx(spread, rel=0.06)
    counts = np.bincount(labels[chosen], minlength=4)
    for line in card.locator("li").all():
        label = study.classes.index(line.locator(".name").inner_text())
        told = numbers(line.locator(".muted").inner_text())[0]
        assert told == pytest.approx(100 * counts[label] / len(chosen), abs=0.51)


def test_an_outline_that_ends_where_it_began_is_no_click(person):
    person.drag([*CURVE, CURVE[0]])
    person.page.locator(".found").wait_for()
    assert person.page.locator("button[aria-label^='Unpin ']").count() == 0


def test_a_selections_mean_middle_and_medoid_are_the_real_ones(person, study, z):
    person.drag([*CURVE, CURVE[0]])
    chosen = np.array(points(selection(person), study))
    first = len(study.train)
    originals = study.test.floats()[chosen[chosen >= first] - first]
    person.shows(person.picture("Mean image"), originals.mean(0), 0.02)
    centroid = z[chosen].mean(0)
    decoded = study.decode(torch.tensor(centroid, dtype=torch.float32))
    person.shows(person.picture("Decoded centroid"), decoded)
    medoid = chosen[np.linalg.norm(z[chosen] - centroid, axis=1).argmin()]
    split, number = ("training", medoid) if medoid < first else ("test", medoid - first)
    button = person.dock().locator(f"button[title='Pin {split} image {number}']").first
    button.get_by_role("img", name="Medoid").wait_for()
    person.until(lambda: person.dock().locator("button[title^='Pin ']").count() == 7)
    samples = person.dock().get_by_role("img", name="Sample 1")
    before = person.grey(samples)
    person.dock().get_by_role("button", name="again").click()
    person.until(lambda: (person.grey(samples) - before).abs().max() > 0.02)


def test_keys_add_take_away_undo_and_clear(person):
    person.drag(A, "Alt")
    a = selection(person)
    person.drag(B, "Alt", "Shift")
    union = selection(person)
    person.drag(C, "Alt", "Control")
    less = selection(person)
    assert len(a) > 5
    assert a < union
    assert less < union
    person.press("Control+z")
    assert selection(person) == union
    person.press("Control+z")
    assert selection(person) == a
    person.press("Control+Shift+Z")
    assert selection(person) == union
    person.press("Control+y")
    assert selection(person) == less
    person.drag(B, "Alt")
    b = selection(person)
    assert union == a | b
    person.drag(C, "Alt")
    assert less == union - selection(person)
    person.press("Escape")
    assert selection(person) == set()
    person.button("Undo").click()
    assert selection(person)


def test_a_rectangle_holds_what_it_holds(person, lay, study, z):
    person.button("Rectangle").click()
    person.drag(A)
    (left, top), (right, bottom) = A
    x, y = lay.screen(z).T
    chosen = np.array(points(selection(person), study))
    edge = np.minimum(np.minimum(x - left, right - x), np.minimum(y - top, bottom - y))
    assert set(np.flatnonzero(edge > 2)) <= set(chosen) <= set(np.flatnonzero(edge > -2))
    person.dock().get_by_role("button", name="Lasso").click()


def test_a_selection_leaves_the_names_of_classes_as_they_are(person):
    before = person.layer("marks")
    person.button("Rectangle").click()
    person.drag([(130, 110), (900, 480)])
    person.until(lambda: (person.layer("marks")[..., 3] > 0).mean() > 0.2)
    letters = (before[..., 3] == 255) & (before[..., :3].max(-1) > 120)
    assert letters.sum() > 200
    assert (person.layer("marks")[letters] == before[letters]).all(-1).mean() > 0.95
    person.dock().get_by_role("button", name="Lasso").click()


def test_hidden_classes_are_not_selected(person, study, labels):
    person.page.locator(f".chip:has-text('{study.classes[0]}')").click()
    person.drag(A, "Alt")
    chosen = points(selection(person), study)
    assert chosen
    assert 0 not in labels[chosen]


def test_tables_hold_the_images_their_classes_and_codes(person, study, z, labels):
    person.drag(A, "Alt")
    name, text = person.download(person.button("CSV").click)
    assert name.endswith(".csv")
    rows = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
    assert {(row["split"], int(row["id"])) for row in rows} == selection(person)
    for row in rows:
        index = int(row["id"]) + (len(study.train) if row["split"] == "test" else 0)
        assert int(row["label"]) == labels[index]
        assert row["class"] == study.classes[labels[index]]
        assert [float(row["z0"]), float(row["z1"])] == pytest.approx(z[index].tolist(), abs=1e-4)


def test_the_python_beside_a_selection_reads_it_back(person, study, run, monkeypatch, tmp_path):
    person.drag(A, "Alt")
    name, found = person.download(person.button("JSON").click)
    (tmp_path / name).write_bytes(found)
    (tmp_path / run.name).symlink_to(run)
    monkeypatch.chdir(tmp_path)
    left: dict = {}
    exec(person.copied(person.button("Python").click), left)
    expected = [i for split, i in sorted(selection(person)) if split == "test"]
    torch.testing.assert_close(left["test"].pixels, study.test.pixels[sorted(expected)])


def keep(person, name, where):
    person.drag(where, "Alt")
    person.press("n")
    person.page.keyboard.type(name)
    person.press("Enter")


def linked(person):
    """Return the regions in the page's address: a name, a map and strokes each."""
    packed = person.page.url.partition("r=")[2].partition("&")[0]
    told = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    return json.loads(told or "[[null]]")


def test_a_region_with_a_name_is_drawn_listed_linked_and_remembered(person, visit, saved):
    keep(person, "Mine <b>", A)
    inside = selection(person)
    panel = person.section("Regions")
    listed = panel.locator("li").inner_text()
    assert "Mine <b>" in listed
    assert numbers(listed)[-1] == len(inside)
    person.press("Escape")
    person.until(lambda: (person.layer("marks")[160:320, 310:470, 3] > 0).mean() > 0.9)
    person.until(lambda: linked(person)[0][0] == "Mine <b>")
    other = visit(saved, address="#" + person.page.url.partition("#")[2]).person()
    other.section("Regions").get_by_role("button", name="Mine <b>", exact=True).click()
    other.mode("Lasso")
    assert len(selection(other) ^ inside) <= 1  # a link has outlines to a thousandth of a unit
    keep(other, "Later", B)
    other.page.goto("about:blank")
    other.page.goto(saved.as_uri())
    other.page.get_by_role("application").wait_for()
    other.until(lambda: "Later" in other.section("Regions").inner_text())


def test_a_region_of_a_map_that_the_page_does_not_have_selects_nothing(person, visit, saved):
    keep(person, "Elsewhere", A)
    person.until(lambda: linked(person)[0][0] == "Elsewhere")  # not the link of an earlier test
    [region] = linked(person)
    region[1] = "umap"
    packed = base64.urlsafe_b64encode(json.dumps([region]).encode()).decode().rstrip("=")
    before, _, rest = person.page.url.partition("#")[2].partition("r=")
    other = visit(saved, address=f"#{before}r={packed}&{rest.partition('&')[2]}").person()
    panel = other.section("Regions")
    assert "on another map" in panel.locator("li").inner_text()
    panel.get_by_role("button", name="Elsewhere", exact=True).click()
    assert "a map that this page does not have" in other.alert()
    other.mode("Lasso")
    assert selection(other) == set()


def test_the_way_from_one_region_to_another_is_applied_to_an_image(person, study, z):
    keep(person, "here", A)
    here = z[points(selection(person), study)].mean(0)
    keep(person, "there", B)
    there = z[points(selection(person), study)].mean(0)
    person.mode("Explore")
    panel = person.section("Regions")
    slider = panel.get_by_label("How much of the difference")
    for share in (1.0, 0.5):
        slider.fill(str(share))
        code = torch.tensor(here + share * (there - here), dtype=torch.float32)
        person.shows(person.picture("The result, decoded"), study.decode(code))
    panel.get_by_role("button", name="Pin the result").click()
    head = person.section("Pins").locator(".head")
    person.until(lambda: "0.50 × (there − here)" in head.inner_text())
    slider.fill("1")
    code = torch.tensor(here + 1.5 * (there - here), dtype=torch.float32)
    person.shows(person.picture("The result, decoded"), study.decode(code))  # from the pin


def test_those_who_do_not_draw_select_around_the_probe(person, study, z):
    person.hover(480, 260)
    person.map().focus()
    person.press("ArrowRight")
    person.settle()
    probe = person.told().numpy()
    person.dock().get_by_label("radius").fill("0.4")
    person.button("Around the probe").click()
    chosen = points(selection(person), study)
    far = np.linalg.norm(z - probe, axis=1)
    assert set(np.flatnonzero(far < 0.37)) <= set(chosen) <= set(np.flatnonzero(far < 0.43))
    assert chosen
    person.until(lambda: f"{len(chosen)} images selected" in person.said())


def test_the_map_stays_where_it_is_when_the_dock_opens_and_grows(person):
    before = person.lay()
    person.mode("Lasso")
    person.drag([(300, 200), (500, 160), (600, 300), (450, 380), (300, 200)])
    person.page.locator(".found .count").wait_for()
    person.settle()
    after = person.lay()
    assert (after.scale, after.x, after.y) == pytest.approx(
        (before.scale, before.x, before.y), abs=3
    )
