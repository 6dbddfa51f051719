"""Categorical variables, trained through relaxed draws."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from vaescape.conditionals import CodePosterior, cut
from vaescape.conditions import POSITIVE, require
from vaescape.distributions.codes import OneHot
from vaescape.errors import ComponentError


class GumbelSoftmax(CodePosterior, name="gumbel-softmax"):
    """q(z | x) = ∏ Categorical: one-hot vectors, relaxed in training (Jang et al. 2017, eq. 2).

    D numbers are cut into positions of K = D / positions categories each. Training draws
    softmax((logits + Gumbel noise) / temperature); the KL to the uniform prior is that of the
    categorical variables, in closed form. Outside of training the draws are one-hot: what is
    measured is the bound of the discrete model itself, and its mean code is the probabilities.

    Args:
        latent_dim: D, filled in from the run.
        positions: Categorical variables.
        temperature: Of the relaxed draws: lower is nearer to one-hot, with noisier gradients.
    """

    one_draw = False

    def __init__(self, latent_dim: int, positions: int = 1, temperature: float = 0.67) -> None:
        super().__init__()
        self.positions, self.codes = positions, cut(latent_dim, positions)
        require(lambda v: v >= 2, "2 categories or more", latent_over_positions=self.codes)
        require(*POSITIVE, temperature=temperature)
        self.temperature = temperature

    def check(self, pieces: Any) -> None:
        """Refuse whatever would score relaxed draws: they have no probability."""
        if pieces.objective.weighs_draws:
            raise ComponentError(
                f"Objective {pieces.objective.name!r} scores the draws themselves, and posterior "
                f"{self.name!r} trains on relaxed ones, which have no probability under a "
                "discrete prior. Use objective 'elbo'."
            )
        if pieces.q.kl_to(pieces.p) is None:
            raise ComponentError(
                f"Posterior {self.name!r} trains on relaxed draws, which prior "
                f"{pieces.model.prior.spec!r} cannot score. Train with "
                f"{self.support.usual_prior!r}, then fit the other with `vaescape fit-prior`."
            )

    def forward(self, raw: Float[Tensor, "*S D"]) -> OneHot:
        logits = raw.unflatten(-1, (self.positions, self.codes))
        return OneHot(logits, self.temperature if self.training else None)

    def lookup(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S D"]:
        return F.one_hot(index, self.codes).float().flatten(-2)

    def index(self, z: Float[Tensor, "*S D"]) -> Int[Tensor, "*S M"]:
        """Return the largest category of each position."""
        return z.unflatten(-1, (self.positions, self.codes)).argmax(-1)
