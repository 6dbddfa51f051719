"""Local maxima in few dimensions, by Newton's method from values alone."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

LEAST = 4e-4
"""The least pivot, of second differences: a standard normal's at a step of 0.02."""


def maximum(
    value: Callable[[Float[Tensor, "*S D"]], Float[Tensor, "*S"]],
    z: Float[Tensor, "*S D"],
    *,
    step: Tensor | float,
    reach: Tensor | float,
    rounds: int,
) -> Float[Tensor, "*S D"]:
    """Return points near z where a function is not smaller than at z: after a few rounds, maxima.

    A step that leads down is taken back to a quarter. Only forward evaluations, so that an exporter
    can trace it, and all points at once.

    Args:
        value: The function.
        z: Where to start.
        step: Of the finite differences, along each dimension: one for all points, or (*S, D).
        reach: The longest step along each dimension.
        rounds: Newton steps.
    """
    best, top = z, 0 * z[..., 0] - torch.inf  # not full_like: a trace would fix the batch
    for _ in range(rounds):
        here, move = _newton(value, z, step, reach)
        better = here > top
        top = torch.where(better, here, top)
        back = best + (z - best) / 4
        best = torch.where(better[..., None], z, best)
        z = torch.where(better[..., None], z + move, back)
    return torch.where((value(z) > top)[..., None], z, best)


def _newton(
    value: Callable[[Tensor], Tensor], z: Tensor, step: Tensor | float, reach: Tensor | float
) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S D"]]:
    """Return the function at z, and the Newton step up: central differences, 1 + D (D + 3) / 2."""
    size = z.shape[-1]
    unit = torch.eye(size, dtype=z.dtype, device=z.device)
    couples = [(i, j) for i in range(size) for j in range(i)]
    both = [unit[i] + unit[j] for i, j in couples]
    here = value(z)
    up, down, mixed = (
        [value(z + step * offset) for offset in some] for some in (unit, -unit, both)
    )
    slope = [(a - b) / 2 for a, b in zip(up, down, strict=True)]
    bend: list[list[Tensor]] = [[here] * size for _ in range(size)]
    for i in range(size):
        bend[i][i] = 2 * here - up[i] - down[i]
    for (i, j), corner in zip(couples, mixed, strict=True):
        bend[i][j] = bend[j][i] = up[i] + up[j] - here - corner
    move = torch.stack(_solve(bend, slope), -1) * step  # the differences are per step
    return here, torch.minimum(torch.maximum(move, -_like(reach, move)), _like(reach, move))


def _like(value: Tensor | float, other: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=other.dtype, device=other.device)


def _solve(matrix: list[list[Tensor]], right: list[Tensor]) -> list[Tensor]:
    """Return the solution for a symmetric matrix whose pivots are made positive.

    A modified Cholesky factorisation (Gill, Murray & Wright 1981, section 4.4.2): where the
    function is concave it is the matrix itself, so the step is Newton's.
    """
    rows, right, size = [list(row) for row in matrix], list(right), len(right)
    for i in range(size):
        rows[i][i] = rows[i][i].abs().clamp_min(LEAST)
        for j in range(i + 1, size):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
            right[j] = right[j] - factor * right[i]
    found = list(right)
    for i in reversed(range(size)):
        rest = sum((rows[i][k] * found[k] for k in range(i + 1, size)), start=right[i] * 0)
        found[i] = (right[i] - rest) / rows[i][i]
    return found
