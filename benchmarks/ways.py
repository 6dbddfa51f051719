"""Other ways to compute layers of ``paper``, and to compile or split its decoder."""

import copy
import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TIMES = 40
WIDE = 8
"""Channels of a processor's vector register."""


def last_layer(layer: nn.ConvTranspose2d, x: Tensor) -> list[tuple[str, float, float]]:
    """Return milliseconds forward and backward of each way.

    Args:
        layer: Of stride 1, 3 × 3, to few channels.
        x: What it reads, in the channels-last layout.
    """
    assert layer.bias is not None
    weight, bias, (rows, columns) = layer.weight, layer.bias, x.shape[2:]

    def product(x: Tensor) -> Tensor:
        taps = x.permute(0, 2, 3, 1).flatten(0, 2) @ weight.flatten(1)
        taps = taps.unflatten(0, (len(x), -1)).transpose(1, 2)
        return F.fold(taps, (rows, columns), 3, padding=1) + bias[:, None, None]

    def turned(x: Tensor) -> Tensor:
        return F.conv2d(x, weight.transpose(0, 1).flip(2, 3), bias, padding=1)

    def padded(x: Tensor) -> Tensor:
        more = WIDE - weight.shape[1]
        wide, biases = F.pad(weight, (0, 0, 0, 0, 0, more)), F.pad(bias, (0, more))
        return F.conv_transpose2d(x, wide, biases, padding=1)[:, : weight.shape[1]]

    ways = {
        "the library's transposed convolution": layer,
        "a product over channels, its nine maps shifted and summed": product,
        "a convolution with the kernel turned": turned,
        f"a transposed convolution to {WIDE} channels": padded,
    }
    expected = layer(x)
    for way in ways.values():
        torch.testing.assert_close(way(x), expected)
    return [(name, *timed(way, x, [x, weight, bias])) for name, way in ways.items()]


def decoder(net: nn.Module, z: Tensor) -> list[tuple[str, float, float]]:
    """Return milliseconds of a decoder forward and backward: eager, compiled, in two halves."""
    weights = list(net.parameters())
    found = [("eager", *timed(net, z, weights))]
    if shutil.which("c++") or shutil.which("g++") or shutil.which("clang++"):
        found.append(("torch.compile", *timed(torch.compile(net), z, weights)))
    threads = torch.get_num_threads()
    if threads > 1:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:

            def split(z: Tensor) -> Tensor:
                return torch.cat(list(pool.map(net, z.chunk(threads))))

            found.append((f"{threads} parts of the batch at once", *timed(split, z, weights)))
    torch.set_num_threads(threads)
    return found


def biases(layer: nn.ConvTranspose2d, x: Tensor) -> list[tuple[str, float, float]]:
    """Return milliseconds of a transposed convolution with its bias inside and after it.

    Args:
        layer: Of which both are.
        x: What it reads, in the channels-last layout.
    """
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        ours, given = copy.deepcopy(layer).to(dtype), x.detach().to(dtype).requires_grad_()
        wanted = [given, *ours.parameters()]
        inside = partial(nn.ConvTranspose2d.forward, ours)
        for where, way in (("inside", inside), ("after it, in place", ours)):
            found.append((f"{where}, {str(dtype)[6:]}", *timed(way, given, wanted)))
    return found


def timed(way: Callable[[Tensor], Tensor], x: Tensor, wanted: list[Any]) -> tuple[float, float]:
    """Return the median milliseconds forward and backward."""
    forward, backward = [], []
    for _ in range(TIMES + 5):
        start = time.perf_counter()
        y = way(x)
        middle = time.perf_counter()
        torch.autograd.grad(y, wanted, torch.ones_like(y))
        forward.append(middle - start)
        backward.append(time.perf_counter() - middle)
    return statistics.median(forward[5:]) * 1e3, statistics.median(backward[5:]) * 1e3
