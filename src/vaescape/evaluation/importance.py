"""The importance-weighted bound on log p(x), with draws of each image or shared ones."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaescape.data import Images
from vaescape.errors import OptionError
from vaescape.latent_space import AT_ONCE
from vaescape.metrics import likelihood
from vaescape.metrics.pooled import POOL, neighbourhoods, pooled_bound
from vaescape.models.evidence import log_ratio
from vaescape.progress import track
from vaescape.study import Study

Bounds = tuple[tuple[int, int | None], ...]
"""Importance-weighted bounds: samples, and on how many test images (None: all)."""

BOUNDS: Bounds = ((100, None), (1000, 1000))
"""Where every image is decoded from draws of its own."""

POOLED_BOUNDS: Bounds = ((5000, None),)
"""Where images share their draws."""

POOLED_DIMENSIONS = 3
"""Images share their draws in latent spaces of so many dimensions at most: posteriors overlap."""

DESCENTS = 10
"""Draws for each of 100 images that a ladder decodes at once: its states take much memory."""


def pools(study: Study) -> bool:
    """Return whether images can share their draws: one layer, few dimensions, one p(x | z).

    An autoregressive p(x | z) has to be computed anew for every image, so nothing would be shared.
    """
    flat = study.model.layers == 1 and not study.space.conditions and not study.space.discrete
    return flat and study.space.latent <= POOLED_DIMENSIONS and study.space.likelihood.pixelwise


@torch.no_grad()
def importance_bound(
    study: Study,
    samples: int,
    *,
    images: int | None = None,
    pool: int | None = None,
    chunk: int = AT_ONCE,
    seed: int = 0,
) -> dict[str, Any]:
    """Return minus the importance-weighted bound, in nats, on some test images (None: all).

    Burda et al. (2016), eq. 8. With a score that is not a density, such as the cross-entropy, it
    bounds no likelihood and compares with others of that score only.

    Args:
        study: Trained.
        samples: Draws that each image's bound rests on.
        images: How many test images, as :meth:`Study.some` chooses them; None: all.
        pool: How many images share their draws, at most; None: a hundred where they can, else 1.
            Then only the mean is to be used: the bound of a single image whose neighbours lie
            elsewhere can be several nats loose.
        chunk: Codes decoded at once; it changes memory and time, not the numbers.
        seed: Of all draws.

    Returns:
        ``images``, ``nats`` and ``effective_samples``, means over the images, with the
        ``standard_error`` of the mean of the nats (None of one image); ``pool``, the sizes
        of the groups that shared draws; ``draws``, how many each image's bound rests on, which are
        more than ``samples`` where a group's size does not divide it.

    Raises:
        OptionError: If a count is below 1, or images cannot share their draws.
    """
    if images is not None and images < 1:
        raise OptionError(f"images must be at least 1, got {images}. Choose a positive number.")
    if pool is None:
        pool = POOL if pools(study) else 1
    elif pool > 1 and not pools(study):
        raise OptionError(
            f"Images share their draws in latent spaces of {POOLED_DIMENSIONS} dimensions at most, "
            "of one layer, without classes, discrete codes or likelihood 'pixelcnn'. "
            f"Got a pool of {pool}. Choose 1."
        )
    test = study.some(study.test, images)
    with study.configuration.train.arithmetic(study.device):
        if pool == 1:
            groups, found = [1], _own_bound(study, test, samples, chunk, seed)
        else:
            groups, found = _pooled_bound(study, test, samples, pool, chunk, seed)
    draws = [-(-samples // size) * size for size in groups]
    return {
        "images": len(test),
        "nats": -found.bound.mean().item(),
        "standard_error": (found.bound.std() / math.sqrt(len(test))).item()
        if len(test) > 1
        else None,
        "effective_samples": found.effective_samples.mean().item(),
        "pool": {"smallest": min(groups), "largest": max(groups)},
        "draws": {"fewest": min(draws), "most": max(draws)},
    }


def _own_bound(
    study: Study, test: Images, samples: int, chunk: int, seed: int
) -> likelihood.ImportanceBound:
    model, label = study.model, test.labels.to(study.device)
    x = test.pixels.to(study.device)
    events: list[torch.Size] = []  # of the layers, as ``draw`` finds them, for ``score``

    def draw(rows: slice, k: int) -> tuple[Tensor, Tensor]:
        together = k if model.layers == 1 else DESCENTS
        parts = [draw_part(rows, min(together, k - done)) for done in range(0, k, together)]
        z, ratio = zip(*parts, strict=True)
        return torch.cat(z), torch.cat(ratio)

    def draw_part(rows: slice, k: int) -> tuple[Tensor, Tensor]:
        drawn = model.infer(study.space.floats(x[rows]), label[rows], k)
        events[:] = [latent.z.shape[2:] for latent in drawn]
        return torch.cat([latent.z.flatten(2) for latent in drawn], dim=-1), log_ratio(drawn)

    def score(z: Float[Tensor, "K B P"], rows: slice) -> Float[Tensor, "K B"]:
        layers = z.split([event.numel() for event in events], dim=-1)
        codes = tuple(z.unflatten(-1, event) for z, event in zip(layers, events, strict=True))
        return model.decode(codes, label[rows]).log_prob(study.space.floats(x[rows]))

    return likelihood.importance_bound(
        draw,
        score,
        images=len(test),
        samples=samples,
        chunk=chunk,
        seed=seed,
        track=track(f"bound, {samples} samples"),
    )


def _pooled_bound(
    study: Study, test: Images, samples: int, pool: int, chunk: int, seed: int
) -> tuple[list[int], likelihood.ImportanceBound]:
    """Return the sizes of the groups that share their draws, and the bounds."""
    model, x, places = study.model, test.pixels.to(study.device), study.encode(test)

    def draw(rows: Int[Tensor, " J"], k: int) -> tuple[Float[Tensor, "S D"], Float[Tensor, " S"]]:
        (latent,) = model.infer(study.space.floats(x[rows]), None, k)
        z = latent.z.flatten(0, 1)
        log_q = latent.q.log_prob(z[:, None]).logsumexp(1) - math.log(len(rows))
        return z, latent.p.log_prob(z) - log_q

    def score(z: Float[Tensor, "S D"], rows: Int[Tensor, " J"]) -> Float[Tensor, "S J"]:
        return model.decode((z,)).pairs(study.space.floats(x[rows]))

    found = pooled_bound(
        draw,
        score,
        places=places,
        samples=samples,
        pool=pool,
        chunk=chunk,
        seed=seed,
        track=track(f"bound, {samples} samples"),
    )
    return [len(rows) for rows in neighbourhoods(places, pool)], found
