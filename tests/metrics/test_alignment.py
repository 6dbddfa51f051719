"""Procrustes analysis and linear CKA: known motions come back, and other formulas agree."""

import numpy as np
import pytest
import scipy.linalg
import torch

from vaescape.errors import OptionError
from vaescape.metrics.alignment import linear_cka, procrustes


def codes(n: int, d: int, seed: int = 0) -> torch.Tensor:
    """Return codes that are not isotropic, so that a rotation is visible."""
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return z * torch.arange(1, d + 1)


def orthogonal(d: int, sign: int) -> torch.Tensor:
    """Return an orthogonal matrix of that determinant."""
    q = torch.linalg.qr(codes(d, d, 7))[0]
    q[:, 0] *= sign * torch.linalg.det(q).sign()
    return q


@pytest.mark.parametrize("d", [2, 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_turned_reflected_and_shifted_copy_is_laid_on_the_original_exactly(d, sign):
    a, turn, shift = codes(50, d), orthogonal(d, sign), torch.arange(d) + 3.0
    found = procrustes(a, a @ turn + shift)
    assert torch.allclose(found.rotation, turn.T)
    laid = (a @ turn + shift - found.b_mean) @ found.rotation + found.a_mean
    assert torch.allclose(laid, a)
    assert found.distance == pytest.approx(0, abs=1e-12)


def test_nothing_is_scaled_and_the_distance_ignores_scale():
    a = codes(50, 3)
    found = procrustes(a, 5 * a @ orthogonal(3, 1))
    assert torch.allclose(found.rotation @ found.rotation.T, torch.eye(3).double())
    assert found.distance == pytest.approx(0, abs=1e-12)


def test_the_rotation_is_scipys_and_the_distance_is_what_is_left():
    a, b = codes(40, 4), codes(40, 4, 1)
    found = procrustes(a, b)
    a, b = a - a.mean(0), b - b.mean(0)
    expected, _ = scipy.linalg.orthogonal_procrustes(b.numpy(), a.numpy())
    assert np.allclose(found.rotation, expected)
    left = (a / a.norm() - b / b.norm() @ found.rotation).norm() ** 2
    assert found.distance == pytest.approx(left.item())
    assert 0.1 < found.distance < 2


def test_linear_cka_is_that_of_gram_matrices_and_of_any_two_sizes():
    a, b = codes(30, 2), codes(30, 5, 1)
    b[:, :2] += a
    centre = torch.eye(30).double() - 1 / 30
    k, m = (centre @ x @ x.T @ centre for x in (a, b))
    assert linear_cka(a, b) == pytest.approx(((k * m).sum() / (k.norm() * m.norm())).item())
    assert linear_cka(a, 3 * a @ orthogonal(2, -1) + 1) == pytest.approx(1)


def test_codes_of_other_images_are_refused():
    with pytest.raises(OptionError, match="one shape"):
        procrustes(codes(5, 2), codes(5, 3))
    with pytest.raises(OptionError, match="same images"):
        linear_cka(codes(5, 2), codes(6, 2))
