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

        def values(rows: Tensor, top: Tensor = top, matrix: Tensor = matrix):
            return lambda z: -((z - top[rows]) @ matrix * (z - top[rows])).sum(-1)

        found = maximum(values, torch.zeros(5, size).double(), step=0.02, reach=9.0, rounds=1)
        torch.testing.assert_close(found, top)


def test_it_climbs_where_the_function_is_hollow_and_never_falls():
    """From beside the lowest point of a ring of hills to their ridge."""

    def value(z: Tensor) -> Tensor:
        square = z.square().sum(-1)
        return -(square - 1).square() + 0.1 * z[..., 0]

    z = torch.tensor([[0.1, 0.05], [-0.9, 0.3], [2.0, 2.0]]).double()
    before = after = value(z)
    for rounds in range(1, 12):
        after = value(maximum(lambda rows: value, z, step=0.01, reach=0.3, rounds=rounds))
        assert (after >= before).all()
        before = after
    assert (after > -0.11).all()
    torch.testing.assert_close(after[0], torch.tensor(0.1).double(), rtol=0, atol=5e-3)


def test_rows_that_have_arrived_are_left_alone():
    asked = []

    def values(rows: Tensor):
        asked.append(rows.tolist())
        return lambda z: -(z - rows[:, None]).square().sum(-1) - (rows == 2) * z[:, 0].pow(4)

    z = torch.tensor([[0.0], [1.5], [2.5]]).double()
    found = maximum(values, z, step=0.02, reach=1.0, rounds=9)
    assert asked[:2] == [[0, 1, 2], [1, 2]]
    assert len(asked) > 2
    assert all(rows == [2] for rows in asked[2:])
    root = torch.tensor(0.835122348).double()  # 2 (z − 2) + 4 z³ = 0
    wanted = torch.stack([0 * root, 0 * root + 1, root])
    torch.testing.assert_close(found[:, 0], wanted, rtol=0, atol=2e-4)
