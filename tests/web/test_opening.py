"""The opening of a first visit: a morph that plays once, and three sentences."""

import itertools

import pytest
import torch
from test_accessible import serious
from test_machine import SMALL
from web_person import PATIENCE, Person

MOVING = {"reduced_motion": "no-preference"}
BROKEN = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('locked') } })"


WATCH = """(() => {
    window.frames_seen = []
    const sheet = new OffscreenCanvas(1280, 800).getContext('2d', { willReadFrequently: true })
    const seen = (canvas) => {
        sheet.clearRect(0, 0, 1280, 800)
        sheet.drawImage(canvas, 0, 0)
        const { data } = sheet.getImageData(0, 0, 1280, 800)
        let [count, apart] = [0, 0]
        for (let i = 3; i < data.length; i += 4)
            if (data[i]) (count++, apart += Math.abs(((i >> 2) % 1280) - 482))
        return [count, apart / (count || 1)]
    }
    const look = () => {
        const [backdrop, , points] = document.querySelectorAll('.map canvas')
        if (points) frames_seen.push([...seen(backdrop), ...seen(points)])
        requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
})()"""
"""Notes, in every frame, how many pixels of the background and of the points are drawn, and how far
they are from the middle."""


def card(person):
    """Return what introduces the page."""
    return person.page.get_by_role("region", name="What this page shows")


def playing(person):
    """Return whether its morph is on the map."""
    return card(person).get_attribute("data-playing") == "true"


def opened(visit, saved, **options) -> Person:
    """Return somebody who sees the morph play."""
    person = visit(saved, **(MOVING | options)).person()
    person.until(lambda: playing(person), "nothing plays")
    return person


@pytest.fixture(scope="module")
def ends(content, z):
    """The representatives of the two classes that lie farthest apart."""
    known = torch.tensor(z[[n for n in content.manifest["representatives"] if n is not None]])
    pairs = list(itertools.combinations(known.float(), 2))
    return max(pairs, key=lambda pair: (pair[0] - pair[1]).norm())


def test_a_morph_between_two_classes_plays_once_by_itself(visit, saved, study, ends):
    person = opened(visit, saved)
    strip = card(person).locator(".strip canvas")
    frames = person.grey(strip).unfold(1, 28, 28).movedim(1, 0)
    a, b = ends
    way = a + (b - a) * torch.arange(0, 40, 2)[:, None] / 39
    expected = study.decode(way).squeeze(1)
    off = [
        (frames - each).abs().mean() for each in (expected, study.decode(a + b - way).squeeze(1))
    ]
    assert min(off) < 0.01
    at = [card(person).locator(".strip span").get_attribute("style")]
    before = person.layer("marks")
    person.until(lambda: card(person).locator(".strip span").get_attribute("style") not in at)
    person.until(lambda: (person.layer("marks") != before).any(), "nothing moves on the map")
    person.until(lambda: not playing(person), "it goes on for ever")
    assert card(person).locator("li").count() == 3


def test_it_says_what_a_latent_space_is_who_makes_the_pictures_and_what_to_try(visit, saved):
    first, second, third = card(opened(visit, saved)).locator("li").all_inner_texts()
    assert "latent space" in first
    assert "variational autoencoder (VAE)" in first
    assert "decoder makes a picture" in second
    assert "Morph" in third


def test_a_plain_autoencoder_is_not_called_a_vae(odd, visit):
    _, path = odd("autoencoder", posterior="point", objective="elbo(beta=0)", **SMALL)
    first = card(opened(visit, path)).locator("li").first.inner_text()
    assert "of an autoencoder:" in first


@pytest.mark.parametrize("end", ["Escape", "click", "wheel", "key"])
def test_it_ends_when_the_visitor_acts_and_does_not_come_again(visit, saved, end):
    person = opened(visit, saved)
    if end == "click":
        person.page.mouse.click(480, 300)
    elif end == "wheel":
        person.page.mouse.move(480, 300)
        person.page.mouse.wheel(0, -100)
    else:
        person.press("x" if end == "key" else end)
    card(person).wait_for(state="detached")
    person.page.reload()
    person.page.get_by_role("progressbar", name="Opening the decoder").wait_for(state="detached")
    person.page.get_by_text("Classes", exact=True).first.wait_for()
    assert card(person).count() == 0


def test_moving_over_the_map_stops_the_morph_and_leaves_the_words(visit, saved):
    person = opened(visit, saved)
    person.page.mouse.move(300, 250)
    person.page.mouse.move(480, 300, steps=4)
    person.until(lambda: not playing(person))
    assert person.page.locator("main .card.lens").count() == 1
    assert card(person).locator("li").count() == 3


def test_who_wants_no_motion_gets_one_line(visit, saved):
    person = visit(saved).person()
    card(person).wait_for()
    assert card(person).locator("li, .strip").count() == 0
    assert "click an image to pin it" in card(person).inner_text()
    person.click(480, 300)
    card(person).wait_for(state="detached")


def test_a_link_to_a_view_opens_that_view_at_once(visit, saved):
    person = visit(saved, address="#v=1&x=0&y=0&k=200", **MOVING).person()
    person.page.get_by_text("Classes", exact=True).first.wait_for()
    assert card(person).count() == 0


def test_it_can_be_closed_where_nothing_can_be_remembered(visit, saved):
    person = opened(visit, saved, script=BROKEN)
    person.button("Close the introduction").click()
    card(person).wait_for(state="detached")


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, saved, axe, size, scheme):
    viewport = {"width": size[0], "height": size[1]}
    person = opened(visit, saved, viewport=viewport, color_scheme=scheme)
    person.page.evaluate(axe)
    assert serious(person) == ""
    box = card(person).bounding_box(timeout=PATIENCE)
    assert 0 <= box["x"] <= size[0] - box["width"]
    assert size[1] / 2 < box["y"] <= size[1] - box["height"]


def test_the_points_come_with_their_background_and_only_spread(visit, saved):
    page = visit(saved, script=WATCH, **MOVING).ready()
    page.wait_for_timeout(500)
    seen = [each for each in page.evaluate("frames_seen") if each[2]]
    assert seen[0][0], "the first points have no background"
    widths = [each[3] for each in seen]
    assert min(b - a for a, b in itertools.pairwise(widths[:12])) > -2, widths
    assert widths[0] < 0.95 * max(widths)
