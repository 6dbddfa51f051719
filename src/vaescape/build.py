"""The composition root: component texts and the data's shape become a model."""

import torch

import vaescape.likelihoods
import vaescape.nets
import vaescape.objectives
import vaescape.posteriors
import vaescape.priors  # noqa: F401 — importing an open set registers its members
from vaescape.components import construct
from vaescape.conditionals import Likelihood, Neural, Posterior, Prior
from vaescape.errors import ComponentError, OptionError
from vaescape.models.vae import VAE
from vaescape.nets.base import Network, Shape
from vaescape.objectives import Objective
from vaescape.recipes import Parts


def build(
    parts: Parts, *, shape: Shape, seed: int = 0, images: int | None = None
) -> tuple[VAE, Objective]:
    """Return the model and the objective that the parts name, for images of ``shape`` = (C, H, W).

    The starting weights are a pure function of the parts, the shape and the seed; the global random
    state is left as it was.

    Args:
        parts: The component texts.
        shape: (C, H, W).
        seed: Of the starting weights.
        images: How many there are to train on. Only objective ``beta-tc`` asks for it, when it is
            first used.

    Raises:
        ComponentError: For an unknown part or argument, or parts that have no meaning together.
        OptionError: For a latent size below 1.
    """
    if parts.latent < 1:
        raise OptionError(
            f"The latent size must be 1 or more. Got {parts.latent}. Give --latent 2, say."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Network = construct("network", parts.network)
        head: Posterior = construct("posterior", parts.posterior)
        likelihood: Likelihood = construct("likelihood", parts.likelihood)
        prior: Prior = construct("prior", parts.prior, latent_dim=parts.latent)
        objective: Objective = construct(
            "objective", parts.objective, latent_dim=parts.latent, images=images
        )
        _refuse_nonsense(head, objective)
        raw_image = (likelihood.channels(shape[0]), *shape[1:])
        encoder = network.encoder(shape, head.channels(parts.latent))
        decoder = network.decoder(parts.latent, raw_image)
    model = VAE(
        Neural(encoder, head, event_dims=3), Neural(decoder, likelihood, event_dims=1), prior
    )
    return model, objective


def _refuse_nonsense(posterior: Posterior, objective: Objective) -> None:
    if posterior.deterministic and objective.needs_density:
        raise ComponentError(
            f"Posterior {posterior.name!r} has no density, so what objective {objective.spec!r} "
            "asks of it has no meaning. Use elbo(beta=0) for a plain autoencoder, mmd or "
            "adversarial for a Wasserstein autoencoder, or posterior 'gaussian'."
        )
