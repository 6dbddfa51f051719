"""axe-core finds nothing serious, whatever is open, in both themes and on both screens."""

import pytest
from web_person import Person, Visit

RUN = """iframes => axe.run(document, {
    iframes,
    resultTypes: ['violations'],
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
})"""


@pytest.fixture(scope="module")
def full(browser, saved, axe, study):
    """A page in which everything that can be open is."""
    visit = Visit(browser, saved)
    person = Person(visit.ready())
    person.page.evaluate(axe)
    person.hover(480, 300)
    person.press("Enter", "r")
    person.mode("Lasso")
    for name, (x, y) in (("one", (300, 150)), ("two", (430, 180))):
        person.drag([(x, y), (x + 180, y + 180)], "Alt")
        person.press("n")
        person.page.keyboard.type(name)
        person.press("Enter")
    person.mode("Morph")
    person.click(300, 250)
    person.click(560, 330)
    person.page.locator(".way dl").nth(2).wait_for()
    for title in ("Your picture", "Regions", "Save and share"):
        person.section(title)
    person.button("Draw one").click()
    person.overlay("Confusion")
    yield person
    visit.context.close()
    assert not visit.complaints


def serious(person, iframes=True):
    """Return what axe-core finds that is serious or critical, and where: a line each."""
    found = person.page.evaluate(RUN, iframes)["violations"]
    lines = [
        f"{rule['id']}: {node['html']} {node['target']} {node.get('failureSummary')}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(full, size, scheme):
    page = full.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    full.settle()
    for mode in page.get_by_role("group", name="Mode").get_by_role("button").all_inner_texts():
        full.mode(mode)
        full.settle()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert serious(full) == "", mode
    if size[0] == 390:
        full.page.locator(".sheet .handle").click()
        full.settle()
        found = serious(full)
        full.page.locator(".sheet .handle").click()
        assert found == "", "panel"


def outlined(locator):
    """Return whether something has an outline."""
    return locator.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_hide_nothing(visit, saved, axe, content, scheme):
    """What is chosen has an outline, classes keep their colours, and words their contrast."""
    person = visit(saved, forced_colors="active", color_scheme=scheme).person()
    page = person.page
    page.evaluate(axe)
    person.hover(480, 300)
    person.press("Enter")
    modes = page.get_by_role("group", name="Mode")
    person.mode("Lasso")
    assert outlined(modes.get_by_role("button", name="Lasso"))
    assert not outlined(modes.get_by_role("button", name="Explore"))
    person.drag([(300, 150), (480, 330)], "Alt")
    assert serious(person) == ""
    colours = [
        "rgb({}, {}, {})".format(*bytes.fromhex(colour[1:]))
        for colour in content.manifest["colours"]
    ]
    swatch = page.locator(".swatch").first
    assert swatch.evaluate("element => getComputedStyle(element).backgroundColor") == colours[0]
    thumbs = page.locator(".real > div").evaluate_all(
        "all => all.map((thumb) => getComputedStyle(thumb).borderBottomColor)"
    )
    ground = person.map().evaluate("element => getComputedStyle(element).backgroundColor")
    assert ground == "rgb(10, 12, 15)"
    assert thumbs
    assert set(thumbs) <= set(colours)
    person.map().focus()
    person.press("/")
    assert outlined(page.locator("dialog [role=option][aria-selected=true]"))


@pytest.mark.parametrize("key", ["/", "?", "v"])
def test_axe_finds_nothing_serious_in_dialogs(full, key):
    full.page.set_viewport_size({"width": 1280, "height": 800})
    full.map().focus()
    full.press(key)
    full.page.locator("dialog").wait_for()
    assert serious(full) == ""
    full.press("Escape")


def test_axe_is_heard(full):
    """Its findings reach the test: a button without a name is one."""
    full.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    try:
        assert "button-name" in serious(full)
    finally:
        full.page.evaluate("document.querySelector('main > button').remove()")
