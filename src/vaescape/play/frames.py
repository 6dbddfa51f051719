"""A frame: what the page needs to show a training as it is now."""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.batch import Batch
from vaescape.data import Images
from vaescape.distributions import Gaussian
from vaescape.explore.blobs import quantised
from vaescape.export.parametric import Parametric
from vaescape.study import Study
from vaescape.train.film import half

TERMS = ("reconstruction", "kl")
"""The two terms of the objective, in nats."""
SCORED = 256
"""Held-out images on which a frame measures reconstruction and KL, at most."""


def codes(study: Study, images: Images) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"] | None]:
    """Return a quick look at the codes of images, and their log-variances where q is a Gaussian."""
    with _aside(study):
        every = [study.model.posterior.coarse(x) for x, _ in study.space.batches(images)]
        log_vars = [q.variance.log() for q in every if isinstance(q, Gaussian)]
        return (
            torch.cat([q.quick_estimate for q in every]),
            torch.cat(log_vars) if log_vars else None,
        )


def scores(study: Study, images: Images) -> dict[str, float]:
    """Return reconstruction and KL of images in nats, whatever the weight of the KL."""
    with _aside(study):
        part = images[:SCORED]
        batch = Batch(study.space.floats(part), part.labels.to(study.device), None)
        metrics = study.objective(study.model, batch, torch.ones(())).metrics
        return {name: float(metrics[name]) for name in TERMS}


@contextmanager
def _aside(study: Study) -> Iterator[None]:
    """Look at a model in training, which goes on to the same bits."""
    training = study.model.training
    study.model.eval()
    try:
        with study.space.inference():
            yield
    finally:
        study.model.train(training)


def packed(
    header: dict[str, Any],
    network: Parametric,
    weights: Float[np.ndarray, " W"],
    z: Float[Tensor, "N D"],
    log_var: Float[Tensor, "N D"] | None,
) -> bytes:
    """Return a frame: its length, the header's length, the header as JSON, and numbers.

    The numbers, little-endian: weights in half precision, codes as 16-bit steps between the least
    and the greatest of each dimension, log-variances in half precision where there are any.
    """
    laid = quantised(np.nan_to_num(z.cpu().numpy()), "u16")
    about = header | {
        "weights": network.about(),
        "count": len(z),
        "scale": laid.about["scale"],
        "log_var": log_var is not None,
    }
    parts = [half(torch.from_numpy(weights)).numpy().astype("<f2").tobytes(), laid.content]
    if log_var is not None:
        parts.append(log_var.cpu().clamp(-60, 60).half().numpy().astype("<f2").tobytes())
    text = json.dumps(about, allow_nan=False).encode()
    body = struct.pack("<I", len(text)) + text + b"".join(parts)
    return struct.pack("<I", len(body)) + body
