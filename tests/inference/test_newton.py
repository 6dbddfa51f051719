"""Newton's method from values alone."""

import torch
from torch import Tensor

from vaescape.inference.newton import maximum


def test_a_quadratic_is_solved_in_one_step():
    torch.manual_seed(0)
    for size in (1, 2, 3):
        top = 0.1 * torch.randn(5, size).double()
        root = torch.randn(size, size).double()
        matrix = root @ root.T + torch.eye(size)  # curved as a posterior: no pivot is raised

        def value(z: Tensor, top: Tensor = top, matrix: Tensor = matrix) -> Tensor:
            away = z - top
            return -(away @ matrix * away).sum(-1)

        found = maximum(value, torch.zeros(5, size).double(), step=0.02, reach=9.0, rounds=1)
        torch.testing.assert_close(found, top)


def test_it_climbs_where_the_function_is_hollow_and_never_falls():
    """From beside the lowest point of a ring of hills to their ridge."""

    def value(z: Tensor) -> Tensor:
        square = z.square().sum(-1)
        return -(square - 1).square() + 0.1 * z[..., 0]

    z = torch.tensor([[0.1, 0.05], [-0.9, 0.3], [2.0, 2.0]]).double()
    before = after = value(z)
    for rounds in range(1, 12):
        after = value(maximum(value, z, step=0.01, reach=0.3, rounds=rounds))
        assert (after >= before).all()
        before = after
    assert (after > -0.11).all()
    torch.testing.assert_close(after[0], torch.tensor(0.1).double(), rtol=0, atol=5e-3)
