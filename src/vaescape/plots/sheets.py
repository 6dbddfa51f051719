"""Sheets of images: reconstructions, samples, strips. Image pixels are whole, equal squares."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from vaescape.errors import OptionError
from vaescape.plots.style import (
    DPI,
    Picture,
    decimals,
    drawing,
    latent_name,
    plain,
    text_width,
    widest,
)

_CELL = 84
"""About how many device pixels the side of one image takes."""

_SPACE = round(0.16 * DPI)
"""Device pixels between blocks and between groups of rows."""

_MARGIN = round(0.2 * DPI)


def to_rgb(images: ArrayLike) -> Float[np.ndarray, "*S H W 3"]:
    """Images (*S, C, H, W) as RGB in [0, 1]: three channels in colour, any other number grey."""
    pixels = np.asarray(images)
    pixels = pixels / 255.0 if pixels.dtype == np.uint8 else pixels.astype(float)
    if pixels.shape[-3] != 3:
        pixels = pixels.mean(axis=-3, keepdims=True).repeat(3, axis=-3)
    return np.clip(np.moveaxis(pixels, -3, -1), 0.0, 1.0)


def tile(rgb: Float[np.ndarray, "R C H W 3"], gap: int = 0) -> Float[np.ndarray, "Y X 4"]:
    """A grid of images as one, row 0 on top; gaps of ``gap`` pixels and NaN are transparent."""
    rows, columns, high, wide, _ = rgb.shape
    sheet = np.zeros((rows, high + gap, columns, wide + gap, 4))
    image = rgb.transpose(0, 2, 1, 3, 4)
    sheet[:, :high, :, :wide, :3] = np.nan_to_num(image)
    sheet[:, :high, :, :wide, 3] = np.isfinite(image).all(axis=-1)
    whole = sheet.reshape(rows * (high + gap), columns * (wide + gap), 4)
    return whole[: whole.shape[0] - gap, : whole.shape[1] - gap]


def show(figure: Picture, rgba: Float[np.ndarray, "Y X 4"], left: int, top: int, zoom: int) -> Axes:
    """Draw an image at whole device pixels from the top left, each of its pixels ``zoom`` wide."""
    high, wide, _ = rgba.shape
    axes = figure.place(left / DPI, top / DPI, wide * zoom / DPI, high * zoom / DPI)
    # "none" is nearest neighbour in a PNG and leaves the pixels as they are in an SVG.
    axes.imshow(rgba, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return axes


def zoom_of(high: int, wide: int, cell: int = _CELL) -> int:
    """Whole device pixels per image pixel that make an image's longer side about ``cell``."""
    return max(1, round(cell / max(high, wide)))


@dataclass(frozen=True)
class _Block:
    """A grid of images with words above it and under its columns."""

    rgb: Float[np.ndarray, "R C H W 3"]
    header: str = ""
    captions: Sequence[str] = ()


@dataclass(frozen=True)
class _Sheet:
    """Blocks of as many rows each, side by side, rows named. Lengths are device pixels."""

    title: str
    note: str
    blocks: Sequence[_Block]
    rows: Sequence[str] = ()
    group: int | None = None
    """Rows between two wider gaps; by default there are none."""

    @property
    def image(self) -> tuple[int, int]:
        return self.blocks[0].rgb.shape[2:4]  # pyright: ignore[reportReturnType]

    @property
    def zoom(self) -> int:
        return zoom_of(*self.image)

    @property
    def gap(self) -> int:
        return max(1, max(self.image) // 14)

    @property
    def left(self) -> int:
        names = widest([plain(row, 34) for row in self.rows], 9)
        return _MARGIN + (round((names + 0.1) * DPI) if names else 0)

    @property
    def top(self) -> int:
        headers = any(block.header for block in self.blocks)
        return round((0.46 + 0.26 * bool(self.note) + 0.24 * headers) * DPI)

    def row(self, r: int) -> int:
        """Top of row ``r``."""
        groups = r // (self.group or len(self.blocks[0].rgb))
        return self.top + r * (self.image[0] + self.gap) * self.zoom + groups * _SPACE

    def column(self, c: int) -> int:
        """Left of column ``c`` within its block."""
        return c * (self.image[1] + self.gap) * self.zoom

    def edges(self) -> list[int]:
        """Left of each block, and of the one that would come after the last."""
        widths = (self.column(block.rgb.shape[1]) - self.gap * self.zoom for block in self.blocks)
        return list(accumulate((width + _SPACE for width in widths), initial=self.left))

    def size(self) -> tuple[int, int]:
        """Width and height of the figure."""
        words = max(text_width(self.title, 13, "bold"), text_width(self.note, 9))
        captions = any(block.captions for block in self.blocks)
        bottom = self.row(len(self.blocks[0].rgb) - 1) + self.image[0] * self.zoom
        across = max(self.edges()[-1] - _SPACE, round(words * DPI) + _MARGIN) + _MARGIN
        return across, bottom + round((0.17 * captions + 0.2) * DPI)

    def draw(self, theme: str) -> Picture:
        """The sheet as a figure."""
        width, height = self.size()
        with drawing(width / DPI, height / DPI, theme, self.title, self.note) as figure:
            for left, block in zip(self.edges(), self.blocks, strict=False):
                self._draw_block(figure, left, block)
            for r, name in enumerate(self.rows):
                middle = self.row(r) + self.image[0] * self.zoom / 2
                _write(figure, self.left - 0.08 * DPI, middle, plain(name, 34), ha="right")
        return figure

    def _draw_block(self, figure: Picture, left: int, block: _Block) -> None:
        step = self.group or len(block.rgb)
        for r in range(0, len(block.rgb), step):
            show(figure, tile(block.rgb[r : r + step], self.gap), left, self.row(r), self.zoom)
        _write(figure, left, self.top - 0.12 * DPI, block.header, fontweight="bold")
        bottom = self.row(len(block.rgb) - 1) + self.image[0] * self.zoom
        for c, caption in enumerate(block.captions):
            middle = left + self.column(c) + self.image[1] * self.zoom / 2
            style = {"ha": "center", "fontsize": 7, "color": figure.theme.muted}
            _write(figure, middle, bottom + 0.1 * DPI, caption, **style)


def _write(figure: Picture, left: float, top: float, text: str, **style: Any) -> None:
    figure.write(left / DPI, top / DPI, text, **style)


def reconstructions(
    originals: ArrayLike,
    decoded: ArrayLike,
    errors: ArrayLike,
    *,
    columns: int = 6,
    theme: str = "light",
) -> Picture:
    """Originals over reconstructions over their absolute difference: best, median, worst.

    Args:
        originals: Images (N, C, H, W) to choose from, the whole test set if it is at hand.
        decoded: Their reconstructions (N, C, H, W).
        errors: Mean squared error of each (N,): orders them, and is printed under them.
        columns: Images in each of the three groups.
        theme: ``"light"`` or ``"dark"``.
    """
    images, again, error = np.asarray(originals), np.asarray(decoded), np.asarray(errors, float)
    if len(images) == 0 or not len(images) == len(again) == len(error):
        raise OptionError(
            "Expected as many originals, reconstructions and errors, at least one; "
            f"got {len(images)}, {len(again)} and {len(error)}."
        )
    digits = decimals(error)
    blocks = [
        _Block(
            _compared(images[chosen], again[chosen]),
            header,
            [f"{e:.{digits}f}" for e in error[chosen]],
        )
        for header, chosen in _best_median_worst(error, columns).items()
    ]
    note = "below each image its MSE; differences from 0 (black) to 1 (pale)"
    return _Sheet("Reconstructions", note, blocks, ("original", "decoded", "|difference|")).draw(
        theme
    )


def _compared(originals: np.ndarray, decoded: np.ndarray) -> Float[np.ndarray, "3 N H W 3"]:
    """Three rows: the images, their reconstructions, and how far they are apart in colours."""
    images, again = to_rgb(originals), to_rgb(decoded)
    difference = np.abs(images - again).mean(axis=-1)
    return np.stack([images, again, colormaps["magma"](difference)[..., :3]])


def _best_median_worst(error: Float[np.ndarray, " N"], columns: int) -> dict[str, np.ndarray]:
    order = np.argsort(error, kind="stable")
    n = min(columns, len(order) // 3)
    if n == 0:
        return {"All": order}
    middle = (len(order) - n) // 2
    return {"Best": order[:n], "Median": order[middle : middle + n], "Worst": order[-n:]}


def reconstruction_strip(
    originals: ArrayLike, decoded: ArrayLike, *, theme: str = "light"
) -> Picture:
    """Originals (N, C, H, W) in one row, their reconstructions in the next."""
    rows = np.stack([to_rgb(originals), to_rgb(decoded)])
    return _Sheet("Reconstructions", "", [_Block(rows)], ("original", "decoded")).draw(theme)


def samples(
    images: ArrayLike,
    *,
    kind: str = "decoder means",
    note: str = "",
    theme: str = "light",
) -> Picture:
    """Images (N, C, H, W) decoded from draws of the prior, in a grid about as wide as high.

    ``kind`` goes into the title: ``"decoder means"`` and ``"draws from the likelihood"`` are
    different things.
    """
    rgb = to_rgb(images)
    columns = min(len(rgb), max(8, round(len(rgb) ** 0.5 * 1.4)))
    missing = np.full((-len(rgb) % columns, *rgb.shape[1:]), np.nan)
    grid = np.concatenate([rgb, missing]).reshape(-1, columns, *rgb.shape[1:])
    return _Sheet(f"Samples from the prior: {kind}", note, [_Block(grid)]).draw(theme)


def interpolation_strips(
    rows: Sequence[tuple[str, ArrayLike]],
    *,
    originals: Sequence[tuple[ArrayLike, ArrayLike] | None] | None = None,
    title: str = "Interpolations",
    note: str = "",
    group: int | None = None,
    theme: str = "light",
) -> Picture:
    """One strip of frames per row, with the original images at its ends where they are given.

    Args:
        rows: ``(label, frames)`` with frames (T, C, H, W), all of one image size.
        originals: For each row its two original images (C, H, W), or ``None``.
        title: The heading.
        note: A quieter line under it.
        group: Rows that belong together, set apart from the next.
        theme: ``"light"`` or ``"dark"``.
    """
    frames = _rows([frames for _, frames in rows])
    most = frames.shape[1]
    same = all(len(np.asarray(strip)) == most for _, strip in rows)
    share = [f"{t:.2f}" for t in np.linspace(0, 1, most)] if most > 1 and same else []
    blocks = [_Block(frames, captions=share)]
    if originals is not None and any(pair is not None for pair in originals):
        empty = np.full(frames.shape[2:], np.nan)
        pairs = [(empty, empty) if pair is None else tuple(map(to_rgb, pair)) for pair in originals]
        start, end = (np.stack(side)[:, None] for side in zip(*pairs, strict=True))
        blocks = [_Block(start, captions=["original"]), *blocks, _Block(end, captions=["original"])]
    return _Sheet(title, note, blocks, [label for label, _ in rows], group).draw(theme)


def _rows(strips: Sequence[ArrayLike]) -> Float[np.ndarray, "R L H W 3"]:
    """Strips of frames (T, C, H, W) as rows of one length; NaN where a shorter one has ended."""
    rgb = [to_rgb(strip) for strip in strips]
    grid = np.full((len(rgb), max(map(len, rgb)), *rgb[0].shape[1:]), np.nan)
    for row, strip in zip(grid, rgb, strict=True):
        row[: len(strip)] = strip
    return grid


def interpolation_grid(
    images: ArrayLike,
    *,
    title: str = "Between four images",
    note: str = "corners: the four reconstructions; between them, weighted averages of their codes",
    theme: str = "light",
) -> Picture:
    """A grid of images (n, m, C, H, W), row 0 on top, its four corners outlined."""
    rgb = to_rgb(images)
    sheet = _Sheet(title, note, [_Block(rgb)])
    figure = sheet.draw(theme)
    high, wide = sheet.image
    last_row, last_column = len(rgb) - 1, rgb.shape[1] - 1
    for r, c in {(0, 0), (0, last_column), (last_row, 0), (last_row, last_column)}:
        corner = (c * (wide + sheet.gap) - 0.5, r * (high + sheet.gap) - 0.5)
        frame = Rectangle(corner, wide, high, fill=False, color=figure.theme.second, linewidth=2)
        frame.set_clip_on(False)
        figure.axes[0].add_patch(frame)
    return figure


def traversals(
    images: ArrayLike,
    values: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    title: str = "Traversals",
    note: str = "each row varies one latent dimension; the others are fixed",
    theme: str = "light",
) -> Picture:
    """One row per latent dimension, moved through ``values``.

    Args:
        images: Decoded images (D, T, C, H, W).
        values: The coordinate in each column (T,).
        names: A name per row, ``"z₃ · 2.1 nats"`` say; by default z₁, z₂, ….
        title: The heading.
        note: A quieter line under it.
        theme: ``"light"`` or ``"dark"``.
    """
    rgb = to_rgb(images)
    captions = [f"{value:.2g}".replace("-", "−") for value in np.asarray(values, float)]
    labels = names or [latent_name(d) for d in range(len(rgb))]
    return _Sheet(title, note, [_Block(rgb, captions=captions)], labels).draw(theme)


def codes(rows: Sequence[ArrayLike], names: Sequence[str], *, theme: str = "light") -> Picture:
    """Decoded codes in rows (T, C, H, W), which may differ in length.

    Args:
        rows: Images of codes, the most used first.
        names: What stands before each row.
        theme: ``"light"`` or ``"dark"``.
    """
    note = "most frequent first; before each row, the share of images that have one of its codes"
    return _Sheet("Codes", note, [_Block(_rows(rows))], names).draw(theme)
