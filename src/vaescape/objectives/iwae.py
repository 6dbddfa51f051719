"""The importance-weighted bound, and three estimators of its gradient."""

from jaxtyping import Float
from torch import Tensor

from vaescape.models.evidence import Evidence
from vaescape.objectives.importance import ImportanceWeighted, PathWeighted


class IWAE(ImportanceWeighted, name="iwae"):
    """−log 1/K Σ w, with w = p(x, z) / q(z | x): a bound that closes as the draws K grow.

    Burda et al. 2016, eq. 8. One draw gives the ELBO with the KL estimated at the draw. The encoder
    is run once, the decoder K times. The more draws, the more noise in the encoder's gradient
    (Rainforth et al. 2018): see ``iwae-dreg``.

    Args:
        samples: K, draws of z per image.
    """


class StickingTheLanding(PathWeighted, name="iwae-stl"):
    """The bound of ``iwae``; the score of q, whose mean is zero, is left out of its gradient.

    −log 1/K Σ w with w = p(x, z) / q(z | x); Roeder et al. 2017: log q is taken with its parameters
    stopped, so that the encoder's gradient comes through z alone, and vanishes, noise and all,
    where q is the exact posterior. With one draw it is unbiased. With more it is biased (Tucker et
    al. 2019): see ``iwae-dreg``.

    Args:
        samples: K, draws of z per image.
    """


class DoublyReparameterised(PathWeighted, name="iwae-dreg"):
    """The bound of ``iwae`` with the doubly reparameterised gradient: unbiased, with less noise.

    Tucker et al. 2019: through z the encoder receives Σ (w / Σ w)² ∂ log w / ∂z · ∂z / ∂φ, and log
    q is taken with its parameters stopped. Decoder and prior have the gradient of ``iwae``.

    Args:
        samples: K, draws of z per image.
    """

    def bound(self, log_weight: Float[Tensor, "K B"], e: Evidence) -> Float[Tensor, " B"]:
        """Return the bound; the gradient that comes back through z is weighted once more."""
        z, share = self.only_latent(e).z, log_weight.detach().softmax(0)
        if z.requires_grad:
            z.register_hook(lambda gradient: share[..., None] * gradient)
        return super().bound(log_weight, e)
