"""Residual networks: what is done for speed changes no number."""

import torch

from vaescape.nets.resnet import Norm


def test_the_norm_is_group_norm_and_leaves_channels_innermost_for_convolutions():
    norm = Norm(12)  # 4 groups of 3
    with torch.no_grad():
        norm.weight.copy_(torch.randn(12))
        norm.bias.copy_(torch.randn(12))
    maps = torch.randn(3, 12, 5, 4).contiguous(memory_format=torch.channels_last)
    groups = maps.reshape(3, 4, -1)
    spread = (groups.var(-1, correction=0, keepdim=True) + norm.eps).sqrt()
    exact = ((groups - groups.mean(-1, keepdim=True)) / spread).reshape(maps.shape)
    exact = exact * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(maps), exact, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm(maps.contiguous()), norm(maps), rtol=0, atol=0)
    assert norm(maps).is_contiguous(memory_format=torch.channels_last)
