"""The machine: one image on its way through encoder, q(z | x), z and decoder, with its numbers."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from test_accessible import serious
from test_map import lonely, name, pin
from test_own_picture import choose, encoded, png
from web_person import numbers

SMALL = {"network": "mlp(hidden=16)", "epochs": 30, "threads": 1}


def machine(person):
    """Return the opened machine."""
    person.mode("Machine")
    found = person.page.get_by_role("region", name="Machine")
    found.wait_for()
    return found


def box(found, title):
    """Return one of its six boxes."""
    return found.locator("li", has=found.page.get_by_role("heading", name=title, exact=True))


def told(found, title, before):
    """Return the numbers of a box after some words."""
    return numbers(box(found, title).inner_text().partition(before)[2])


def sums(found):
    """Return KL, reconstruction and their sum."""
    return [numbers(text)[0] for text in found.locator("dd").all_inner_texts()]


@pytest.fixture
def held(person, study, z, labels):
    """A pinned test image: its number among all, and the opened machine."""
    lay = person.lay()
    index = lonely(lay, z, np.arange(len(z)) >= len(study.train))
    pin(person, lay, z, index)
    return index, machine(person), name(study, index, labels)


def test_a_click_takes_no_image_that_the_page_lacks(person, study, z):
    found = machine(person)
    lay = person.lay()
    pin(person, lay, z, lonely(lay, z, np.arange(len(z)) < len(study.train)))
    person.settle()
    assert "does not carry" not in box(found, "Image x").inner_text()
    person.page.mouse.move(1100, 30)
    assert found.get_by_role("img", name="The image that goes in").count() == 1


def test_an_image_goes_through_the_model_with_its_numbers(person, study, held):
    index, found, called = held
    at = index - len(study.train)
    x = study.test.floats()[at : at + 1]
    mean, log_var = study.encode_with_variance(study.test[at : at + 1])
    person.shows(found.get_by_role("img", name=f"The image that goes in: {called}"), x)
    person.shows(found.get_by_role("img", name="The image that comes out"), study.decode(mean))
    sigma = (log_var[0] / 2).exp()
    assert told(found, "q(z | x)", "μ\u200a=\u200a")[:2] == pytest.approx(
        mean[0].tolist(), abs=0.011
    )
    assert told(found, "q(z | x)", "σ\u200a=\u200a")[:2] == pytest.approx(sigma.tolist(), rel=0.05)
    assert told(found, "Latent z", "z")[:2] == pytest.approx(mean[0].tolist(), abs=0.011)
    error = (study.decode(mean) - x).square().mean().item()
    assert told(found, "Image x̂", "MSE")[0] == pytest.approx(error, rel=0.1)
    assert "the negative ELBO of this image" in found.locator("dl").inner_text()


def test_kl_and_reconstruction_add_up_to_its_negative_elbo(study, held):
    index, found, _ = held
    at = index - len(study.train)
    with study.space.inference(0):  # the first draws of the page's are those of all test images
        e = study.model.evidence(study.test.floats(), study.space.weights_of(study.test), samples=1)
        kl, missed = e.kl().flatten()[at].item(), -e.log_likelihood()[0, at].item()
    found.locator("dd").first.wait_for()
    shown = sums(found)
    assert shown[0] == pytest.approx(kl, abs=0.02)
    assert shown[1] == pytest.approx(missed, abs=0.05)
    assert shown[2] == pytest.approx(shown[0] + shown[1], abs=0.011)


def test_the_pointer_chooses_z_and_what_comes_out_follows(person, study, held):
    index, found, _ = held
    code = person.hover(420, 300)
    assert told(found, "Latent z", "z")[:2] == pytest.approx(code.tolist(), abs=0.006)
    assert "under the pointer" in box(found, "Latent z").inner_text()
    person.shows(found.get_by_role("img", name="The image that comes out"), study.decode(code))
    error = (study.decode(code) - study.test.floats()[index - len(study.train)]).square().mean()
    person.until(lambda: told(found, "Image x̂", "MSE")[0] == pytest.approx(error.item(), rel=0.1))


def test_without_a_pin_the_image_nearest_to_the_pointer_goes_in(person, study, z, labels):
    found = machine(person)
    code = person.hover(420, 300).numpy()
    train = len(study.train)
    near = train + int(np.linalg.norm(z[train:] - code, axis=1).argmin())
    called = f"{study.classes[labels[near]]}, test image {near - train}"
    person.until(lambda: called in box(found, "Image x").inner_text())


def test_of_a_pinned_place_the_image_nearest_to_it_goes_in(person, study, z, labels):
    lay = person.lay()
    at = np.array([(x, y) for x in range(200, 900, 10) for y in range(90, 340, 10)], float)
    room = cdist(at, lay.screen(z)).min(1)
    x, y = at[room.argmax()]
    assert room.max() > 30, "there is no free place on the map"
    person.click(x, y)
    found = machine(person)
    train, code = len(study.train), np.array(lay.z(x, y))
    near = train + int(np.linalg.norm(z[train:] - code, axis=1).argmin())
    called = f"{study.classes[labels[near]]}, test image {near - train}"
    person.until(lambda: called in box(found, "Image x").inner_text())
    person.until(lambda: "under the pointer" not in box(found, "Latent z").inner_text())
    mean = study.encode(study.test[near - train : near - train + 1])
    assert told(found, "Latent z", "z")[:2] == pytest.approx(mean[0].tolist(), abs=0.011)


def test_z_can_be_drawn_from_the_posterior(person, study, held):
    index, found, _ = held
    at = index - len(study.train)
    mean, log_var = study.encode_with_variance(study.test[at : at + 1])
    sigma = (log_var[0] / 2).exp().numpy()
    draws, drawn = set(), list[float]()
    for _ in range(4):
        person.button("Draw z").click()
        person.page.mouse.move(1100, 30)
        person.until(lambda: "drawn from" in box(found, "Latent z").inner_text())
        drawn = told(found, "Latent z", "z")[:2]
        assert (np.abs(np.array(drawn) - mean[0].numpy()) < 6 * sigma + 0.01).all()
        draws.add(tuple(drawn))
    assert len(draws) > 1
    expected = study.decode(torch.tensor([drawn]))
    person.shows(found.get_by_role("img", name="The image that comes out"), expected, 0.03)


def test_the_page_computes_the_bound_of_ones_own_picture(person, study):
    pixels = study.test.pixels[3, 0]
    panel = person.section("Your picture")
    choose(person, png(pixels))
    encoded(person, panel, study, pixels)
    panel.get_by_role("button", name="Pin it on the map").click()
    person.page.mouse.move(1100, 30)
    found = machine(person)
    mean, log_var = study.encode_with_variance(pixels[None, None])
    p, x = study.decode(mean), pixels[None, None] / 255
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum().item()
    missed = torch.nn.functional.binary_cross_entropy(p, x, reduction="sum").item()
    found.locator("dd").first.wait_for()
    assert sums(found) == pytest.approx([kl, missed, kl + missed], rel=2e-3, abs=0.02)
    assert told(found, "Image x̂", "log p(x | z) =")[0] == pytest.approx(missed, rel=2e-3)


def test_inference_by_bayes_rule_has_no_encoder_and_regions_in_place_of_an_ellipse(odd, visit):
    _, path = odd("bayes", posterior="bayes(points=256)", **SMALL)
    assert '"shared"' in path.read_text()  # the weights of its decoder travel once
    found = machine(visit(path).person())
    assert "without an encoder" in box(found, "Bayes’ rule").inner_text()
    assert "256 grid points" in box(found, "Bayes’ rule").inner_text()
    assert box(found, "Bayes’ rule").locator("sup").count() == 0
    found.locator("svg polygon").first.wait_for()
    assert found.get_by_role("button", name="Draw z").count() == 0
    assert sums(found)[2] == pytest.approx(sum(sums(found)[:2]), abs=0.011)


def test_a_weight_of_the_kl_stands_in_bayes_rule(odd, visit):
    options = SMALL | {"objective": "elbo(beta=2)"}
    _, path = odd("tempered", posterior="bayes(points=256)", **options)
    rule = box(machine(visit(path).person()), "Bayes’ rule")
    assert rule.locator(".formula").inner_text() == "q(z | x) ∝ p(x | z)1/β p(z)"
    assert "β = 2" in rule.inner_text()


def test_a_plain_autoencoder_has_no_distribution_and_no_bound(odd, visit):
    _, path = odd("autoencoder", posterior="point", objective="elbo(beta=0)", **SMALL)
    found = machine(visit(path).person())
    assert "plain autoencoder" in box(found, "Code").inner_text()
    assert found.locator("dd, ellipse").count() == 0


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, saved, axe, size, scheme):
    viewport = {"width": size[0], "height": size[1]}
    person = visit(saved, viewport=viewport, color_scheme=scheme).person()
    found = machine(person)
    found.locator("dd").first.wait_for()
    person.page.evaluate(axe)
    assert serious(person) == ""
    assert person.page.evaluate("document.documentElement.scrollWidth") <= size[0]
