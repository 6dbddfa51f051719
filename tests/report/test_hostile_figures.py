"""Figures of somebody else's run: nothing in them runs, nothing is fetched."""

from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaescape.errors import RunError
from vaescape.report import build_report
from vaescape.report.svg import safe_svg

HOSTILE = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 viewBox="0 0 90 90" onload="fetch('{away}/onload')" style="background: url({away}/style)">
<!--><img src="{away}/comment"> -->
<style>@import "{away}/import"; * {{ fill: url({away}/fill) }}</style>
<script>fetch("{away}/script"); document.title = "ran"</script>
<foreignObject><meta xmlns="http://www.w3.org/1999/xhtml" http-equiv="refresh"
 content="0;url={away}/refresh"/><iframe xmlns="http://www.w3.org/1999/xhtml" src="{away}/frame"/>
</foreignObject>
<image href="{away}/image" width="9" height="9"/><image xlink:href="{away}/xlink"/>
<use href="{away}/use#x"/><a href="javascript:alert(1)"><text>link</text></a>
<animate attributeName="href" to="{away}/animate"/><set attributeName="onload" to="alert(1)"/>
<rect fill="url({away}/paint)" filter="url({away}/filter)" width="9" height="9"/>
<text id="kept">&lt;img src={away}/text&gt; <![CDATA[<img src="{away}/cdata">]]></text>
<path d="M 0 0 L 9 9" style="stroke: #000" clip-path="url(#clip)"/>
</svg>"""


@pytest.fixture
def away():
    """The address of a server, and what was asked of it."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *given: object):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def report_with(svg: str, folder) -> str:
    (folder / "map.svg").write_text(svg)
    run = {"name": "foreign", "recipe": "x", "data": "x", "seed": 0}
    metrics = {"units": {}, "test": {"images": 1}, "captures": {}}
    return build_report(run, metrics, [], {"map": folder / "map.svg"})


def test_only_the_drawing_is_left():
    svg = safe_svg(HOSTILE.format(away="https://away.example"), "map")
    assert 'stroke: #000" clip-path="url(#clip)"' in svg
    assert ">&lt;img src=https://away.example/text&gt; &lt;img src=" in svg
    for word in ("script", "meta", "onload", "<!--", "import", "animate", "javascript", "CDATA"):
        assert word not in svg
    assert svg.count("away.example") == 2  # in text


@pytest.mark.browser
def test_a_browser_runs_nothing_and_fetches_nothing(browser, tmp_path, away):
    address, asked = away
    page = tmp_path / "report.html"
    page.write_text(report_with(HOSTILE.format(away=address), tmp_path))
    requests = []
    visit = browser.new_page()
    visit.on("request", lambda request: requests.append(request.url))
    visit.goto(page.as_uri())
    visit.wait_for_timeout(1000)
    assert visit.url == page.as_uri()
    assert visit.title() != "ran"
    assert visit.locator("#map-kept").count() == 1
    visit.close()
    assert asked == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("map.svg", b"<svg", "is damaged"),
        ("map.svg", b"<html/>", "it is no SVG"),
        ("map.svg", b"\xff\xfe", "cannot be read"),
        ("map.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "cannot be read"),
        ("walk.gif", b"GIF89a", "cannot be read"),
    ],
)
def test_a_damaged_figure_is_a_sentence(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RunError, match=rf"The figure .*{message}.*`vaescape figures RUN`"):
        build_report({"name": "x"}, {"units": {}, "test": {}}, [], {path.stem: path})


@settings(max_examples=200)
@given(st.text(max_size=200))
def test_any_text_is_a_drawing_or_a_sentence(text):
    for svg in (text, f'<svg xmlns="http://www.w3.org/2000/svg"><g a="{text}">{text}</g></svg>'):
        with suppress(RunError):
            assert safe_svg(svg, "x").startswith("<svg")
