"""Distributions: torch.distributions subclasses, float32 or better, with validation off."""

from vaescape.distributions.codes import OneHot, Quantised, UniformCodes
from vaescape.distributions.fisher import information
from vaescape.distributions.gaussian import FittedGaussian, Gaussian
from vaescape.distributions.kl import kl, kl_per_dimension, rsample_with_log_prob
from vaescape.distributions.levels import CategoricalLevels
from vaescape.distributions.logistic import DiscretisedLogistic, LogisticMixture
from vaescape.distributions.pixels import Bernoulli, ContinuousBernoulli, PseudoBernoulli
from vaescape.distributions.point import Point

__all__ = [
    "Bernoulli",
    "CategoricalLevels",
    "ContinuousBernoulli",
    "DiscretisedLogistic",
    "FittedGaussian",
    "Gaussian",
    "LogisticMixture",
    "OneHot",
    "Point",
    "PseudoBernoulli",
    "Quantised",
    "UniformCodes",
    "information",
    "kl",
    "kl_per_dimension",
    "rsample_with_log_prob",
]
