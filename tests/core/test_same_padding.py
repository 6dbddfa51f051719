"""TensorFlow's "same", against a brute-force oracle that follows its definition index by index."""

import math

import pytest
import torch

from vaescape.nets.conv import SameConv2d, SameConvTranspose2d


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


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(28, 28), (7, 8), (5, 14)])
def test_convolution(size, stride):
    layer = SameConv2d(1, 1, stride=stride).double()
    torch.nn.init.zeros_(layer.bias)
    x = torch.randn(size, dtype=torch.float64)
    expected = brute_conv(x, layer.weight[0, 0], stride)
    torch.testing.assert_close(layer(x[None, None])[0, 0], expected)


@pytest.mark.parametrize(("size", "stride"), [((14, 14), 2), ((7, 8), 2), ((9, 5), 2), ((6, 7), 1)])
def test_transposed_convolution(size, stride):
    layer = SameConvTranspose2d(1, 1, stride=stride, size=size).double()
    torch.nn.init.zeros_(layer.bias)
    small = [math.ceil(n / stride) for n in size]
    y = torch.randn(small, dtype=torch.float64)
    expected = brute_transposed(y, layer.weight[0, 0], stride, size)
    torch.testing.assert_close(layer(y[None, None])[0, 0], expected)
