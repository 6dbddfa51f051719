"""Distributions over pixels in [0, 1]."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F
from torch.types import _size

from vaescape.distributions.base import Event, Information, full_precision


class PseudoBernoulli(Event):
    """The Bernoulli score of grey pixels: ``log_prob`` is minus the binary cross-entropy, in nats.

    On pixels between 0 and 1 it does not integrate to one, so it is **not** a likelihood, and the
    cross-entropy of a perfect reconstruction is the pixels' own entropy, not zero. The study uses
    it; wherever it is printed, it is called cross-entropy.

    Args:
        logits: l = logit λ: (*batch, *event).
        event_dims: 3 for an image.
    """

    def __init__(self, logits: Tensor, event_dims: int = 3) -> None:
        self.logits = logits
        super().__init__(logits.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        """The decoded image: the sigmoid of the logits."""
        return self.logits.sigmoid()

    def log_prob(self, value: Tensor) -> Tensor:
        """Return x log λ + (1 − x) log(1 − λ), summed over the event, from logits: (*S, *batch)."""
        return self.sum_event(self._terms(value))

    def pairs(self, values: Float[Tensor, "J *event"]) -> Float[Tensor, "S J"]:
        """Return it of every value under each of S distributions: one product, x · l."""
        logits, level = self.product()
        with full_precision(level):
            return logits @ values.flatten(1).T + level[:, None]

    def parameters(self) -> dict[str, Tensor]:
        return {"logits": self.logits}

    def product(self) -> tuple[Float[Tensor, "S P"], Float[Tensor, " S"]]:
        """Return the logits, and the score of a black image."""
        return self.logits.flatten(1), self.sum_event(-F.softplus(self.logits))

    def information(self) -> Information:
        """Of the logit: λ (1 − λ). On grey pixels, where it is no density, by its name alone."""
        return self.logits, self.mean * (1 - self.mean)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return black-and-white draws with P(white) = λ; no gradient passes through them."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return torch.bernoulli(self.mean.detach().expand(shape))

    def _terms(self, x: Tensor) -> Float[Tensor, "*S B C H W"]:
        """Return x log λ + (1 − x) log(1 − λ) = x l − softplus(l) of every pixel."""
        return x * self.logits - F.softplus(self.logits)


class Bernoulli(PseudoBernoulli):
    """P(x = 1) = λ, P(x = 0) = 1 − λ, from logits; any other pixel has probability zero."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats, −∞ if a pixel is grey: (*S, *batch)."""
        return super().log_prob(value).masked_fill(self._grey(value), -torch.inf)

    def pairs(self, values: Float[Tensor, "J *event"]) -> Float[Tensor, "S J"]:
        return super().pairs(values).masked_fill(self._grey(values), -torch.inf)

    def _grey(self, value: Tensor) -> Bool[Tensor, "*S"]:
        """Return which images have a pixel that is neither black nor white."""
        return ((value != 0) & (value != 1)).flatten(-self.event_dims).any(-1)


class ContinuousBernoulli(PseudoBernoulli):
    """p(x | λ) = C(λ) λˣ (1 − λ)¹⁻ˣ on [0, 1] (Loaiza-Ganem & Cunningham 2019), from logits.

    With l = logit λ the normaliser is C = l / tanh(l / 2), which is 2 at l = 0; a Taylor series
    stands in there.
    """

    SERIES_BELOW = 0.1

    @property
    def _near_zero(self) -> Tensor:
        return self.logits.abs() < self.SERIES_BELOW

    @property
    def _safe(self) -> Tensor:
        """The logits; those near zero moved away, so that no unused branch makes a NaN."""
        return torch.where(self._near_zero, torch.ones_like(self.logits), self.logits)

    def log_normaliser(self) -> Tensor:
        """Return log C(λ) of every pixel, in nats."""
        square = self.logits**2
        series = math.log(2) + square / 12 - 7 * square**2 / 1440 + 62 * square**3 / 181440
        return torch.where(self._near_zero, series, (self._safe / (self._safe / 2).tanh()).log())

    @property
    def mean(self) -> Tensor:
        """E[x] = ½ + ½ coth(l/2) − 1/l: greyer than λ, for the density covers all of [0, 1]."""
        series = 0.5 + self.logits / 12 - self.logits**3 / 720
        exact = 0.5 + 0.5 / (self._safe / 2).tanh() - 1 / self._safe
        return torch.where(self._near_zero, series, exact)

    @property
    def variance(self) -> Tensor:
        """Var x = 1/l² − 1/(4 sinh²(l/2))."""
        series = 1 / 12 - self.logits**2 / 240 + self.logits**4 / 6048
        exact = self._safe**-2 - (2 * (self._safe / 2).sinh()) ** -2
        return torch.where(self._near_zero, series, exact)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.sum_event(self._terms(value) + self.log_normaliser())

    def product(self) -> tuple[Float[Tensor, "S P"], Float[Tensor, " S"]]:
        """Return the logits, and the log-density of a black image."""
        level = self.sum_event(self.log_normaliser() - F.softplus(self.logits))
        return self.logits.flatten(1), level

    def information(self) -> Information:
        """Of the logit, which is the natural parameter: the variance of x."""
        return self.logits, self.variance

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws by the inverse CDF, log(1 + u (eˡ − 1)) / l, without overflow."""
        shape = self._extended_shape(torch.Size(sample_shape))
        u = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        size = self.logits.abs().clamp(min=1e-6)
        from_below = torch.log1p(u * torch.expm1(-size)) / -size
        return torch.where(self.logits > 0, 1 - from_below, from_below).clamp(0, 1)
