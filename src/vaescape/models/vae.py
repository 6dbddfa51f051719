"""The variational autoencoder (Kingma & Welling 2014)."""

from jaxtyping import Float
from torch import Tensor, nn

from vaescape.conditionals import Conditional, Label
from vaescape.distributions import Event
from vaescape.models.base import Architecture, Model, Pieces
from vaescape.models.evidence import Evidence, Latent


class VAE(Model):
    """One layer of latent variables.

    Args:
        posterior: q(z | x, c).
        likelihood: p(x | z, c).
        prior: p(z | c).
        embed: As in ``Model``.
    """

    def __init__(
        self,
        posterior: Conditional,
        likelihood: Conditional,
        prior: Conditional,
        embed: nn.Module | None = None,
    ) -> None:
        super().__init__(prior, embed)
        self.posterior, self.likelihood = posterior, likelihood

    def infer(
        self, x: Float[Tensor, "B C H W"], label: Label = None, samples: int = 1
    ) -> tuple[Latent]:
        c = self.condition(label)
        q, p = self.posterior(x, c), self.prior(c)
        z, log_q = q.joint_rsample((samples,))
        return (Latent(z, q, p, log_q),)

    def evidence(
        self, x: Float[Tensor, "B C H W"], label: Label = None, samples: int = 1
    ) -> Evidence:
        latents = self.infer(x, label, samples)
        return Evidence(x, self.decode((latents[0].z,), label), latents)

    def encode(
        self, x: Float[Tensor, "B C H W"], label: Label = None
    ) -> tuple[Float[Tensor, "B D"]]:
        return (self.posterior(x, self.condition(label)).point_estimate,)

    def decode(self, latents: tuple[Tensor, ...], label: Label = None) -> Event:
        (z,) = latents
        return self.likelihood(z, self.condition(label))

    def sample(self, n: int, label: Label = None, temperature: float = 1.0) -> Event:
        return self.decode((self.draw(n, label, temperature),), label)


class Flat(Architecture, name="vae"):
    """One layer of latent variables (Kingma & Welling 2014).

    p(x, z) = p(x | z) p(z) with q(z | x); in a conditional model all are given c too.
    """

    def assemble(self, pieces: Pieces) -> VAE:
        posterior, likelihood = pieces.inference_and_decoder()
        prior = pieces.prior(posterior)
        posterior.use(prior)
        return VAE(posterior, likelihood, prior, pieces.embed())
