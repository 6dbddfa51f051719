"""A saved page that trains: a person starts it, turns β, starts again, and goes back to the run."""

import re

import pytest
import torch
from torch.nn.functional import binary_cross_entropy
from web_person import Person, Visit, numbers

from vaescape.explore.page import save
from vaescape.recipes import configuration
from vaescape.study import Study

SMALL = {
    "data": "shapes(images=2400, size=12, vary=['scale', 'x'])",
    "network": "fourier(decoder_widths=[24], features=8, scale=1.0, activation='gelu')",
    "posterior": "bayes(points=144, training_points=64, refresh_interval=4)",
    "batch": 40,
    "epochs": 2,
    "threads": 1,
    "precision": "float32",
}
LENS = ".lens canvas"


@pytest.fixture(scope="module")
def study():
    """A swift of small parts."""
    return Study(configuration("swift", **SMALL)).fit()


@pytest.fixture(scope="module")
def page_of(study, tmp_path_factory):
    """Its page."""
    return save(study, tmp_path_factory.mktemp("page") / "explorer.html")


class Trainer(Person):
    """Somebody who trains in the page."""

    def train(self) -> "Trainer":
        self.section("Train in this page")
        self.button("▶ Train").click()
        self.page.locator("[data-step]").wait_for()
        return self

    def step(self) -> int:
        return int(self.page.locator("[data-step]").get_attribute("data-step"))

    def after(self, step: int) -> None:
        self.until(lambda: self.step() > step, f"no step after {step}")

    def held_out(self) -> float:
        """Return the negative ELBO of the held-out images, in nats."""
        row = self.page.get_by_role("row", name="Negative ELBO")
        return numbers(row.get_by_role("cell").last.inner_text())[0]

    def pause(self) -> None:
        self.button("❚❚ Pause").click()
        self.button("▶ Play").wait_for()

    def slide(self, label: str, step: int) -> None:
        """Drag a knob to one of its 64 steps."""
        self.page.get_by_label(label, exact=True).evaluate(
            """(input, step) => { input.value = step
                for (const kind of ['input', 'change'])
                    input.dispatchEvent(new Event(kind, { bubbles: true })) }""",
            step,
        )

    def points(self) -> str:
        return self.page.locator("canvas.points").evaluate("canvas => canvas.toDataURL()")

    def seen(self) -> torch.Tensor:
        """Return the lens's image once it no longer changes."""
        found = [self.grey(self.page.locator(LENS).first)]
        for _ in range(100):
            self.page.wait_for_timeout(60)
            found.append(self.grey(self.page.locator(LENS).first))
            if torch.equal(found[-1], found[-2]):
                break
        return found[-1]


@pytest.fixture
def person(visit, page_of):
    """Somebody in front of the page."""
    found: Visit = visit(page_of)
    return Trainer(found.ready())


def test_a_person_trains_and_the_page_follows(person, study):
    page, title = person.page, person.page.locator("h1").inner_text()
    person.train()
    told = page.get_by_text("Trained on the images in this page").inner_text()
    images = len(study.test)
    assert numbers(told.replace(",", ""))[:2] == [images - images // 10, images // 10]
    person.after(100)
    person.pause()
    x = study.test.floats().flatten(1)
    mean = x.mean(0).clamp(1e-3, 1 - 1e-3).expand_as(x)  # where an untrained decoder begins
    begun = binary_cross_entropy(mean, x, reduction="sum") / len(x)
    assert 0.3 * begun < person.held_out() < 0.9 * begun

    z = person.hover(420, 420)  # the decoder under the pointer is the one in training
    first, own = person.seen(), study.decode(z[None])[0, 0]
    assert (first - own).abs().mean() > 0.01
    step, before = person.step(), person.points()
    person.slide("β", 64)  # q at another β, the same weights
    assert page.get_by_label("β", exact=True).get_attribute("aria-valuetext") == "16"
    person.until(lambda: person.points() != before, "β moves no point")
    person.button("One step").click()
    person.after(step)
    assert person.step() == step + 1
    person.button("▶ Play").click()
    person.after(step + 40)
    person.pause()
    person.page.mouse.move(421, 420)
    assert (person.seen() - first).abs().mean() > 0.005

    person.button("With a new seed").click()
    person.until(lambda: person.step() < step, "it does not start again")
    person.until(lambda: "seed 0" not in page.locator("p", has_text="seed").inner_text())
    assert not page.get_by_label("Name of the run").count()  # nothing is kept here
    person.button("← Back to the saved run").click()
    person.until(lambda: page.locator("h1").inner_text() == title, "not the saved run")
    z = person.hover(420, 420)
    person.lens(study.decode(z[None])[0])


def test_experiments_are_those_that_a_page_can_do_and_nothing_is_wrong_with_it(person, axe):
    page = person.page
    page.evaluate(axe)
    check = "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})"
    person.section("Train in this page")
    person.settle()
    assert [each["id"] for each in page.evaluate(check)["violations"]] == []
    person.train()
    names = page.locator("h3:has-text('Experiments') + ul button").all_inner_texts()
    assert names == ["Towards posterior collapse", "Holes", "A hundred training images",
                     "A rate that is too high"]  # fmt: skip
    person.button("A hundred training images").click()
    person.until(lambda: person.page.locator("output", has_text=re.compile("^100$")).count() == 1)
    person.after(3)
    person.settle()
    assert [each["id"] for each in page.evaluate(check)["violations"]] == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator(".sheet .handle").click()
    person.settle()
    assert [each["id"] for each in page.evaluate(check)["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
