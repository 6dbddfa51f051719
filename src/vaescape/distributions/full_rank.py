"""The Gaussian with a full covariance."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event, full_precision
from vaescape.distributions.gaussian import HALF_LOG_TWO_PI, Gaussian
from vaescape.distributions.picking import pick


class FullRankGaussian(Event):
    """N(mean, L Lᵀ), over the last dimension.

    Args:
        mean: (*batch, D).
        scale_tril: L, lower triangular with a positive diagonal: (*batch, D, D).
    """

    def __init__(self, mean: Float[Tensor, "*B D"], scale_tril: Float[Tensor, "*B D D"]) -> None:
        self.loc, self.scale_tril = mean, scale_tril
        super().__init__(mean.shape, 1)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The diagonal of L Lᵀ: (*batch, D)."""
        return self.scale_tril.square().sum(-1)

    def half_log_det(self) -> Float[Tensor, "*B"]:
        """Return ½ log det L Lᵀ."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return mean + L ε (Kingma & Welling 2014, section 2.4): (*S, *batch, D)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        with full_precision(noise):
            return self.loc + (self.scale_tril @ noise[..., None]).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log N(value; mean, L Lᵀ) in nats: (*S, *batch)."""
        away = (value - self.loc)[..., None]
        noise = torch.linalg.solve_triangular(self.scale_tril, away, upper=False).squeeze(-1)
        return (
            -0.5 * noise.square().sum(-1)
            - self.half_log_det()
            - self.loc.shape[-1] * (HALF_LOG_TWO_PI)
        )

    def stopped(self) -> "FullRankGaussian":
        return FullRankGaussian(self.loc.detach(), self.scale_tril.detach())

    def tempered(self, temperature: float) -> "FullRankGaussian":
        return FullRankGaussian(self.loc, self.scale_tril * temperature)

    def kl_to(self, p: Event) -> Float[Tensor, "*B"] | None:
        """Return KL(self ‖ p): half of tr(Σ_p⁻¹ Σ) + |μ − μ_p|²_p − D, and the log-ratio, in nats.

        In closed form for a diagonal Gaussian p.
        """
        if not isinstance(p, Gaussian):
            return super().kl_to(p)
        log_ratio = p.log_scale.expand_as(p.loc).sum(-1) - self.half_log_det()
        precision = (-2 * p.log_scale).exp()
        squares = (self.variance + (self.loc - p.loc).square()) * precision
        return log_ratio + 0.5 * (squares - 1).sum(-1)

    def component(self, index: Tensor) -> "FullRankGaussian":
        return FullRankGaussian(pick(self.loc, index, 1), pick(self.scale_tril, index, 2))
