"""TensorFlow's "same", against a brute-force oracle that follows its definition index by index."""

import math

import pytest
import torch

from vaescape.nets.conv import HalfTurn, up_to


def brute_conv(x, weight, stride):
    """y[i] = Σ_k x[i·s + k − before] w[k], before = ⌊total / 2⌋; outside the image is zero."""
    rows, columns = (math.ceil(size / stride) for size in x.shape)
    before = [
        max((out - 1) * stride + 3 - size, 0) // 2
        for out, size in zip((rows, columns), x.shape, strict=True)
    ]
    y = torch.zeros(rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            for k in range(3):
                for m in range(3):
                    a, b = i * stride + k - before[0], j * stride + m - before[1]
                    if 0 <= a < x.shape[0] and 0 <= b < x.shape[1]:
                        y[i, j] += x[a, b] * weight[k, m]
    return y


def brute_transposed(y, weight, stride, size):
    """The gradient of ``brute_conv`` with respect to its input: TensorFlow's definition."""
    x = torch.zeros(size, dtype=y.dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad((brute_conv(x, weight, stride) * y).sum(), x)
    return gradient


def turned(layer, x):
    """The layer as the networks use it: between two half turns, its kernel turned too."""
    torch.nn.init.zeros_(layer.bias)
    between = torch.nn.Sequential(HalfTurn(), layer.double(), HalfTurn())
    return between(x[None, None])[0, 0], layer.weight[0, 0].flip(0, 1)


@pytest.mark.parametrize("size", [(28, 28), (7, 8), (5, 14)])
def test_convolution(size):
    x = torch.randn(size, dtype=torch.float64)
    ours, kernel = turned(torch.nn.Conv2d(1, 1, 3, stride=2, padding=1), x)
    torch.testing.assert_close(ours, brute_conv(x, kernel, stride=2))


@pytest.mark.parametrize("size", [(14, 14), (7, 8), (9, 5)])
def test_transposed_convolution(size):
    y = torch.randn([math.ceil(n / 2) for n in size], dtype=torch.float64)
    ours, kernel = turned(up_to(size, 1, 1), y)
    torch.testing.assert_close(ours, brute_transposed(y, kernel, 2, size))


def test_the_last_transposed_convolution():
    y = torch.randn(6, 7, dtype=torch.float64)
    ours, kernel = turned(torch.nn.ConvTranspose2d(1, 1, 3, padding=1), y)
    torch.testing.assert_close(ours, brute_transposed(y, kernel, 1, (6, 7)))
