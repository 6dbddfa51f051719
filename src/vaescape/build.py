"""The composition root: component texts and the data's shape become a model."""

from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.distributions import Distribution

import vaescape.likelihoods
import vaescape.models
import vaescape.nets
import vaescape.objectives
import vaescape.posteriors
import vaescape.priors  # noqa: F401 — importing an open set registers its members
from vaescape.components import construct, find, parse
from vaescape.conditionals import USUAL_PRIOR, Conditional, Likelihood, Posterior, Prior, Support
from vaescape.distributions import FittedGaussian, PseudoBernoulli, kl
from vaescape.errors import ComponentError, OptionError
from vaescape.models.base import Architecture, Pieces
from vaescape.nets.base import Network, Shape
from vaescape.objectives import Objective
from vaescape.recipes import Parts


def build(
    parts: Parts,
    *,
    shape: Shape,
    seed: int = 0,
    images: int | None = None,
    pixels: UInt8[Tensor, "N C H W"] | None = None,
    classes: int = 0,
    mean_image: Float[Tensor, "C H W"] | None = None,
) -> tuple[Any, Objective]:
    """Return the model and the objective that the parts name, for images of ``shape`` = (C, H, W).

    The starting weights are a pure function of the parts, the shape and the seed; the global random
    state is left as it was.

    Args:
        parts: The component texts.
        shape: (C, H, W).
        seed: Of the starting weights.
        images: How many there are to train on, for the parts that ask: objective ``beta-tc`` when
            it is first used, prior ``exemplar``.
        pixels: These images, for the priors that start from them or are made of them. Weights that
            are loaded need none.
        classes: How many the labels tell apart, for a conditional model and for prior ``class``.
        mean_image: Of the images to train on: where network ``fourier`` starts. Weights that are
            loaded need none.

    Raises:
        ComponentError: For an unknown part or argument, or parts that have no meaning together.
        OptionError: For a latent size below 1, or a conditional model without classes.
    """
    if parts.latent < 1:
        raise OptionError(
            f"The latent size must be 1 or more. Got {parts.latent}. Give --latent 2, say."
        )
    conditions = _conditions(parts, classes)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # a GPU's generator is left as it was, too
        network: Network = construct("network", parts.network, mean_image=mean_image)
        head: Posterior = construct("posterior", parts.posterior, latent_dim=parts.latent)
        likelihood: Likelihood = construct("likelihood", parts.likelihood, shape=shape)
        objective: Objective = construct(
            "objective", parts.objective, latent_dim=parts.latent, images=images, shape=shape
        )

        def prior(posterior: Conditional) -> Prior:
            made = prior_over(
                head,
                parts.prior,
                posterior=posterior,
                latent_dim=parts.latent,
                shape=shape,
                images=images,
                pixels=pixels,
                classes=classes or None,
                conditional=bool(conditions),
            )
            _refuse_unscored(head, made)
            return made

        architecture: Architecture = construct("model", parts.model)
        _refuse_nonsense(head, objective, architecture, conditions)
        if objective.moves_codes:
            _refuse_unmoved(head, likelihood, objective)
        if head.asks_at is not None:
            _refuse_unasked(parts, likelihood)
        model = architecture.assemble(
            Pieces(
                network,
                head,
                likelihood,
                prior,
                shape=shape,
                latent=parts.latent,
                classes=conditions,
            )
        )
        objective.check(_some_posterior(head, parts.latent), model.layers)
    return model, objective


def _conditions(parts: Parts, classes: int) -> int:
    """Return E, how many classes the model is told: 0 if it is not conditional."""
    if parts.conditional and classes < 2:
        raise OptionError(
            f"A conditional model needs images of two classes or more. Got {classes}. "
            "Leave out --conditional, or choose data with labels."
        )
    return classes if parts.conditional else 0


def prior_over(head: Posterior, spec: str, **facts: Any) -> Prior:
    """Return the prior that a text names, over the codes of a posterior; facts as for construct.

    Raises:
        ComponentError: For an unknown prior or argument, or one over other codes.
    """
    cls = find("prior", parse(spec)[0])
    assert issubclass(cls, Prior)
    if cls.support not in (None, head.support):
        raise ComponentError(
            f"Posterior {head.name!r} puts z {head.support}, prior {spec!r} {cls.support}. "
            f"Use prior {USUAL_PRIOR[head.support]!r}, or another posterior."
        )
    return construct("prior", spec, **facts)


def _refuse_nonsense(
    posterior: Posterior, objective: Objective, model: Architecture, conditions: int
) -> None:
    if model.classifies != objective.needs_classifier:
        raise ComponentError(
            f"Model {model.name!r} and objective {objective.name!r} do not go together: q(y | x) "
            "is of model 'm2' and trained by objective 'm2'. Use both (recipe m2), or neither."
        )
    if model.classifies and not conditions:
        raise ComponentError(f"Model {model.name!r} is about classes. Add --conditional.")
    if posterior.support is Support.CODES and not model.takes_codes:
        raise ComponentError(
            f"Model {model.name!r} has no place for the discrete codes of posterior "
            f"{posterior.name!r}. Use model 'vae', or posterior 'gaussian'."
        )
    if posterior.deterministic and objective.needs_density:
        raise ComponentError(
            f"Posterior {posterior.name!r} has no density, so what objective {objective.spec!r} "
            "asks of it has no meaning. Use elbo(beta=0) for a plain autoencoder, rae for a "
            "regularised one, mmd, swae or adversarial for a Wasserstein one, or posterior "
            "'gaussian'."
        )
    if posterior.one_draw and objective.weighs_draws:
        raise ComponentError(
            f"Objective {objective.name!r} weighs several draws for an image, and those of "
            f"posterior {posterior.name!r} are all the same. Use objective 'elbo', which it equals."
        )
    if posterior.relaxed and objective.weighs_draws:
        raise ComponentError(
            f"Objective {objective.name!r} scores the draws themselves, and posterior "
            f"{posterior.name!r} trains on relaxed ones, which have no probability under a "
            "discrete prior. Use objective 'elbo'."
        )


def _refuse_unmoved(posterior: Posterior, likelihood: Likelihood, objective: Objective) -> None:
    """Refuse codes that must stay where they are, and a log p(x | z) that is refitted at each."""
    if posterior.support is not Support.SPACE:
        raise ComponentError(
            f"Objective {objective.name!r} moves codes anywhere in latent space, and posterior "
            f"{posterior.name!r} puts z {posterior.support}. Use objective 'elbo', or posterior "
            "'gaussian'."
        )
    if isinstance(likelihood(torch.zeros(likelihood.channels(1), 1, 1)), FittedGaussian):
        raise ComponentError(
            f"Objective {objective.name!r} moves codes along the slope of log p(x, z), and "
            f"likelihood {likelihood.name!r} fits its σ to whatever it scores. Use likelihood "
            "'gaussian-learned'."
        )


def _refuse_unasked(parts: Parts, likelihood: Likelihood) -> None:
    """Refuse what Bayes' rule is not for: it knows one prior, and fits the plain bound."""
    objective, given = parse(parts.objective)
    plain = objective == "elbo" and given.keys() <= {"samples", "beta"}
    product = isinstance(likelihood(torch.zeros(likelihood.channels(1), 1, 1)), PseudoBernoulli)
    normal = parse(parts.model)[0] == "vae" and parts.prior == "normal" and not parts.conditional
    if not (normal and product and plain and given.get("beta", 1) == 1):
        raise ComponentError(
            f"Posterior {parts.posterior!r} is Bayes' rule on the decoder of model 'vae', not "
            "conditional, with prior 'normal', likelihood 'cross-entropy' or 'bernoulli', and "
            "objective 'elbo' at beta 1. Use these, or posterior 'gaussian'."
        )


def _refuse_unscored(posterior: Posterior, prior: Prior) -> None:
    if posterior.relaxed and not _has_exact_kl(posterior, prior):
        raise ComponentError(
            f"Posterior {posterior.name!r} trains on relaxed draws, which prior {prior.spec!r} "
            f"cannot score. Train with {USUAL_PRIOR[posterior.support]!r}, then fit the other with "
            "`vaescape fit-prior`."
        )


def _has_exact_kl(posterior: Posterior, prior: Prior) -> bool:
    p = prior()
    return kl(_some_posterior(posterior, p.event_shape[-1]), p) is not None


def _some_posterior(head: Posterior, latent_dim: int) -> Distribution:
    """Return q(z | x) as it is where the network says zeros; nothing is learned from that."""
    q = head.eval()(torch.zeros(1, head.channels(latent_dim)))
    head.train()
    return q
