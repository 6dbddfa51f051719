"""A larger weight for the total correlation of the latent dimensions."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.conditions import NOT_NEGATIVE, ONE_OR_MORE, require
from vaescape.distributions import Gaussian
from vaescape.errors import ComponentError
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss, density, factors, one_layer


class BetaTC(EvidenceObjective, name="beta-tc"):
    """reconstruction + I(x; z) + β·TC(z) + Σ_d KL(q(z_d) ‖ p(z_d)): the KL in three parts.

    Chen et al. 2018, eq. 2 and 4. TC, the total correlation, is the divergence of q(z) from the
    product of its marginals. All three are estimated on the batch at the draws, and add up to the
    KL estimated at the draws: β = 1 is the ELBO. The mutual information saturates at the logarithm
    of the number of images.

    Args:
        beta: Weight of the total correlation.
        images: How many there are to train on, filled in from the run.
        samples: Draws of z per image.
    """

    couples_batch = True

    needs = density, one_layer, factors

    def __init__(self, beta: float = 6.0, images: int | None = None, samples: int = 1) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, beta=beta)
        require(lambda v: v is None or v >= 1, "1 or more", images=images)
        require(*ONE_OR_MORE, samples=samples)
        self.beta, self.images, self.samples = beta, images, samples

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the loss; the parts of the KL are among the metrics."""
        latent, q = self.factorised(e)
        joint, product = aggregate(q, latent.z, self._stratified(latent.z))
        information = (latent.log_q() - joint).mean()
        correlation = (joint - product).mean()
        dimensions = (product - latent.log_p()).mean()
        terms = e.terms()
        parts = {
            "mutual_information": information,
            "total_correlation": correlation,
            "dimension_kl": dimensions,
        }
        total = terms["reconstruction"] + information + self.beta * correlation + dimensions
        return Loss(total, terms | parts)

    def _stratified(self, z: Float[Tensor, "K B D"]) -> Float[Tensor, "B B"]:
        if self.images is None:
            raise ComponentError(
                "Objective 'beta-tc' needs the number of training images, and got none. Give it: "
                "build(parts, shape=…, images=60_000)."
            )
        return stratified_weights(z, self.images)


def stratified_weights(z: Float[Tensor, "K B D"], images: int) -> Float[Tensor, "B B"]:
    """Return what each image of a batch stands for when q(z) is estimated at a draw of another.

    Chen et al. 2018, appendix C.2: the image that a draw came from, on the diagonal, is one of the
    N and weighs 1/N; the others stand for the N − 1 that are left. We share these evenly, which has
    the mean of their weights and less variance, and is exact where the batch is the whole set.
    """
    batch = z.shape[1]
    others = (images - 1) / (images * max(batch - 1, 1))
    own = torch.eye(batch, dtype=z.dtype, device=z.device)
    return own / images + (1 - own) * others


def aggregate(
    q: Gaussian, z: Float[Tensor, "K B D"], weights: Float[Tensor, "B B"]
) -> tuple[Float[Tensor, "K B"], Float[Tensor, "K B"]]:
    """Return log q(z) and Σ_d log q(z_d) at the draws, in nats, with q(z) = Σ_n w_n q(z | x_n)."""
    pairs, log_weights = q.log_prob_per_dimension(z[:, :, None]), weights.log()
    joint = (pairs.sum(-1) + log_weights).logsumexp(-1)
    return joint, (pairs + log_weights[..., None]).logsumexp(-2).sum(-1)
