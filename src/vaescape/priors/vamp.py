"""The VampPrior."""

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from vaescape.conditionals import Neural, Prior, Support, borrow
from vaescape.conditions import NOT_NEGATIVE, ONE_OR_MORE, require
from vaescape.distributions import Mixture
from vaescape.errors import ComponentError


class VampPrior(Prior, name="vamp"):
    """p(z) = Σ_m q(z | u_m) / M: the posteriors of learned pseudo-inputs (Tomczak & Welling 2018).

    The posterior is the model's own, so every step encodes M images more, and for a model that is
    conditional M times the batch.

    Args:
        latent_dim: D, filled in from the run.
        posterior: q(z | x, c), filled in from the run.
        shape: (C, H, W), filled in from the run.
        pixels: The training images, filled in from the run.
        components: M.
        from_data: Start at training images instead of a dark grey.
        noise: Standard deviation around the start, white being 1.
    """

    support = None
    posterior: Neural

    def __init__(
        self,
        latent_dim: int,
        posterior: Neural,
        shape: tuple[int, int, int],
        pixels: UInt8[Tensor, "N C H W"] | None = None,
        components: int = 500,
        from_data: bool = False,
        noise: float = 0.01,
    ) -> None:
        super().__init__()
        require(*ONE_OR_MORE, components=components)
        require(*NOT_NEGATIVE, noise=noise)
        if posterior.head.deterministic:
            raise ComponentError(
                f"Prior 'vamp' is a mixture of posteriors, and posterior {posterior.head.name!r} "
                "has no density. Use prior 'normal', or posterior 'gaussian'."
            )
        if posterior.head.support is Support.CODES:
            raise ComponentError(
                f"Prior 'vamp' is a mixture of posteriors, and those of posterior "
                f"{posterior.head.name!r} are over codes. Use prior 'uniform-codes' or "
                "'autoregressive', or posterior 'gaussian'."
            )
        borrow(self, posterior=posterior)
        start = torch.full((components, *shape), 0.05)
        if from_data and pixels is not None:
            start = pixels[torch.randint(len(pixels), (components,))].float() / 255
        self.pseudo_inputs = nn.Parameter(start + noise * torch.randn_like(start))

    def forward(self, c: Tensor | None = None) -> Mixture:
        """Return the mixture: batch (), or (B,) for B conditions."""
        u = self.pseudo_inputs.clamp(0, 1)
        if c is not None:
            u, c = u.expand(len(c), *u.shape), c[:, None].expand(-1, len(u), -1)
        return Mixture(self.posterior(u, c), u.new_zeros(len(self.pseudo_inputs)))
