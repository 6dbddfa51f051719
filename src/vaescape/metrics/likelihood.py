"""How probable images are under a latent-variable model, in nats per image."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.errors import OptionError

MOST = 10_000_000
"""Samples, images, …: more is a slip of the finger."""
BLOCK = 100
"""Images, and samples of each, drawn together under one seed. The numbers depend on it: keep it."""

Draw = Callable[[slice, int], tuple[Float[Tensor, "K B *event"], Float[Tensor, "K B"]]]
Score = Callable[[Float[Tensor, "K B *event"], slice], Float[Tensor, "K B"]]
Number = TypeVar("Number", float, Tensor)


class ImportanceBound(NamedTuple):
    """A lower bound on log p(x) for each image, and how many samples it rests on."""

    bound: Float[Tensor, " N"]
    """Nats."""
    effective_samples: Float[Tensor, " N"]
    """1 / Σₖ w̃ₖ² of the normalised weights, from 1 to K: near 1 the bound is unreliable."""


class Unit(NamedTuple):
    """What is drawn at once."""

    images: slice
    samples: int
    seed: tuple[int, ...]


@torch.no_grad()
def importance_bound(
    draw: Draw,
    score: Score,
    *,
    images: int,
    samples: int,
    chunk: int = 1000,
    seed: int = 0,
    track: Callable[[Sequence[Unit]], Iterable[Unit]] = iter,
) -> ImportanceBound:
    """Return log 1/K Σₖ wₖ of each image, with w = p(x|z) p(z) / q(z|x) and z ~ q(z|x).

    Burda et al. (2016), equation 8. The sum is streamed, so memory does not grow with the number of
    samples. What is drawn depends on ``seed`` alone; ``chunk`` only says how much is decoded at
    once.

    Args:
        draw: Given a slice of the images and K, returns z (K, B, …) ~ q(z|x), from torch's global
            generator, and log p(z) − log q(z|x), (K, B), in nats.
        score: Given latents z (K, B, …) and the slice of their images, returns log p(x|z), (K, B),
            in nats.
        images: N, how many images there are.
        samples: K, how many latents are drawn for each image.
        chunk: Most latents scored at once.
        seed: Of all draws; the caller's random state is left as it was.
        track: Wraps the sequence of units for a progress bar.

    Returns:
        Float64 on the CPU, whatever the device of the model.

    Raises:
        OptionError: If a count is below 1 or the seed is negative.
    """
    check_counts(images=images, samples=samples, chunk=chunk)
    log_sum, log_sum_squares = torch.full((2, images), -math.inf, dtype=torch.float64)
    for unit in track(list(_units(images, samples, seed))):
        log_w, rows = _log_weights(draw, score, unit, chunk), unit.images
        log_sum[rows] = log_sum[rows].logaddexp(log_w.logsumexp(0))
        log_sum_squares[rows] = log_sum_squares[rows].logaddexp((2 * log_w).logsumexp(0))
    return ImportanceBound(log_sum - math.log(samples), (2 * log_sum - log_sum_squares).exp())


def bits_per_dimension(nats: Number, dims: int) -> Number:
    """Return −log₂ p(x) / dims, given −log p(x) in nats.

    For a density on pixels in [0, 1] that stands for 256 levels, add log₂ 256 = 8 to compare with a
    probability.
    """
    return nats / (dims * math.log(2))


def _units(images: int, samples: int, seed: int) -> Iterator[Unit]:
    for i, start in enumerate(range(0, images, BLOCK)):
        for j, drawn in enumerate(range(0, samples, BLOCK)):
            rows = slice(start, min(start + BLOCK, images))
            yield Unit(rows, min(BLOCK, samples - drawn), (seed, i, j))


def _log_weights(draw: Draw, score: Score, unit: Unit, chunk: int) -> Float[Tensor, "K B"]:
    with seeded(*unit.seed):
        z, log_ratio = draw(unit.images, unit.samples)
    log_likelihood = torch.empty_like(log_ratio)
    samples, width = log_ratio.shape
    for drawn, images in _pieces(samples, width, chunk):
        first = unit.images.start
        rows = slice(first + images.start, first + images.stop)
        log_likelihood[drawn, images] = score(z[drawn, images], rows)
    return (log_likelihood + log_ratio).cpu().double()


def _pieces(samples: int, images: int, chunk: int) -> Iterator[tuple[slice, slice]]:
    """Return rectangles of samples × images, ``chunk`` at most, that cover all pairs."""
    wide = min(images, chunk)
    deep = chunk // wide
    for image in range(0, images, wide):
        for sample in range(0, samples, deep):
            yield slice(sample, sample + deep), slice(image, min(image + wide, images))


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """Use a seed of its own and restore the global generators afterwards.

    Raises:
        OptionError: If it is negative.
    """
    if min(seed) < 0:
        raise OptionError(f"seed must be 0 or more, got {seed[0]}. Choose another.")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
        yield


def check_counts(**counts: int) -> None:
    """Refuse counts below 1 or implausibly large."""
    for name, count in counts.items():
        if not 1 <= count <= MOST:
            raise OptionError(
                f"{name} must be at least 1 and at most {MOST:,}, got {count}. Choose another "
                "number."
            )
