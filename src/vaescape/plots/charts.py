"""Lines, bars and dots: how training went, what each latent dimension carries, how runs compare."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from vaescape.plots.style import (
    Picture,
    decimals,
    drawing,
    halo,
    latent_name,
    picture_of,
    plain,
    text_width,
    theme_of,
    widest,
)
from vaescape.quantities import CROSS_ENTROPY, QUANTITIES, Quantities, Quantity

ACTIVE = 0.1
"""KL in nats above which a dimension is active."""

_NAMED_DIMENSIONS = 4


def training_curves(
    history: Sequence[Mapping[str, Any]],
    *,
    term: Quantity = CROSS_ENTROPY,
    held_out: str = "test",
    theme: str = "light",
) -> Picture:
    """Loss, reconstruction term, KL and KL per dimension by epoch, training and held-out images.

    What was not recorded has no panel.

    Args:
        history: Rows ``{"epoch": 0.5, "train": {…}, "held_out": {…}}`` whose splits have
            ``loss``, the reconstruction term by its name, ``kl`` and ``kl_per_dimension``. A split,
            or a value, may be missing from a row, and from all.
        term: The reconstruction term: the quantity of the likelihood.
        held_out: What the held-out split is called.
        theme: ``"light"`` or ``"dark"``.
    """
    look = theme_of(theme)
    splits = {"train": ("train", look.second), "held_out": (held_out, look.first)}
    panels: list[tuple[str, Callable[[Axes], None]]] = []
    for shown in (QUANTITIES["loss"], term, QUANTITIES["kl"]):
        lines = {n: (_series(history, s, shown.name), c) for s, (n, c) in splits.items()}
        if any(line for line, _ in lines.values()):
            panels.append((plain(shown.heading, 32), partial(_curves, lines=lines)))
    for split in ("held_out", "train"):
        if _series(history, split, "kl_per_dimension"):
            name, colour = splits[split]
            draw = partial(_dimension_curves, history=history, split=split, colour=colour)
            panels.append((f"KL per dimension, {plain(name, 12)}", draw))
            break
    rows, columns = -(-len(panels) // 2), min(2, len(panels))
    width, height = max(5.4, 5.3 * columns), 0.7 + 2.95 * rows
    note = "nats per image, against epochs"
    with drawing(width, height, theme, "Training", note) as figure:
        for number, (title, draw) in enumerate(panels):
            row, column = divmod(number, 2)
            axes = figure.place(0.65 + 5.2 * column, 1.0 + 2.95 * row, 4.0, 2.25)
            axes.set_title(title)
            draw(axes)
            axes.margins(x=0.02)
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    return figure


def _series(
    history: Sequence[Mapping[str, Any]], split: str, key: str, item: int | None = None
) -> list[tuple[float, float]]:
    rows = ((row["epoch"], (row.get(split) or {}).get(key)) for row in history)
    return [(t, v if item is None else v[item]) for t, v in rows if v is not None]


def _curves(axes: Axes, lines: Mapping[str, tuple[list[tuple[float, float]], str]]) -> None:
    """Draw named lines, each with its name at its end."""
    drawn = {name: (np.array(series), colour) for name, (series, colour) in lines.items() if series}
    ends = sorted(drawn, key=lambda name: drawn[name][0][-1, 1])
    for series, colour in drawn.values():
        axes.plot(*series.T, color=colour, marker="o" if len(series) == 1 else None)
    _trim(axes, [series for series, _ in drawn.values()])
    for name, height in zip(ends, _spread([drawn[n][0][-1, 1] for n in ends], axes), strict=True):
        series, colour = drawn[name]
        _label_end(axes, (series[-1, 0], height), plain(name, 12), colour)


def _trim(axes: Axes, lines: Sequence[Float[np.ndarray, "T 2"]]) -> None:
    """Fit the panel to all but the plunge in the first twentieth of training, and say so."""
    every = np.concatenate(lines)
    begin = every[:, 0].min() + 0.05 * np.ptp(every[:, 0])
    later = every[every[:, 0] >= begin, 1]
    low, high = every[:, 1].min(), later.max()
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 0.5
    axes.set_ylim(low - pad, high + pad)
    if every[:, 1].max() > high + pad:
        note = f"falls from {every[:, 1].max():,.0f}"
        muted = picture_of(axes).theme.muted
        axes.set_title(note, loc="right", fontsize=8.5, fontweight="normal", color=muted)


def _spread(values: Sequence[float], axes: Axes) -> list[float]:
    """Heights for labels at these ascending values, far enough apart to be read."""
    low, high = axes.get_ylim()
    step = 0.085 * (high - low)
    placed: list[float] = []
    for value in values:
        placed.append(max(value, placed[-1] + step) if placed else value)
    shift = (np.mean(placed) - np.mean(values)) if placed else 0.0
    return [float(height - shift) for height in placed]


def _dimension_curves(
    axes: Axes, history: Sequence[Mapping[str, Any]], split: str, colour: str
) -> None:
    """One line per dimension: named while they are few, thin when they are many."""
    key = "kl_per_dimension"
    last = next(row[split][key] for row in reversed(history) if (row.get(split) or {}).get(key))
    lines = [_series(history, split, key, d) for d in range(len(last))]
    if len(lines) <= _NAMED_DIMENSIONS:
        _curves(axes, {latent_name(d): (line, colour) for d, line in enumerate(lines)})
        return
    for line in lines:
        axes.plot(*np.array(line).T, color=colour, linewidth=1.0, alpha=0.7)
    _trim(axes, [np.array(line) for line in lines])
    top = int(np.argmax(last))
    _label_end(axes, lines[top][-1], latent_name(top), colour)


def _label_end(axes: Axes, end: tuple[float, float], name: str, colour: str) -> None:
    style = {"va": "center", "fontsize": 9, "fontweight": "bold", "annotation_clip": False}
    axes.annotate(name, end, (6, 0), textcoords="offset points", color=colour, **style)


def kl_bars(kl_per_dimension: ArrayLike, *, theme: str = "light") -> Picture:
    """KL of each latent dimension on test images, largest first; hollow at 0.1 nats or less."""
    kl = np.asarray(kl_per_dimension, float).ravel()
    order = np.argsort(-kl, kind="stable")
    active = kl[order] > ACTIVE
    note = f"{active.sum()} of {len(kl)} active (KL > {ACTIVE:g} nats), test images"
    width = min(10.4, max(5.2, 1.6 + 0.42 * len(kl)))
    with drawing(width, 3.55, theme, "What each latent dimension carries", note) as figure:
        look, places = figure.theme, np.arange(len(kl))
        axes = figure.place(0.75, 0.85, width - 1.0, 2.35)
        axes.bar(
            places,
            kl[order],
            width=0.7,
            color=[look.first if a else "none" for a in active],
            edgecolor=[look.first if a else look.muted for a in active],
            linewidth=1.0,
        )
        axes.axhline(ACTIVE, color=look.second, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_ylabel("KL, nats")
        stride = -(-len(kl) // 32)
        axes.set_xticks(places[::stride], [latent_name(d) for d in order[::stride]])
        axes.set_xlim(-0.6, len(kl) - 0.4)
        axes.grid(axis="x", visible=False)
        axes.tick_params(axis="x", length=0)
        if len(kl) <= 16:
            for x, value in zip(places, kl[order], strict=True):
                above = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
                halo(axes.annotate(f"{value:.2f}", (x, value), fontsize=8, **above), look)
        axes.margins(y=0.12)
    return figure


PANELS_ACROSS = 4
"""Panels of a comparison in one row."""


def compare(
    runs: Mapping[str, Mapping[str, float]],
    *,
    quantities: Quantities = QUANTITIES,
    warning: str = "",
    theme: str = "light",
) -> Picture:
    """Runs against one another, a row each, a panel per measure with the values printed.

    Panels stand in rows of four.

    Args:
        runs: ``{"paper-1": {"negative_elbo": 265.9, "kl": 7.1}, …}``; a value may be missing.
        quantities: By name, for the titles; what is not there has its name for one.
        warning: A sentence that is printed under the title.
        theme: ``"light"`` or ``"dark"``.
    """
    names, title = [plain(name, 32) for name in runs], "Runs compared"
    measures = list(dict.fromkeys(measure for values in runs.values() for measure in values))
    margin, panel = widest(names, 9) + 0.45, 2.3
    across = min(len(measures), PANELS_ACROSS) or 1
    down, tall = -(-len(measures) // across) or 1, 0.34 * max(len(names), 1)
    note = f"{len(names)} runs; ↓ lower is better, ↑ higher is better"
    note = f"{note}. {warning}" if warning else note
    least = max(text_width(title, 13), text_width(note, 9)) + 0.6
    width, height = max(margin + (panel + 0.3) * across + 0.1, least), 0.65 + (tall + 0.85) * down
    with drawing(width, height, theme, title, note) as figure:
        for i, measure in enumerate(measures):
            row, column = divmod(i, across)
            left, top = margin + column * (panel + 0.3), 1.05 + row * (tall + 0.85)
            axes = figure.place(left, top, panel, tall)
            _dots(axes, [values.get(measure) for values in runs.values()])
            quantity = quantities.get(measure, Quantity(measure, measure))
            axes.set_title(_measure(quantity), fontsize=9)
            axes.set_yticks(range(len(names)), names if column == 0 else [""] * len(names))
            axes.tick_params(axis="y", labelcolor=figure.theme.ink, labelsize=9)
    return figure


def _measure(quantity: Quantity) -> str:
    """``negative ELBO ↓, nats``: only the first words of a unit, for a panel is narrow."""
    arrow = {"lower": " ↓", "higher": " ↑"}.get(quantity.better or "", "")
    unit = quantity.unit.partition(",")[0]
    return plain(f"{quantity.title}{arrow}{unit and ', '}{unit}", 40)


def _dots(axes: Axes, values: Sequence[float | None]) -> None:
    look = picture_of(axes).theme
    known = [(i, value) for i, value in enumerate(values) if value is not None]
    digits = decimals([value for _, value in known])
    for i, value in known:
        axes.plot(value, i, "o", color=look.first, markersize=7)
        text = f"{value:,.{digits}f}"
        beside: dict[str, Any] = {"textcoords": "offset points", "va": "center"}
        axes.annotate(text, (value, i), (8, 0), fontsize=8.5, **beside)
    heights = [value for _, value in known] or [0.0]
    span = max(heights) - min(heights) or abs(heights[0]) * 0.1 or 1.0
    axes.set_xlim(min(heights) - 0.15 * span, max(heights) + 0.55 * span)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
