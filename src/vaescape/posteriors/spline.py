"""The neural spline flow as a posterior."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import AffineTransform
from torch.distributions.transforms import Transform

from vaescape.conditionals import Posterior
from vaescape.conditions import ONE_OR_MORE, TWO_OR_MORE, require
from vaescape.distributions import Flow, Gaussian
from vaescape.nets.flows import splines


class SplinePosterior(Posterior, name="spline"):
    """z_mean + σ s(ε; h), s monotone splines one dimension after another (Durkan et al. 2019).

    The splines bend standard noise, so that their range, −5 to 5, fits at any mean and scale; the
    encoder gives z_mean, z_log_var, and h for the splines. log q of a code from elsewhere takes D
    passes.

    Args:
        latent_dim: D, filled in from the run.
        transforms: Maps, each in the other order of dimensions than the one before.
        hidden: Width of the two hidden layers of each map.
        bins: Pieces of each spline.
        context: Numbers in h.
    """

    def __init__(
        self,
        latent_dim: int,
        transforms: int = 2,
        hidden: int = 64,
        bins: int = 8,
        context: int = 16,
    ) -> None:
        super().__init__()
        require(*ONE_OR_MORE, transforms=transforms, hidden=hidden, context=context)
        require(*TWO_OR_MORE, bins=bins)
        self.context = context
        self.maps = splines(latent_dim, transforms, hidden, bins=bins, context=context)

    def channels(self, size: int) -> int:
        """Return 2 D and the numbers in h: z_mean, z_log_var, h."""
        return 2 * size + self.context

    def forward(self, raw: Float[Tensor, "*S P"]) -> Flow:
        origin = torch.zeros_like(raw[..., : -self.context].chunk(2, dim=-1)[0])
        return Flow(Gaussian(origin, origin), self._transforms, raw)

    def _transforms(self, raw: Tensor | None) -> list[Transform]:
        assert raw is not None
        gaussian, h = raw[..., : -self.context], raw[..., -self.context :]
        mean, log_var = gaussian.chunk(2, dim=-1)
        affine = AffineTransform(mean, (0.5 * log_var).exp(), event_dim=1)
        return [*(m(h) for m in self.maps), affine]
