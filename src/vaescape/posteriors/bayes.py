"""The posterior by Bayes' rule on grid points."""

import math
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.components import arguments
from vaescape.conditionals import Neural, Prior
from vaescape.conditions import ONE_OR_MORE, require
from vaescape.distributions import Lattice
from vaescape.distributions.lattice import grid_points, side_of, tents_of
from vaescape.errors import ComponentError
from vaescape.inference.bayes import BayesRule, GridLikelihood, GridPosterior


class BayesPosterior(GridPosterior, name="bayes"):
    """q(z | x) ∝ p(x | z) p(z) on grid points: Bayes' rule instead of an encoder.

    In few dimensions the posterior need not be learned or Gaussian: the likelihood of a whole
    batch of images is evaluated at every point of a grid, as in the generative topographic mapping
    (Bishop, Svensén & Williams 1998); continuous mixtures (Correia et al. 2023) integrate the
    likelihood at points drawn anew in every step instead. Between the grid points q is linear,
    relative to the prior. With a finer grid q converges to the exact posterior, so training the
    decoder alone loses nothing, and no encoder can overfit. The code of an image is the mode of
    p(x | z) p(z).

    With a weight β on the KL, 1/β is the exponent of p(x | z) throughout: that q minimises the
    objective of the β-VAE (Higgins et al. 2017).

    For any likelihood with independent pixels and any prior with a density. It is fast where
    log p(x | z) is a matrix product of images and grid points (cross-entropy, bernoulli,
    continuous-bernoulli, gaussian with one σ) and otherwise computed in blocks.

    Args:
        latent_dim: D, filled in from the run.
        points: Grid points, at most: n to the power of D.
        training_points: The same in training, where a coarser grid teaches the decoder nearly as
            much for less time; None: as many.
        refresh_interval: Training steps within which the decoder is evaluated once at each grid
            point, at some of them in every step.
    """

    def __init__(
        self,
        latent_dim: int,
        points: int = 4096,
        training_points: int | None = None,
        refresh_interval: int = 8,
    ) -> None:
        super().__init__()
        training_points = points if training_points is None else training_points
        least = 2**latent_dim
        require(
            lambda v: v >= least,
            f"{least} or more for {latent_dim} dimensions",
            points=points,
            training_points=training_points,
        )
        require(*ONE_OR_MORE, refresh_interval=refresh_interval)
        self.size, self.refresh_interval = latent_dim, refresh_interval
        self.sides = side_of(points, latent_dim), side_of(training_points, latent_dim)
        use, training = (tents_of(side) for side in self.sides)
        self.register_buffer("tents", use, persistent=False)
        self.register_buffer("training_tents", training, persistent=False)

    def inference(self, pieces: Any, likelihood: Neural) -> BayesRule:
        use, training = (grid_points(side, self.size) for side in self.sides)
        product = pieces.likelihood(torch.zeros(1, *pieces.raw_image)).product() is not None
        pixels = math.prod(pieces.shape if product else pieces.raw_image)
        net = GridLikelihood(
            likelihood,
            use,
            training,
            numbers=pixels,
            product=product,
            refresh_interval=self.refresh_interval,
        )
        return BayesRule(net, self, pieces.objective)

    def check(self, pieces: Any) -> None:
        """Refuse parts for which Bayes' rule on a grid is not the posterior that is trained for."""
        if pieces.classes:
            self._refuse("is not for conditional models", "Use it without --conditional")
        if pieces.model.layers != 1:
            self._refuse("is for one layer of latent variables", "Use model 'vae'")
        if not pieces.likelihood.pixelwise:
            self._refuse(
                f"scores pixels one by one, and those of likelihood {pieces.likelihood.spec!r} "
                "depend on one another",
                "Use likelihood 'cross-entropy'",
            )
        if not pieces.objective.kl_weight:
            self._refuse(
                "minimises reconstruction + β KL with one β above 0 throughout training",
                "Use objective 'elbo' without warmup and free nats",
            )

    def check_prior(self, prior: Prior) -> None:
        """Refuse a prior whose density is not known, or is made of posteriors."""
        if not prior.exact or "posterior" in arguments(type(prior)):
            self._refuse(
                f"needs the density of the prior, which {prior.spec!r} estimates or makes of "
                "posteriors",
                "Use prior 'normal', 'mixture' or 'flow'",
            )

    def _refuse(self, why: str, instead: str) -> NoReturn:
        raise ComponentError(f"Posterior {self.spec!r} {why}. {instead}, or posterior 'gaussian'.")

    def channels(self, size: int) -> int:
        """Return nᴰ: log p(x | z) at each grid point, up to a constant."""
        return self.sides[0] ** size

    def forward(self, raw: Float[Tensor, "*S C"]) -> Lattice:
        """Return the density relative to a standard normal: batch (*S), event (D,)."""
        return Lattice(raw, self.tents, self.size)
