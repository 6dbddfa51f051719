"""Flows as priors."""

from functools import partial

from torch import Tensor
from torch.distributions.transforms import Transform

from vaescape.conditionals import OriginPrior
from vaescape.conditions import ONE_OR_MORE, one_of, require
from vaescape.distributions import Flow, Gaussian
from vaescape.nets.flows import autoregressive, splines

FAMILIES = {
    "maf": autoregressive,
    "realnvp": partial(autoregressive, coupling=True),
    "nsf": partial(splines, bins=8),
}


class FlowPrior(OriginPrior, name="flow"):
    """p(z): standard noise through learned invertible maps.

    log p(z) = log N(f(z); 0, I) + log |det ∂f/∂z|, f from codes to noise. ``maf`` is the masked
    autoregressive flow of Papamakarios et al. (2017), whose density is one pass and whose draws
    take D; ``realnvp`` couples two halves of the dimensions (Dinh et al. 2017), so that draws take
    two passes; ``nsf`` is ``maf`` with splines on [−5, 5] in the place of affine maps (Durkan et
    al. 2019).

    Args:
        latent_dim: D, filled in from the run.
        family: "maf", "realnvp" or "nsf".
        transforms: Maps, each in the other order of dimensions than the one before.
        hidden: Width of the two hidden layers of each map.
    """

    def __init__(
        self, latent_dim: int, family: str = "maf", transforms: int = 3, hidden: int = 64
    ) -> None:
        super().__init__(latent_dim)
        require(*one_of(FAMILIES), family=family)
        require(*ONE_OR_MORE, transforms=transforms, hidden=hidden)
        self.maps = FAMILIES[family](latent_dim, transforms, hidden)

    def forward(self, c: Tensor | None = None) -> Flow:
        """Return the flow: batch (), the same for every condition."""
        return Flow(Gaussian(self.origin, self.origin), self._to_codes)

    def _to_codes(self, context: Tensor | None) -> list[Transform]:
        """Return the inverses: the maps themselves take a code to noise, so that is one pass."""
        return [m(context).inv for m in reversed(self.maps)]
