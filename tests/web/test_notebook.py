"""The explorer as a notebook shows it: in a frame, from a text, where nothing may be remembered."""

import re

from web_person import Person

from vaescape import Explorer


def test_a_notebooks_frame_shows_the_page_and_decodes_under_the_pointer(visit, study, tmp_path):
    frame = Explorer(study, originals="none", height=700)._repr_html_()
    cell = tmp_path / "notebook.html"
    cell.write_text(f"<!doctype html><title>cell</title><body>{frame}</body>", encoding="utf-8")
    page = visit(cell).page
    inside = page.frame_locator("iframe")
    inside.get_by_role("application").wait_for()
    inside.get_by_role("progressbar", name="Opening the decoder").wait_for(state="detached")
    assert inside.get_by_role("alert").count() == 0
    told = inside.locator(".lens .code").first
    page.mouse.move(400, 300)
    page.mouse.move(403, 300)
    told.wait_for()
    first = told.inner_text()
    assert re.search(r"z.=.[−\d]", first)
    page.mouse.move(460, 340)
    person = Person(page)
    person.until(lambda: told.inner_text() != first)
    shades = "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, 28, 28).data).size"
    lens = inside.locator(".lens canvas").first
    person.until(lambda: lens.evaluate(shades) > 20)
    page.mouse.wheel(0, -300)  # the address of the view is asked for, and cannot be written
    page.wait_for_timeout(900)
