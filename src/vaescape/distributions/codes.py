"""Distributions over discrete codes.

A code is M positions, each one of K: an index (*S, M). A codebook lays it out as a vector of D
numbers, which is what networks see: the ``z`` of every other module.
"""

import math
from abc import abstractmethod
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F
from torch.types import _size

from vaescape.distributions.base import Event
from vaescape.distributions.point import Point
from vaescape.errors import ComponentError


class Codebook(Protocol):
    """What turns codes into vectors and back."""

    positions: int
    """M, indices that make one code."""
    codes: int
    """K, values of each index."""

    def lookup(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S D"]:
        """Return the vectors of codes."""
        ...

    def index(self, z: Float[Tensor, "*S D"]) -> Int[Tensor, "*S M"]:
        """Return the codes of vectors."""
        ...


def nearest_code(e: Float[Tensor, "*S d"], vectors: Float[Tensor, "K d"]) -> Int[Tensor, "*S"]:
    """Return the codes whose vectors are at the smallest Euclidean distance."""
    return (vectors.square().sum(-1) - 2 * e @ vectors.T).argmin(-1)


def straight_through(smooth: Tensor, quantised: Tensor) -> Tensor:
    """Return the quantised values; their gradient is passed on to ``smooth`` as it is.

    Bengio et al. 2013, section 4.
    """
    return smooth + (quantised - smooth).detach()


class Quantised(Point):
    """All the mass, one, on a single code for each image.

    Args:
        value: Its vector, (*batch, D).
        index: The code, (*batch, M).
        penalty: The quantiser's loss besides the KL, in nats: (*batch).
    """

    has_density = True

    def __init__(
        self,
        value: Float[Tensor, "*B D"],
        index: Int[Tensor, "*B M"],
        penalty: Float[Tensor, "*B"] | None = None,
    ) -> None:
        self.index, self.penalty = index, penalty
        super().__init__(value)

    def kl_to(self, p: Event) -> Float[Tensor, "*S B"] | None:
        """Return KL(self ‖ p) in nats: −log p of the code, for a distribution over codes."""
        return -p.log_mass(self.index) if isinstance(p, CodePrior) else super().kl_to(p)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats: 0 at the code's vector, −∞ elsewhere."""
        elsewhere = value.new_full((), -math.inf)
        return torch.where((value == self.value).all(-1), 0.0, elsewhere)


class OneHot(Event):
    """M independent categorical variables, each a one-hot vector of K numbers: D = M K.

    Args:
        logits: (*batch, M, K).
        temperature: Of relaxed draws, softmax((logits + Gumbel noise) / temperature), which have
            gradients (Jang et al. 2017, eq. 2). None: draws are exact, one-hot, and have none.
    """

    def __init__(self, logits: Float[Tensor, "*B M K"], temperature: float | None = None) -> None:
        self.log_probs = logits.log_softmax(-1)
        self.temperature = temperature
        super().__init__(logits.flatten(-2).shape, 1)

    @property
    def mean(self) -> Tensor:
        """The probabilities: (*batch, D)."""
        return self.log_probs.exp().flatten(-2)

    @property
    def index(self) -> Int[Tensor, "*B M"]:
        """The most probable code."""
        return self.log_probs.argmax(-1)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws, relaxed or exact: (*sample_shape, *batch, D)."""
        logits = self.log_probs.expand(*sample_shape, *self.log_probs.shape)
        soft = F.gumbel_softmax(logits, tau=self.temperature or 1.0)
        if self.temperature:
            return soft.flatten(-2)
        return F.one_hot(soft.argmax(-1), logits.shape[-1]).to(soft).flatten(-2)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of one-hot vectors in nats: (*S, *batch).

        Raises:
            ComponentError: If draws are relaxed: they have no probability.
        """
        if self.temperature:
            raise ComponentError(
                "Relaxed draws of a categorical posterior have no probability, only an exact KL. "
                "Use objective 'elbo' and prior 'uniform-codes' in training."
            )
        chosen = value.unflatten(-1, self.log_probs.shape[-2:]) * self.log_probs
        return chosen.sum((-2, -1))

    def entropy(self) -> Float[Tensor, "*B"]:
        """Return the entropy in nats, summed over positions."""
        return -(self.log_probs.exp() * self.log_probs).sum((-2, -1))

    def kl_to(self, p: Event) -> Float[Tensor, "*S B"] | None:
        """Return KL(self ‖ p) in nats: M log K less the entropy, for uniform codes."""
        return p.nats - self.entropy() if isinstance(p, UniformCodes) else super().kl_to(p)


class CodePrior(Event):
    """A distribution over codes, laid out as vectors by a codebook.

    Args:
        codebook: Turns codes into vectors and back.
        origin: Zeros (*batch, D): where and in which precision to compute.
    """

    def __init__(self, codebook: Codebook, origin: Float[Tensor, "*B D"]) -> None:
        self.codebook, self.origin = codebook, origin
        super().__init__(origin.shape, 1)

    @abstractmethod
    def log_mass(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S"]:
        """Return the log-probability of codes, in nats."""

    @abstractmethod
    def draw(self, shape: torch.Size) -> Int[Tensor, "*S M"]:
        """Return codes; ``shape`` is (*S, M)."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of the codes that vectors stand for, in nats."""
        return self.log_mass(self.codebook.index(value))

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return the vectors of drawn codes, without gradients: (*sample_shape, *batch, D)."""
        batch = self._extended_shape(torch.Size(sample_shape))[:-1]
        index = self.draw(torch.Size((*batch, self.codebook.positions)))
        return self.codebook.lookup(index).to(self.origin)


class UniformCodes(CodePrior):
    """The uniform distribution over the K^M codes."""

    @property
    def nats(self) -> float:
        """What one code costs: M log K."""
        return self.codebook.positions * math.log(self.codebook.codes)

    def log_mass(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S"]:
        return self.origin.new_full(index.shape[:-1], -self.nats)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_mass(value)

    def draw(self, shape: torch.Size) -> Int[Tensor, "*S M"]:
        return torch.randint(self.codebook.codes, shape, device=self.origin.device)
