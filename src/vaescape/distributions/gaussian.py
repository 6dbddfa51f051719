"""The diagonal Gaussian."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event, Information
from vaescape.distributions.picking import pick

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class Gaussian(Event):
    """∏ N(mean, scale²), over the last ``event_dims`` dimensions.

    It keeps log σ rather than σ, so that neither density nor KL takes the logarithm of an
    exponential.

    Args:
        mean: (*batch, *event).
        log_scale: log σ, broadcastable to the mean.
        event_dims: 1 for a code, 3 for an image.
    """

    def __init__(self, mean: Tensor, log_scale: Tensor, event_dims: int = 1) -> None:
        self.loc = mean
        self.log_scale = log_scale
        super().__init__(mean.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp()

    @property
    def log_var(self) -> Tensor:
        """Log σ²: the study's ``z_log_var``."""
        return 2 * self.log_scale

    @property
    def variance(self) -> Tensor:
        """σ²: (*batch, *event)."""
        return self.log_var.exp().expand_as(self.loc)

    def parameters(self) -> dict[str, Tensor]:
        """Return log σ, one for each dimension."""
        return {"log_scale": self.log_scale + 0 * self.loc}

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return mean + σ ε (Kingma & Welling 2014, section 2.4): (*S, *batch, *event)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + self.scale * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log N(value; mean, σ²) in nats: (*S, *batch)."""
        return self.sum_event(self.log_prob_per_dimension(value))

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Return the log-density of each dimension in nats: (*S, *batch, *event)."""
        standardised = (value - self.loc) * (-self.log_scale).exp()
        return -0.5 * standardised**2 - self.log_scale - HALF_LOG_TWO_PI

    def stopped(self) -> "Gaussian":
        return Gaussian(self.loc.detach(), self.log_scale.detach(), self.event_dims)

    def kl_per_dimension_to(self, p: Event) -> Float[Tensor, "*S B D"] | None:
        """Return KL(self ‖ p) of each dimension in nats (Kingma & Welling 2014, appendix B).

        In closed form for a diagonal Gaussian p.
        """
        if not isinstance(p, Gaussian):
            return None
        log_ratio = p.log_scale - self.log_scale
        distance = (self.loc - p.loc) * (-p.log_scale).exp()
        terms = log_ratio + 0.5 * ((-2 * log_ratio).exp() + distance**2 - 1)
        return terms.flatten(-self.event_dims)

    def product(self) -> tuple[Float[Tensor, "S P"], Float[Tensor, " S"]] | None:
        """Return μ/σ² and −|μ|²/2σ², where all have the same one σ."""
        if self.log_scale.numel() != 1:
            return None
        precision = (-2 * self.log_scale).exp()
        loc = self.loc.flatten(1)
        return precision * loc, -0.5 * precision * loc.square().sum(-1)

    def information(self) -> Information:
        """Of μ: 1/σ²; of log σ: 2."""
        theta = torch.stack([self.loc, self.log_scale.expand_as(self.loc)], -1)
        return theta, torch.stack([1 / self.variance, torch.full_like(self.loc, 2.0)], -1)

    def tempered(self, temperature: float) -> "Gaussian":
        return Gaussian(self.loc, self.log_scale + math.log(temperature), self.event_dims)

    def component(self, index: Tensor) -> "Gaussian":
        log_scale = self.log_scale.expand_as(self.loc)
        return Gaussian(pick(self.loc, index, 1), pick(log_scale, index, 1))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantiles of each dimension at probabilities in (0, 1)."""
        return self.loc + self.scale * torch.special.ndtri(value)


class FittedGaussian(Gaussian):
    """∏ N(mean, σ²) whose single σ is fitted to the images that it scores.

    So it is a profile likelihood, not a density: the largest that any σ gives.

    Args:
        mean: (*batch, *event).
        fit: Takes the mean squared error and returns log σ; no gradient passes through it, for at
            the best σ there is none.
        log_scale: log σ of the draws.
        event_dims: 1 for a code, 3 for an image.
    """

    def __init__(
        self,
        mean: Tensor,
        fit: Callable[[Float[Tensor, ""]], Float[Tensor, ""]],
        log_scale: Tensor,
        event_dims: int = 3,
    ) -> None:
        super().__init__(mean, log_scale, event_dims)
        self.fit = fit

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log N(value; mean, σ²) in nats, σ² over all of value: (*S, *batch)."""
        log_scale = self.fit((value - self.loc).detach().square().mean())
        return Gaussian(self.loc, log_scale, self.event_dims).log_prob(value)
