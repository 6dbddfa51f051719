"""Regions of the map: which class holds which part, where classes mix, what they decode to."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb as rgb_of
from numpy.typing import ArrayLike

from vaescape.errors import OptionError
from vaescape.plots.fields import Field, class_overlap, frame, neighbour_field
from vaescape.plots.maps import (
    AXES_NAMES,
    LISTED,
    SIDE,
    check_plane,
    class_hues,
    name_classes,
    squared,
)
from vaescape.plots.sheets import show, tile, to_rgb, zoom_of
from vaescape.plots.style import (
    DPI,
    Picture,
    drawing,
    picture_of,
    plain,
    text_width,
    theme_of,
    widest,
)

NEIGHBOURS = 25
"""Neighbours whose classes count; a quarter of the images where those are fewer than 100."""

_ROW = 0.45
"""Height of a class's row in inches: an image of 84 device pixels and a gap."""

_HEADERS = 1.2
"""Height of slanted column names in inches."""


def regions(
    points: ArrayLike,
    labels: ArrayLike,
    classes: Sequence[str],
    *,
    latents: ArrayLike | None = None,
    centroids: ArrayLike | None = None,
    medoids: ArrayLike | None = None,
    originals: ArrayLike | None = None,
    colours: Sequence[str] | None = None,
    projection: str | None = None,
    axes_names: tuple[str, str] = AXES_NAMES,
    theme: str = "light",
) -> Picture:
    """Which class each part of the map holds, how mixed it is, and what the classes decode to.

    Args:
        points: Points of the plane (N, 2): posterior means, or a projection of them.
        labels: Classes (N,).
        classes: Their names.
        latents: Posterior means (N, D), where ``points`` is a projection; overlap is counted there.
        centroids: Decoded class centroids (n, C, H, W).
        medoids: Decoded class medoids (n, C, H, W).
        originals: The images encoded at the medoids (n, C, H, W).
        colours: A hex colour per class, from ``class_colours``.
        projection: How a larger latent space was brought to the plane.
        axes_names: What the axes are.
        theme: ``"light"`` or ``"dark"``.
    """
    plane = np.asarray(points, float)
    check_plane(plane)
    if plane.shape[1] != 2:
        raise OptionError(
            "Regions are drawn over a plane: expected points (N, 2), got one coordinate."
        )
    label, hues = class_hues(labels, len(plane), classes, colours, theme_of(theme))
    names = [plain(name, 22) for name in classes]
    n, rows = len(hues), min(len(names), LISTED)
    k = max(1, min(NEIGHBOURS, len(plane) // 4))
    limits = squared(frame(plane))
    field = neighbour_field(plane, label, n, k=k, limits=limits)
    overlap = class_overlap(plane if latents is None else latents, label, n, k)
    decoded = {
        "decoded centroid": centroids,
        "decoded medoid": medoids,
        "original of medoid": originals,
    }
    sheets = {name: to_rgb(images) for name, images in decoded.items() if images is not None}
    note = f"classes of the {k} nearest of {len(plane):,} images"
    if k < NEIGHBOURS:
        note += f" ({NEIGHBOURS} from {4 * NEIGHBOURS} images on)"
    note = f"{note} · {projection}" if projection else note
    below = 0.98 + SIDE + 0.7
    with drawing(11.0, below + _HEADERS + _ROW * rows + 0.25, theme, "Regions", note) as figure:
        left, right = (figure.place(x, 0.98, SIDE, SIDE) for x in (0.7, 1.4 + SIDE))
        left.set_title("Most frequent class of the neighbours; faint where mixed", fontsize=9.5)
        right.set_title(f"Entropy of the neighbours' classes, at most log {n} nats", fontsize=9.5)
        for axes in (left, right):
            axes.grid(visible=False)
            axes.set(xlim=limits[:2], ylim=limits[2:], xlabel=axes_names[0], ylabel=axes_names[1])
        _draw_fields(left, right, field, hues, limits)
        name_classes(left, plane, label, names, hues, figure.theme)
        _overlap_table(figure, overlap[:rows, :rows], names[:rows], sheets, below)
    return figure


def _draw_fields(
    left: Axes,
    right: Axes,
    field: Field,
    hues: Sequence[str],
    limits: tuple[float, float, float, float],
) -> None:
    """The most frequent class on the left, the entropy of the classes on the right."""
    opacity = np.where(field.supported, 0.15 + 0.85 * field.share**1.5, 0.0)
    hue = np.array([rgb_of(hue) for hue in hues])[field.majority]
    cells = {"origin": "lower", "extent": limits, "interpolation": "none", "aspect": "auto"}
    left.imshow(np.concatenate([hue, opacity[..., None]], axis=-1), **cells)
    entropy = np.ma.masked_where(~field.supported, field.entropy)
    top = float(np.log(max(len(hues), 2)))
    image = right.imshow(entropy, cmap="cividis", vmin=0, vmax=top, **cells)
    figure = picture_of(right)
    scale = figure.place(1.4 + 2 * SIDE + 0.1, 0.98, 0.1, SIDE)
    bar = figure.colorbar(image, cax=scale, ticks=[0, top])
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    scale.set_yticklabels(["0", f"{top:.1f}"])
    scale.tick_params(length=0)


def _overlap_table(
    figure: Picture,
    overlap: Float[np.ndarray, "n n"],
    names: Sequence[str],
    sheets: Mapping[str, Float[np.ndarray, "n H W 3"]],
    top: float,
) -> None:
    """Classes among each class's neighbours, per cent; on the same rows, what they decode to."""
    n = len(names)
    look = figure.theme
    left = 0.3 + widest(names, 9)
    axes = _table(figure, left, top + _HEADERS, names, n)
    axes.set_yticks(np.arange(n) + 0.5, names)
    for (row, column), share in np.ndenumerate(overlap):
        cell = (column + 0.03, column + 0.97)
        axes.fill_between(cell, row + 0.03, row + 0.97, color=look.first, alpha=share, linewidth=0)
        if share >= 0.005:
            ink = look.paper if share > 0.55 else look.ink
            middle = {"ha": "center", "va": "center", "fontsize": 8, "color": ink}
            axes.text(column + 0.5, row + 0.5, f"{100 * share:.0f}", **middle)
    title_end = _say(figure, 0.2, top + 0.1, "Classes among the neighbours, %")
    x = max(left + _ROW * n + 0.35, title_end + 0.3)
    if sheets:
        end = _say(figure, x, top + 0.1, "Representatives")
        _table(figure, x, top + _HEADERS, list(sheets), n).set_yticks([])
        for column, images in enumerate(sheets.values()):
            across = round((x + column * _ROW) * DPI)
            show(figure, _stacked(images[:n]), across, round((top + _HEADERS) * DPI) + 3, 1)
        x = max(x + _ROW * len(sheets), end) + 0.3
    _say(figure, x, top + 0.1, "Overlaps most with")
    for row, mixed in enumerate(_mixes(overlap, names)):
        _say(figure, x, top + _HEADERS + (row + 0.5) * _ROW, mixed, fontsize=9, fontweight="normal")


def _mixes(overlap: Float[np.ndarray, "n n"], names: Sequence[str]) -> list[str]:
    """For each class the two others with most of its neighbours, if they have 5 % or more."""
    others = overlap * (1 - np.eye(len(overlap)))
    return [
        ", ".join(
            f"{names[c]} ({100 * row[c]:.0f} %)" for c in np.argsort(-row)[:2] if row[c] >= 0.05
        )
        or "none"
        for row in others
    ]


def _stacked(images: Float[np.ndarray, "n H W 3"]) -> Float[np.ndarray, "Y X 4"]:
    """Images below one another, a row of the table each, as device pixels."""
    zoom, step = zoom_of(*images.shape[1:3]), round(_ROW * DPI)
    large = images.repeat(zoom, axis=1).repeat(zoom, axis=2)
    high, wide = large.shape[1:3]
    column = np.zeros(((len(large) - 1) * step + high, wide, 4))
    for row, image in enumerate(large):
        column[row * step : row * step + high] = tile(image[None, None])
    return column


def _table(figure: Picture, left: float, top: float, columns: Sequence[str], rows: int) -> Axes:
    """Axes of a table with a cell for each column and row, and slanted names above the columns."""
    axes = figure.place(left, top, _ROW * len(columns), _ROW * rows)
    axes.set(xlim=(0, len(columns)), ylim=(rows, 0))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.xaxis.tick_top()
    slant = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"}
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, **slant)
    axes.tick_params(length=0, labelcolor=figure.theme.ink, labelsize=9)
    return axes


def _say(figure: Picture, left: float, top: float, text: str, **style: Any) -> float:
    """Write a text in bold; where it ends, in inches from the left."""
    look: dict[str, Any] = {"fontsize": 9.5, "fontweight": "bold", **style}
    figure.write(left, top, text, **look)
    return left + text_width(text, look["fontsize"], look["fontweight"])
