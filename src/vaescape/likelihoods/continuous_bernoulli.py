"""The continuous Bernoulli."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Likelihood, Measure
from vaescape.distributions import ContinuousBernoulli


class ContinuousBernoulliLikelihood(Likelihood, name="continuous-bernoulli"):
    """Cross-entropy with its normaliser: a density on [0, 1] (Loaiza-Ganem & Cunningham 2019).

    p(x) = ∏ C(λ) λˣ (1 − λ)¹⁻ˣ with C = l / tanh(l / 2), l = logit λ (section 3).
    """

    measure = Measure.UNIT_INTERVAL

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> ContinuousBernoulli:
        return ContinuousBernoulli(raw)
