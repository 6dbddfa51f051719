"""Inference by Bayes' rule: what stands in the place of an encoder."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.conditionals import Neural, borrow
from vaescape.distributions import PseudoBernoulli
from vaescape.models.memory import WhileUnchanged

UNASKED = -1e4
"""What a place that was never asked scores, in nats: no image is there."""


class BayesRule(nn.Module):
    """Takes images to log p(x | z) at some codes, for a posterior's head to read.

    Logits of pixels make it a product of matrices, x · logits − Σ softplus(logits). Through q no
    gradient passes: where q is the posterior itself, the derivative of the evidence bound with
    respect to it is zero.

    In training there may be fewer places, and a step asks the decoder at a part of them only,
    spread over all, and remembers what the others said at most ``renew`` steps ago.

    Args:
        likelihood: p(x | z), borrowed: its weights are the decoder's.
        places: The codes z, of equal prior mass.
        train_places: The codes in training.
        pixels: Numbers in an image.
        renew: Steps of training in which every place is asked once.
    """

    likelihood: Neural
    places: Float[Tensor, "C D"]
    train_places: Float[Tensor, "T D"]
    logits: Float[Tensor, "T P"]
    level: Float[Tensor, " T"]
    asked: Int[Tensor, ""]

    def __init__(
        self,
        likelihood: Neural,
        places: Float[Tensor, "C D"],
        train_places: Float[Tensor, "T D"],
        *,
        pixels: int,
        renew: int,
    ) -> None:
        super().__init__()
        borrow(self, likelihood=likelihood)
        self.memory = WhileUnchanged()
        count = len(train_places)
        self.at_once = math.ceil(count / renew)
        self.stride = spread(count)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("train_places", train_places, persistent=False)
        self.register_buffer("logits", torch.zeros(count, pixels))
        self.register_buffer("level", torch.full((count,), UNASKED))
        self.register_buffer("asked", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Float[Tensor, "N K H W"]) -> Float[Tensor, "N C"]:
        """Return the log-likelihoods in nats."""
        with torch.no_grad():
            logits, level = self.remembered() if self.training else self.known()
            with torch.autocast(x.device.type, enabled=False):
                return F.linear(x.flatten(1), logits, level)

    def known(self) -> tuple[Tensor, Tensor]:
        """Return what all places say, asked once as long as the decoder stays as it is."""
        with torch.autocast(self.places.device.type, enabled=False):
            return self.memory.recall(self.likelihood, "places", lambda: self.ask(self.places))

    def remembered(self) -> tuple[Tensor, Tensor]:
        """Return what all places said, after asking the next ones again."""
        turn = self.asked + torch.arange(self.at_once, device=self.asked.device)
        rows = turn * self.stride % len(self.train_places)
        logits, level = self.ask(self.train_places[rows])
        self.logits.index_copy_(0, rows, logits)
        self.level.index_copy_(0, rows, level)
        self.asked.add_(self.at_once)
        return self.logits, self.level

    def ask(self, z: Float[Tensor, "C D"]) -> tuple[Float[Tensor, "C P"], Float[Tensor, " C"]]:
        """Return the logits at codes, and what a black image scores there."""
        p = self.likelihood(z)
        assert isinstance(p, PseudoBernoulli)
        return p.logits.flatten(1), p.log_prob(torch.zeros_like(p.logits[:1]))


def spread(count: int) -> int:
    """Return a stride that takes in all of so many rows, each time far from the last (golden)."""
    stride = max(1, round(count * (5**0.5 - 1) / 2))
    while math.gcd(stride, count) > 1:
        stride += 1
    return stride
