"""Distributions over the 256 levels of an 8-bit pixel. Pixels are in [0, 1]: level k is k/255."""

import torch
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event, Information

LEVELS = 256
BRIGHTEST = LEVELS - 1


def levels(pixels: Tensor) -> Tensor:
    """Return the levels 0, 1, …, 255 of pixels in [0, 1], as floats."""
    return (pixels * BRIGHTEST).round()


class CategoricalLevels(Event):
    """Every pixel one of 256 levels, each with a probability of its own.

    Args:
        logits: (*batch, *event, 256).
        event_dims: 3 for an image.
    """

    def __init__(self, logits: Tensor, event_dims: int = 3) -> None:
        self.pixel = torch.distributions.Categorical(logits=logits, validate_args=False)
        super().__init__(logits.shape[:-1], event_dims)

    @property
    def mean(self) -> Tensor:
        """E[x]: (*batch, *event), in [0, 1]."""
        shades = torch.arange(LEVELS, device=self.pixel.logits.device) / BRIGHTEST
        return (self.pixel.probs * shades).sum(-1).clamp(0, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of the levels in nats: (*S, *batch)."""
        return self.sum_event(self.pixel.log_prob(levels(value)))

    def parameters(self) -> dict[str, Tensor]:
        return {"logits": self.pixel.logits}

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return pixels k/255: (*S, *batch, *event); no gradient passes through them."""
        return self.pixel.sample(torch.Size(sample_shape)) / BRIGHTEST

    def information(self) -> Information:
        """Of 2√P(k): 1, as Σ dP²/P = Σ (d 2√P)²; the 256 of a pixel lie on a sphere."""
        return of_probabilities(self.pixel.logits.log_softmax(-1))


def of_probabilities(log_probability: Tensor) -> Information:
    """Return 2√P of the levels of a pixel, and its Fisher information: 1."""
    theta = 2 * (log_probability / 2).exp()
    return theta, torch.ones_like(theta)
