"""The composition root: component texts and the run's facts become a model and its objective."""

from dataclasses import replace
from typing import Any

import torch

import vaescape.likelihoods
import vaescape.models
import vaescape.nets
import vaescape.objectives
import vaescape.posteriors
import vaescape.priors  # noqa: F401 — importing an open set registers its members
from vaescape.components import construct, find, parse, text_of
from vaescape.conditionals import Conditional, Posterior, Prior
from vaescape.errors import ComponentError, OptionError
from vaescape.facts import Facts
from vaescape.models.base import Architecture, Pieces
from vaescape.objectives import Objective
from vaescape.precision import float32
from vaescape.recipes import Parts

MOST_LATENT = 65_536
"""Dimensions of z: more is a slip of the finger."""


def build(
    parts: Parts, *, seed: int = 0, classes: int | None = None, **known: Any
) -> tuple[Any, Objective]:
    """Return the model (``models.base.Model``) and the objective that the parts name.

    The starting weights are a pure function of the parts, the shape and the seed; the global random
    state is left as it was.

    Args:
        parts: The component texts.
        seed: Of the starting weights.
        classes: Number of classes.
        known: What else the run knows: fields of :class:`vaescape.facts.Facts`, of which ``shape``
            is required. Weights that are loaded need no ``pixels``.

    Raises:
        ComponentError: For an unknown part or argument, or parts that have no meaning together.
        OptionError: For a latent size below 1, or a conditional model without classes.
    """
    facts = Facts(
        latent_dim=parts.latent, conditional=parts.conditional, classes=classes or None, **known
    )
    _refuse_impossible(facts)
    with float32(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # a GPU's generator is left as it was, too
        network = construct("network", parts.network, facts)
        head: Posterior = construct("posterior", parts.posterior, facts)
        likelihood = construct("likelihood", parts.likelihood, facts)
        objective: Objective = construct("objective", parts.objective, facts)

        def prior(posterior: Conditional) -> Prior:
            return prior_over(head, parts.prior, replace(facts, posterior=posterior))

        architecture: Architecture = construct("model", parts.model, facts)
        pieces = Pieces(network, head, likelihood, objective, prior, facts)
        model = architecture.assemble(pieces)
        for part in (architecture, network, objective, head, likelihood, model.prior):
            part.check(replace(pieces, model=model))  # pyright: ignore[reportCallIssue]
    return model, objective


def _refuse_impossible(facts: Facts) -> None:
    if not 1 <= facts.latent_dim <= MOST_LATENT:
        raise OptionError(
            f"The latent size must be 1 or more, at most {MOST_LATENT:,}. Got {facts.latent_dim}. "
            "Give --latent 2, say."
        )
    if facts.conditional and (facts.classes or 0) < 2:
        raise OptionError(
            f"A conditional model needs images of two classes or more. Got {facts.classes or 0}. "
            "Leave out --conditional, or choose data with labels."
        )


def prior_over(head: Posterior, spec: str, facts: Facts | None = None, **known: Any) -> Prior:
    """Return the prior that a text names, over a posterior's codes; facts as for ``construct``.

    Raises:
        ComponentError: For an unknown prior or argument, or one over other codes.
    """
    spec = text_of("prior", spec)
    cls = find("prior", parse(spec)[0])
    assert issubclass(cls, Prior)
    if cls.support not in (None, head.support):
        raise ComponentError(
            f"Posterior {head.name!r} puts z {head.support}, prior {spec!r} {cls.support}. "
            f"Use prior {head.support.usual_prior!r}, or another posterior."
        )
    return construct("prior", spec, facts, **known)
