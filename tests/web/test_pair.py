"""Two runs side by side in a real browser: one hover, one pin, one selection, and lines between."""

from functools import partial

import numpy as np
import pytest
from served import served  # pyright: ignore[reportMissingImports]
from test_accessible import serious  # pyright: ignore[reportMissingImports]
from web_person import SETTLED, Lay, Person, numbers, values

from vaescape.explore.pair import Pair
from vaescape.explore.payload import payload
from vaescape.explore.server import pair_application

READ = """() => [...document.querySelectorAll('line[data-image]')].map((line) => [
    Number(line.dataset.image), ...['x1', 'y1', 'x2', 'y2'].map((name) => line[name].baseVal.value),
])"""


class Both:
    """The outer page, the two in it, and where their images should be."""

    def __init__(self, page, z):
        self.page, self.z = page, z
        self.sides = [page.frame_locator("iframe").nth(i) for i in (0, 1)]
        for side in self.sides:
            side.get_by_role("application").wait_for()
            bar = side.get_by_role("progressbar", name="Opening the decoder")
            bar.wait_for(state="detached")

    def corner(self, side: int) -> np.ndarray:
        """Return where a frame begins in the window."""
        box = self.page.locator("iframe").nth(side).bounding_box()
        return np.array([box["x"], box["y"]])

    def settle(self) -> None:
        for _ in range(4):  # a message there, one back, and a frame after each
            self.page.evaluate(SETTLED)

    def told(self, side: int) -> np.ndarray:
        """Return the code that a map's lens names."""
        text = self.sides[side].locator(".lens .code").first.inner_text()
        return np.array(numbers(text.partition("=")[2]))

    def move(self, at) -> None:
        self.page.mouse.move(at[0] - 3, at[1])
        self.page.mouse.move(*at)
        self.settle()

    def lay(self, side: int, basis=None, origin=0.0) -> Lay:
        """Return where a map's plane lies in the window, from what its lens names at two places."""
        corner = self.corner(side)
        a, b = (corner + np.array(shift) for shift in ((200, 200), (400, 320)))
        u, v = [], []
        for at in (a, b):
            self.move(at)
            place = (self.told(side) - origin) @ (np.eye(2) if basis is None else basis)
            u, v = [*u, place[0]], [*v, place[1]]
        scale = (b - a).sum() / (u[1] - u[0] + v[0] - v[1])
        x = ((a + b)[0] - sum(u) * scale) / 2
        return Lay(scale, x, ((a + b)[1] + sum(v) * scale) / 2)

    def lines(self) -> dict[int, np.ndarray]:
        """Return the ends of the line of each image, in the window: (2, 2)."""
        box = self.page.locator("main").bounding_box()
        corner = np.array([box["x"], box["y"]])
        found = self.page.evaluate(READ)
        return {int(i): np.array(ends).reshape(2, 2) + corner for i, *ends in found}

    def pinned(self) -> list[int]:
        return [side.locator("button[aria-label^='Unpin ']").count() for side in self.sides]


@pytest.fixture(scope="module")
def z(two) -> list[np.ndarray]:
    """Where each map has the images, the second one aligned: (N, 2) each."""
    first, second = (
        values(payload(view.study, sections=[_points]).blobs["latents"]) for view in two.views
    )
    laid = two.partners[1]
    return [first, (second - laid.origin) @ np.array(laid.basis)]


def _points(view):
    from vaescape.explore.sections.points import points

    return points(view)


@pytest.fixture
def both(visit, two_saved, z) -> Both:
    return Both(visit(two_saved).page, z)


def lonely(z: np.ndarray, lay: Lay, corner: np.ndarray) -> int:
    """Return an image in the middle of a map that is far from all others on the screen."""
    at = lay.screen(z)
    from_others = np.linalg.norm(at[:, None] - at, axis=2) + 1e9 * np.eye(len(at))
    middle = ((at - corner > [100, 150]) & (at - corner < [500, 450])).all(1)
    return int(np.where(middle, from_others.min(1), 0).argmax())


def test_what_is_pointed_at_in_one_lights_up_in_the_other(both, z, two):
    lay, other = both.lay(0), both.lay(1, *_plane(two))
    offset = both.corner(1) - both.corner(0)
    assert other.scale == pytest.approx(lay.scale, rel=0.02)  # one view for both maps
    assert np.allclose([other.x - lay.x, other.y - lay.y], offset, atol=4)
    index = lonely(z[0], lay, both.corner(0))
    here = np.array(lay.at(z[0][index]))
    both.move(here + 1)
    person = Person(both.page)
    person.until(lambda: list(both.lines()) == [index], "there is no line for the image")
    ends = both.lines()[index]
    assert np.allclose(ends[0], here, atol=2)
    assert np.allclose(ends[1], lay.screen(z[1])[index] + offset, atol=2)
    second = two.studies[1]
    code = two.views[1].codes.mean[index]
    assert np.allclose(both.told(1), code, atol=0.02)
    lens = both.sides[1].locator(".lens canvas").first
    person.shows(lens, second.decode(code[None]), within=0.03)
    both.page.mouse.move(640, 4)
    person.until(lambda: not both.lines(), "the line stays")
    assert both.sides[1].locator(".lens").count() == 0


def _plane(two: Pair) -> tuple[np.ndarray, np.ndarray]:
    return np.array(two.partners[1].basis), np.array(two.partners[1].origin)


def test_a_pin_is_a_pin_in_both_and_alignment_can_be_taken_back(both, z, two):
    lay = both.lay(0)
    index = lonely(z[0], lay, both.corner(0))
    both.page.mouse.click(*lay.at(z[0][index]))
    person = Person(both.page)
    person.until(lambda: both.pinned() == [1, 1])
    both.page.mouse.move(640, 4)
    both.settle()
    assert list(both.lines()) == [index]
    both.page.get_by_role("button", name="As trained").click()
    basis, origin = _plane(two)
    trained = lambda: both.lay(1)  # noqa: E731
    own = trained().screen(z[1] @ basis.T + origin)[index]
    both.page.mouse.move(640, 4)
    person.until(
        lambda: np.allclose(both.lines()[index][1], own, atol=3), "the line ends elsewhere"
    )
    both.page.get_by_role("button", name="Lines").click()
    assert not both.lines()
    remove = both.sides[1].locator("button[aria-label^='Unpin ']")
    remove.first.evaluate("button => button.click()")
    person.until(lambda: both.pinned() == [0, 0])


def test_a_lasso_draws_lines_from_dot_to_dot_and_a_filter_holds_in_both(both, z, labels, two):
    person = Person(both.page)
    corner, offset = both.corner(0), both.corner(1) - both.corner(0)
    for turn in (1, -1):  # whoever moved the map keeps it where it is, also when a panel opens
        person.zoom(turn, *(corner + 250))
    lay = both.lay(0)
    both.sides[0].get_by_role("group", name="Mode").get_by_role("button", name="Lasso").click()
    corners = corner + np.array([[200, 140], [420, 140], [420, 260], [200, 260]])
    person.drag([*map(tuple, corners), tuple(corners[0])])
    both.page.mouse.move(640, 4)
    read = lambda: numbers(both.page.get_by_role("status").inner_text())  # noqa: E731
    person.until(lambda: both.lines() and read()[1:2] == [len(both.lines())], "other lines")
    lines, at = both.lines(), lay.screen(z[0])
    surely, maybe = (
        set(np.flatnonzero(((at > corners[0] + by) & (at < corners[2] - by)).all(1)))
        for by in (3, -3)
    )
    said = read()
    assert len(surely) <= said[0] <= len(maybe)
    assert 5 < said[1] == len(lines) <= 150
    assert set(lines) <= maybe
    for side in (0, 1):
        expected = lay.screen(z[side]) + side * offset
        assert all(np.allclose(ends[side], expected[i], atol=3) for i, ends in lines.items())
    label = int(labels[next(iter(lines))])
    name = two.studies[0].classes[label]
    chip = both.sides[1].locator("button.chip", has_text=name)
    chip.evaluate("chip => chip.click()")
    person.until(lambda: label not in {labels[i] for i in both.lines()}, "the class is still shown")
    assert both.lines()
    assert both.sides[0].locator("button.chip[aria-pressed=false]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_it_fits_the_screen_and_axe_finds_nothing_serious(visit, two_saved, z, axe, size, scheme):
    viewport = {"width": size[0], "height": size[1]}
    both = Both(visit(two_saved, viewport=viewport, color_scheme=scheme).page, z)
    page = both.page
    page.evaluate(axe)
    person = Person(page)
    shut = page.get_by_role("button", name="Numbers").get_attribute("aria-expanded") == "false"
    assert shut == (size[0] == 390)
    if shut:
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Numbers").press("Enter")
    table = page.get_by_role("table")
    assert "seed" in table.inner_text()
    assert serious(person, iframes=False) == ""
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    first, second = both.corner(0), both.corner(1)
    across, down = (second > first).tolist()
    assert (across, down) == ((True, False) if size[0] == 1280 else (False, True))
    assert page.evaluate("document.documentElement.dataset.theme") == scheme


def test_a_file_that_breaks_off_says_so(visit, two_saved, tmp_path):
    cut = tmp_path / "cut.html"
    cut.write_text(two_saved.read_text()[:-4000])
    assert "incomplete" in visit(cut).page.get_by_role("alert").inner_text()


@pytest.mark.network
def test_two_runs_are_served_each_under_its_own_path(two, browser, z):
    outer, lives = two.live()
    with served(partial(pair_application, outer, lives)) as address:
        context = browser.new_context(reduced_motion="reduce")
        page, complaints = context.new_page(), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
        page.goto(address)
        both = Both(page, z)
        lay = both.lay(0)
        index = lonely(z[0], lay, both.corner(0))
        page.mouse.click(*lay.at(z[0][index]))
        Person(page).until(lambda: both.pinned() == [1, 1])
        answer = page.request.get(f"{address}1/")
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert page.request.get(address.replace("secret", "other") + "1/").status == 404
        context.close()
    assert not complaints
