"""The latent plane decoded: the manifold, bare and with the encoded images over it."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy.special import ndtr

from vaescape.errors import OptionError
from vaescape.plots.maps import AXES_NAMES, class_hues, draw_points, name_classes
from vaescape.plots.sheets import show, tile, to_rgb, zoom_of
from vaescape.plots.style import (
    DPI,
    THEMES,
    Picture,
    Theme,
    drawing,
    plain,
    styled,
    text_width,
)

Scale = Literal["quantile", "linear"]

_SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"quantile": ndtr, "linear": np.asarray}


_NIGHT = Theme("#000000", THEMES["dark"].ink, *["#000000"] * 4)
"""Words over decoded images, which are dark in either theme."""


def manifold(
    images: ArrayLike,
    z: ArrayLike,
    *,
    scale: Scale = "quantile",
    axes_names: tuple[str, str] = AXES_NAMES,
    note: str = "",
    theme: str = "light",
) -> Picture:
    """The decoded plane: in each cell what its place decodes to.

    After Kingma & Welling (2014, figure 4).

    Args:
        images: Decoded grid (n, n, C, H, W); ``images[i, j]`` is decoded from ``(z[j], z[i])``,
            and the second coordinate grows upwards in the figure. A single row (1, n, …) shows a
            one-dimensional space.
        z: Coordinates of the columns and of the rows, ascending.
        scale: ``"quantile"`` where ``z`` is the inverse Gaussian CDF of even steps, ``"linear"``
            where ``z`` itself has even steps. The ticks show ``z`` in both.
        axes_names: What the two coordinates are.
        note: A quieter line under the title.
        theme: ``"light"`` or ``"dark"``.

    Raises:
        OptionError: If ``z`` and the grid do not match, or ``z`` is not evenly spaced on ``scale``.
    """
    figure, _ = _decoded_plane(images, z, scale, axes_names, "The decoded plane", note, theme, 1.0)
    return figure


def manifold_with_map(
    images: ArrayLike,
    z: ArrayLike,
    points: ArrayLike,
    labels: ArrayLike | None = None,
    classes: Sequence[str] = (),
    *,
    scale: Scale = "quantile",
    colours: Sequence[str] | None = None,
    note: str = "",
    theme: str = "light",
) -> Picture:
    """The decoded plane, dimmed, with the encoded images drawn over it where they belong.

    Args:
        images: Decoded grid (n, m, C, H, W), as for ``manifold``.
        z: Coordinates of the columns and of the rows, ascending.
        points: Posterior means (N, 2); on the quantile scale they go through the Gaussian CDF.
        labels: Classes (N,).
        classes: Their names.
        scale: ``"quantile"`` or ``"linear"``.
        colours: A hex colour per class, from ``class_colours``.
        note: What else to say under the heading.
        theme: ``"light"`` or ``"dark"``.

    Raises:
        OptionError: As ``manifold``.
    """
    spots = _SCALES[_known(scale)](np.asarray(points, float))
    low, high = _edges(_SCALES[scale](np.asarray(z, float)))
    inside = ((spots >= low) & (spots <= high)).all(axis=1)
    lie = f"{inside.sum():,} of {len(spots):,} encoded images are in this frame"
    note = f"{note}; {lie}" if note else lie
    title = "The decoded plane and the encoded images"
    figure, axes = _decoded_plane(images, z, scale, AXES_NAMES, title, note, theme, 0.6)
    label, hues = class_hues(labels, len(spots), classes, colours, figure.theme)
    names = [plain(name, 22) for name in classes] if labels is not None else []
    with styled(figure.theme):
        opacity = np.full(int(inside.sum()), 0.75)
        draw_points(axes, spots[inside], label[inside], hues, opacity)
        if inside.any():
            name_classes(axes, spots[inside], label[inside], names, hues, _NIGHT)
    return figure


def _decoded_plane(
    images: ArrayLike,
    z: ArrayLike,
    scale: Scale,
    axes_names: tuple[str, str],
    title: str,
    note: str,
    theme: str,
    opacity: float,
) -> tuple[Picture, Axes]:
    grid, steps = to_rgb(images), np.asarray(z, float)
    rows, columns, high, wide, _ = grid.shape
    places = _even_places(steps, scale, rows, columns)
    zoom = zoom_of(rows * high, columns * wide, cell=1200)
    left, top = round(0.75 * DPI), round((0.78 if note else 0.52) * DPI)
    right, bottom = round(0.25 * DPI), round(0.58 * DPI)
    words = max(text_width(title, 13, "bold"), text_width(note, 9)) + 0.4
    width = max(left + columns * wide * zoom + right, round(words * DPI)) / DPI
    height = (top + rows * high * zoom + bottom) / DPI
    with drawing(width, height, theme, title, note) as figure:
        axes = show(figure, tile(grid[::-1]), left, top, zoom)
        edges = _edges(places)
        extent = (*edges, *edges) if rows > 1 else (*edges, 0.0, 1.0)
        axes.images[0].set(extent=extent, alpha=opacity)
        axes.set(xlim=extent[:2], ylim=extent[2:])
        _mark_z(axes, steps, scale, axes_names, both=rows > 1)
    return figure, axes


def _edges(places: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Where the first cell begins and the last one ends."""
    half = (places[-1] - places[0]) / (len(places) - 1) / 2 if len(places) > 1 else 0.5
    return float(places[0] - half), float(places[-1] + half)


def _mark_z(
    axes: Axes, z: Float[np.ndarray, " n"], scale: Scale, names: tuple[str, str], *, both: bool
) -> None:
    """Ticks at round values of z, wherever the scale puts them."""
    axes.set_axis_on()
    axes.set_facecolor("#000000")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    ticks = _round_values(z)
    places, words = _SCALES[scale](ticks), [f"{tick:g}".replace("-", "−") for tick in ticks]
    axes.set_xticks(places, words)
    axes.set_xlabel(names[0])
    axes.set_yticks(places if both else [], words if both else [])
    axes.set_ylabel(names[1] if both else "")


def _known(name: str) -> str:
    """The name of a scale, checked."""
    if name not in _SCALES:
        raise OptionError(f"Expected a scale among {', '.join(_SCALES)}; got {name!r}.")
    return name


def _even_places(
    z: Float[np.ndarray, " n"], scale: Scale, rows: int, columns: int
) -> Float[np.ndarray, " n"]:
    if z.shape != (columns,) or rows not in (1, columns):
        raise OptionError(
            "Expected a square grid, or one row, of decoded images and a coordinate per column; "
            f"got {rows} × {columns} images and coordinates {z.shape}."
        )
    places = _SCALES[_known(scale)](z)
    steps = np.diff(places)
    if len(steps) and (steps.min() <= 0 or np.ptp(steps) > 1e-3 * steps.mean()):
        raise OptionError(
            f"Expected ascending coordinates with even steps on the {scale} scale; got "
            f"{np.round(z, 3)}."
        )
    return places


def _round_values(z: Float[np.ndarray, " n"]) -> Float[np.ndarray, " t"]:
    """Round coordinates within the range of ``z``."""
    span = float(z[-1] - z[0])
    step = next(
        (s for s in (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0) if span / s <= 9), 100.0
    )
    return np.arange(np.ceil(z[0] / step), np.floor(z[-1] / step) + 1) * step if span else z
