"""Regions drawn on the live page, read back from the run, and the images inside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaescape import schema
from vaescape.errors import RunError
from vaescape.explore.view import View
from vaescape.runs import REGIONS, read_json
from vaescape.study import Study

ENOUGH, MARGIN, GOLDEN = 20_000, 0.04, 0.6180339887498949
"""Of a line on the page: codes that tell its reach, the margin about it, the steps of heights."""


def regions(study: Study) -> dict[str, dict[str, Int[Tensor, " n"]]]:
    """Return the images in each named region: ``{"boots": {"train": indices, "test": indices}}``.

    >>> study.test[regions(study)["boots"]["test"]]  # doctest: +SKIP

    Regions drawn on a map that the run alone does not have (UMAP, and the one that is aligned with
    another run) are left out.

    Raises:
        RunError: If the run's ``regions.json`` is damaged.
    """
    folder = study.folder
    if folder is None or not (folder / REGIONS).exists():
        return {}
    view = View(study)
    codes, found = view.codes, {}
    try:
        for region in read_json(folder / REGIONS, schema.REGIONS).get("regions", []):
            places = _places(view, region["map"])
            if places is not None:
                within = torch.from_numpy(held(region["strokes"], places))
                splits = {"train": within[: codes.train], "test": within[codes.train :]}
                found[region["name"]] = {name: v.nonzero()[:, 0] for name, v in splits.items()}
    except (IndexError, ValueError) as error:
        raise RunError(
            f"{folder / REGIONS} is damaged: {error!r}. Restore it from a copy, or draw them again."
        ) from error
    return found


def _places(view: View, plane: str) -> Float[np.ndarray, "N 2"] | None:
    """Return where codes lie on one of the page's planes; None for a plane without a formula."""
    z = view.codes.mean
    if plane == "latent":
        return z.numpy()
    if plane == "line":
        return _on_line(z[:, 0].numpy())
    if plane == "pca":
        mean, axes = view.principal
        return ((z - mean) @ axes).numpy()
    if plane.startswith("axes-"):
        _, i, j = plane.split("-")
        return z[:, [int(i), int(j)]].numpy()
    return None


def _on_line(z: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N 2"]:
    """Return where codes of one dimension lie: spread in height by number (core/plane.ts)."""
    some = np.sort(z[:: max(1, len(z) // ENOUGH)])
    low, high = some[np.floor(np.array([0.002, 0.998]) * (len(some) - 1) + 0.5).astype(int)]
    whole = (high - low) + 2 * max(MARGIN * (high - low), 1e-6)
    return np.stack([z, whole / 4 * (np.arange(len(z)) * GOLDEN % 1 - 0.5)], 1)


def held(
    strokes: Sequence[dict[str, Any]], places: Float[np.ndarray, "N 2"]
) -> Bool[np.ndarray, " N"]:
    """Return which places are chosen after all strokes, in order."""
    chosen = np.zeros(len(places), bool)
    for stroke in strokes:
        within = winding(np.array(stroke["outline"], dtype=float), places) != 0
        if stroke["operation"] == "subtract":
            chosen &= ~within
        else:
            chosen = within | (chosen if stroke["operation"] == "add" else False)
    return chosen


def winding(
    outline: Float[np.ndarray, "E 2"], places: Float[np.ndarray, "N 2"]
) -> Int[np.ndarray, " N"]:
    """Return how often a closed outline goes around each place; 0 outside."""
    x, y = places.T
    total = np.zeros(len(places), int)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        crossed = (y0 <= y) != (y1 <= y)
        slope = (x1 - x0) / (y1 - y0) if y1 != y0 else 0.0
        left = x < x0 + (y - y0) * slope
        total += np.where(crossed & left, 1 if y1 > y0 else -1, 0)
    return total
