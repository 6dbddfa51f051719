"""The variational autoencoder (Kingma & Welling 2014)."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaescape.conditionals import Conditional, Label
from vaescape.distributions import rsample_with_log_prob
from vaescape.errors import ComponentError
from vaescape.models.base import Architecture, Pieces
from vaescape.models.evidence import Evidence, Latent


class VAE(nn.Module):
    """One layer of latent variables.

    Args:
        posterior: q(z | x, c).
        likelihood: p(x | z, c).
        prior: p(z | c).
        embed: Turns labels (B,), or class weights (B, E), into conditions c (B, E): Doersch's
            conditional VAE (2016, section 4). None: the labels are ignored.
    """

    def __init__(
        self,
        posterior: Conditional,
        likelihood: Conditional,
        prior: Conditional,
        embed: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior
        self.embed = embed

    layers = 1

    @property
    def deterministic(self) -> bool:
        """Whether q has no density: a plain autoencoder."""
        return getattr(self.posterior.head, "deterministic", False)

    def condition(self, label: Label) -> Float[Tensor, "B E"] | None:
        """Return c, or None for a model that is not conditional.

        Raises:
            ComponentError: If the model is conditional and there are no labels.
        """
        if self.embed is None:
            return None
        if label is None:
            raise ComponentError("This model is conditional on classes. Give it the labels.")
        return self.embed(label)

    def infer(
        self, x: Float[Tensor, "B C H W"], label: Label = None, samples: int = 1
    ) -> tuple[Latent]:
        """Return ``samples`` draws of z per image, with their q and p."""
        c = self.condition(label)
        q, p = self.posterior(x, c), self.prior(c)
        z, log_q = rsample_with_log_prob(q, (samples,))
        return (Latent(z, q, p, log_q),)

    def evidence(
        self, x: Float[Tensor, "B C H W"], label: Label = None, samples: int = 1
    ) -> Evidence:
        """Return the record of one batch, with ``samples`` draws of z per image."""
        latents = self.infer(x, label, samples)
        return Evidence(x, self.decode((latents[0].z,), label), latents)

    def encode(
        self, x: Float[Tensor, "B C H W"], label: Label = None
    ) -> tuple[Float[Tensor, "B D"]]:
        """Return the posterior means, as a tuple of one layer: two calls give the same codes."""
        return (self.posterior(x, self.condition(label)).mean,)

    def decode(self, latents: tuple[Float[Tensor, "*S D"]], label: Label = None) -> Distribution:
        """Return p(x | z), batch (*S)."""
        (z,) = latents
        return self.likelihood(z, self.condition(label))

    def sample(self, n: int, label: Label = None) -> Distribution:
        """Return p(x | z) at ``n`` draws of z from the prior, one for each label if any."""
        p = self.prior(self.condition(label))
        z = p.sample() if p.batch_shape else p.sample((n,))
        return self.decode((z,), label)


class Flat(Architecture, name="vae"):
    """One layer of latent variables (Kingma & Welling 2014)."""

    def assemble(self, pieces: Pieces) -> VAE:
        """Return the model."""
        posterior = pieces.encoder()
        likelihood = pieces.decoder(pieces.latent)
        return VAE(posterior, likelihood, pieces.prior(posterior), pieces.embed())
