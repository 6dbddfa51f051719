"""Distributions: torch.distributions subclasses, float32 or better, with validation off."""

from vaescape.distributions.ball import WrappedNormal
from vaescape.distributions.base import Event, as_event
from vaescape.distributions.codes import OneHot, Quantised, UniformCodes
from vaescape.distributions.flow import Flow
from vaescape.distributions.full_rank import FullRankGaussian
from vaescape.distributions.gaussian import FittedGaussian, Gaussian
from vaescape.distributions.laplace import Laplace
from vaescape.distributions.lattice import Lattice
from vaescape.distributions.levels import CategoricalLevels
from vaescape.distributions.logistic import DiscretisedLogistic, LogisticMixture
from vaescape.distributions.marginal import Marginal
from vaescape.distributions.mixture import Exemplars, Mixture
from vaescape.distributions.pixels import Bernoulli, ContinuousBernoulli, PseudoBernoulli
from vaescape.distributions.point import Point
from vaescape.distributions.similarity import Similarity
from vaescape.distributions.sphere import PowerSpherical, UniformSphere
from vaescape.distributions.tempering import draws, tempered
from vaescape.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "Bernoulli",
    "CategoricalLevels",
    "ContinuousBernoulli",
    "DiscretisedLogistic",
    "Event",
    "Exemplars",
    "FittedGaussian",
    "Flow",
    "FullRankGaussian",
    "Gaussian",
    "Laplace",
    "Lattice",
    "LogisticMixture",
    "Marginal",
    "Mixture",
    "OneHot",
    "Point",
    "PowerSpherical",
    "PseudoBernoulli",
    "Quantised",
    "Similarity",
    "UniformCodes",
    "UniformSphere",
    "VonMisesFisher",
    "WrappedNormal",
    "as_event",
    "draws",
    "tempered",
]
