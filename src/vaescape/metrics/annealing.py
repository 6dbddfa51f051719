"""log p(x) by annealed importance sampling, for codes that may lie anywhere in latent space."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaescape.errors import OptionError
from vaescape.metrics.likelihood import MOST, check_counts, seeded

TOGETHER = 50
"""Images annealed at once under one seed. The numbers depend on it: keep it."""
LEAPS = 5
"""Leapfrog steps of one move; there is one move for each temperature."""
PILOTS = 4
"""Chains for each image that find the step sizes and count for nothing else."""
ACCEPTED = 0.65
"""The share of proposals that step sizes aim at (Neal 2011, section 4.4)."""
RATE = 0.3
"""By how much log step changes, per unit of that share."""
JITTER = 0.2
"""Share by which a step is longer or shorter by chance, so that no path closes on itself."""
STEEPNESS = 4.0
"""Of the sigmoid along which the shares rise (Wu et al. 2017, appendix)."""

LogDensity = Callable[[Float[Tensor, "K B D"]], Float[Tensor, "K B"]]
Target = Callable[[slice], tuple[Distribution, LogDensity]]


class AnnealedBound(NamedTuple):
    """A stochastic lower bound on log p(x) for each image, and what it rests on."""

    bound: Float[Tensor, " N"]
    """Nats."""
    effective_samples: Float[Tensor, " N"]
    """(Σₖ wₖ)² / Σₖ wₖ² of the chains' weights, from 1 to K."""
    acceptance: Float[Tensor, " N"]
    """Share of the proposals that were taken."""


class Place(NamedTuple):
    """Where the chains are, with both ends of the path of densities and their slopes there."""

    z: Float[Tensor, "K B D"]
    log_start: Float[Tensor, "K B"]
    log_joint: Float[Tensor, "K B"]
    start_slope: Float[Tensor, "K B D"]
    joint_slope: Float[Tensor, "K B D"]

    def log_density(self, share: Tensor) -> Float[Tensor, "K B"]:
        """Return (1 − share) log start + share log joint: the geometric path, in nats."""
        return self.log_start.lerp(self.log_joint, share)

    def slope(self, share: Tensor) -> Float[Tensor, "K B D"]:
        """Return its gradient."""
        return self.start_slope.lerp(self.joint_slope, share)


Look = Callable[[Float[Tensor, "K B D"]], Place]


@torch.no_grad()
def annealed_bound(
    target: Target,
    *,
    images: int,
    chains: int = 16,
    temperatures: int = 100,
    seed: int = 0,
    track: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> AnnealedBound:
    """Return log 1/K Σₖ wₖ of each image by annealed importance sampling (Neal 2001, section 2).

    A chain starts at a draw of a density that is known, the prior or the encoder's posterior, and
    moves by Hamiltonian dynamics while the density turns into p(z) p(x | z) along a geometric path.
    Its weight w estimates p(x) without bias, so the logarithm of a mean of weights lies below
    log p(x) on average; it nears it as temperatures grow, whatever the encoder is worth (Wu et al.
    2017). Step sizes are found by chains of their own, image by image and temperature by
    temperature: adapted on the chains that count, they would undo that guarantee.

    Args:
        target: Given a slice of the images, returns the density where chains start, batch (B,) or
            (), and log p(z) + log p(x | z) of codes (K, B, D), in nats, with derivatives.
        images: N, how many images there are.
        chains: K, for each image.
        temperatures: Densities on the path from the start to the joint, these two among them.
        seed: Of all draws; the caller's random state is left as it was.
        track: Wraps the sequence of first images of each block for a progress bar.

    Returns:
        Float64 on the CPU, whatever the device of the model.

    Raises:
        OptionError: If a count is below 1, temperatures below 2, or the seed negative.
    """
    check_counts(images=images, chains=chains)
    if not 2 <= temperatures <= MOST:
        raise OptionError(
            f"temperatures must be 2 or more, at most {MOST:,}, got {temperatures}. Try 100."
        )
    parts = []
    for first in track(range(0, images, TOGETHER)):
        with seeded(seed, first):
            block = slice(first, min(first + TOGETHER, images))
            parts.append(_block(*target(block), block, chains, shares(temperatures)))
    return AnnealedBound(*(torch.cat(part) for part in zip(*parts, strict=True)))


def shares(temperatures: int) -> Float[Tensor, " T"]:
    """Return the joint's share in each density, from 0 to 1, with the smallest steps at the ends.

    Wu et al. 2017, appendix: a sigmoid, cut and stretched.
    """
    s = torch.linspace(-STEEPNESS, STEEPNESS, temperatures, dtype=torch.float64).sigmoid()
    return (s - s[0]) / (s[-1] - s[0])


def _block(
    start: Distribution, log_joint: LogDensity, rows: slice, chains: int, path: Tensor
) -> AnnealedBound:
    def draw(count: int) -> Float[Tensor, "K B D"]:
        batch = () if start.batch_shape else (rows.stop - rows.start,)
        return start.sample(torch.Size((count, *batch)))

    def look(z: Tensor) -> Place:
        return _look(z, start.log_prob, log_joint)

    steps = _anneal(draw(PILOTS), look, path)[2]
    log_w, taken, _ = _anneal(draw(chains), look, path, steps)
    log_sum = log_w.logsumexp(0)
    return AnnealedBound(
        log_sum - math.log(chains), (2 * log_sum - (2 * log_w).logsumexp(0)).exp(), taken
    )


def _look(z: Tensor, log_start: LogDensity, log_joint: LogDensity) -> Place:
    z = z.detach().requires_grad_()
    with torch.enable_grad():
        values = [log_start(z), log_joint(z)]
        slopes = [torch.autograd.grad(value.sum(), z)[0] for value in values]
    return Place(z.detach(), *(value.detach() for value in values), *slopes)


def _anneal(
    z: Tensor, look: Look, path: Tensor, steps: Sequence[Tensor] | None = None
) -> tuple[Float[Tensor, "K B"], Float[Tensor, " B"], list[Tensor]]:
    """Return log w of each chain, the share of moves taken and the step sizes, (B, 1) each.

    Without ``steps`` they are adapted on the way.
    """
    place, used, taken = look(z), [], []
    step = 0.5 * z.std(0).mean(-1, keepdim=True)
    log_w = torch.zeros(z.shape[:2], dtype=torch.float64)
    for turn, (before, share) in enumerate(itertools.pairwise(path)):
        log_w += (share - before) * (place.log_joint - place.log_start).double().cpu()
        step = step if steps is None else steps[turn]
        place, accepted = _move(place, look, share.to(z), step)
        used.append(step)
        taken.append(accepted.mean(0).double().cpu())
        step = step * (RATE * (accepted.mean(0) - ACCEPTED)).exp()[:, None]
    return log_w, torch.stack(taken).mean(0), used


def _move(
    place: Place, look: Look, share: Tensor, step: Tensor
) -> tuple[Place, Float[Tensor, "K B"]]:
    """Return the chains after one move of Hamiltonian dynamics, and the odds they were given.

    Neal 2011, section 3.2: it leaves the density at ``share`` as it is.
    """
    chance = torch.rand_like(place.log_joint)
    step = step * (1 + JITTER * (2 * torch.rand_like(chance)[..., None] - 1))
    momentum = torch.randn_like(place.z)
    new, p = place, momentum
    for _ in range(LEAPS):
        p = p + 0.5 * step * new.slope(share)
        new = look(new.z + step * p)
        p = p + 0.5 * step * new.slope(share)
    energy = 0.5 * (momentum.square() - p.square()).sum(-1)
    log_odds = new.log_density(share) - place.log_density(share) + energy
    odds = log_odds.nan_to_num(-math.inf).clamp(max=0).exp()
    return _where(chance < odds, new, place), odds


def _where(chosen: Float[Tensor, "K B"], new: Place, old: Place) -> Place:
    pairs = zip(new, old, strict=True)
    return Place(*(torch.where(chosen[(...,) + (None,) * (a.ndim - 2)], a, b) for a, b in pairs))
