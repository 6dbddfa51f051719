"""Inference: how an image becomes q(z | x, c). Amortised in an encoder, or by Bayes' rule."""

from vaescape.inference.amortised import Amortised
from vaescape.inference.bayes import BayesRule

__all__ = ["Amortised", "BayesRule"]
