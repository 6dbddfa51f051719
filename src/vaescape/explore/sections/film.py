"""The training film: where images lay, and what the decoder knew, at snapshots of the training."""

from dataclasses import replace
from typing import Any

import numpy as np

from vaescape.errors import OptionError
from vaescape.explore import blobs
from vaescape.explore.view import Section, View
from vaescape.export.parametric import parametric
from vaescape.runs import CHECKPOINTS, FILM
from vaescape.study import Study
from vaescape.train.checkpoint import newest
from vaescape.train.film import kept, rewind

SHOWN = 10_000
"""Test images in the film, at most."""
MOST_BYTES = 64 << 20
"""What the film may add to a page, unpacked."""


def film(view: View) -> Section:
    """Return the film of a run: points and weights before its end, which the page has itself.

    Raises:
        OptionError: If the run kept no snapshots, for fewer than two, if they are too much for a
            page, or if the model's codes are discrete.
    """
    if not view.film:
        return {"film": None}, {}
    study, count = view.study, view.film
    if study.space.discrete:
        raise OptionError(
            "A film is of codes that move, and this model's are discrete. Leave out --film."
        )
    network = parametric(study)
    size = sum(int(np.prod(shape)) for shape in network.shapes)
    chosen, last = _snapshots(study, count)
    shown = study.test[:SHOWN]
    each = 2 * size + 4 * len(shown)
    if len(chosen) * each > MOST_BYTES:
        most = 1 + MOST_BYTES // each
        advice = f"Give --film {most} at most." if most > 1 else "Leave out --film."
        raise OptionError(
            f"A film of {count} snapshots adds {len(chosen) * each >> 20} MiB to the page, more "
            f"than {MOST_BYTES >> 20}. {advice}"
        )
    then = study.space.copy()
    places, weights = [], []
    for path in chosen.values():
        rewind(then.model, path)
        places.append(view.flat(then.encode(shown)).numpy())
        weights.append(network.weights(then.model))
    laid = blobs.quantised(np.concatenate(places), "u16")
    shape = [len(chosen), len(shown), places[0].shape[1]]
    options, images = study.configuration.train, len(study.train)
    about = {
        "first": images,
        "count": len(shown),
        "snapshots": [
            {"step": step, "epoch": round(step * options.batch / images, 3)}
            for step in (*chosen, last)
        ],
        "weights": network.about(),
    }
    return {"film": about}, {
        "film_points": replace(laid, about=laid.about | {"shape": shape}),
        "film_weights": blobs.array(np.stack(weights), "f16"),
        "film_decoder": blobs.file(network.content, "application/onnx", compress=True),
    }


def _snapshots(study: Study, count: int) -> tuple[dict[int, Any], int]:
    """Return the files before the run's end, evenly chosen, and the step of the end."""
    if count < 2:
        raise OptionError(f"A film has 2 snapshots or more. Got {count}.")
    folder = study.folder
    found = kept(folder / FILM) if folder else {}
    last = newest(folder / CHECKPOINTS) if folder else None
    steps = [step for step in found if last is None or step < last]
    if not steps:
        raise OptionError(
            f"{folder or 'This study'} kept no snapshots of its training, so there is no film. "
            "Train with --film 20, for instance `vaescape run paper --film 20`, and give it again."
        )
    picked = np.unique(np.linspace(0, len(steps) - 1, count - 1).round().astype(int))
    end = max(found) if last is None else last
    return {steps[i]: found[steps[i]] for i in picked.tolist()}, end
