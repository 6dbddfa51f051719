"""The explorer as a person opens it: from disk, in a real browser, with no network."""

import re

import pytest
import torch

from vaescape.explore.page import save

LENS = ".lens canvas"


def pixels(page, selector: str) -> torch.Tensor:
    """Return what a canvas shows, its red channel in [0, 1]: (H, W)."""
    values = page.eval_on_selector(
        selector,
        """canvas => {
            const { width, height } = canvas
            const copy = new OffscreenCanvas(width, height)
            const context = copy.getContext('2d', { willReadFrequently: true })
            context.drawImage(canvas, 0, 0)
            const { data } = context.getImageData(0, 0, width, height)
            return { width, height, red: Array.from(data).filter((_, i) => i % 4 === 0) }
        }""",
    )
    return torch.tensor(values["red"]).reshape(values["height"], values["width"]) / 255


def hover(page, x: float, y: float) -> torch.Tensor:
    """Return the z that the lens names at a point of the window, shares of its size."""
    size = page.viewport_size
    page.mouse.move(x * size["width"] - 3, y * size["height"])
    page.mouse.move(x * size["width"], y * size["height"])
    told = page.locator(".lens .code").first.inner_text()
    return torch.tensor(
        [float(part.replace("−", "-")) for part in re.findall(r"[−-]?\d+\.\d+", told)]
    )


def test_it_opens_from_disk_and_says_what_it_is(visit, saved):
    page = visit(saved).ready()
    assert "shapes" in page.title().lower()
    assert page.get_by_role("alert").count() == 0
    assert page.get_by_text("leaves this page").count() >= 1


def test_the_image_under_the_pointer_is_the_decoders(visit, saved, study):
    page = visit(saved).ready()
    for x, y in ((0.4, 0.5), (0.3, 0.4)):
        z = hover(page, x, y)
        page.wait_for_timeout(500)
        expected = study.decode(z)[0]
        assert (pixels(page, LENS) - expected).abs().mean() < 0.03  # z is told to two decimals
    assert (study.decode(z)[0] - study.decode(torch.zeros(2))[0]).abs().mean() > 0.001


def test_the_keyboard_moves_the_probe_and_it_is_announced(visit, saved):
    page = visit(saved).ready()
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    page.locator(".lens .code").first.wait_for()
    before = page.locator(".lens .code").first.inner_text()
    for _ in range(8):
        page.keyboard.press("Shift+ArrowRight")
    assert page.locator(".lens .code").first.inner_text() != before
    page.wait_for_function(
        "[...document.querySelectorAll('[aria-live]')].some(e => /Nearest/.test(e.textContent))"
    )


def test_a_class_is_hidden_and_shown_again(visit, saved, study):
    page = visit(saved).ready()
    chip = page.get_by_role("button", name=study.splits.classes[0]).first
    assert chip.get_attribute("aria-pressed") == "true"
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    page.get_by_role("button", name="Show all").click()
    assert chip.get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("mode", ["Morph", "Lasso"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_mode_opens(visit, saved, mode, size, scheme):
    viewport = {"width": size[0], "height": size[1]}
    page = visit(saved, viewport=viewport, color_scheme=scheme).ready()
    modes = page.get_by_role("group", name="Mode")
    modes.get_by_role("button", name=mode).click()
    assert modes.get_by_role("button", name=mode).get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_the_network_is_out_of_reach(browser, saved):
    page = browser.new_page()
    page.goto(saved.as_uri())
    refused = page.evaluate("fetch('https://example.com').then(() => false, () => true)")
    page.close()
    assert refused
    assert "connect-src 'none'" in saved.read_text(encoding="utf-8")


def test_hostile_names_are_text(visit, study, tmp_path):
    title = "</script><b id=hostile>x</b>\u202e\"'"
    page = visit(save(study, tmp_path / "hostile.html", title=title)).ready()
    assert page.locator("#hostile").count() == 0
    assert page.title() == title


def test_half_a_page_says_so(visit, saved, tmp_path):
    text = saved.read_text(encoding="utf-8")
    (tmp_path / "half.html").write_text(text[: len(text) // 2], encoding="utf-8")
    found = visit(tmp_path / "half.html")
    found.page.get_by_role("alert").first.wait_for()
    assert "incomplete" in found.page.get_by_role("alert").first.inner_text()


def test_a_decoder_that_is_not_the_trained_one_is_not_shown(visit, study, tmp_path, monkeypatch):
    from vaescape.explore import blobs, payload

    honest = payload._selftest

    def wrong(study, codes):
        return honest(study, codes) | {
            "selftest_x": blobs.array(1 - study.decode(torch.zeros(16, 2)).numpy(), "f32")
        }

    monkeypatch.setattr(payload, "_selftest", wrong)
    found = visit(save(study, tmp_path / "wrong.html"))
    found.page.get_by_role("alert").first.wait_for()
    assert "decod" in found.page.get_by_role("alert").first.inner_text().lower()
