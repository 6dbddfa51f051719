"""The page as a file: its slots, what hostile names do to it, and whether it is whole."""

import base64
import gzip
import html.parser
import json
import re
import tracemalloc
import zlib

import numpy as np
import pytest

from vaescape.explore import page
from vaescape.explore.blobs import array, file, quantised
from vaescape.explore.notebook import Explorer
from vaescape.explore.page import PageError, check, fill, in_html, template
from vaescape.explore.payload import Payload

HOSTILE = [
    "</script><img src=x onerror=alert(1)>", "<!-- blobs -->", "<!--<script>", "]]>", "&lt;b&gt;",
    '"\'`${1}', "\u202eright to left", "a\u2028b\u2029c", "\x00\x1b[31m", "\ud800", "x" * 5000,
    '{}</script><script type="application/json" id="manifest">{}</script>', "日本語",
]  # fmt: skip


def content(title: str = "t") -> Payload:
    blobs = {"latents": array(np.arange(12.0), "f32"), "atlas": file(b"RIFF....WEBP", "image/webp")}
    return Payload({"schema": 1, "title": title, "created": "now"}, blobs)


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags, self.inside, self.text = [], "", {}

    def handle_starttag(self, tag, attrs):
        self.inside = dict(attrs).get("id", "")
        self.tags.append((tag, self.inside))

    def handle_data(self, data):
        self.text[self.inside] = self.text.get(self.inside, "") + data


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_and_come_back_exactly(built, name):
    plain, hostile = Tags(), Tags()
    plain.feed(fill(built, content()))
    hostile.feed(fill(built, content(name)))
    assert hostile.tags == plain.tags
    expected = name.encode("utf-8", "backslashreplace").decode()
    assert json.loads(hostile.text["manifest"])["title"] in (name, expected)


def test_json_for_a_page_has_no_sign_of_markup():
    assert not set("<>&\u2028\u2029") & set(in_html(HOSTILE))


def test_blobs_are_packed_base64_with_their_sizes_unpacked(built):
    whole = fill(built, content())
    entry = json.loads(re.findall(r'id="manifest">(.*?)</script>', whole)[0])["blobs"]["latents"]
    packed = base64.b64decode(re.findall(r'id="blob-latents">(.*?)<', whole)[0])
    assert entry["codec"] == "gzip"
    assert entry["dtype"] == "f32"
    assert entry["shape"] == [12]
    laid = np.frombuffer(gzip.decompress(packed), np.uint8).reshape(entry["planes"], 12)
    np.testing.assert_array_equal(laid.T.copy().view("<f4")[:, 0], np.arange(12))
    assert entry["bytes"] == 48


def test_what_the_first_picture_needs_comes_first(built):
    blobs = {name: array(np.arange(3), "u8") for name in ("logvars", "ort_wasm", "labels", "pca")}
    whole = fill(built, Payload({"schema": 1}, blobs))
    assert re.findall(r'id="blob-(\w+)"', whole) == ["labels", "pca", "logvars", "ort_wasm"]


def test_a_served_page_is_told_of_blobs_as_they_are(built):
    entry = json.loads(re.findall(r'id="manifest">(.*?)</script>', page.live(built, content()))[0])[
        "blobs"
    ]["latents"]
    assert entry["codec"] == "raw"
    assert entry["crc32"] == zlib.crc32(np.arange(12, dtype="<f4").tobytes())
    assert "planes" not in entry


def test_the_same_study_gives_the_same_bytes(built):
    assert fill(built, content()) == fill(built, content())


def test_a_whole_page_is_told_from_one_cut_short_or_damaged(built, tmp_path):
    path, whole = tmp_path / "page.html", fill(built, content())
    path.write_text(whole)
    assert check(path)["title"] == "t"
    at = whole.index('id="blob-latents">') + 40
    flipped = whole[:at] + ("A" if whole[at] != "A" else "B") + whole[at + 1 :]
    for broken in (whole[: len(whole) // 2], whole[:at], whole[: -len("</body></html>") - 30],
                   flipped, whole.replace("blob-atlas", "blob-other")):  # fmt: skip
        path.write_text(broken)
        with pytest.raises(PageError):
            check(path)


def bomb(built, claims: int, size: int) -> str:
    """A page whose one blob is so many zeros and says that it is another number of them."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(size >> 20))
    packed += squeeze.flush()
    made = fill(built, content())
    manifest = json.loads(re.search('id="manifest">(.*?)</script>', made)[1])  # pyright: ignore
    entry = manifest["blobs"]["latents"] | {"bytes": claims, "crc32": 0}
    manifest["blobs"]["latents"] = entry
    made = re.sub(
        '(id="manifest">).*?(</script>)', lambda m: m[1] + json.dumps(manifest) + m[2], made
    )
    slot = f'id="blob-latents">{base64.b64encode(packed).decode()}<'
    return re.sub('id="blob-latents">[^<]*<', slot, made)


@pytest.mark.parametrize(
    ("claims", "sentence"), [(48, "damaged: latents"), (8 << 30, "unpacks to 8.0 GiB")]
)
def test_a_page_that_unpacks_to_far_more_is_refused_without_unpacking_it(
    built, tmp_path, claims, sentence
):
    path = tmp_path / "page.html"
    path.write_text(bomb(built, claims, 256 << 20))
    tracemalloc.start()
    with pytest.raises(PageError, match=sentence):
        check(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"bytes":48', '"bytes":-1'), ('"bytes":48', '"bytes":"24"'),
        ('"codec":"gzip"', '"codec":7'),
        ('"title":"t"', '"title":[1]'), ('"schema":1', f'"schema":{"[" * 100_000}1'),
    ],
)  # fmt: skip
def test_a_manifest_of_other_types_is_told_in_a_sentence(built, tmp_path, old, new):
    path, whole = tmp_path / "page.html", fill(built, content())
    assert old in whole
    path.write_text(whole.replace(old, new))
    with pytest.raises(PageError):
        check(path)


@pytest.mark.parametrize("text", ["", "<html></html>", '{"a": 1}', "\xff"])
def test_another_file_is_said_to_be_another(tmp_path, text):
    path = tmp_path / "page.html"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(PageError):
        check(path)


def test_a_template_with_other_slots_is_refused(built):
    for slot in (page.MANIFEST, page.BLOBS):
        for broken in (built.replace(slot, ""), built + slot):
            with pytest.raises(PageError, match="slots"):
                fill(broken, content())


def test_an_installation_without_the_page_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(page, "files", lambda package: tmp_path)
    with pytest.raises(PageError, match="npm"):
        template()


def test_a_notebook_gets_the_page_as_text_in_a_frame(monkeypatch):
    monkeypatch.setattr("vaescape.explore.notebook.render", lambda *_, **__: '<p title="&">"</p>')
    shown = Tags()
    shown.feed(Explorer(None)._repr_html_())  # pyright: ignore[reportArgumentType]
    assert shown.tags == [("iframe", "")]


@pytest.mark.parametrize(("kind", "steps"), [("u8", 255), ("u16", 65535)])
def test_quantised_values_come_back_within_half_a_step(kind, steps):
    values = np.random.default_rng(0).normal(size=(500, 3)) * [1, 100, 0]
    blob = quantised(values, kind)
    low, high = np.array(blob.about["scale"]).T
    q = np.frombuffer(blob.content, {"u8": "u1", "u16": "<u2"}[kind]).reshape(500, 3)
    back = low + q / steps * (high - low)
    assert (np.abs(back - values) <= (high - low) / steps / 2 + 1e-12).all()
    assert q[:, 0].min() == 0
    assert q[:, 0].max() == steps
