"""One file that shows a study: the built page, its slots filled."""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from vaescape.errors import VaescapeError
from vaescape.explore.blobs import Blob, file
from vaescape.explore.payload import Payload, payload
from vaescape.files import write_atomic
from vaescape.study import Study

MANIFEST = '<script type="application/json" id="manifest">{}</script>'
BLOBS = "<!-- blobs -->"
PAIR = '<script type="application/json" id="pair">{}</script>'
PAGES, SHARED = "<!-- pages -->", "<!-- shared -->"
END = '<script type="application/json" id="end">{}</script>'
FIRST = (
    "poster", "labels", "latents", "codebook", "codes", "pca", "pca_basis", "pca_mean", "umap"
)  # fmt: skip
"""What the first picture is made of: the page draws it while the rest is still being read."""
SEALED, LIVE = "connect-src 'none'", "connect-src 'self'"
_MANIFEST = re.compile(r'<script type="application/json" id="manifest">(.*?)</script>', re.DOTALL)
_PAGES = re.compile(r'<script type="application/json" id="page-\d">(.*?)</script>', re.DOTALL)
_BLOB = re.compile(
    r'<script type="application/octet-stream;base64" id="blob-(\w+)">([^<]*)</script>'
)


_POLICY = re.compile(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"')


MOST_FILE = 1 << 30
"""Bytes of a page that is checked."""
MOST_UNPACKED = 2 << 30
"""Bytes of all that it carries, unpacked."""
AT_ONCE = 1 << 20
"""Bytes unpacked at once."""


class PageError(VaescapeError):
    """A page that is missing, damaged, or not an explorer of vaescape."""


def save(study: Study, path: Path, **options: Any) -> Path:
    """Write the explorer of a study as one file that needs nothing else.

    Args:
        study: Trained.
        path: Where to.
        options: As :class:`vaescape.explore.view.View` takes them: title, originals, …

    Raises:
        VaescapeError: If a network cannot be exported, or the file cannot be written.
    """
    return write_atomic(path, render(study, **options))


def render(study: Study, **options: Any) -> str:
    """Return what :func:`save` writes."""
    return fill(template(), payload(study, **options))


def fill(page: str, content: Payload) -> str:
    """Return the page with a payload in its slots."""
    found = content.blobs | runtime()
    manifest = content.manifest | {"blobs": _entries(found)}
    order = sorted(found, key=lambda name: name not in FIRST)
    carried = "\n".join(_slot(name, found[name]) for name in order)
    return _put(_put(page, BLOBS, carried), MANIFEST, MANIFEST.replace("{}", in_html(manifest)))


def live(page: str, content: Payload) -> str:
    """Return the page as the server gives it: the same manifest, its blobs asked for by address."""
    found = {
        name: replace(blob, compress=False) for name, blob in (content.blobs | runtime()).items()
    }
    manifest = content.manifest | {"live": True, "blobs": _entries(found)}
    page = _put(_put(page, BLOBS, ""), SEALED, LIVE)
    return _put(page, MANIFEST, MANIFEST.replace("{}", in_html(manifest)))


def _entries(found: Mapping[str, Blob]) -> dict[str, dict[str, Any]]:
    return {name: blob.entry() for name, blob in found.items()}


def _put(page: str, slot: str, content: str) -> str:
    if page.count(slot) != 1:
        raise PageError(
            f"The built page has {page.count(slot)} slots {slot!r} where there must be one: it is "
            "of another version. Install vaescape again."
        )
    return page.replace(slot, content)


def paired(about: dict[str, Any], pages: Sequence[str]) -> str:
    """Return the page that holds two others, which come with it or, without any, from a server.

    Args:
        about: What it says and does.
        pages: As :func:`render` gives them. What both carry of the runtime, the file has once.
    """
    outer = _put(template("pair.html"), PAIR, PAIR.replace("{}", in_html(about)))
    if not pages:
        return _put(_put(outer, PAGES, ""), SEALED, f"{LIVE}; frame-src 'self'")
    once = [_slot(name, blob) for name, blob in runtime().items()]
    texts = [page.replace("\n".join(once), SHARED) if once else page for page in pages]
    sides = [
        f'<script type="application/json" id="page-{i}">{in_html(text)}</script>'
        for i, text in enumerate(texts)
    ]
    return _put(outer, PAGES, "\n".join([*once, *sides]))


def policy(page: str, ancestors: str = "'none'") -> str:
    """Return the content security policy of a page, for the header that a server sends with it.

    Args:
        page: The page.
        ancestors: Which pages may hold it in a frame.

    Raises:
        PageError: If it has none.
    """
    found = _POLICY.search(page)
    if found is None:
        raise PageError("The built page has no content security policy. Install vaescape again.")
    return f"{found[1]}; frame-ancestors {ancestors}"


def in_html(value: Any) -> str:
    """Return JSON that no reader of HTML takes for markup: <, > and & are escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode("utf-8", "backslashreplace").decode()


def _slot(name: str, blob: Blob) -> str:
    text = base64.b64encode(blob.packed).decode()
    return f'<script type="application/octet-stream;base64" id="blob-{name}">{text}</script>'


# What the front end's build left -----------------------------------------------------------------


def template(name: str = "page.html") -> str:
    """Return a built page, its slots empty.

    Raises:
        PageError: If the front end was not built.
    """
    built = files("vaescape.explore") / "static" / name
    if not built.is_file():
        raise PageError(
            "This installation has no explorer page: it was made from sources whose web/ was not "
            "built. Run `pip install .` again, or `npm ci --ignore-scripts && npm run build` in "
            "web/."
        )
    return built.read_text(encoding="utf-8")


@cache
def runtime() -> dict[str, Blob]:
    """Return ONNX Runtime's WebAssembly, which runs the networks in the page."""
    packed = files("vaescape.explore") / "static" / "ort.wasm.gz"
    if not packed.is_file():
        return {}
    ready = packed.read_bytes()
    return {"ort_wasm": file(gzip.decompress(ready), "application/wasm", ready=ready)}


# Checking a saved page ---------------------------------------------------------------------------


def check(path: Path) -> dict[str, Any]:
    """Return the manifest of a saved page, once all of its blobs are whole.

    Of a page of two runs, the manifest of the first, once both are whole, with the title of both.

    Raises:
        PageError: If the file is missing, not an explorer's page, cut short or damaged.
    """
    try:
        if path.stat().st_size > MOST_FILE:
            raise PageError(f"{path} is no page of ours: it is larger than {MOST_FILE >> 30} GiB.")
        page = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PageError(f"Could not read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise PageError(f"{path} is not a page: {error}.") from error
    if not (inner := _PAGES.findall(page)):
        return _checked(path, page)
    first, second = (_checked(path, text) for text in _separate(path, page, inner))
    return first | {"title": f"{first['title']}, and {second['title']}"}


def _separate(path: Path, page: str, inner: Sequence[str]) -> list[str]:
    """Return the two pages in a page of two runs, each with its runtime."""
    if len(inner) != 2 or END not in page:
        raise PageError(f"{path} is incomplete. Copy it again, or make it anew with --save.")
    once = "\n".join(found[0] for found in _BLOB.finditer(page))
    try:
        return [json.loads(text).replace(SHARED, once) for text in inner]
    except (ValueError, AttributeError, RecursionError) as error:
        raise PageError(f"{path} is damaged: {error}.") from error


def _checked(path: Path, page: str) -> dict[str, Any]:
    manifest = _manifest(path, page)
    size = sum(about["bytes"] for about in manifest["blobs"].values())
    if size > MOST_UNPACKED:
        raise PageError(
            f"{path} says that it unpacks to {size / (1 << 30):.1f} GiB, and no page of ours is "
            f"larger than {MOST_UNPACKED >> 30} GiB. Do not open it unless you trust its source."
        )
    carried = dict(_BLOB.findall(page))
    wrong = [
        name for name, about in manifest["blobs"].items() if not _whole(carried.get(name), about)
    ]
    if wrong or END not in page:
        raise PageError(
            f"{path} is incomplete or damaged: {', '.join(wrong) or 'its end is missing'}. "
            "Copy it again, or make it anew with `vaescape explore RUN --save`."
        )
    return manifest


def _manifest(path: Path, page: str) -> dict[str, Any]:
    found = _MANIFEST.search(page)
    try:
        manifest = json.loads(found[1]) if found else {}
        if manifest.get("schema") and _described(manifest):
            return manifest
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise PageError(f"{path} is damaged: {error}.") from error
    raise PageError(
        f"{path} is not a page of vaescape's explorer. Give a run folder, or a page that "
        "`vaescape explore RUN --save` wrote."
    )


def _described(manifest: dict[str, Any]) -> bool:
    """Return whether the parts of a manifest that are read here have the types they should."""
    words = all(isinstance(manifest[name], str) for name in ("title", "created"))
    return words and all(
        entry["codec"] in ("gzip", "raw")
        and all(type(entry[name]) is int and entry[name] >= 0 for name in ("bytes", "crc32"))
        for entry in manifest["blobs"].values()
    )


def _whole(text: str | None, about: dict[str, Any]) -> bool:
    """Return whether a blob has its size and checksum; it is unpacked a part at a time."""
    size = check = 0
    try:
        packed = base64.b64decode(text or "", validate=True)
        for part in _unpacked(packed) if about["codec"] == "gzip" else [packed]:
            size, check = size + len(part), zlib.crc32(part, check)
            if size > about["bytes"]:
                return False
    except (ValueError, EOFError, zlib.error):
        return False
    return size == about["bytes"] and check == about["crc32"]


def _unpacked(packed: bytes) -> Iterator[bytes]:
    """Yield what gzip packed, in parts of bounded size.

    Raises:
        EOFError: If it breaks off.
    """
    inflate = zlib.decompressobj(31)
    while not inflate.eof:
        part = inflate.decompress(packed, AT_ONCE)
        packed = inflate.unconsumed_tail
        if not part and not inflate.eof:
            raise EOFError
        yield part
