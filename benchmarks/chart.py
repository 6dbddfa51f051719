"""Quality against time, all contestants in one picture, in the style of our figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.page import RESULTS, ROOT
from vaescape.plots import Picture, save_figure
from vaescape.plots.style import drawing, halo

NAMES = {
    "swift": "vaescape swift",
    "atlas": "vaescape atlas",
    "paper": "vaescape paper",
    "keras": "the study in Keras on TensorFlow",
}


def draw(source: Path = RESULTS / "quality.json", theme: str = "light") -> Picture:
    """Return test negative ELBO against seconds of training, a line or a point for each run."""
    found = json.loads(source.read_text())
    note = "negative ELBO on 10,000 test images; 2 CPU cores"
    with drawing(7.2, 4.3, theme, "Quality against time", note) as figure:
        axes, look = figure.place(0.75, 0.85, 6.2, 2.85), figure.theme
        for name, runs in found.items():
            _runs(axes, runs, NAMES[name], look.second if name == "keras" else look.first)
        axes.set(xscale="log", xlabel="training, seconds", ylabel="nats per image")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.margins(x=0.12, y=0.1)
    return figure


def _runs(axes: Any, runs: list[dict[str, Any]], name: str, colour: str) -> None:
    for run in runs:
        seconds, loss = np.transpose(run["curve"])
        marked = len(seconds) == 1
        axes.plot(seconds, loss, "o" if marked else "-", color=colour, markersize=4, alpha=0.8)
    first = np.array([run["curve"][0] for run in runs])
    x, y = first[first[:, 1].argmax()]
    look = axes.get_figure().theme
    halo(axes.annotate(name, (x, y), (0, 8), textcoords="offset points", color=colour), look)


def leave(out: Path = ROOT / "docs" / "images" / "quality") -> list[Path]:
    """Write the picture and return its files."""
    return save_figure(draw(), out)
