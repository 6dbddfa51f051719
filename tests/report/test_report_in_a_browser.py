"""The report in Chromium: on a screen, on a phone, on paper, and to a screen reader."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_parts import HISTORY, METRICS, RUN

from vaescape import plots
from vaescape.report import build_report

SIZES = [(1280, 800), (390, 844)]
CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker"]
PROBLEMS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html} ${node.failureSummary}`))"""
CLOSED = "details => details.every(each => !each.open)"
HEIGHTS = "every => every.map(each => each.getBoundingClientRect().height)"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(400, 2)), np.arange(400) % len(CLASSES)
    drawn = {
        "map": plots.latent_map(points, labels, CLASSES),
        "curves": plots.training_curves(HISTORY),
        "samples": plots.samples(rng.random((4, 1, 8, 8))),
    }
    figures = {name: plots.save_figure(each, folder / name)[1] for name, each in drawn.items()}
    frames = np.linspace(0, 1, 4)[:, None, None, None] * np.ones((4, 1, 8, 8))
    svg = figures["samples"].read_text(encoding="utf-8")
    wide = re.sub(r'viewBox="0 0 [\d.]+', 'viewBox="0 0 900', svg, count=1)
    filled = '<path d="M 0 0 L 900 0 L 900 900 L 0 900 z" style="fill: #ffffff"/></svg>'
    figures["regions"] = folder / "regions.svg"
    figures["regions"].write_text(wide.replace("</svg>", filled), encoding="utf-8")
    figures["animation"] = plots.animated_gif(frames, folder / "walk.gif")
    path = folder / "report.html"
    path.write_text(build_report(RUN, METRICS, HISTORY, figures), encoding="utf-8")
    (folder / "explorer.html").write_text("<title>The explorer</title>", encoding="utf-8")
    return path


@pytest.fixture
def visit(browser, report):
    """Open the report on a screen of a size."""
    contexts = []

    def opened(width: int, height: int, scheme: str = "light"):
        size = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.goto(report.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_folded_or_unfolded(visit, axe, size, scheme):
    page = visit(*size, scheme)
    page.evaluate(axe)
    assert page.evaluate(PROBLEMS) == []
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true })")
    assert page.evaluate(PROBLEMS) == []


def test_the_first_screen_holds_the_verdict_the_map_and_the_link(visit):
    page = visit(1280, 800)
    for selector in (".verdict", ".open", ".first svg"):
        box = page.locator(selector).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 800
    assert page.evaluate("document.documentElement.scrollHeight") < 2 * 800


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen_and_the_map_is_whole(visit, size):
    page = visit(*size)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    box = page.locator(".first svg").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size[0]
    legend = page.locator(".first svg text", has_text="Sneaker (50)").bounding_box()
    assert legend["x"] + legend["width"] <= size[0]


@pytest.mark.parametrize("part", ["div[style*='min-width: 8']", "table.wide"])
def test_a_shade_says_that_a_part_goes_on_and_leaves_at_its_end(visit, part):
    page = visit(390, 844)
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true })")
    wide = page.locator(".scroll").filter(has=page.locator(part)).first

    def edge() -> float:
        image = Image.open(io.BytesIO(wide.screenshot())).convert("L")
        return float(np.median(np.asarray(image)[:, -3]))

    assert wide.evaluate("each => each.scrollWidth > each.clientWidth + 50")
    assert edge() < 230
    wide.evaluate("each => { each.scrollLeft = each.scrollWidth }")
    assert edge() == 255


def test_a_chapter_unfolds_by_mouse_and_by_key(visit):
    page = visit(1280, 800)
    figure = page.get_by_role("img", name="A grid of images decoded from draws of the prior.")
    assert not figure.is_visible()
    page.get_by_role("heading", name="Samples").click()
    assert figure.is_visible()
    page.keyboard.press("Enter")
    assert not figure.is_visible()


def test_the_link_opens_the_explorer(visit):
    page = visit(1280, 800)
    page.get_by_role("link", name="Open the explorer").click()
    assert page.title() == "The explorer"


def test_on_paper_every_chapter_is_open(visit):
    page = visit(1280, 800)
    assert page.eval_on_selector_all("details", CLOSED)
    folded = page.evaluate("document.documentElement.scrollHeight")
    page.emulate_media(media="print")
    assert min(page.eval_on_selector_all("figure, table", HEIGHTS)) > 10
    assert page.evaluate("document.documentElement.scrollHeight") > 2 * folded


def test_no_option_of_the_command_is_broken_between_lines(visit):
    page = visit(400, 800)
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true })")
    for width in range(160, 400, 12):
        page.set_viewport_size({"width": width, "height": 800})
        rows = page.evaluate(
            """() => {
                const walk = document.createTreeWalker(document.querySelector('pre'), 4)
                for (let text; (text = walk.nextNode()); ) {
                    const at = text.data.indexOf('--')
                    if (at < 0) continue
                    const range = document.createRange()
                    range.setStart(text, at)
                    range.setEnd(text, at + 4)
                    return new Set([...range.getClientRects()].map((box) => box.top)).size
                }
            }"""
        )
        assert rows == 1, width
