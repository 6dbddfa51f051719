"""How many latent dimensions carry something, and how far what is encoded lies from the prior.

The *aggregate posterior* of N images is the mixture q(z) = 1/N Σₙ q(z|xₙ); :func:`aggregate` makes
that of diagonal Gaussians, given by their means and log-variances. All N components count, also
the one that a draw came from.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

OUTSIDE = 0.01
"""Share of the aggregate posterior that does not count as its support."""

_FAR = 80.0  # nats: e⁻⁸⁰ still has all its digits in float32
_PAIRS_AT_ONCE = 2**17  # of points and components: a block stays in a processor's cache


def active_units(means: Float[Tensor, "N D"]) -> Bool[Tensor, " D"]:
    """Return which dimensions have Varₓ(E[z|x]) above 0.01.

    Burda et al. (2016). The variance is over all the images given: pass the whole split, since
    batches of similar images vary less than the split does.
    """
    return means.var(0, correction=0) > 0.01


def active_by_kl(kl: Float[Tensor, "N D"]) -> Bool[Tensor, " D"]:
    """Return which dimensions have a mean KL divergence above 0.1 nats."""
    return kl.mean(0) > 0.1


def aggregate_draws(
    means: Float[Tensor, "N D"],
    log_vars: Float[Tensor, "N D"],
    *,
    draws: int = 1,
    seed: int = 0,
) -> Float[Tensor, "K N D"]:
    """Return K latents of every image: together a stratified sample of the aggregate posterior."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(draws, *means.shape, generator=generator, dtype=means.dtype)
    return means + (log_vars / 2).exp() * noise.to(means.device)


def aggregate_log_density(
    z: Float[Tensor, "*S D"], means: Float[Tensor, "N D"], log_vars: Float[Tensor, "N D"]
) -> Float[Tensor, "*S"]:
    """Return log q(z) = log 1/N Σₙ q(z|xₙ), in nats, at each point.

    Exact, over all N components, in blocks of bounded memory.
    """
    blocks = z.reshape(-1, z.shape[-1]).split(_rows(means))
    densities = torch.cat([_log_mixture(points, means, log_vars) for points in blocks])
    return densities.reshape(z.shape[:-1])


class Aggregate(NamedTuple):
    """The aggregate posterior of N images, of any family, with K draws of each image's."""

    z: Float[Tensor, "K N D"]
    log_own: Float[Tensor, "K N"]
    """log q(zₙ | xₙ) of each draw under the posterior it came from, in nats."""
    log_density: Float[Tensor, "K N"]
    """log q(z) of the draws, in nats."""
    log_prob: Callable[[Float[Tensor, "*S D"]], Float[Tensor, "*S"]]
    """log q(z) of any points, in nats."""


def aggregate(
    means: Float[Tensor, "N D"],
    log_vars: Float[Tensor, "N D"],
    *,
    draws: int = 1,
    seed: int = 0,
) -> Aggregate:
    """Return the aggregate posterior of diagonal Gaussians, drawn from.

    Args:
        means: Of q(z|x), for all images.
        log_vars: Of q(z|x), for all images.
        draws: Latents of each image. Each costs N² evaluations.
        seed: Of the draws; the caller's random state is left as it was.
    """
    z = aggregate_draws(means, log_vars, draws=draws, seed=seed)

    def log_prob(points: Float[Tensor, "*S D"]) -> Float[Tensor, "*S"]:
        return aggregate_log_density(points, means, log_vars)

    return Aggregate(z, _log_gaussian(z, means, log_vars), log_prob(z), log_prob)


class PriorGap(NamedTuple):
    """What the mean KL divergence is made of, in nats: mean_kl = mutual_information + kl."""

    mean_kl: float
    """1/N Σₙ KL(q(z|xₙ) ‖ p(z)): the rate."""
    mutual_information: float
    """Between image and latent: at most log N."""
    kl: float
    """KL(q(z) ‖ p(z)) of the aggregate posterior to the prior."""
    kl_error: float
    """Standard error of ``kl`` over the draws; the images are taken as given."""


def mutual_information(q: Aggregate) -> float:
    """Return I(x; z) of image and latent, in nats, by Monte Carlo: at most log N."""
    return (q.log_own - q.log_density).mean().item()


def prior_gap(
    q: Aggregate, prior_log_prob: Callable[[Float[Tensor, "K N D"]], Float[Tensor, "K N"]]
) -> PriorGap:
    """Return KL(q(z) ‖ p(z)) and the mutual information, by Monte Carlo.

    Hoffman & Johnson (2016): mean KL = I(x; z) + KL(q(z) ‖ p(z)). The three are estimated on the
    same draws, so they add up. Each is unbiased for the aggregate posterior *of these N images*. As
    an estimate for the source of the images, the mutual information saturates at log N, and ``kl``
    is too large by what it then lacks.

    Args:
        q: The aggregate posterior.
        prior_log_prob: log p(z) in nats.
    """
    excess = q.log_density - prior_log_prob(q.z)
    return PriorGap(
        mean_kl=(q.log_own - q.log_density + excess).mean().item(),
        mutual_information=mutual_information(q),
        kl=excess.mean().item(),
        kl_error=excess.std(correction=0).item() / math.sqrt(excess.numel()),
    )


def hole_fraction(q: Aggregate, prior_draws: Float[Tensor, "M D"]) -> float:
    """Return the share of the prior's mass that lies in holes of the aggregate posterior.

    A hole is where log q(z) is lower than at all but the share ``OUTSIDE`` of the aggregate
    posterior's own draws: outside its region of highest density of mass 1 − ``OUTSIDE``. A perfect
    match therefore gives ``OUTSIDE``, not 0.

    Args:
        q: The aggregate posterior.
        prior_draws: From p(z); some 10,000 make the standard error at most 0.005.
    """
    edge = q.log_density.quantile(OUTSIDE)
    in_hole = q.log_prob(prior_draws) < edge
    return in_hole.sum().item() / len(prior_draws)


def mmd2(x: Float[Tensor, "N D"], y: Float[Tensor, "M D"], bandwidth: float | None = None) -> float:
    """Return the squared maximum mean discrepancy of two samples, without bias: it may be below 0.

    Gretton et al. (2012), equation 3, with the kernel exp(−‖x − y‖² / 2h²); a point is not held
    against itself.

    Args:
        x: Two points or more.
        y: Two points or more.
        bandwidth: h; √D by default, as distances under a standard normal grow.
    """
    h = math.sqrt(x.shape[1]) if bandwidth is None else bandwidth
    (n, m), within = (len(x), len(y)), lambda a: _kernel_sum(a, a, h) - len(a)
    return (
        within(x) / (n * (n - 1)) + within(y) / (m * (m - 1)) - 2 * _kernel_sum(x, y, h) / (n * m)
    )


def _kernel_sum(x: Float[Tensor, "N D"], y: Float[Tensor, "M D"], h: float) -> float:
    # The shortcut by a matrix product would not give a point the distance 0 to itself.
    exact = "donot_use_mm_for_euclid_dist"
    distances = (torch.cdist(rows, y, compute_mode=exact) for rows in x.split(_rows(y)))
    return sum(d.div_(h).square_().div_(-2).exp_().sum().item() for d in distances)


def _rows(others: Float[Tensor, "N D"]) -> int:
    return max(1, _PAIRS_AT_ONCE // len(others))


def _log_mixture(
    z: Float[Tensor, "M D"], means: Float[Tensor, "N D"], log_vars: Float[Tensor, "N D"]
) -> Float[Tensor, " M"]:
    each = _log_gaussian(z[:, None], means, log_vars)
    most = each.amax(1, keepdim=True)
    # logsumexp in place, without subnormal numbers, on which processors are slow.
    total = each.sub_(most).clamp_min_(-_FAR).exp_().sum(1)
    return total.log_() + most[:, 0] - math.log(len(means))


def _log_gaussian(
    z: Float[Tensor, "*S D"], mean: Float[Tensor, "*#S D"], log_var: Float[Tensor, "*#S D"]
) -> Float[Tensor, "*S"]:
    # One dimension at a time: a sum over a short last axis is several times slower.
    axes = zip(z.unbind(-1), mean.unbind(-1), (log_var / -2).exp().unbind(-1), strict=True)
    total = (log_var.sum(-1) + z.shape[-1] * math.log(2 * math.pi)) / -2
    for z_d, m_d, s_d in axes:
        away = (z_d - m_d).mul_(s_d)
        total = torch.addcmul(total, away, away, value=-0.5)
    return total
