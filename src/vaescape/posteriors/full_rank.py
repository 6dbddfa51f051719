"""The Gaussian posterior with a full covariance."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Posterior
from vaescape.distributions import FullRankGaussian


class FullRankPosterior(Posterior, name="full-rank"):
    """q(z | x) = N(z_mean, L Lᵀ), L lower triangular (Kingma & Welling 2019, section 2.5.1)."""

    def channels(self, size: int) -> int:
        """Return 2 D + D (D − 1) / 2: z_mean, log L_dd², then L below the diagonal, row by row."""
        return 2 * size + size * (size - 1) // 2

    def forward(self, raw: Float[Tensor, "*S P"]) -> FullRankGaussian:
        size = round(((9 + 8 * raw.shape[-1]) ** 0.5 - 3) / 2)  # D, of 2 D + D (D − 1) / 2
        mean, log_var, below = raw.split([size, size, raw.shape[-1] - 2 * size], dim=-1)
        row, column = torch.tril_indices(size, size, -1, device=raw.device)
        tril = (0.5 * log_var).exp().diag_embed()
        tril[..., row, column] = below
        return FullRankGaussian(mean, tril)
