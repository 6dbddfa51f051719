"""Logistic distributions rounded to the 256 levels of an 8-bit pixel."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical
from torch.nn import functional as F
from torch.types import _size

from vaescape.distributions.base import Event, Information
from vaescape.distributions.levels import BRIGHTEST, LEVELS, levels, of_probabilities


class DiscretisedLogistic(Event):
    """P(k) = σ((k + ½ − m)/s) − σ((k − ½ − m)/s), with all that lies beyond in levels 0 and 255.

    (Kingma et al. 2016; Salimans et al. 2017, eq. 2, of one component.)

    Args:
        loc: m in pixels, where white is 1; it may lie outside of [0, 1]: (*batch, *event).
        log_scale: log s, with s in pixels; same shape.
        event_dims: 3 for an image.
    """

    def __init__(self, loc: Tensor, log_scale: Tensor, event_dims: int = 3) -> None:
        self.loc, self.log_scale = loc, log_scale
        super().__init__(loc.shape, event_dims)

    @property
    def mean(self) -> Tensor:
        """E[x] before the rounding, which moves it by less than half a level."""
        return _clipped_mean(self.loc, self.log_scale.exp())

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of the levels in nats: (*S, *batch)."""
        return self.sum_event(_log_mass(levels(value), self.loc, self.log_scale))

    def parameters(self) -> dict[str, Tensor]:
        return {"loc": self.loc, "log_scale": self.log_scale}

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return pixels k/255: (*S, *batch, *event); no gradient passes through them."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return _draws(self.loc, self.log_scale, shape)

    def information(self) -> Information:
        """Of 2√P(k) of the 256 levels: 1."""
        x = torch.arange(LEVELS, device=self.loc.device).to(self.loc)[:, None] / BRIGHTEST
        loc, log_scale = self.loc[..., None, None], self.log_scale[..., None, None]
        return of_probabilities(DiscretisedLogistic(loc, log_scale, event_dims=1).log_prob(x))


class LogisticMixture(Event):
    """Every pixel from one of M discretised logistics (Salimans et al. 2017, eq. 2).

    The channels of a pixel share the component, and are independent given it.

    Args:
        logits: Of the weights of the components.
        loc: In pixels, where white is 1.
        log_scale: Same shape.
    """

    def __init__(
        self,
        logits: Float[Tensor, "*batch M H W"],
        loc: Float[Tensor, "*batch M C H W"],
        log_scale: Float[Tensor, "*batch M C H W"],
    ) -> None:
        self.logits, self.loc, self.log_scale = logits, loc, log_scale
        super().__init__(loc.select(-4, 0).shape, event_dims=3)

    @property
    def mean(self) -> Float[Tensor, "*batch C H W"]:
        """E[x] before the rounding, which moves it by less than half a level."""
        weights = self.logits.softmax(-3).unsqueeze(-3)
        return (weights * _clipped_mean(self.loc, self.log_scale.exp())).sum(-4).clamp(0, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of the levels in nats: (*S, *batch)."""
        of_each = _log_mass(levels(value).unsqueeze(-4), self.loc, self.log_scale).sum(-3)
        return (self.logits.log_softmax(-3) + of_each).logsumexp(-3).flatten(-2).sum(-1)

    def parameters(self) -> dict[str, Tensor]:
        return {"logits": self.logits, "loc": self.loc, "log_scale": self.log_scale}

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return pixels k/255: (*S, *batch, C, H, W); no gradient passes through them."""
        shape = torch.Size(sample_shape)
        component = Categorical(logits=self.logits.movedim(-3, -1), validate_args=False)
        chosen = component.sample(shape).unsqueeze(-3).unsqueeze(-3)
        of_each = _draws(self.loc, self.log_scale, shape + self.loc.shape)
        return of_each.take_along_dim(chosen, -4).squeeze(-4)


def _log_mass(k: Tensor, loc: Tensor, log_scale: Tensor) -> Tensor:
    """Return log P(k), by σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)): no small difference is taken.

    In levels, not in pixels: k ± ½ is exact there, so one level ends where the next one begins.
    """
    width = (-log_scale).exp() / BRIGHTEST
    middle = loc * BRIGHTEST
    above, below = (k + 0.5 - middle) * width, (k - 0.5 - middle) * width
    zero = torch.zeros_like(above)
    not_above = torch.where(k < BRIGHTEST, F.softplus(-above), zero)
    not_below = torch.where(k > 0, F.softplus(below), zero)
    inside = torch.where((k > 0) & (k < BRIGHTEST), _log1mexp(width), zero)
    return inside - not_above - not_below


def _log1mexp(width: Tensor) -> Tensor:
    """Return log(1 − exp(−width)) of widths above 0."""
    return (-torch.expm1(-width.clamp(min=torch.finfo(width.dtype).tiny))).log()


def _clipped_mean(loc: Tensor, scale: Tensor) -> Tensor:
    """Return the mean of a logistic clipped to [0, 1]: the integral of P(X > t) over [0, 1].

    It is s softplus(m/s) − s softplus((m − 1)/s). Where s is large that would cancel; there it is
    written as 1 + s log(1 − σ((1 − m)/s) (1 − exp(−1/s))).
    """
    sharp, blunt = scale.clamp(max=1), scale.clamp(min=1)
    small = sharp * (F.softplus(loc / sharp) - F.softplus((loc - 1) / sharp))
    large = 1 + blunt * torch.log1p(torch.sigmoid((1 - loc) / blunt) * torch.expm1(-1 / blunt))
    return torch.where(scale < 1, small, large).clamp(0, 1)


def _draws(loc: Tensor, log_scale: Tensor, shape: torch.Size) -> Tensor:
    """Return rounded draws, pixels k/255, of that shape."""
    with torch.no_grad():
        u = torch.rand(shape, dtype=loc.dtype, device=loc.device)
        return levels((loc + log_scale.exp() * u.logit()).clamp(0, 1)) / BRIGHTEST
