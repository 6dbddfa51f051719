"""The explorer as a person opens it: from disk, in a real browser, with no network."""

import torch

from vaescape.explore import blobs


def test_it_opens_from_disk_and_says_what_it_is(visit, saved, run):
    page = visit(saved).ready()
    assert "shapes" in page.title().lower()
    assert page.get_by_role("alert").count() == 0
    assert page.get_by_text("It cannot reach a network").count() == 1
    about = page.locator("details", has=page.locator("summary", has_text="About")).inner_text()
    for words in (
        "600 training",
        "first-look",
        "2 dimensions",
        "25 epochs, seed 0",
        "--film 20",
        run.name,
    ):
        assert words in about


def test_hovering_draws_none_of_the_maps_layers(person):
    person.hover(300, 300)
    before = {name: person.layer(name) for name in ("points", "marks")}
    person.hover(600, 500)
    assert all((person.layer(name) == drawn).all() for name, drawn in before.items())
    cross = person.page.locator(".map svg").bounding_box()
    assert (cross["x"] + 16, cross["y"] + 16) == (600, 500)


def test_the_image_under_the_pointer_is_the_decoders(person, study):
    for x, y in ((512, 400), (384, 320)):
        z = person.hover(x, y)
        person.lens(study.decode(z))
    assert (study.decode(z)[0] - study.decode(torch.zeros(2))[0]).abs().mean() > 0.001


def test_the_keyboard_moves_the_probe_and_it_is_announced(visit, saved):
    person = visit(saved).person()
    person.map().focus()
    person.press("ArrowRight")
    person.settle()
    before = person.told()
    for _ in range(8):
        person.press("Shift+ArrowRight")
    person.until(lambda: (person.told() != before).any())
    person.until(lambda: "Nearest" in person.said())


def test_the_network_is_out_of_reach(browser, saved):
    page = browser.new_page()
    page.goto(saved.as_uri())
    refused = page.evaluate("fetch('https://example.com').then(() => false, () => true)")
    page.close()
    assert refused
    assert "connect-src 'none'" in saved.read_text(encoding="utf-8")


def test_hostile_titles_are_text(visit, write):
    title = "</script><b id=hostile>x</b>\u202e\"'"
    page = visit(write(title=title)).ready()
    assert page.locator("#hostile").count() == 0
    assert page.title() == title


def test_half_a_page_says_so(visit, saved, tmp_path):
    text = saved.read_text(encoding="utf-8")
    (tmp_path / "half.html").write_text(text[: len(text) // 2], encoding="utf-8")
    page = visit(tmp_path / "half.html").page
    assert "incomplete" in page.get_by_role("alert").first.inner_text()


def test_a_decoder_that_is_not_the_trained_one_is_not_shown(visit, write, study):
    wrong = blobs.array(1 - study.decode(torch.zeros(16, 2)).numpy(), "f32")
    found = visit(write(blobs={"selftest_x": wrong})).page.get_by_role("alert").first
    assert "decoder in this page gives other images" in found.inner_text()


def test_without_webassembly_the_pictures_made_beforehand_stand_in(visit, saved, study):
    found = visit(saved, script="delete window.WebAssembly")
    person = found.person()
    assert "WebAssembly switched off" in person.alert()
    code = person.hover(512, 400)
    person.lens(study.decode(code), 0.1)  # the nearest cell of the atlas


def test_no_script_runs_but_the_pages_own(visit, saved):
    """The policy names the page's two scripts by their digests, so one put into it is refused."""
    text = saved.read_text(encoding="utf-8")
    assert "script-src 'sha256-" in text
    hostile = "<script>document.title = 'taken'</script>"
    changed = saved.with_name("hostile.html")
    changed.write_text(text.replace("<noscript>", hostile + "<noscript>"), encoding="utf-8")
    found = visit(changed)
    title = found.ready().title()
    assert title.startswith("Shapes")
    refused = [one for one in found.complaints if "Content Security Policy" in one]
    assert len(refused) == 1
    found.complaints.clear()


def test_the_licences_of_what_is_bundled_travel_with_the_page(visit, saved):
    person = visit(saved).person()
    about = person.section("About")
    about.get_by_text("Licences of bundled software").click()
    notices = about.get_by_label("Licences")
    notices.filter(has_text="Copyright").wait_for()  # it is filled when it is opened
    told = notices.inner_text()
    for name in ("onnxruntime-web", "svelte", "d3-zoom", "flatbush", "ml-matrix", "gifenc",
                 "simplify-js", "protobufjs"):  # fmt: skip
        assert f"\n{name} " in told
    assert told.count("Copyright") > 10
