"""The posterior by Bayes' rule, on a lattice."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from vaescape.components import require
from vaescape.conditionals import Posterior
from vaescape.distributions import Gaussian, PseudoBernoulli
from vaescape.distributions.lattice import Lattice, parts_of, places, side_of
from vaescape.errors import ComponentError


class LatticePosterior(Posterior, name="lattice"):
    """q(z | x) ∝ p(x | z) p(z) on a lattice: Bayes' rule in the place of an encoder.

    In few dimensions the posterior need be neither learned nor Gaussian: the likelihood is asked
    at every place of a lattice, once for a whole batch of images, as in the generative topographic
    mapping (Bishop, Svensén & Williams 1998); between the places q is linear, beside the prior. As
    these get closer it becomes the posterior itself, so nothing is lost by training the decoder
    alone; and no encoder can overfit. The code of an image is the mode of its q.

    Args:
        latent_dim: D, filled in from the run.
        cells: Places of the lattice, at most: n to the power of D.
        train_cells: In training, where a coarser lattice teaches the decoder nearly as much for
            less; none: as many.
        renew: Steps of training in which the decoder is asked once at each place, a part of them
            at every step.
    """

    parts: Tensor
    train_parts: Tensor

    def __init__(
        self, latent_dim: int, cells: int = 4096, train_cells: int | None = None, renew: int = 8
    ) -> None:
        super().__init__()
        train_cells = cells if train_cells is None else train_cells
        least = 2**latent_dim
        require(
            lambda v: v >= least,
            f"{least} or more for {latent_dim} dimensions",
            cells=cells,
            train_cells=train_cells,
        )
        require(lambda v: v >= 1, "1 or more", renew=renew)
        self.renew = renew
        self.size, self.side = latent_dim, side_of(cells, latent_dim)
        self.train_side = side_of(train_cells, latent_dim)
        self.register_buffer("parts", parts_of(self.side), persistent=False)
        self.register_buffer("train_parts", parts_of(self.train_side), persistent=False)

    @property
    def asks_at(self) -> Float[Tensor, "C D"]:
        """The median of each cell, dimension by dimension: codes of equal prior mass."""
        return places(self.side, self.size)

    @property
    def asks_in_training(self) -> Float[Tensor, "C D"]:
        """The same of the training's cells."""
        return places(self.train_side, self.size)

    def check(self, pieces: Any) -> None:
        """Refuse what Bayes' rule is not for: it knows one prior, and fits the ELBO itself."""
        p = None if pieces.classes or pieces.model.layers != 1 else pieces.p
        normal = isinstance(p, Gaussian) and not (p.mean.any() or p.log_scale.any())
        product = isinstance(pieces.likelihood_of_an_image, PseudoBernoulli)
        if not (normal and product and pieces.objective.is_elbo):
            raise ComponentError(
                f"Posterior {self.spec!r} is Bayes' rule on the decoder of model 'vae', not "
                "conditional, with prior 'normal', likelihood 'cross-entropy' or 'bernoulli', and "
                "objective 'elbo' at beta 1. Use these, or posterior 'gaussian'."
            )

    def channels(self, size: int) -> int:
        """Return nᴰ: log p(x | z) at each place, up to a constant."""
        return self.side**size

    def forward(self, raw: Float[Tensor, "*S C"]) -> Lattice:
        """Return the density: batch (*S), event (D,)."""
        coarse = raw.shape[-1] == self.train_side**self.size
        return Lattice(raw, self.train_parts if coarse else self.parts, self.size)
