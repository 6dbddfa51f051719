"""Maps of the latent plane: where images are encoded, and how surely."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb as rgb_of
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter

from vaescape.errors import OptionError
from vaescape.geometry.islands import islands
from vaescape.plots.fields import frame
from vaescape.plots.palette import palette
from vaescape.plots.style import (
    DPI,
    Picture,
    Theme,
    drawing,
    halo,
    latent_name,
    picture_of,
    plain,
    text_width,
    theme_of,
    widest,
)

AXES_NAMES = (latent_name(0), latent_name(1))
SIDE = 4.5
"""Side of a square panel in inches."""
LISTED = 40
"""More classes than this are not named one by one."""
WORD, EM = 9, 9 * DPI / 72
"""Size of a class's name on the map, in points and in device pixels."""
FEW = 10
"""The name of a class with fewer points than this stands beside them, not on them."""


def latent_map(
    points: ArrayLike,
    labels: ArrayLike | None = None,
    classes: Sequence[str] = (),
    *,
    title: str = "The latent map",
    colours: Sequence[str] | None = None,
    projection: str | None = None,
    axes_names: tuple[str, str] = AXES_NAMES,
    theme: str = "light",
) -> Picture:
    """A point for each encoded test image, coloured by class.

    Args:
        points: What is drawn of each image (N, 2), or (N, 1): its code, or its log-variances; of a
            larger latent space, a projection.
        labels: Classes (N,); without them all points have one colour.
        classes: Their names.
        title: The heading.
        colours: A hex colour per class, from ``class_colours``.
        projection: How a larger space came to the plane, ``"PCA (61 % of variance)"`` say.
        axes_names: What the axes are.
        theme: ``"light"`` or ``"dark"``.
    """
    cloud = np.asarray(points, float)
    check_plane(cloud)
    label, hues = class_hues(labels, len(cloud), classes, colours, theme_of(theme))
    names = [plain(name, 22) for name in classes] if labels is not None else []
    left = max(0.75, widest(names, 8.5) + 0.3) if cloud.shape[1] == 1 else 0.75
    width = left + SIDE + 0.25
    columns = max(1, min(5, len(names), int((width - 0.8) / (widest(names, 8.5) + 0.95))))
    rows = -(-len(names) // columns) if len(names) <= LISTED else 0
    note = f"{len(cloud):,} test images"
    note = f"{note} · {projection}" if projection else note
    with drawing(width, 0.72 + SIDE + 0.6 + 0.22 * rows, theme, title, note) as figure:
        axes = figure.place(left, 0.72, SIDE, SIDE)
        _scatter(axes, cloud, label, hues)
        axes.set(xlabel=axes_names[0], ylabel=axes_names[1] if cloud.shape[1] > 1 else "")
        if cloud.shape[1] == 2:
            name_classes(axes, cloud, label, names, hues, figure.theme)
        elif len(names) <= LISTED:
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(axis="y", length=0, labelcolor=figure.theme.ink)
        if 0 < len(names) <= LISTED:
            _legend(figure, names, label, hues, columns)
    return figure


def check_plane(points: np.ndarray) -> None:
    """Raise OptionError unless these are points (N, 1) or (N, 2)."""
    if points.ndim != 2 or points.shape[1] not in (1, 2) or len(points) == 0:
        raise OptionError(
            "A map is drawn from one point or more with one or two coordinates (N, 2); got "
            f"{points.shape}. Project a larger latent space first, and say how in `projection`."
        )


def class_hues(
    labels: ArrayLike | None,
    count: int,
    classes: Sequence[str],
    colours: Sequence[str] | None,
    look: Theme,
) -> tuple[Int[np.ndarray, " N"], list[str]]:
    """Classes as whole numbers and a colour for each; one class where there are no labels."""
    if labels is None:
        return np.zeros(count, int), [look.first]
    label = np.asarray(labels, int)
    n = max(len(classes), int(label.max(initial=0)) + 1)
    return label, list(colours) if colours is not None else palette(n)


def _scatter(
    axes: Axes,
    points: Float[np.ndarray, "N D"],
    label: Int[np.ndarray, " N"],
    hues: Sequence[str],
) -> None:
    """All points, thin where they crowd; a single coordinate is spread into a row per class."""
    square = points.shape[1] == 2
    if not square:
        jitter = np.random.default_rng(0).uniform(-0.38, 0.38, len(points))
        points = np.column_stack([points, label + jitter])
        axes.set_yticks([])
    left, right, bottom, top = squared(frame(points)) if square else frame(points)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    draw_points(axes, points, label, hues, _thinness(points, (left, right, bottom, top)))
    inside = ((points >= (left, bottom)) & (points <= (right, top))).all(axis=1)
    if outside := int((~inside).sum()):
        style: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "bottom"}
        words, muted = f"{outside:,} outside the frame", picture_of(axes).theme.muted
        axes.text(0.995, 0.01, words, fontsize=7.5, color=muted, **style)


def draw_points(
    axes: Axes,
    points: Float[np.ndarray, "N 2"],
    label: Int[np.ndarray, " N"],
    hues: Sequence[str],
    alpha: Float[np.ndarray, " N"],
) -> None:
    """Points in a shuffled order, so that no class lies on top."""
    order = np.random.default_rng(0).permutation(len(points))
    rgba = np.column_stack([np.array([rgb_of(hue) for hue in hues])[label], alpha])
    size = float(np.clip(30_000 / len(points), 3.0, 26.0))
    axes.scatter(*points[order].T, s=size, c=rgba[order], linewidths=0, rasterized=True)


def _thinness(
    points: Float[np.ndarray, "N 2"], limits: tuple[float, float, float, float]
) -> Float[np.ndarray, " N"]:
    """Opacity of each point, in [0.3, 0.95]: falls with the root of the density around it."""
    left, right, bottom, top = limits
    cells = 72
    column = np.clip((points[:, 0] - left) / (right - left) * cells, 0, cells - 1).astype(int)
    row = np.clip((points[:, 1] - bottom) / (top - bottom) * cells, 0, cells - 1).astype(int)
    counts = np.zeros((cells, cells))
    np.add.at(counts, (row, column), 1.0)
    density = gaussian_filter(counts, 1.0)[row, column]
    return np.clip(1.6 / np.sqrt(np.maximum(density, 1e-9)), 0.3, 0.95)


def squared(limits: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """The limits widened to a square, so that a unit is as long across as up."""
    left, right, bottom, top = limits
    half = max(right - left, top - bottom) / 2
    x, y = (left + right) / 2, (bottom + top) / 2
    return x - half, x + half, y - half, y + half


def name_classes(
    axes: Axes,
    points: Float[np.ndarray, "N 2"],
    label: Int[np.ndarray, " N"],
    names: Sequence[str],
    hues: Sequence[str],
    look: Theme,
) -> None:
    """Write each class's name on each of its islands, moved where names would cover one another."""
    if len(names) > LISTED:
        return
    found = [island for island in islands(points, label) if island.label < len(names)]
    present = [island.label for island in found]
    middles = points[[island.medoid for island in found]]
    anchors = axes.transData.transform(middles).reshape(-1, 2)
    sizes = np.array([(text_width(names[c], WORD, "bold") * DPI + 12, 1.55 * EM) for c in present])
    sizes, extent = sizes.reshape(-1, 2), axes.get_window_extent()
    box = (extent.x0, extent.x1, extent.y0, extent.y1)
    starts, taken = anchors.copy(), axes.transData.transform(points)
    for i, c in enumerate(present):
        if (label == c).sum() < FEW:
            starts[i] = _aside(anchors[i], sizes[i], taken, box)
            taken = np.vstack([taken, starts[i]])
    places = _apart(starts, sizes, box)
    for c, anchor, spot in zip(present, anchors, places, strict=True):
        if np.abs(spot - anchor).max() > 0.9 * EM:  # a line leads from it to its medoid
            ends = axes.transData.inverted().transform(np.stack([anchor, spot]))
            axes.plot(*ends.T, color=look.ink, linewidth=0.9, zorder=4)
            dot = {"color": hues[c], "markeredgecolor": look.ink, "markersize": 5, "zorder": 4}
            axes.plot(*ends[0], "o", **dot)
        x, y = axes.transData.inverted().transform(spot)
        style = {"fontsize": WORD, "fontweight": "bold", "color": look.ink, "zorder": 5}
        halo(axes.text(x, y, names[c], ha="center", va="center", **style), look)


def _aside(
    anchor: Float[np.ndarray, " 2"],
    size: Float[np.ndarray, " 2"],
    taken: Float[np.ndarray, "N 2"],
    box: tuple[float, float, float, float],
) -> Float[np.ndarray, " 2"]:
    """The centre, of eight around the anchor, of the box of this size farthest from the points."""
    steps = np.array([(x, y) for y in (1, -1, 0) for x in (0, 1, -1) if x or y])
    low, high = np.array([box[0], box[2]]) + size / 2, np.array([box[1], box[3]]) - size / 2
    spots = np.clip(anchor + steps * (size / 2 + 0.6 * size[1]), low, np.maximum(low, high))
    beyond = np.abs(taken[:, None] - spots) - size / 2
    return spots[beyond.max(axis=-1).min(axis=0).argmax()]


def _apart(
    anchors: Float[np.ndarray, "n 2"],
    sizes: Float[np.ndarray, "n 2"],
    box: tuple[float, float, float, float],
) -> Float[np.ndarray, "n 2"]:
    """Centres for boxes of these sizes, near their anchors, inside ``box``, none on another."""
    low = np.array([box[0], box[2]]) + sizes / 2
    high = np.maximum(np.array([box[1], box[3]]) - sizes / 2, low)
    spots = np.clip(anchors, low, high)
    for _ in range(300):
        pairs = [(i, j) for i in range(len(spots)) for j in range(i)]
        overlaps = [(i, j) for i, j in pairs if (_overlap(spots, sizes, i, j) > 0.5).all()]
        if not overlaps:
            break
        for i, j in overlaps:
            by = _overlap(spots, sizes, i, j)
            axis = int(by.argmin())
            sign = 1.0 if spots[i, axis] >= spots[j, axis] else -1.0
            spots[i, axis] += 0.5 * sign * by[axis]
            spots[j, axis] -= 0.5 * sign * by[axis]
        spots = np.clip(spots, low, high)
    return spots


def _overlap(spots: np.ndarray, sizes: np.ndarray, i: int, j: int) -> Float[np.ndarray, " 2"]:
    return (sizes[i] + sizes[j]) / 2 - np.abs(spots[i] - spots[j])


def _legend(
    figure: Picture, names: Sequence[str], label: np.ndarray, hues: Sequence[str], columns: int
) -> None:
    """Name, colour and number of images of each class, along the bottom."""
    counts = np.bincount(label, minlength=len(names))
    handles = [
        Line2D(
            [], [], linestyle="", marker="o", markersize=6, color=hue, label=f"{name} ({count:,})"
        )
        for name, hue, count in zip(names, hues, counts, strict=False)
    ]
    figure.legend(
        handles=handles,
        ncols=columns,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.06 / figure.get_size_inches()[1]),
        fontsize=8.5,
        handletextpad=0.1,
        columnspacing=1.6,
        labelspacing=0.5,
    )
