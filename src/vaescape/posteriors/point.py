"""The posterior of a plain autoencoder."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Posterior
from vaescape.distributions import Point


class PointPosterior(Posterior, name="point"):
    """One code per image and no noise: a plain autoencoder. Train it with elbo(beta=0).

    z = f(x), as in Hinton & Salakhutdinov (2006).
    """

    deterministic = True

    def forward(self, raw: Float[Tensor, "*S P"]) -> Point:
        return Point(raw)
