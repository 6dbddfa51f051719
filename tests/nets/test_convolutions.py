"""Convolutions whose bias is added after them are PyTorch's, gradients included."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

from vaescape.nets.base import Convolution, TransposedConvolution

PAIRS = [
    (Convolution(3, 4, 3, stride=2, padding=1), nn.Conv2d(3, 4, 3, stride=2, padding=1)),
    (Convolution(3, 4, 3, bias=False), nn.Conv2d(3, 4, 3, bias=False)),
    (
        TransposedConvolution(3, 4, 3, stride=2, padding=1, output_padding=(0, 1)),
        nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=(0, 1)),
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_maps_and_gradients_are_pytorchs(ours: nn.Module, theirs: nn.Module):
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 3, 7, 9, dtype=torch.float64)

    def results(layer: nn.Module) -> list[Tensor]:
        given = x.clone().requires_grad_()
        maps = layer.double()(given)
        weight = torch.linspace(-1, 1, maps.numel(), dtype=maps.dtype).view_as(maps)
        return [maps, *torch.autograd.grad((maps * weight).sum(), [given, *layer.parameters()])]

    for a, b in zip(results(ours), results(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", [PAIRS[0][0], PAIRS[2][0]])
def test_autocast_leaves_the_maps_in_its_precision_and_the_gradients_in_the_weights(
    layer: nn.Module,
):
    layer.float()
    with torch.autocast("cpu", torch.bfloat16):
        maps = layer(torch.randn(5, 3, 7, 9))
    assert maps.dtype == torch.bfloat16
    maps.float().sum().backward()
    for weight in layer.parameters():
        assert weight.grad is not None
        assert weight.grad.dtype == torch.float32
    slope = layer.get_parameter("bias").grad
    assert slope is not None
    torch.testing.assert_close(
        slope, torch.full((4,), maps[:, 0].numel() * 1.0), rtol=2**-8, atol=0
    )


def test_derivatives_of_each_image_and_of_derivatives_pass_through():
    layer = TransposedConvolution(2, 1, 3, padding=1).double()
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    each = vmap(jacrev(lambda one: layer(one[None])[0].square().sum()))(x)
    whole = torch.autograd.functional.jacobian(lambda x: layer(x).square().sum(), x)
    torch.testing.assert_close(each, whole)
    assert torch.autograd.gradgradcheck(lambda x: layer(x).sin(), x.requires_grad_())
