"""Models whose codes are no points of a plane: the code grid, levels, graphs, lines, classes."""

import re

import pytest
import torch
from web_person import Person, numbers

from vaescape.explore import payload
from vaescape.explore.discrete import Codebook

SMALL = {"network": "mlp(hidden=16)", "epochs": 3}
KINDS = {
    "vq": {"latent": 12, "posterior": "vq(codes=16, positions=6)", **SMALL},
    "residual-vq": {
        "latent": 8, "posterior": "residual-vq(codes=8, stages=2, positions=4)", **SMALL
    },
    "fsq": {"latent": 4, "posterior": "fsq(levels=[4, 5])", **SMALL},
    "gumbel": {"latent": 20, "posterior": "gumbel-softmax(positions=4)", **SMALL},
    "ladder": {"latent": 6, "model": "ladder(levels=3, dims=4, width=16)", **SMALL},
    "16-d": {"latent": 16, **SMALL},
    "1-d": {"latent": 1, **SMALL},
    "classes": {"latent": 2, "conditional": True, **SMALL},
}  # fmt: skip
DISCRETE = ("vq", "residual-vq", "fsq", "gumbel")


@pytest.fixture
def shown(odd, visit):
    """Return a study of one kind, and somebody in front of its page."""

    def of(kind: str, **options):
        study, path = odd(f"model-{kind}", **KINDS[kind])
        return study, visit(path, **options).person()

    return of


def modes(person: Person) -> list[str]:
    return person.page.get_by_role("group", name="Mode").get_by_role("button").all_inner_texts()


def pin(person: Person, split: str = "test") -> int:
    """Pin an image of the set from the table; return its number."""
    person.press("v")
    table = person.page.get_by_role("dialog")
    near = table.get_by_role("list", name="Nearest images").get_by_role("button")
    found = near.filter(has_text=f"{split} image")
    for row in range(table.locator("tbody tr").count()):
        table.locator("tbody button[aria-expanded]").nth(row).click()
        near.first.wait_for()
        if found.count():
            break
    found.first.click()
    head = person.section("Pins").locator(".head .name").inner_text()
    return int(head.rsplit(" ", 1)[1])


# Codes -------------------------------------------------------------------------------------------


def cells(person: Person) -> torch.Tensor:
    found = person.page.locator(".parts .cell").all_inner_texts()
    return torch.tensor([[int(text) for text in found]])


def offer_all(person: Person) -> None:
    """Offer codes that no image has too."""
    person.page.get_by_label(re.compile("^all .* codes")).check()


@pytest.mark.parametrize("kind", DISCRETE)
def test_the_grid_shows_an_images_codes_and_each_change_is_decoded(kind, shown):
    study, person = shown(kind)
    book = Codebook.of(study)
    number = pin(person)
    person.mode("Codes")
    assert torch.equal(cells(person), study.codes(study.test[number : number + 1]))
    now = person.picture("The image of these codes")
    person.shows(now, study.decode(book.lookup(cells(person))))

    at = book.parts * len(book.tables) - 1
    person.page.locator(".parts .cell").nth(at).click()
    offer_all(person)
    other = person.page.locator(".option[aria-pressed=false]").first
    chosen = int(re.findall(r"Code (\d+)", other.get_attribute("aria-label"))[0])
    before = cells(person)
    other.click()
    after = before.clone()
    after[0, at] = chosen
    assert torch.equal(cells(person), after)
    person.shows(now, study.decode(book.lookup(after)))
    assert "1 of" in person.dock().inner_text()
    person.button("Reset").click()
    assert torch.equal(cells(person), before)
    person.shows(now, study.decode(book.lookup(before)))


def test_a_palette_shows_what_each_code_would_and_who_has_it(shown):
    study, person = shown("vq")
    book = Codebook.of(study)
    pin(person)
    person.mode("Codes")
    code = cells(person)
    index = torch.cat([study.codes(images) for images in (study.train, study.test)])[:, 0]
    counts = index.bincount(minlength=16)
    options = person.page.locator(".option")
    said = [numbers(o.get_attribute("aria-label")) for o in options.all()]
    assert said == sorted(([float(k), float(counts[int(k)])] for k, _ in said),
                          key=lambda pair: -pair[1])  # fmt: skip
    assert len(said) == (counts > 0).sum()
    for place in (0, len(said) - 1):
        changed = code.clone()
        changed[0, 0] = int(said[place][0])
        expected = study.decode(book.lookup(changed))
        person.shows(options.nth(place).locator("canvas"), expected)
    assert f"{counts[code[0, 0]]} images have this code here" in person.dock().inner_text()
    offer_all(person)
    person.until(lambda: options.count() == 16)


def test_a_changed_code_is_pinned_and_stepped_through_by_key(shown):
    study, person = shown("residual-vq")
    pin(person)
    person.mode("Codes")
    before = cells(person)
    offer_all(person)
    person.map().focus()
    person.press("}", "]")
    after = cells(person)
    assert (before != after).flatten().nonzero().flatten().tolist() == [1]
    person.press("[")
    assert torch.equal(cells(person), before)
    person.press("]")
    person.button("Pin it").click()
    assert "1 code changed" in person.section("Pins").locator(".head").inner_text()
    assert torch.equal(cells(person), after)
    decoded = study.decode(Codebook.of(study).lookup(after))
    person.shows(person.picture("Reconstruction"), decoded)


@pytest.mark.parametrize("kind", DISCRETE)
def test_a_place_is_decoded_from_the_code_nearest_to_it(kind, shown):
    study, person = shown(kind)
    assert modes(person) == ["Explore", "Lasso", "Codes"]
    person.page.mouse.move(500, 380)
    person.page.mouse.move(503, 380)
    person.settle()
    assert person.page.locator(".lens .code").first.inner_text().startswith("code ")
    person.press("Enter")
    person.mode("Codes")
    person.shows(
        person.picture("Reconstruction"), study.decode(Codebook.of(study).lookup(cells(person)))
    )
    assert person.page.get_by_role("button", name="Morph from (A)").count() == 0
    assert person.page.get_by_text("llipses at").count() == 0


def test_samples_of_the_prior_are_codes(shown):
    study, person = shown("vq")
    person.press("r")
    samples = person.section("Samples").locator("canvas")
    person.until(lambda: samples.count() >= 8)
    samples.first.click()
    person.mode("Codes")
    expected = study.decode(Codebook.of(study).lookup(cells(person)))
    person.shows(person.picture("Reconstruction"), expected)


# Levels ------------------------------------------------------------------------------------------


def draws(person: Person) -> list[torch.Tensor]:
    found = person.page.get_by_role("img", name=re.compile(r"^Draw \d+$"))
    return [person.grey(canvas) for canvas in found.all()]


def test_levels_are_kept_or_drawn_anew(shown):
    study, person = shown("ladder")
    number = pin(person)
    person.mode("Levels")
    image = study.test[number : number + 1]
    person.shows(person.picture("Reconstruction from all levels"), study.reconstruct(image))
    person.until(lambda: len(draws(person)) == 8)
    top = draws(person)
    assert max(float((a - top[0]).abs().max()) for a in top) > 0.004
    person.button("Draw again").click()
    person.until(
        lambda: not all(torch.equal(*pair) for pair in zip(top, draws(person), strict=True))
    )

    person.button("Keep all").click()
    person.until(lambda: len(draws(person)) == 1)
    person.shows(person.picture("Draw 1"), study.reconstruct(image))
    boxes = person.page.get_by_role("checkbox", name=re.compile("Top|Level"))
    assert boxes.count() == 3
    assert [box.is_checked() for box in boxes.all()] == [True, True, True]

    boxes.nth(0).uncheck()
    person.until(lambda: len(draws(person)) == 8)
    free = draws(person)
    spread = [float((a - free[0]).abs().mean()) for a in free]
    below = [float((a - top[0]).abs().mean()) for a in top]
    assert max(spread) > max(below)


def test_an_image_that_the_page_does_not_hold_keeps_its_top_alone(shown):
    study, person = shown("ladder")
    number = pin(person, "training")
    person.mode("Levels")
    person.until(lambda: len(draws(person)) == 8)
    assert "does not hold this image" in person.dock().inner_text()
    assert person.page.get_by_role("checkbox", name=re.compile("Level 2")).is_disabled()
    z = study.encode(study.train[number : number + 1])
    person.shows(person.picture("Decoded from the top level"), study.decode(z))


# More than two dimensions, and one ---------------------------------------------------------------


def test_the_geodesic_of_many_dimensions_says_how_it_was_found(shown):
    _, person = shown("16-d")
    person.mode("Morph")
    for end, number in (("End A", 1), ("End B", 3)):
        person.page.get_by_label(end, exact=True).select_option(index=number)
    note = person.dock().locator(".note")
    person.until(lambda: re.search(r"refined\.|straight line.*\.", note.inner_text()))
    assert "graph of 240 images" in note.inner_text()
    lengths = [numbers(row.inner_text())[0] for row in person.page.locator(".way dl").all()]
    straight, _, geodesic = lengths
    assert geodesic <= 1.01 * straight

    person.page.get_by_label("Follow data λ").fill("1")
    person.until(lambda: "shortest path through a graph" in note.inner_text())
    person.until(lambda: "refined." in note.inner_text())
    weighted = numbers(person.page.locator(".way dl").nth(2).inner_text())[0]
    assert weighted >= 0.99 * geodesic


def test_a_neighbour_map_says_that_its_inverse_is_approximate(odd, visit, tmp_path, monkeypatch):
    from conftest import written

    study, _ = odd("model-16-d", **KINDS["16-d"])
    monkeypatch.setattr(payload, "_embedding", lambda *_: lambda z: z[:, [3, 5]])
    content = payload.payload(study, projection="umap")
    person = visit(written(tmp_path / "umap.html", content)).person()
    person.button("UMAP").click()
    person.settle()
    person.page.mouse.move(500, 380)
    person.page.mouse.move(503, 380)
    person.settle()
    assert "Approximate inverse" in person.page.locator(".lens").first.inner_text()
    assert "no formula back" in person.section("Plane").inner_text()


def test_a_line_is_walked_along(shown):
    study, person = shown("1-d")
    assert modes(person) == ["Explore", "Morph", "Lasso"]
    for x in (300, 500):
        z = person.hover(x, 400)
        assert len(z) == 1
        person.lens(study.decode(z))
    number = pin(person)
    person.shows(person.picture("Original"), study.test.floats()[number], within=0.03)
    person.mode("Morph")
    person.click(300, 300)
    person.click(600, 300)
    person.until(lambda: person.page.locator(".way dl").count() == 3)


def test_a_plane_has_no_sliders(visit, saved):
    assert "Sliders" not in modes(visit(saved).person())


# Classes -----------------------------------------------------------------------------------------


def test_the_class_switch_decodes_everything_as_the_class_chosen(shown):
    study, person = shown("classes")
    assert person.page.get_by_role("alert").count() == 0
    number = pin(person)
    z = study.encode(study.test[number : number + 1])
    own = int(study.test.labels[number])
    other = (own + 1) % len(study.classes)
    decode_as = person.page.get_by_label("Decode as")
    for label, caption in ((own, "reconstruction"), (other, f"as {study.classes[other]}")):
        decode_as.select_option(study.classes[label])
        person.shows(person.picture("Reconstruction"), study.decode(z, label))
        assert caption in person.section("Pins").locator(".three").inner_text()
    options = person.page.locator("label", has_text="Overlay").locator("option").all_inner_texts()
    assert "Speed of change" not in options
    person.section("Save and share")
    text = person.copied(lambda: person.button("Copy as Python").click())
    assert re.search(rf"study\.decode\(.*, {other}\)", text)


# Views and the map -------------------------------------------------------------------------------


def test_views_with_names_are_there_again_and_travel_in_a_copy(visit, saved, tmp_path):
    found = visit(saved)
    person = found.person()
    person.section("Save and share")
    person.zoom(2, 400, 300)
    person.page.get_by_label("Name of the view").fill("a <b>corner</b>")
    person.button("Keep").click()
    name, content = person.download(lambda: person.button("Save a copy").click())
    assert name.endswith(".html")
    found.page.reload()
    person = found.person()
    assert person.section("Save and share").get_by_text("a <b>corner</b>", exact=True).count() == 1
    (tmp_path / "copy.html").write_bytes(content)
    elsewhere = visit(tmp_path / "copy.html").person()
    elsewhere.press("0")
    wide = elsewhere.lay().scale
    elsewhere.section("Save and share").get_by_text("a <b>corner</b>", exact=True).click()
    elsewhere.settle()
    assert elsewhere.lay().scale > 2 * wide


def test_the_svg_names_the_classes(visit, saved, study):
    person = visit(saved).person()
    person.section("Save and share")
    _, content = person.download(lambda: person.button("SVG").click())
    text = content.decode()
    for name in study.classes:
        assert text.count(f">{name}</text>") == 2  # on the map and in the legend


def test_everything_stays_in_sight_when_the_dock_opens_unless_the_map_was_moved(visit, saved):
    person = visit(saved).person()
    wide = person.lay().scale
    person.mode("Morph")
    person.settle()
    folded = person.lay().scale
    assert folded < 0.99 * wide
    person.mode("Explore")
    person.settle()
    assert person.lay().scale == pytest.approx(wide, rel=0.02)
    person.zoom(1, 400, 300)
    near = person.lay().scale
    person.mode("Morph")
    person.settle()
    assert person.lay().scale == pytest.approx(near, rel=0.02)
