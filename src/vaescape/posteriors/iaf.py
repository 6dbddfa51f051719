"""The inverse autoregressive flow."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Posterior
from vaescape.conditions import ONE_OR_MORE, require
from vaescape.distributions import Flow, Gaussian
from vaescape.nets.flows import autoregressive


class InverseAutoregressive(Posterior, name="iaf"):
    """Gaussian draws through affine autoregressive maps that see the image (Kingma et al. 2016).

    z = f_T ∘ … ∘ f_1(z_mean + σ ε; h), log q(z) = log p(ε) − Σ log |det ∂f_t|. A draw and its log q
    are one pass; log q of a code from elsewhere takes D of them. The encoder gives z_mean and
    z_log_var of the draws, and h for the maps (algorithm 1).

    Args:
        latent_dim: D, filled in from the run.
        transforms: Maps, each in the other order of dimensions than the one before.
        hidden: Width of the two hidden layers of each map.
        context: Numbers in h.
    """

    def __init__(
        self, latent_dim: int, transforms: int = 2, hidden: int = 64, context: int = 16
    ) -> None:
        super().__init__()
        require(*ONE_OR_MORE, transforms=transforms, hidden=hidden, context=context)
        self.context = context
        self.maps = autoregressive(latent_dim, transforms, hidden, context=context)

    def channels(self, size: int) -> int:
        """Return 2 D and the numbers in h: z_mean, z_log_var, h."""
        return 2 * size + self.context

    def forward(self, raw: Float[Tensor, "*S P"]) -> Flow:
        gaussian, h = raw[..., : -self.context], raw[..., -self.context :]
        mean, log_var = gaussian.chunk(2, dim=-1)
        return Flow(Gaussian(mean, 0.5 * log_var), lambda h: [m(h) for m in self.maps], h)
