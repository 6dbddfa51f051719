"""Models whose codes are no points of a plane: the code grid, levels, graphs, lines, classes."""

import re
from typing import Any

import pytest
import torch
from web_person import Person, Visit, numbers

from vaescape.data import Images
from vaescape.explore import payload
from vaescape.explore.discrete import Codebook
from vaescape.explore.sections import points
from vaescape.study import Study

SMALL = {"network": "mlp(hidden=16)", "epochs": 30}
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
    """Return a study of one kind, and somebody in front of its page, with an image pinned or not.

    The link pins it: images that share a code could not be told apart in a table.
    """

    def of(kind: str, image: torch.Tensor | None = None):
        study, path = odd(f"model-{kind}", **KINDS[kind])
        if image is None:
            return study, visit(path).person()
        z = ",".join(str(value) for value in image.flatten().tolist())
        person = visit(path, address=f"#v=1&p={z}").person()
        return study, person

    return of


@pytest.fixture(scope="module")
def opened(odd, browser):
    """The page of each discrete kind, opened once for all tests."""
    known: dict[str, Visit] = {}

    def of(kind: str) -> tuple[Study, Person]:
        study, path = odd(f"model-{kind}", **KINDS[kind])
        if kind not in known:
            known[kind] = Visit(browser, path)
        person = known[kind].person()
        person.tidy()
        return study, person

    yield of
    complaints = [complaint for each in known.values() for complaint in each.complaints]
    for each in known.values():
        each.context.close()
    assert not complaints


def modes(person: Person) -> list[str]:
    return person.page.get_by_role("group", name="Mode").get_by_role("button").all_inner_texts()


def farthest(study: Study, images: Images) -> int:
    """Return the image whose code is farthest from zero: a link finds it in spite of rounding."""
    return int(study.encode(images).norm(dim=-1).argmax())


def pinned(person: Person) -> tuple[str, int]:
    """Return the set of the image that is pinned, and its number there."""
    head = person.section("Pins").locator(".head .name")
    person.until(lambda: " image " in head.inner_text())
    split, _, number = head.inner_text().rsplit(", ", 1)[-1].partition(" image ")
    return split, int(number)


def pin(study: Study, person: Person) -> torch.Tensor:
    """Pin an image from the table; return its codes."""
    person.press("v")
    table = person.page.get_by_role("dialog")
    table.locator("tbody button[aria-expanded]").last.click()
    table.get_by_role("list", name="Nearest images").get_by_role("button").last.click()
    split, number = pinned(person)
    images = study.test if split == "test" else study.train
    return study.space.codes(images[number : number + 1])


# Codes -------------------------------------------------------------------------------------------


def cells(person: Person) -> torch.Tensor:
    found = person.page.locator(".parts .cell").all_inner_texts()
    return torch.tensor([[int(text) for text in found]])


def grid(person: Person, code: torch.Tensor) -> None:
    """Wait until the grid has a code."""
    person.until(lambda: torch.equal(cells(person), code), "another code is in the grid")


def offer_all(person: Person, codes: int) -> Any:
    """Offer codes that no image has too; return their buttons."""
    person.page.locator(".choice").get_by_role("checkbox").check()
    options = person.page.locator(".option")
    person.until(lambda: options.count() == codes)
    return options


@pytest.mark.parametrize("kind", DISCRETE)
def test_the_grid_shows_an_images_codes_and_each_change_is_decoded(kind, opened):
    study, person = opened(kind)
    book = Codebook.of(study)
    before = pin(study, person)
    person.mode("Codes")
    grid(person, before)
    now = person.picture("The image of these codes")
    person.shows(now, study.decode(book.lookup(before)))

    at = book.parts * len(book.tables) - 1
    person.page.locator(".parts .cell").nth(at).click()
    offer_all(person, book.tables.shape[1])
    other = person.page.locator(".option[aria-pressed=false]").first
    chosen = int(re.findall(r"Code (\d+)", other.get_attribute("aria-label"))[0])
    other.click()
    after = before.clone()
    after[0, at] = chosen
    grid(person, after)
    person.shows(now, study.decode(book.lookup(after)))
    person.until(lambda: "1 of" in person.dock().inner_text())
    person.button("Reset").click()
    grid(person, before)
    person.shows(now, study.decode(book.lookup(before)))
    assert person.page.get_by_role("button", name="Morph from (A)").count() == 0
    assert person.page.get_by_text("llipses at").count() == 0


def test_a_changed_code_is_pinned_and_stepped_through_by_key(opened):
    study, person = opened("residual-vq")
    before = pin(study, person)
    person.mode("Codes")
    grid(person, before)
    person.page.locator(".parts .cell").first.click()
    offer_all(person, 8)
    person.map().focus()
    person.press("}", "]")
    person.until(lambda: not torch.equal(cells(person), before))
    after = cells(person)
    assert (before != after).flatten().nonzero().flatten().tolist() == [1]
    person.press("[")
    grid(person, before)
    person.press("]")
    grid(person, after)
    person.button("Pin it").click()
    head = person.section("Pins").locator(".head")
    person.until(lambda: "1 code changed" in head.inner_text())
    grid(person, after)
    decoded = study.decode(Codebook.of(study).lookup(after))
    person.shows(person.picture("Reconstruction"), decoded)


@pytest.mark.parametrize("kind", DISCRETE)
def test_a_place_is_decoded_from_the_code_nearest_to_it(kind, opened):
    study, person = opened(kind)
    assert modes(person) == ["Explore", "Lasso", "Codes"]
    lens = person.page.locator(".lens .code").first
    person.page.mouse.move(500, 380)
    person.page.mouse.move(503, 380)
    person.until(lambda: lens.inner_text().startswith("code "))
    told = numbers(lens.inner_text())
    code = torch.tensor([[int(number) for number in told]])
    person.lens(study.decode(Codebook.of(study).lookup(code)), 0.01)


def test_samples_of_the_prior_are_codes(opened):
    study, person = opened("vq")
    person.press("r")
    samples = person.section("Samples").locator("canvas")
    person.until(lambda: samples.count() >= 8)
    samples.first.click()
    head = person.section("Pins").locator(".head")
    person.until(lambda: head.count() == 1)
    person.mode("Codes")
    person.until(lambda: cells(person).numel() == 6)

    def same() -> bool:
        image = study.decode(Codebook.of(study).lookup(cells(person)))
        shown = person.grey(person.picture("Reconstruction"))
        return float((shown - image.squeeze()).abs().mean()) < 0.01

    person.until(same, "the pin is no code's image")


# Levels ------------------------------------------------------------------------------------------


def draws(person: Person) -> list[torch.Tensor]:
    return person.greys(person.page.get_by_role("img", name=re.compile(r"^Draw \d+$")))


def test_levels_are_kept_or_drawn_anew(odd, shown):
    study, _ = odd("model-ladder", **KINDS["ladder"])
    number = farthest(study, study.test)
    image = study.test[number : number + 1]
    _, person = shown("ladder", study.encode(image))
    assert pinned(person) == ("test", number)
    person.mode("Levels")
    person.shows(person.picture("Reconstruction from all levels"), study.reconstruct(image))
    person.until(lambda: len(draws(person)) == 8)
    top = draws(person)
    assert max(float((a - top[0]).abs().max()) for a in top) > 0.002
    person.button("Draw again").click()
    person.until(
        lambda: len(now := draws(person)) == 8 and not torch.equal(*map(torch.stack, (top, now)))
    )

    person.button("Keep all").click()
    person.until(lambda: len(draws(person)) == 1)
    person.shows(person.picture("Draw 1"), study.reconstruct(image))
    boxes = person.page.get_by_role("checkbox", name=re.compile("Top|Level"))
    assert boxes.count() == 3
    assert [box.is_checked() for box in boxes.all()] == [True, True, True]

    boxes.nth(0).uncheck()
    person.until(lambda: len(draws(person)) == 8)


def test_an_image_that_the_page_does_not_hold_keeps_its_top_alone(odd, shown):
    study, _ = odd("model-ladder", **KINDS["ladder"])
    number = farthest(study, study.train)
    z = study.encode(study.train[number : number + 1])
    _, person = shown("ladder", z)
    assert pinned(person) == ("training", number)
    person.mode("Levels")
    person.until(lambda: len(draws(person)) == 8)
    assert "does not hold this image" in person.dock().inner_text()
    assert person.page.get_by_role("checkbox", name=re.compile("Level 2")).is_disabled()
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

    person.page.get_by_label("Stay near the data, λ").fill("1")
    person.until(lambda: note.inner_text().endswith("images."))  # as it is, not refined
    weighted = numbers(person.page.locator(".way dl").nth(2).inner_text())[0]
    assert weighted >= 0.99 * geodesic


def test_a_neighbour_map_says_that_its_inverse_is_approximate(odd, visit, tmp_path, monkeypatch):
    from conftest import written

    study, _ = odd("model-16-d", **KINDS["16-d"])
    monkeypatch.setattr(points, "method", lambda view: lambda z: z[:, [3, 5]])
    content = payload.payload(study, projection="umap")
    person = visit(written(tmp_path / "umap.html", content)).person()
    person.button("UMAP").click()
    person.settle()
    person.page.mouse.move(500, 380)
    person.page.mouse.move(503, 380)
    person.settle()
    assert "Approximate inverse" in person.page.locator(".lens").first.inner_text()
    assert "has no inverse" in person.section("Plane").inner_text()


def test_a_line_is_walked_along(odd, shown):
    study, _ = odd("model-1-d", **KINDS["1-d"])
    number = farthest(study, study.test)
    _, person = shown("1-d", study.encode(study.test[number : number + 1]))
    assert modes(person) == ["Explore", "Morph", "Lasso", "Machine"]
    for x in (300, 500):
        z = person.hover(x, 400)
        assert len(z) == 1
        person.lens(study.decode(z))
    split, number = pinned(person)
    if split == "test":
        person.shows(person.picture("Original"), study.test.floats()[number], within=0.03)
    person.mode("Morph")
    person.click(300, 300)
    person.click(600, 300)
    person.until(lambda: person.page.locator(".way dl").count() == 2)  # none is spherical on a line


def test_a_plane_has_no_sliders(visit, saved):
    assert "Sliders" not in modes(visit(saved).person())


# Classes -----------------------------------------------------------------------------------------


def test_the_class_switch_decodes_everything_as_the_class_chosen(odd, shown):
    study, _ = odd("model-classes", **KINDS["classes"])
    number = farthest(study, study.test)
    z = study.encode(study.test[number : number + 1])
    _, person = shown("classes", z)
    assert person.page.get_by_role("alert").count() == 0
    split, number = pinned(person)  # of several with one code, any
    images = study.test if split == "test" else study.train
    z = study.encode(images[number : number + 1])
    own = int(images.labels[number])
    other = (own + 1) % len(study.classes)
    decode_as = person.page.get_by_label("Decode as")
    for label, caption in ((own, "decoded"), (other, f"as {study.classes[other]}")):
        decode_as.select_option(study.classes[label])
        person.shows(person.picture("Reconstruction"), study.decode(z, label))
        person.section("Pins").locator(".three", has_text=caption).wait_for()
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


def test_the_svg_names_the_classes(visit, saved, study, content):
    person = visit(saved).person()
    person.section("Save and share")
    _, found = person.download(lambda: person.button("SVG").click())
    text = found.decode()
    islands = [island["label"] for island in content.manifest["islands"]]
    for label, name in enumerate(study.classes):  # on each of its islands and in the legend
        assert text.count(f">{name}</text>") == islands.count(label) + 1 > 1


def test_a_dock_that_opens_and_closes_leaves_the_map_as_it_was(visit, saved):
    person = visit(saved).person()
    wide = person.lay().scale
    person.mode("Morph")
    person.settle()
    person.mode("Explore")
    person.settle()
    assert person.lay().scale == pytest.approx(wide, rel=0.02)
    person.zoom(1, 400, 300)
    near = person.lay().scale
    person.mode("Morph")
    person.settle()
    assert person.lay().scale == pytest.approx(near, rel=0.02)


def test_the_image_of_a_code_is_not_called_near(opened):
    _, person = opened("vq")
    person.hover(430, 330)
    person.page.locator("main .lens .near").get_by_text("an image of this code").wait_for()
