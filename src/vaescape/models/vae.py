"""The variational autoencoder (Kingma & Welling 2014)."""

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from vaescape.conditionals import Conditional
from vaescape.distributions import rsample_with_log_prob
from vaescape.models.evidence import Evidence, Latent


class VAE(nn.Module):
    """One layer of latent variables.

    Args:
        posterior: q(z | x, c).
        likelihood: p(x | z, c).
        prior: p(z | c).
        embed: Turns labels (B,) into conditions c (B, E): Doersch's conditional VAE (2016, section
            4). None: the labels are ignored.
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

    def condition(self, label: Int[Tensor, " B"] | None) -> Float[Tensor, "B E"] | None:
        """Return c, or None for a model that is not conditional."""
        return None if self.embed is None else self.embed(label)

    def evidence(
        self, x: Float[Tensor, "B C H W"], label: Int[Tensor, " B"] | None = None, samples: int = 1
    ) -> Evidence:
        """Return the record of one batch, with ``samples`` draws of z per image."""
        c = self.condition(label)
        q, p = self.posterior(x, c), self.prior(c)
        z, log_q = rsample_with_log_prob(q, (samples,))
        return Evidence(x, self.likelihood(z, c), (Latent(z, q, p, log_q),))

    def encode(
        self, x: Float[Tensor, "B C H W"], label: Int[Tensor, " B"] | None = None
    ) -> tuple[Float[Tensor, "B D"]]:
        """Return the posterior means, as a tuple of one layer: two calls give the same codes."""
        return (self.posterior(x, self.condition(label)).mean,)

    def decode(
        self, latents: tuple[Float[Tensor, "*S D"]], label: Int[Tensor, " B"] | None = None
    ) -> Distribution:
        """Return p(x | z), batch (*S)."""
        (z,) = latents
        return self.likelihood(z, self.condition(label))

    def sample(self, n: int, label: Int[Tensor, " B"] | None = None) -> Distribution:
        """Return p(x | z) at ``n`` draws of z from the prior, one for each label if any."""
        c = self.condition(label)
        p = self.prior(c)
        z = p.sample() if p.batch_shape else p.sample((n,))
        return self.likelihood(z, c)
