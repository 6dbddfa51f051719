"""The training film: where images lay, and what the decoder knew, at moments of the training."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from vaescape.errors import OptionError
from vaescape.explore import blobs
from vaescape.explore.blobs import Blob
from vaescape.export.loose import loose
from vaescape.runs import CHECKPOINTS, FILM
from vaescape.study import Study
from vaescape.train.checkpoint import newest
from vaescape.train.film import kept, rewind

SHOWN = 10_000
"""Test images in the film, at most."""
MOST_BYTES = 64 << 20
"""What the film may add to a page, unpacked."""


@dataclass(frozen=True)
class Filmed:
    """What the page shows of a training."""

    about: dict[str, Any]
    blobs: dict[str, Blob]


def filmed(study: Study, count: int, carried: Mapping[str, Blob]) -> Filmed:
    """Return the film of a run: places and weights at moments before its end, which the page has.

    Args:
        study: Of a run that kept moments.
        count: How many to show, the end among them.
        carried: What the page carries: its principal plane, where it has one.

    Raises:
        OptionError: If the run kept none, for fewer than two, if they are too much for a page, or
            if the model's codes are discrete.
    """
    if study.discrete:
        raise OptionError(
            "A film is of codes that move, and this model's are discrete. Leave out --film."
        )
    network = loose(study)
    size = sum(int(np.prod(shape)) for shape in network.shapes)
    chosen, last = _moments(study, count)
    shown = study.test[:SHOWN]
    each = 2 * size + 4 * len(shown)
    if len(chosen) * each > MOST_BYTES:
        most = 1 + MOST_BYTES // each
        advice = f"Give --film {most} at most." if most > 1 else "Leave out --film."
        raise OptionError(
            f"A film of {count} moments adds {len(chosen) * each >> 20} MiB to the page, more than "
            f"{MOST_BYTES >> 20}. {advice}"
        )
    moment = copy.copy(study)
    moment._built = (study.space.copy(), study.objective)
    places, weights = [], []
    for path in chosen.values():
        rewind(moment.model, path)
        places.append(_flat(moment.encode(shown).numpy(), carried))
        weights.append(network.weights(moment))
    laid = blobs.quantised(np.concatenate(places), "u16")
    shape = [len(chosen), len(shown), places[0].shape[1]]
    options, images = study.configuration.train, len(study.train)
    return Filmed(
        {
            "first": images,
            "count": len(shown),
            "moments": [
                {"step": step, "epoch": round(step * options.batch / images, 3)}
                for step in (*chosen, last)
            ],
            "weights": network.about(),
        },
        {
            "film_points": replace(laid, about=laid.about | {"shape": shape}),
            "film_weights": blobs.array(np.stack(weights), "f16"),
            "film_decoder": blobs.file(network.content, "application/onnx", compress=True),
        },
    )


def _moments(study: Study, count: int) -> tuple[dict[int, Any], int]:
    """Return the files of moments before the study's own, evenly chosen, and the study's step."""
    if count < 2:
        raise OptionError(f"A film has 2 moments or more. Got {count}.")
    folder = study.folder
    found = kept(folder / FILM) if folder else {}
    last = newest(folder / CHECKPOINTS) if folder else None
    steps = [step for step in found if last is None or step < last]
    if not steps:
        raise OptionError(
            f"{folder or 'This study'} kept no moments of its training, so there is no film. Train "
            "with --film 20, for instance `vaescape run paper --film 20`, and give it again."
        )
    picked = np.unique(np.linspace(0, len(steps) - 1, count - 1).round().astype(int))
    end = max(found) if last is None else last
    return {steps[i]: found[steps[i]] for i in picked.tolist()}, end


def _flat(z: Float[np.ndarray, "N D"], carried: Mapping[str, Blob]) -> Float[np.ndarray, "N P"]:
    """Return codes of one or two dimensions as they are, others on the page's principal plane."""
    if z.shape[1] <= 2:
        return z
    axes, mean = (np.frombuffer(carried[name].content, "<f4") for name in ("pca_basis", "pca_mean"))
    return (z - mean) @ axes.reshape(-1, 2)
