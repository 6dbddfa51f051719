"""The importance-weighted bound of images that share their draws."""

from collections.abc import Callable, Iterable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaescape.metrics.likelihood import ImportanceBound, check_counts, seeded

POOL = 100
"""Images that share their draws, at most."""

Rows = Int[Tensor, " J"]
Draw = Callable[[Rows, int], tuple[Float[Tensor, "S *event"], Float[Tensor, " S"]]]
Score = Callable[[Float[Tensor, "S *event"], Rows], Float[Tensor, "S J"]]


@torch.no_grad()
def pooled_bound(
    draw: Draw,
    score: Score,
    *,
    places: Float[Tensor, "N P"],
    samples: int,
    pool: int = POOL,
    chunk: int = 1000,
    seed: int = 0,
    track: Callable[[Sequence[Rows]], Iterable[Rows]] = iter,
) -> ImportanceBound:
    """Return log 1/S Σₛ p(x|zₛ) p(zₛ) / q̄(zₛ) of each image, the zₛ those of all its neighbours.

    J images close to each other draw S / J codes each, and every code is weighed for all of them
    against q̄ = 1/J Σⱼ q(z|xⱼ), the balance heuristic of Veach & Guibas (1995). The
    mean of the weights is p(x) as it is for draws of the image's own, so its logarithm bounds log
    p(x) just the same; but only S / J codes an image are decoded. It is tight where neighbours'
    posteriors overlap, in latent spaces of few dimensions.

    Args:
        draw: Given rows of images and how many codes of each, returns all these codes, from torch's
            global generator, and log p(z) − log q̄(z) in nats.
        score: Given codes and rows of images, returns log p(x|z) of every pair, in nats.
        places: Where the images are, to find neighbours.
        samples: S, on which each image's bound rests; at least so many where J does not divide it.
        pool: J at most.
        chunk: Most codes decoded at once; the draws do not depend on it.
        seed: Of all draws; the caller's random state is left as it was.
        track: Wraps the sequence of pools for a progress bar.

    Returns:
        Float64 on the CPU, whatever the device of the model.

    Raises:
        OptionError: If a count is below 1 or the seed is negative.
    """
    check_counts(samples=samples, pool=pool, chunk=chunk)
    bound, effective = torch.empty(2, len(places), dtype=torch.float64)
    for number, rows in enumerate(track(neighbourhoods(places, pool))):
        with seeded(seed, number):
            z, log_ratio = draw(rows, -(-samples // len(rows)))
        pairs = torch.cat([score(some, rows) for some in z.split(chunk)])
        log_w = (pairs + log_ratio[:, None]).cpu().double()
        most = log_w.amax(0).nan_to_num(neginf=0.0)  # an image that no code can have made
        w = log_w.sub_(most).exp_()
        bound[rows] = most + w.mean(0).log()
        effective[rows] = w.sum(0).square() / w.square().sum(0)
    return ImportanceBound(bound, effective)


def neighbourhoods(places: Float[Tensor, "N P"], size: int) -> list[Rows]:
    """Return the rows in groups of ``size`` at most, halved across their widest direction."""

    def halve(rows: Rows) -> list[Rows]:
        if len(rows) <= size:
            return [rows]
        here = places[rows]
        widest = (here.amax(0) - here.amin(0)).argmax()
        rows = rows[here[:, widest].argsort(stable=True)]
        half = len(rows) // 2
        return halve(rows[:half]) + halve(rows[half:])

    return halve(torch.arange(len(places)))
