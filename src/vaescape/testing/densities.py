"""Checks of densities by sums and integrals over their support, and by their samples."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution, Normal

from vaescape.conditionals import CodePosterior, Points, Posterior, Support
from vaescape.inference.bayes import GridPosterior

DRAWS = 20_000
AT_ONCE = 20_000
"""Points scored at once."""


def plane(reach: float = 12.0, points: int = 601) -> Points:
    """Return a grid of the plane, and the area of each of its points."""
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    return z, torch.full_like(z[:, 0], (axis[1] - axis[0]).item() ** 2)


def quantiles(points: int = 480) -> Points:
    """Return points of the plane at even steps of the standard normal's probability.

    A density that is constant beside it on a lattice of so many parts, or of a divisor, adds up
    exactly.
    """
    axis = torch.special.ndtri((torch.arange(points, dtype=torch.float64) + 0.5) / points)
    z = torch.cartesian_prod(axis, axis)
    return z, (-Normal(0, 1).log_prob(z).sum(-1)).exp() / points**2


def sphere(dimensions: int) -> Points:
    """Return points of the circle or the sphere, and the arc or the area of each.

    Args:
        dimensions: 2 or 3.
    """
    angle = torch.arange(400, dtype=torch.float64) * math.tau / 400
    if dimensions == 2:
        return torch.stack([angle.cos(), angle.sin()], -1), torch.full_like(angle, math.tau / 400)
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(200))
    height, turn = torch.cartesian_prod(nodes, angle).unbind(-1)
    radius = (1 - height**2).sqrt()
    z = torch.stack([radius * turn.cos(), radius * turn.sin(), height], -1)
    return z, weights.repeat_interleave(400) * math.tau / 400


def disc(reach: float = 12.0) -> Points:
    """Return points of Poincaré's disc, and the hyperbolic area of each.

    Args:
        reach: How far from the origin, in hyperbolic length.
    """
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(300))
    away, (turns, arc) = reach / 2 * (1 + nodes), sphere(2)
    z = (away / 2).tanh()[:, None, None] * turns
    return z.flatten(0, 1), torch.outer(reach / 2 * weights * away.sinh(), arc).flatten()


def every_code(head: CodePosterior) -> Int[Tensor, "N M"]:
    """Return all K^M codes of a discrete posterior."""
    return torch.tensor(list(itertools.product(range(head.codes), repeat=head.positions)))


def places(head: Posterior) -> Iterator[Points]:
    """Yield everywhere that codes can lie: the plane; circle and sphere; disc; or all codes."""
    if isinstance(head, CodePosterior):
        z = head.lookup(every_code(head)).double()
        yield z, torch.ones_like(z[:, 0])
    elif head.support.points is not None:
        yield from head.support.points()
    elif head.support is Support.SPHERE:
        yield from map(sphere, (2, 3))
    elif head.support is Support.BALL:
        yield disc()
    elif isinstance(head, GridPosterior):
        yield quantiles()
    else:
        yield plane()


def features(z: Float[Tensor, "*S D"]) -> Float[Tensor, "*S F"]:
    """Return what draws and density must agree on: moments, and shares of two half-planes."""
    x, y = z[..., 0], z[..., 1]
    return torch.stack([x, y, x * y, x**2, (x > 0.3).double(), (y > x).double()], -1)


def draws_what_it_scores(
    d: Distribution,
    z: Float[Tensor, "N D"],
    weight: Float[Tensor, " N"],
    tolerance: float = 1e-3,
) -> None:
    """Check that a distribution integrates to one and that samples match its density.

    Args:
        d: Batch () or (1,), event (D,) with D of 2 or more.
        z: All there is, as points.
        weight: What each stands for, as from :func:`plane`.
        tolerance: Of the sum: what may lie beyond the points.

    Raises:
        AssertionError: If it does not.
    """
    with torch.no_grad():
        log_mass = torch.cat([d.log_prob(part[:, None]).flatten() for part in z.split(AT_ONCE)])
    mass = log_mass.double().exp() * weight
    total = mass.sum().item()
    assert abs(total - 1) < tolerance, f"exp(log_prob) adds up to {total:.5f}, not to 1."
    found = features(d.sample(torch.Size((DRAWS,))).reshape(-1, z.shape[-1]).double())
    error = found.std(0) / len(found) ** 0.5
    expected = (mass[:, None] * features(z)).sum(0)
    off = (found.mean(0) - expected).abs()
    assert (off < 4.5 * error + 4 * tolerance).all(), (
        "The draws are not those of the density: E[x, y, xy, x², x > 0.3, y > x] is "
        f"{_numbers(found.mean(0))} over {DRAWS:,} draws and {_numbers(expected)} by log_prob."
    )


def _numbers(values: Tensor) -> str:
    return ", ".join(f"{value:.3f}" for value in values.tolist())
