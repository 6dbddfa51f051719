"""Figures as parts of the report's page: SVG inline, pictures and animations as data."""

import base64
import io
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vaescape.errors import OptionError, RunError, VaescapeError
from vaescape.report.svg import safe_svg

if TYPE_CHECKING:
    from vaescape.figures import Words

_TYPES = {".png": "image/png", ".gif": "image/gif"}


class Shown(NamedTuple):
    """A figure with the words around it."""

    name: str
    words: "Words"
    markup: str
    """An inline SVG, trusted because this package wrote it; empty for a picture."""
    source: str
    """A ``data:`` address; empty for an inline SVG."""
    still: str
    """The first frame of an animation, for readers who prefer reduced motion; else empty."""
    width: int
    """CSS pixels at full size."""


def chapters(figures: Mapping[str, Path]) -> dict[str, list[Shown]]:
    """Return figures by the chapter they belong to, all in the order of the report."""
    from vaescape.figures import in_order

    found: dict[str, list[Shown]] = {}
    for name in in_order(list(figures)):
        drawing = shown(name, figures[name])
        found.setdefault(drawing.words.chapter, []).append(drawing)
    return found


def shown(name: str, path: Path) -> Shown:
    """Return a figure from its file.

    Raises:
        OptionError: If it is of another type than SVG, PNG or GIF.
        RunError: If it cannot be read.
    """
    try:
        return _read(name, path)
    except VaescapeError:
        raise
    except (OSError, ValueError, IndexError, SyntaxError) as error:
        raise RunError(
            f"The figure {path} cannot be read: {error}. Draw it again: `vaescape figures RUN`."
        ) from error


def _read(name: str, path: Path) -> Shown:
    from vaescape.figures import words_for

    if path.suffix == ".svg":
        words = words_for(name)
        markup, width = _inline(path.read_text(encoding="utf-8"), name, words.alt)
        return Shown(name, words, markup, "", "", width)
    if path.suffix not in _TYPES:
        raise OptionError(f"Expected figures as .svg, .png or .gif; got {path.name}.")
    data = path.read_bytes()
    still = _data_address(_first_frame(data), ".png") if path.suffix == ".gif" else ""
    width = _width(data, path.suffix)
    return Shown(name, words_for(name), "", _data_address(data, path.suffix), still, width)


def _data_address(data: bytes, suffix: str) -> str:
    return f"data:{_TYPES[suffix]};base64,{base64.b64encode(data).decode()}"


def _first_frame(gif: bytes) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(gif)) as image:
        image.save(stream, format="PNG")
    return stream.getvalue()


def _width(data: bytes, suffix: str) -> int:
    if suffix == ".gif":
        return int.from_bytes(data[6:8], "little")
    return int.from_bytes(data[16:20], "big") // 2  # drawn at twice the density of a screen


def _inline(svg: str, name: str, alt: str) -> tuple[str, int]:
    """A figure's SVG as part of a page, with identifiers and a name of its own; and its width."""
    from vaescape.plots.style import themable

    body = safe_svg(svg, name)
    prefix = re.sub(r"\W", "-", name)
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'href="#', f'href="#{prefix}-', body)
    body = re.sub(r"url\(#", f"url(#{prefix}-", body)
    points = float(body.split('viewBox="0 0 ', 1)[1].split(" ", 1)[0])
    if not 0 < points < 1e5:
        raise ValueError(f"it is {points:g} points wide")
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    named = f'<svg role="img" aria-label="{escape(alt)}"'
    return themable(body.replace("<svg", named, 1)), round(points * 4 / 3)
