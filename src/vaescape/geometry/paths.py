"""Paths and grids of latents.

A path is the last two axes of a tensor, (…, T, D): T points in D dimensions, with any number of
paths before them.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from vaescape.errors import OptionError

PathFunction = Callable[
    [Float[Tensor, "*S D"], Float[Tensor, "*S D"], Float[Tensor, " T"]], Float[Tensor, "*S T D"]
]
"""Takes two ends and shares of the way in [0, 1] to points."""


def linear(
    a: Float[Tensor, "*S D"], b: Float[Tensor, "*S D"], t: Float[Tensor, " T"]
) -> Float[Tensor, "*S T D"]:
    """Return (1 − t) a + t b: the straight line, with exactly a at t = 0 and b at t = 1."""
    return torch.lerp(a[..., None, :], b[..., None, :], t.to(a)[:, None])


def spherical(
    a: Float[Tensor, "*S D"], b: Float[Tensor, "*S D"], t: Float[Tensor, " T"]
) -> Float[Tensor, "*S T D"]:
    """Return the arc from a to b: direction at constant angular speed, norm linear from |a| to |b|.

    Only the direction is Shoemake's slerp (1985), which is defined for unit vectors. Its formula
    applied to vectors of other norms, sin((1 − t) θ)/sin θ a + sin(t θ)/sin θ b, has neither
    constant angular speed nor norms between |a| and |b|. For equal norms the two are the same.

    Ends are exact. Where there is no arc, or no single one, the
    path is the straight line: between parallel vectors, from or to the origin, and between opposite
    vectors, where it crosses the origin. In one dimension all vectors are parallel or opposite, so
    there the path is always straight.
    """
    t = t.to(a)
    line, share = linear(a, b, t), t[:, None]
    a_hat, b_hat = normalize(a, dim=-1)[..., None, :], normalize(b, dim=-1)[..., None, :]
    angle = _angle(a_hat, b_hat)
    turned = ((1 - share) * angle).sin() * a_hat + (share * angle).sin() * b_hat
    arc = linear(_norm(a), _norm(b), t) * normalize(turned, dim=-1)
    no_arc = angle.sin() < torch.finfo(a.dtype).eps ** 0.5
    return torch.where(no_arc | (share == 0) | (share == 1), line, arc)


def grid(corners: Sequence[Float[Tensor, " D"]], steps: int) -> Float[Tensor, "n n D"]:
    """Return blends of four corners: two at the ends of the first row, two of the last."""
    t = torch.linspace(0, 1, steps)
    return linear(linear(corners[0], corners[2], t), linear(corners[1], corners[3], t), t)


def traversal(
    center: Float[Tensor, "*S D"], dim: int, values: Float[Tensor, " T"]
) -> Float[Tensor, "*S T D"]:
    """Return copies of a point in which one coordinate takes the given values.

    Raises:
        OptionError: If the point has no such coordinate.
    """
    if not 0 <= dim < center.shape[-1]:
        last = center.shape[-1] - 1
        raise OptionError(f"dim must be 0 to {last} in this latent space, got {dim}. Take another.")
    path = center[..., None, :].repeat_interleave(len(values), dim=-2)
    path[..., dim] = values.to(path)
    return path


def resample(
    points: Float[Tensor, "*S T D"],
    t: Float[Tensor, " n"],
    *,
    by: Float[Tensor, "*S T P"] | None = None,
) -> Float[Tensor, "*S n D"]:
    """Return points along the same broken line, at shares of its length, with the same ends.

    Args:
        points: The corners of the line.
        t: Shares of the whole length, in [0, 1].
        by: What the corners map to, if lengths are to be measured there: with their decoded images
            the path has constant speed in image space. A path that never moves there is spaced by
            its own length.

    Raises:
        OptionError: If there are fewer than 2 shares or points.
    """
    if min(len(t), points.shape[-2]) < 2:
        got = f"got {points.shape[-2]} and {len(t)}"
        raise OptionError(f"A path needs at least 2 points, given and asked for, {got}. Give more.")
    t = t.to(points)
    passed = _passed(points, by)
    target = passed[..., -1:] * t
    start = (torch.searchsorted(passed, target, right=True) - 1).clamp_max(passed.shape[-1] - 2)
    before, after = (passed.take_along_dim(i, -1) for i in (start, start + 1))
    share = (target - before) / (after - before).clamp_min(torch.finfo(points.dtype).tiny)
    left, right = (points.take_along_dim(i[..., None], -2) for i in (start, start + 1))
    between = torch.lerp(left, right, share[..., None])
    straight = linear(points[..., 0, :], points[..., -1, :], t)
    return torch.where(((t == 0) | (t == 1))[:, None], straight, between)


def _passed(points: Float[Tensor, "*S T D"], by: Tensor | None) -> Float[Tensor, "*S T"]:
    """Return the length of the way to each corner."""
    steps = _norm(points.diff(dim=-2)).squeeze(-1)
    if by is not None:
        elsewhere = _norm(by.diff(dim=-2)).squeeze(-1).to(steps)
        steps = torch.where(elsewhere.sum(-1, keepdim=True) > 0, elsewhere, steps)
    return torch.cat([torch.zeros_like(steps[..., :1]), steps.cumsum(-1)], -1)


def quantile_grid(
    n: int,
    icdf: Callable[[Float[Tensor, "n 1"]], Float[Tensor, "n #2"]] = torch.special.ndtri,
) -> Float[Tensor, "n n 2"]:
    """Return latents in a plane, one for each of n × n cells of equal prior mass, at its median.

    Kingma & Welling (2014), figure 4: even steps on the unit square through the prior's inverse
    distribution function, here at (i + ½)/n. Laid out as a picture: the first row is the top, where
    the second coordinate is largest, and the first column the left, where the first coordinate is
    smallest. For odd n the central cell is the prior's median.

    Args:
        n: Cells along each side.
        icdf: Takes probabilities (n, 1) to the quantiles of the prior's two marginals (n, 2), or
            (n, 1) if they are alike, as ``Normal(loc, scale).icdf`` of torch.distributions does
            with loc and scale of shape (2,). By default the standard normal's.

    Raises:
        OptionError: If n is below 1.
    """
    if n < 1:
        raise OptionError(f"A grid needs at least 1 cell a side, got {n}. Give a positive n.")
    cells = torch.arange(n, dtype=torch.get_default_dtype())
    quantiles = icdf((cells[:, None] + 0.5) / n).expand(n, 2)
    right, up = quantiles[:, 0].expand(n, n), quantiles[:, 1].flip(0)[:, None].expand(n, n)
    return torch.stack([right, up], -1)


def _angle(a_hat: Float[Tensor, "*S D"], b_hat: Float[Tensor, "*S D"]) -> Float[Tensor, "*S 1"]:
    """Return the angle of two directions in [0, π], accurate at both ends too, unlike arccos."""
    return 2 * torch.atan2(_norm(a_hat - b_hat), _norm(a_hat + b_hat))


def _norm(vectors: Float[Tensor, "*S D"]) -> Float[Tensor, "*S 1"]:
    return torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
