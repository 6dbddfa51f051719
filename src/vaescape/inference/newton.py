"""Local maxima in few dimensions, by Newton's method from values alone."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

LEAST = 4e-4
"""The least pivot, of second differences: a standard normal's at a step of 0.02."""
CLOSE = 0.5
"""A row is done after a Newton step shorter than this, in steps of the finite differences."""


def maximum(
    values: Callable[[Int[Tensor, " n"]], Callable[[Float[Tensor, "n D"]], Float[Tensor, " n"]]],
    z: Float[Tensor, "N D"],
    *,
    step: Float[Tensor, "N D"] | float,
    reach: Tensor | float,
    rounds: int,
) -> Float[Tensor, "N D"]:
    """Return points near z where a function is not smaller than at z: after a few rounds, maxima.

    A step that leads down is taken back to a quarter. Rows that have arrived are left alone, so
    that many rounds cost little more than the few that most rows need; their last, short step alone
    is taken without a look at where it leads.

    Args:
        values: Takes some rows to their function, of a point for each.
        z: Where to start.
        step: Of the finite differences, along each dimension.
        reach: The longest step along each dimension.
        rounds: Newton steps, at most.
    """
    rows = torch.arange(len(z), device=z.device)
    step, reach = torch.as_tensor(step).to(z).expand_as(z), torch.as_tensor(reach).to(z)
    best, top = z.clone(), z.new_full(z.shape[:1], -torch.inf)
    for _ in range(rounds):
        here, move = _newton(values(rows), z, step[rows])
        move = torch.minimum(torch.maximum(move, -reach), reach)
        better = here > top[rows]
        best[rows[better]], top[rows[better]] = z[better], here[better]
        back = best[rows] + (z - best[rows]) / 4
        z = torch.where(better[:, None], z + move, back)
        on = ~better | (move.abs() > CLOSE * step[rows]).any(-1)
        best[rows[~on]] = z[~on]
        rows, z = rows[on], z[on]
        if not len(rows):
            return best
    on = values(rows)(z) > top[rows]
    best[rows[on]] = z[on]
    return best


def _newton(
    value: Callable[[Tensor], Tensor], z: Float[Tensor, "n D"], step: Float[Tensor, "n D"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n D"]]:
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
    return here, torch.stack(_solve(bend, slope), -1) * step  # the differences are per step


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
