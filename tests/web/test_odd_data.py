"""Studies of every shape: each page opens, decodes right and complains of nothing."""

import numpy as np
import pytest
import torch
from web_person import numbers

from vaescape.explore.view import encode_all
from vaescape.study import Study

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    '"quoted" & <b>bold</b>',
    "\u202eright to left\u2028",
    "<!-- blobs -->",
]
FLAT = {"network": "mlp(hidden=32)", "epochs": 20}
KINDS = {
    "many-dimensions": {"latent": 16, "named": HOSTILE, **FLAT},
    "line": {
        "latent": 1,
        "labelled": False,
        "posterior": "point",
        "objective": "elbo(beta=0)",
        **FLAT,
    },
    "colours": {"size": 32, "channels": 3, "classes": 200, "count": 1400},
    "conditional": {"conditional": True, "likelihood": "gaussian-pixel", **FLAT},
}


@pytest.fixture
def shown(odd, visit):
    """Return a study of one kind, and somebody in front of its page."""

    def of(kind, **options):
        study, path = odd(kind, **KINDS[kind])
        return study, visit(path, **options).person()

    return of


def expected(study, code, person):
    """Return what the lens should show: the first channel of the decoded image."""
    return study.decode(code, 0 if study.space.conditions else None).reshape(-1, *study.shape)[0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_opens_hovers_and_decodes_right(kind, shown):
    study, person = shown(kind)
    assert person.page.get_by_role("alert").count() == 0
    for x, y in ((420, 300), (560, 380)):
        code = person.hover(x, y)
        if study.space.latent <= 6:
            assert len(code) == study.space.latent
            person.lens(expected(study, code, person))
    assert person.grey(person.page.locator(".lens canvas").first).shape == study.shape[1:]
    modes = person.page.get_by_role("group", name="Mode").get_by_role("button")
    for mode in modes.all():
        mode.click()
        person.settle()
    person.click(420, 300)


def test_hostile_names_are_text_everywhere(shown):
    study, person = shown("many-dimensions")
    chips = person.page.locator(".chip .name").all_text_contents()
    assert sorted(chips) == sorted(study.classes)
    assert set(chips) == set(HOSTILE)
    person.mode("Lasso")
    person.drag([(200, 100), (860, 480)], "Alt")
    person.section("Regions")
    person.page.get_by_label("Name of the region").fill(HOSTILE[0])
    person.press("Enter")
    person.press("v")
    person.press("Escape")
    person.press("/")
    person.press("Escape")
    assert HOSTILE[0] in person.section("Regions").inner_text()
    assert person.page.locator("img").count() == 0
    assert person.page.locator("main b, aside b").count() == 0


# Many dimensions ---------------------------------------------------------------------------------


def test_the_principal_plane_is_a_slice_through_the_pin(shown):
    study, person = shown("many-dimensions")
    codes = encode_all(study).mean
    _, _, directions = torch.linalg.svd(codes - codes.mean(0), full_matrices=False)
    basis = directions[:2]

    def on_slice(code, through):
        """Return how far the first six numbers are from the slice, with the best two amounts."""
        left = (code - through[:6]).numpy()
        amounts, *_ = np.linalg.lstsq(basis[:, :6].T.numpy(), left, rcond=None)
        return np.abs(basis[:, :6].T.numpy() @ amounts - left).max()

    assert on_slice(person.hover(420, 300), codes.mean(0)) < 0.02
    person.hover(480, 320)
    person.press("Enter")
    head = person.section("Pins").locator(".head .name").inner_text()
    if "image" in head:
        split, number = head.rsplit(", ", 1)[1].split(" image ")
        through = codes[int(number) + (len(study.train) if split == "test" else 0)]
        assert on_slice(person.hover(420, 300), through) < 0.02


def test_planes_are_switched_and_the_link_knows_which(shown, odd, visit):
    _, person = shown("many-dimensions")
    person.button("Two axes").click()
    person.settle()
    plane = person.section("Plane")
    plane.get_by_label("Across").select_option("2")
    plane.get_by_label("Up").select_option("4")
    person.settle()
    one, two = person.hover(420, 300), person.hover(480, 300)
    assert (one != two).nonzero().flatten().tolist() == [2]
    person.page.wait_for_timeout(600)
    address = "#" + person.page.url.partition("#")[2]
    other = visit(odd("many-dimensions")[1], address=address).person()
    assert other.hover(420, 300).tolist() == pytest.approx(one.tolist(), abs=0.02)
    assert other.section("Plane").get_by_label("Across").input_value() == "2"


def test_sliders_move_one_dimension_and_show_where_they_lead(shown):
    study, person = shown("many-dimensions")
    codes = encode_all(study).mean
    person.mode("Sliders")
    show_all = person.page.get_by_label("active; show all")
    if show_all.count():
        show_all.check()
    axis = person.page.locator(".axis", has_text="z3 ")
    slider, value = axis.locator("input"), axis.locator("output")
    middle = codes.mean(0)
    now = person.picture("The image at the sliders’ code")
    person.shows(now, study.decode(middle))
    slider.focus()
    person.press("End")
    moved = middle.clone()
    moved[2] += 3 * codes[:, 2].std(correction=0)
    assert numbers(value.inner_text())[0] == pytest.approx(moved[2].item(), abs=0.02)
    person.shows(now, study.decode(moved))
    person.until(lambda: axis.locator(".strip canvas").count())
    assert person.pixels(axis.locator(".strip canvas")).shape[1] == 9 * study.shape[2]
    slider.dblclick()
    person.shows(now, study.decode(middle))
    person.button("Local directions").click()
    assert person.page.locator(".axis", has_text="direction 1").count() == 1
    person.button("Pin it").click()
    assert "moved" in person.section("Pins").locator(".head").inner_text()


# Other shapes ------------------------------------------------------------------------------------


def test_a_conditional_decoder_decodes_as_the_class_chosen(shown):
    study, person = shown("conditional")
    code = person.hover(420, 300)
    for label, name in enumerate(study.classes):
        person.page.get_by_label("Decode as").select_option(name)
        person.hover(420, 300)
        person.lens(study.decode(code, label))


def test_the_python_of_a_conditional_model_names_the_class(shown, monkeypatch):
    study, person = shown("conditional")
    monkeypatch.setattr(Study, "load", lambda name: study)
    person.page.get_by_label("Decode as").select_option(study.classes[3])
    person.click(420, 300)
    person.section("Save and share")
    left: dict = {}
    exec(person.copied(person.button("Copy as Python").click), left)
    person.shows(person.picture("Reconstruction"), left["images"][0])


def test_the_decoders_uncertainty_is_shown_where_it_has_one(shown):
    _, person = shown("conditional")
    person.overlay("Decoder’s uncertainty")
    assert "wide σ" in person.section("Layers").inner_text()
    person.until(lambda: person.layer("overlay")[..., 3].max() > 0)


def test_two_hundred_classes_are_searched(shown):
    study, person = shown("colours")
    assert person.page.locator(".chip").count() == 200
    person.page.get_by_label("Find a class").fill(study.classes[123])
    assert person.page.locator(".chip").count() < 20
    person.page.locator(".chip").first.click()
    person.settle()
    assert person.button("Show all").count() == 1


def test_what_has_no_meaning_is_not_shown(shown):
    _, person = shown("line")
    options = person.page.locator("label", has_text="Overlay").locator("option").all_inner_texts()
    assert "Prior" not in options
    assert "Confusion" not in options
    person.press("r")
    assert person.page.locator("summary", has_text="Samples").count() == 0
    person.click(420, 300)
    assert person.section("Pins").get_by_text("ellipses at").count() == 0


def test_images_without_labels_have_no_legend_but_a_line(shown):
    _, person = shown("line")
    assert person.page.locator(".chip").count() <= 1
    person.mode("Morph")
    person.click(300, 300)
    person.click(600, 300)
    person.until(lambda: person.page.locator(".way dl").count() == 2)  # none is spherical on a line
    assert person.hover(420, 200).tolist() == person.hover(420, 300).tolist()
