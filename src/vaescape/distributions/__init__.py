"""Distributions: torch.distributions subclasses, float32 or better, with validation off."""

from vaescape.distributions.gaussian import Gaussian
from vaescape.distributions.kl import kl, kl_per_dimension, rsample_with_log_prob
from vaescape.distributions.pixels import ContinuousBernoulli, PseudoBernoulli
from vaescape.distributions.point import Point

__all__ = [
    "ContinuousBernoulli",
    "Gaussian",
    "Point",
    "PseudoBernoulli",
    "kl",
    "kl_per_dimension",
    "rsample_with_log_prob",
]
