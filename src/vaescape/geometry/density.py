"""Where the data are in latent space: the aggregate posterior, and the weight of paths in it.

The density and the λ of paths, holes and regions in evaluation, report, saved page and live page;
docs/geometry.md has the definition. ``metrics.latents.aggregate`` is the same q(z), of all images
of a split, for the estimates of mutual information and KL.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

Weight = Callable[[Float[Tensor, "N D"]], Float[Tensor, " N"]]

IMAGES = 10_000
"""Components of the mixture, at most."""

TYPICAL_CODES = 10_000
"""Codes of which ``typical`` is the median, at most."""

FEW = 200
"""Components, and codes, where a network is evaluated for each pair of point and component."""

AT_ONCE = 500
"""Images encoded at once."""

_PAIRS_AT_ONCE = 2**17  # of points and components: a block stays in a processor's cache
_FAR = 80.0  # nats: e⁻⁸⁰ still has all its digits in float32, and from e⁻⁸⁷ on processors are slow


class AggregateDensity:
    """q(z) = 1/N Σₙ q(z | xₙ): the even mixture of the posteriors of N images.

    Args:
        posteriors: Distributions over codes with batch (B,) and event (D,); they may be of any
            family that has ``log_prob``. N is the sum of their batches.
        counts: How many images each of them stands for, if not one for each of its batch.
        codes: Where a typical density is measured: encoded images, best others than the mixture's.
        nearest: Takes points to where codes can lie, such as a sphere. The decoder sees them there.
        device: Of the posteriors. Points may be elsewhere.
    """

    def __init__(
        self,
        posteriors: Sequence[Distribution],
        codes: Float[Tensor, "M D"],
        *,
        counts: Sequence[int] | None = None,
        nearest: Callable[[Tensor], Tensor] = lambda z: z,
        device: torch.device | str = "cpu",
    ) -> None:
        self.posteriors, self.codes = tuple(posteriors), codes
        self.nearest, self.device = nearest, device
        sizes = [q.batch_shape.numel() for q in self.posteriors]
        self.counts = sizes if counts is None else list(counts)
        self.images = sum(self.counts)

    @classmethod
    def of(cls, space: Any, images: Any, others: Any) -> "AggregateDensity":
        """Return the density of some images, at most ``IMAGES`` evenly chosen ones.

        ``FEW`` where the posterior does not score pairs without a network, as a flow.

        Args:
            space: A latent space, with ``posterior``, ``encode``, ``support`` and ``device``.
            images: Whose posteriors are mixed: the training images.
            others: At whose codes a typical density is measured: the test images.
        """
        cheap = space.posterior(images[:1]).scores_pairs
        chosen = evenly(len(images), IMAGES if cheap else FEW)
        most = TYPICAL_CODES if cheap else FEW
        batches = [space.posterior(images[rows]) for rows in chosen.split(AT_ONCE)]
        parts: list[Any] = [q.mixed() or q for q in batches]
        counts = [q.batch_shape.numel() for q in batches]
        few = others if len(others) <= most else others[evenly(len(others), most)]
        codes = space.encode(few)
        near = space.support.nearest
        return cls(parts, codes, counts=counts, nearest=near, device=space.device)

    @classmethod
    def around(cls, codes: Float[Tensor, "N D"]) -> "AggregateDensity":
        """Return a kernel estimate, for codes without a posterior density (a plain autoencoder).

        Gaussians with the bandwidths of Scott's rule (1992): σ N^(−1/(D + 4)) in each dimension.
        """
        some = codes[evenly(len(codes), IMAGES)]
        scale = some.std(0).clamp_min(1e-6) * len(some) ** (-1 / (some.shape[1] + 4))
        parts = [Independent(Normal(part, scale), 1) for part in some.split(AT_ONCE)]
        return cls(parts, codes[evenly(len(codes), TYPICAL_CODES)])

    def log_prob(self, z: Float[Tensor, "*S D"]) -> Float[Tensor, "*S"]:
        """Return log q(z) in nats, float32 or better, differentiable in z.

        Exact, over all N components, in blocks of bounded memory.
        """
        points = self.nearest(z.reshape(-1, z.shape[-1]).to(self.device))
        points = points if points.dtype == torch.float64 else points.float()
        found = []
        with torch.autocast(points.device.type, enabled=False):
            for q, count in zip(self.posteriors, self.counts, strict=True):
                size = q.batch_shape.numel()
                rows = points.split(max(1, _PAIRS_AT_ONCE // size))
                each = torch.cat([_log_sum_exp(q.log_prob(part[:, None])) for part in rows])
                found.append(each + math.log(count / size))
            total = _log_sum_exp(torch.stack(found, 1)) - math.log(self.images)
        return total.reshape(z.shape[:-1]).to(z.device)

    @cached_property
    def at_codes(self) -> Float[Tensor, " M"]:
        """Log q at the codes, in nats."""
        with torch.no_grad():
            return self.log_prob(self.codes)

    @cached_property
    def typical(self) -> float:
        """h, in nats: the median of log q at the codes."""
        return self.at_codes.median().item()

    def weight(self, strength: float) -> Weight:
        """Return w(z) = 1 + λ max(0, h − log q(z)), under which paths keep to where the data are.

        Without it they may cross empty space: a decoder's mean is defined there as anywhere. Each
        nat by which a place is less likely than the typical code adds λ times the length there, so
        that the metric is w(z)² G(z). λ = 0 leaves the decoder's own metric.

        Args:
            strength: λ per nat, 0 or more.
        """
        return lambda z: 1 + strength * (self.typical - self.log_prob(z)).clamp_min(0)


def evenly(count: int, most: int) -> Tensor:
    """Return the indices of at most so many of ``count`` rows, evenly chosen, with both ends."""
    return torch.linspace(0, count - 1, min(count, most)).round().long()


def _log_sum_exp(each: Float[Tensor, "M B"]) -> Float[Tensor, " M"]:
    """Return log Σ exp along rows: finite, for −∞ too, and fast where terms are tiny."""
    most = each.detach().amax(1, keepdim=True).clamp_min(torch.finfo(each.dtype).min)
    return (each - most).clamp_min(-_FAR).exp().sum(1).log() + most[:, 0]
