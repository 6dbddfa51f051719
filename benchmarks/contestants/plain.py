"""The study's network as PyTorch users write it: shared by the eager loop and pythae.

It sees images as they are. PyTorch's padding is TensorFlow's on images turned by half a turn, so
our weights give our loss on turned images: that is what ``loss`` does when they are loaded.
"""

import numpy as np
import torch
from protocol import LATENT, Weights
from torch import nn


def encoder() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 16), nn.ReLU(),
    )  # fmt: skip


def decoder() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(LATENT, 64 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)),
        nn.ConvTranspose2d(64, 64, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip


def load(
    weights: Weights, body: nn.Module, mean: nn.Linear, log_var: nn.Linear, up: nn.Module
) -> None:
    """Copy our weights, whose feature maps are flattened as height, width, channel."""
    w = [torch.from_numpy(value) for value in weights.values()]
    w[4] = w[4].view(16, 7, 7, 64).permute(0, 3, 1, 2).flatten(1)
    w[8] = w[8].view(7, 7, 64, LATENT).permute(2, 0, 1, 3).flatten(0, 2)
    w[9] = w[9].view(7, 7, 64).permute(2, 0, 1).flatten()
    heads = [w[6][:LATENT], w[7][:LATENT], w[6][LATENT:], w[7][LATENT:]]
    own = [*body.parameters(), *mean.parameters(), *log_var.parameters(), *up.parameters()]
    with torch.no_grad():
        for parameter, value in zip(own, [*w[:6], *heads, *w[8:]], strict=True):
            parameter.copy_(value)


def turned(x: np.ndarray) -> torch.Tensor:
    """Return images (N, 1, 28, 28) upside down and left to right."""
    return torch.from_numpy(x.astype(np.float32))[:, None].flip(-2, -1)
