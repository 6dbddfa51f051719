"""Distances to the nearest of many images, few of which are measured."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

AXES = 128
"""Numbers in a sketch, but one."""

_SAMPLE = 512
"""Number of images from which the axes are computed."""

_PAIRS_AT_ONCE, _NUMBERS_AT_ONCE = 2**22, 2**20
_WORTH_IT = 1 / 64
"""Where more of the pairs are left to measure, one product of all is sooner done."""


class Nearest:
    """The Euclidean distance, over pixels, from any image to the nearest of a set.

    An image's sketch is its coordinates on some orthonormal axes and its distance from what they
    span. Two sketches are never farther apart than their images: in the span they are the same, and
    beside it the triangle inequality holds. So only images whose sketch is nearer than the nearest
    image found so far are measured. The axes change the time, not the result; on principal ones a
    few in ten thousand are left.

    Args:
        real: The set.
    """

    def __init__(self, real: Float[Tensor, "N C H W"]) -> None:
        self.real = real.flatten(1)
        some = self.real[:: max(1, len(real) // _SAMPLE)]
        self.middle = some.mean(0)
        self.axes = torch.linalg.svd(some - self.middle, full_matrices=False).Vh[:AXES].T
        self.sketches = self._sketch(self.real)

    def __call__(self, images: Float[Tensor, "M C H W"]) -> Float[Tensor, " M"]:
        """Return the distance of each image."""
        parts = images.flatten(1).split(max(1, _PAIRS_AT_ONCE // len(self.real)))
        return torch.cat([self._distance(part) for part in parts])

    def _sketch(self, x: Float[Tensor, "N P"]) -> Float[Tensor, "N K"]:
        x = x - self.middle
        along = x @ self.axes
        beside = vector_norm(x - along @ self.axes.T, dim=1, keepdim=True)
        return torch.cat([along, beside], dim=1)

    def _distance(self, x: Float[Tensor, "M P"]) -> Float[Tensor, " M"]:
        sketch = self._sketch(x)
        apart = _half_squares(sketch, self.sketches)
        least = vector_norm(x - self.real[apart.argmin(1)], dim=1)
        nearer = apart < (least.square() - sketch.square().sum(1))[:, None] / 2
        row, column = nearer.nonzero(as_tuple=True)
        if len(row) > _WORTH_IT * apart.numel():
            row, column = torch.arange(len(x)), _half_squares(x, self.real).argmin(1)
        parts = (pair.split(max(1, _NUMBERS_AT_ONCE // x.shape[1])) for pair in (row, column))
        found = [vector_norm(x[i] - self.real[j], dim=1) for i, j in zip(*parts, strict=True)]
        return least.scatter_reduce(0, row, torch.cat([least[:0], *found]), "amin")


def _half_squares(x: Float[Tensor, "M K"], y: Float[Tensor, "N K"]) -> Float[Tensor, "M N"]:
    """Return ‖y‖²/2 − x·y: half of each squared distance, less ‖x‖²/2."""
    return torch.addmm(y.square().sum(1) / 2, x, y.T, alpha=-1)
