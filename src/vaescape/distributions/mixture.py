"""Mixtures."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event, full_precision
from vaescape.distributions.gaussian import HALF_LOG_TWO_PI, Gaussian

TERMS = 2**20
"""Terms of a mixture that are added up at once: so many fit in the cache."""


class Mixture(Event):
    """Σ_m w_m p_m(z).

    Args:
        components: p_m: batch (*batch, M), event (D,).
        log_weights: log w_m, which need not be normalised: (M,) or (*batch, M).
    """

    has_rsample = False

    def __init__(self, components: Event, log_weights: Float[Tensor, "*B M"]) -> None:
        self.components = components
        self.log_weights = log_weights.log_softmax(-1)
        batch = torch.broadcast_shapes(components.batch_shape[:-1], log_weights.shape[:-1])
        super().__init__(torch.Size(batch + components.event_shape), 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log Σ_m w_m p_m(value) in nats: (*S, *batch)."""
        if self.batch_shape:
            return self._log_sum(value)
        rows = value.reshape(-1, value.shape[-1])
        parts = rows.split(max(1, TERMS // self.log_weights.shape[-1]))
        return torch.cat([self._log_sum(part) for part in parts]).reshape(value.shape[:-1])

    def _log_sum(self, value: Tensor) -> Tensor:
        return (self.log_weights + self.log_prob_per_component(value)).logsumexp(-1)

    def log_prob_per_component(self, value: Tensor) -> Float[Tensor, "*S M"]:
        """Return log p_m(value) in nats: (*S, *batch, M)."""
        p = self.components
        if isinstance(p, Gaussian) and p.loc.ndim == 2:
            return _gaussian_log_probs(value, p)
        return p.log_prob(value.unsqueeze(-2))

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws, each from a component drawn by its weight: (*S, *batch, D)."""
        with torch.no_grad():
            return self.components.component(self._choose(sample_shape)).sample()

    def tempered(self, temperature: float) -> "Mixture":
        """Return the mixture of the components at a temperature, by the same weights.

        Raises:
            ComponentError: If it has no meaning for the components.
        """
        return Mixture(self.components.tempered(temperature), self.log_weights)

    def _choose(self, sample_shape: _size) -> Int[Tensor, "*S"]:
        weights = self.log_weights.exp().expand(*self.batch_shape, -1)
        drawn = math.prod(sample_shape)
        chosen = weights.reshape(-1, weights.shape[-1]).multinomial(drawn, replacement=True)
        return chosen.T.reshape(*sample_shape, *self.batch_shape)


class Exemplars(Mixture):
    """Σ_m N(z; centre_m, σ² I) / M: one component for each of a number of images.

    The distances come from one matrix product, since there may be tens of thousands of components.

    Args:
        centres: (M, D).
        log_scale: log σ, one number.
        rows: Which training image each is the centre of, (M,).
        log_weights: (M,) or (B, M); even by default.
    """

    def __init__(
        self,
        centres: Float[Tensor, "M D"],
        log_scale: Float[Tensor, ""],
        rows: Int[Tensor, " M"],
        log_weights: Float[Tensor, "*B M"] | None = None,
    ) -> None:
        self.centres, self.log_scale, self.rows = centres, log_scale, rows
        even = torch.zeros_like(centres[:, 0])
        components = Gaussian(centres, log_scale.expand_as(centres))
        super().__init__(components, even if log_weights is None else log_weights)

    def log_prob_per_component(self, value: Tensor) -> Float[Tensor, "*S M"]:
        """Return log N(value; centre_m, σ² I) in nats: (*S, *batch, M)."""
        normaliser = self.centres.shape[-1] * (self.log_scale + HALF_LOG_TWO_PI)
        precision = (-2 * self.log_scale).exp()
        return -0.5 * precision * _square_distances(value, self.centres) - normaliser

    def without(self, rows: Int[Tensor, " B"]) -> "Exemplars":
        """Return, for each of B training images, the mixture of all the others.

        Norouzi, Fleet & Norouzi (2020): an image must not be explained by itself.
        """
        own = self.rows == rows[:, None]
        others = torch.zeros_like(own, dtype=self.centres.dtype).masked_fill(own, -math.inf)
        return Exemplars(self.centres, self.log_scale, self.rows, others)


def _gaussian_log_probs(z: Float[Tensor, "*S D"], p: Gaussian) -> Float[Tensor, "*S M"]:
    """Return log N(z; μ_m, σ_m²) of all pairs in nats: no (*S, M, D) is made."""
    log_scale = p.log_scale.expand_as(p.loc)
    normaliser = log_scale.sum(-1) + p.loc.shape[-1] * HALF_LOG_TWO_PI
    return -0.5 * _square_distances(z, p.loc, (-2 * log_scale).exp()) - normaliser


def _square_distances(
    z: Float[Tensor, "*S D"],
    y: Float[Tensor, "M D"],
    weights: Float[Tensor, "M D"] | None = None,
) -> Float[Tensor, "*S M"]:
    """Return Σ_d w_md (z_d − y_md)² of all pairs, by matrix products; even weights if None.

    Measured from the middle of y, where little cancels, and never in bfloat16: there, everything
    would.
    """
    middle = y.detach().mean(0)
    z, y = z - middle, y - middle
    with full_precision(z):
        if weights is None:
            squares = z.square().sum(-1, keepdim=True) + y.square().sum(-1) - 2 * z @ y.T
        else:
            weighted = weights * y
            squares = z.square() @ weights.T + (weighted * y).sum(-1) - 2 * z @ weighted.T
    return squares.clamp_min(0)
