"""The look of all figures: themes, type, sizes, and files that are the same every time."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from numpy.typing import ArrayLike

from vaescape.errors import OptionError
from vaescape.files import write_atomic

DPI = 200
"""Device pixels per inch of every PNG, and of point clouds inside an SVG."""

FONT = "DejaVu Sans"
"""Comes with matplotlib, so it is there on every machine."""

QUICK = 3
"""Of zlib's levels, 1 to 9: files a little larger, much sooner."""

OUTLINE = 2.6
"""Width of the outline of words on a map, in points."""

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

FALLBACKS = "Verdana, sans-serif"
"""For readers of an SVG who lack :data:`FONT`; Verdana has nearly its widths."""


@dataclass(frozen=True)
class Theme:
    """Colours by role. No two roles share one, so that a role can be found again in an SVG."""

    paper: str
    ink: str
    muted: str
    faint: str
    first: str
    second: str


THEMES = {
    "light": Theme("#ffffff", "#1b2026", "#596270", "#e2e6eb", "#1c6cb3", "#b44b00"),
    "dark": Theme("#111418", "#e9ecf0", "#a0aab6", "#2b313a", "#6ab2f5", "#ff9a52"),
}


def theme_of(name: str) -> Theme:
    """The theme called ``name``.

    Raises:
        OptionError: If there is none.
    """
    if name not in THEMES:
        raise OptionError(f"Expected a theme among {', '.join(THEMES)}; got {name!r}.")
    return THEMES[name]


class Picture(Figure):
    """A figure outside pyplot that shows itself in a notebook and keeps its style when saved.

    Lengths are inches, and places are measured from the top left corner.
    """

    def __init__(self, width: float, height: float, theme: Theme) -> None:
        super().__init__(figsize=(width, height), dpi=DPI, facecolor=theme.paper)
        FigureCanvasAgg(self)
        self.theme = theme

    def place(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return new axes at a place."""
        across, down = self.get_size_inches()
        return self.add_axes(
            (left / across, 1 - (top + height) / down, width / across, height / down)
        )

    def write(self, left: float, top: float, text: str, **style: Any) -> None:
        """Write a line of text at a place, vertically centred on it."""
        across, down = self.get_size_inches()
        look: dict[str, Any] = {"fontsize": 9, "va": "center", **style}
        self.text(left / across, 1 - top / down, text, **look)

    def heading(self, title: str, note: str = "") -> None:
        """Write a title, and a quieter line under it, at the top left."""
        self.write(0.2, 0.22, title, fontsize=13, fontweight="bold")
        if note:
            self.write(0.2, 0.48, note, color=self.theme.muted)

    def draw(self, renderer: Any) -> None:
        """Draw in the theme: ticks are made, and fonts looked up, only now."""
        with styled(self.theme):
            super().draw(renderer)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = self.get_size_inches() * DPI / 2
        return png_bytes(self), {"width": round(width), "height": round(height)}


@contextmanager
def drawing(
    width: float, height: float, theme: str, title: str, note: str = ""
) -> Iterator[Picture]:
    """Give a figure with a heading, to be drawn on in the package's style.

    Args:
        width: In inches, like ``height``.
        height: In inches.
        theme: ``"light"`` or ``"dark"``.
        title: The heading.
        note: A quieter line under it.

    Raises:
        OptionError: If there is no such theme.
    """
    look = theme_of(theme)
    with styled(look):
        figure = Picture(width, height, look)
        figure.heading(title, note)
        yield figure


@contextmanager
def styled(theme: Theme) -> Iterator[None]:
    """The package's settings on top of matplotlib's defaults, whatever the user's own are."""
    with matplotlib.style.context(["default", _settings(theme)]), warnings.catch_warnings():
        # A class may be named in a script that the font lacks; a reader of the SVG may have it.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def _settings(theme: Theme) -> dict[str, Any]:
    return {
        "font.family": FONT,
        "font.size": 9,
        "text.color": theme.ink,
        "text.parse_math": False,  # a class may be called $x$
        "axes.facecolor": "none",
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.muted,
        "axes.labelsize": 9,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlecolor": theme.ink,
        "axes.titlepad": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.faint,
        "grid.linewidth": 0.7,
        "xtick.color": theme.faint,
        "ytick.color": theme.faint,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "vaescape",  # the same figure, the same identifiers
    }


def picture_of(axes: Axes) -> Picture:
    """The figure that some axes belong to."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Picture)
    return figure


def halo(text: Text, theme: Theme) -> Text:
    """The text with an outline of paper, so that it reads on any ground."""
    text.set_path_effects([withStroke(linewidth=OUTLINE, foreground=theme.paper)])
    text.set_gid(f"halo-{OUTLINE}-{theme.paper}")
    return text


def plain(text: object, longest: int = 28) -> str:
    """Text in one printable line of at most ``longest`` characters: names come from folders."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in str(text))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def latent_name(dimension: int) -> str:
    """z₁, z₂, …: the first dimension is 0."""
    return f"z{dimension + 1}".translate(_SUBSCRIPTS)


def decimals(values: ArrayLike) -> int:
    """Decimal places that show the largest of some values to four figures."""
    largest = float(np.max(np.abs(np.asarray(values, float)), initial=0.0))
    return int(np.clip(3 - np.floor(np.log10(largest)), 0, 6)) if largest > 0 else 0


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line of text in inches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        width, *_ = _ruler().get_text_width_height_descent(
            text, FontProperties(family=FONT, size=size, weight=weight), ismath=False
        )
    return width / DPI


@cache
def _ruler() -> RendererAgg:
    return RendererAgg(8, 8, DPI)


def widest(texts: Sequence[str], size: float) -> float:
    """Width of the widest of some lines in inches; 0 for none."""
    return max((text_width(text, size) for text in texts), default=0.0)


def png_bytes(figure: Picture) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    stream = io.BytesIO()
    figure.savefig(
        stream,
        format="png",
        dpi=figure.dpi,
        metadata={"Software": None},
        pil_kwargs={"compress_level": QUICK},
    )
    return stream.getvalue()


def svg_text(figure: Picture) -> str:
    """The figure as SVG with text as text; the same figure gives the same characters."""
    outlined = [t for t in figure.findobj(Text) if str(t.get_gid()).startswith("halo-")]
    effects = [text.get_path_effects() for text in outlined]
    for text in outlined:  # as a path effect the letters would become outlines
        text.set_path_effects([])
    stream = io.StringIO()
    try:
        with styled(figure.theme):
            bare = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(stream, format="svg", dpi=DPI, metadata=bare)
    finally:
        for text, effect in zip(outlined, effects, strict=True):
            text.set_path_effects(effect)
    return _finish_svg(stream.getvalue())


def _finish_svg(svg: str) -> str:
    """Outline the words that have a halo, and name fonts for readers without ours."""
    outline = (
        r'<g style="paint-order: stroke; stroke: \2; stroke-width: \1; stroke-linejoin: round">'
    )
    svg = re.sub(r'<g id="halo-([\d.]+)-(#\w+)">', outline, svg)
    return svg.replace(f"'{FONT}'", f"'{FONT}', {FALLBACKS}")


def themable(svg: str) -> str:
    """A light SVG with CSS variables for colours (``--ink``, ``--paper``, …), for both themes."""
    for role in fields(Theme):
        svg = svg.replace(getattr(THEMES["light"], role.name), f"var(--{role.name})")
    return svg


def save_figure(figure: Picture, stem: Path) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``, each whole or not at all; their paths come back.

    Raises:
        RunError: If a file cannot be written.
    """
    files = {".png": png_bytes(figure), ".svg": svg_text(figure)}
    return [write_atomic(stem.with_name(stem.name + kind), it) for kind, it in files.items()]
