"""Logistic pixels rounded to the 256 levels: one, and mixtures."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vaescape.conditionals import Likelihood, Measure
from vaescape.conditions import ONE_OR_MORE, require
from vaescape.distributions import DiscretisedLogistic, LogisticMixture
from vaescape.distributions.levels import BRIGHTEST

START = -2.0
"""log s of a network whose output is zero."""
FLOOR = math.log(0.1 / BRIGHTEST)
"""log s of a tenth of a level, where the level at its middle has all but 1 % of the mass."""


def log_scale(raw: Tensor) -> Tensor:
    """Return log s, above a soft floor: below it the network would chase rounding errors."""
    return FLOOR + F.softplus(raw + (START - FLOOR))


class DiscretisedLogisticLikelihood(Likelihood, name="discretised-logistic"):
    """A logistic distribution rounded to the 256 levels (Kingma et al. 2016).

    P(k) = σ((k + ½ − m) / s) − σ((k − ½ − m) / s), in levels; levels 0 and 255 have the tails as
    well, so black is as easy to be sure of as any other level.
    """

    measure = Measure.BYTE

    def channels(self, size: int) -> int:
        """Return a location and a log-scale per image channel."""
        return 2 * size

    def forward(self, raw: Float[Tensor, "*S P H W"]) -> DiscretisedLogistic:
        loc, spread = raw.chunk(2, dim=-3)
        return DiscretisedLogistic(0.5 + loc / 2, log_scale(spread))


class LogisticMixtureLikelihood(Likelihood, name="logistic-mixture"):
    """A mixture of logistics rounded to the 256 levels (Salimans et al. 2017, eq. 2).

    P(k) = Σ_m w_m P_m(k) of each pixel. The channels of a pixel share the component, and are
    independent given it: the paper's means conditional on the other channels are left out. The
    components start evenly spread over [0, 1]; from one place, a network that starts near zero
    could hardly tell them apart.

    Args:
        components: M, for each pixel.
    """

    measure = Measure.BYTE
    start: Float[Tensor, "M 1 1 1"]

    def __init__(self, components: int = 5) -> None:
        super().__init__()
        require(*ONE_OR_MORE, components=components)
        self.components = components
        start = (torch.arange(components) + 0.5) / components
        self.register_buffer("start", start[:, None, None, None], persistent=False)

    def channels(self, size: int) -> int:
        """Return per component a weight, and a location and a log-scale per image channel."""
        return self.components * (1 + 2 * size)

    def forward(self, raw: Float[Tensor, "*S P H W"]) -> LogisticMixture:
        raw = raw.contiguous()  # numbers of one kind side by side: a fifth sooner
        logits, rest = raw.tensor_split([self.components], dim=-3)
        loc, spread = rest.unflatten(-3, (2, self.components, -1)).unbind(-5)
        return LogisticMixture(logits, self.start + loc / 2, log_scale(spread))
