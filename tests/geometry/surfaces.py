"""Decoders whose geometry is known in closed form."""

import torch
from torch import Tensor

MATRIX = torch.tensor([[2.0, 0.5], [0.0, 1.0], [-1.0, 3.0]]).double()


def linear_decoder(z: Tensor) -> Tensor:
    """A plane: the metric is AᵀA everywhere."""
    return z @ MATRIX.T


def sphere(z: Tensor) -> Tensor:
    """Longitude and latitude to the unit sphere, as images of 1 × 1 × 3 pixels."""
    u, v = z.unbind(-1)
    x = torch.stack([u.cos() * v.cos(), u.sin() * v.cos(), v.sin()], -1)
    return x[:, None, None]


def cylinder(z: Tensor) -> Tensor:
    """A strip rolled up: as flat as the plane."""
    u, v = z.unbind(-1)
    return torch.stack([u.cos(), u.sin(), v], -1)


def great_circle(a: Tensor, b: Tensor) -> Tensor:
    """The distance on the sphere."""
    return (sphere(a) * sphere(b)).flatten(1).sum(1).clamp(-1, 1).arccos()


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def polyline_length(points: Tensor) -> Tensor:
    """The sum of the distances between neighbouring points (…, T, D)."""
    return points.diff(dim=-2).norm(dim=-1).sum(-1)


def polyline_energy(points: Tensor) -> Tensor:
    """½ (T − 1) Σ ‖xᵢ₊₁ − xᵢ‖²: at least half the squared length."""
    return (points.shape[-2] - 1) / 2 * points.diff(dim=-2).square().sum((-2, -1))
