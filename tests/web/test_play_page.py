"""``vaescape play`` in a real browser: a person plays, turns β, sees points move, and keeps."""

import pytest
from web_person import SETTLED, Person

from vaescape import Study

pytestmark = pytest.mark.network
WAIT = 120_000


@pytest.fixture
def page(browser, address):
    """The page, once it shows a frame; at the end nothing was complained of."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    opened, complaints = context.new_page(), []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    opened.goto(address)
    opened.locator("[data-step]").wait_for(timeout=WAIT)
    yield opened
    context.close()
    assert not complaints


def step_of(page) -> int:
    return int(page.locator("[data-step]").get_attribute("data-step"))


def until(page, condition: str, argument: object = None) -> None:
    page.wait_for_function(condition, arg=argument, timeout=WAIT)


AFTER = "step => Number(document.querySelector('[data-step]').dataset.step) > step"
POINTS = """() => { const at = document.querySelector('canvas.points');
    return at.toDataURL() }"""


def slide(page, label: str, step: int) -> None:
    """Drag a knob to one of its 64 steps."""
    page.get_by_label(label, exact=True).evaluate(
        """(input, step) => { input.value = step
            for (const kind of ['input', 'change']) input.dispatchEvent(new Event(kind, {bubbles: true})) }""",  # noqa: E501
        step,
    )


def test_a_person_plays_turns_beta_and_keeps(page, stage):
    person = Person(page)
    until(page, AFTER, step_of(page) + 5)
    person.button("❚❚ Pause").click()
    person.button("▶ Play").wait_for(timeout=WAIT)
    page.evaluate(SETTLED)
    step, points = step_of(page), page.evaluate(POINTS)
    slide(page, "β", 64)
    assert page.get_by_label("β", exact=True).get_attribute("aria-valuetext") == "16"
    until(page, f"before => ({POINTS})() !== before", points)  # q at another β, the same weights
    assert step_of(page) == step
    person.button("One step").click()
    until(page, AFTER, step)
    assert step_of(page) == step + 1
    person.button("▶ Play").click()
    until(page, AFTER, step + 20)
    person.button("❚❚ Pause").click()
    person.button("▶ Play").wait_for(timeout=WAIT)
    page.mouse.move(400, 400)
    page.locator(".lens canvas").first.wait_for(timeout=WAIT)
    page.get_by_label("Name of the run").fill("mine")
    person.button("Keep").click()
    page.get_by_text("to the same bits").wait_for(timeout=WAIT)
    kept = Study.load(stage.root / "mine")
    assert kept.last_tick is None
    assert kept.configuration.parts.objective == "elbo(beta=16.0)"
    assert kept.folder is not None
    assert kept.folder.history()[-1]["step"] == step_of(page)


def test_experiments_start_again_and_say_what_to_look_at(page, axe):
    person = Person(page)
    person.button("Holes").click()
    until(page, "() => document.body.innerText.includes('belongs to neither')")
    until(page, "() => [...document.querySelectorAll('output')].some(o => o.innerText === '1/16')")
    until(page, AFTER, 3)
    page.evaluate(axe)
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa']})")
    assert [each["id"] for each in found["violations"]] == []
    person.button("Back to the recipe").click()
    until(page, "() => [...document.querySelectorAll('output')].some(o => o.innerText === '1')")


def latent(page, size: int) -> None:
    """Wait for a page of so many latent dimensions that shows a frame."""
    manifest = "JSON.parse(document.getElementById('manifest')?.textContent ?? '{}')"
    until(page, f"size => {manifest}.model?.latent === size", size)
    page.locator("[data-step]").wait_for(timeout=WAIT)


def test_one_dimension_opens_the_page_again(page):
    Person(page).button("One latent dimension").click()
    latent(page, 1)
    until(page, AFTER, 3)
    Person(page).button("Back to the recipe").click()
    latent(page, 2)
