"""log p(x) by annealed importance sampling."""

from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaescape.conditionals import Support
from vaescape.errors import ComponentError, OptionError
from vaescape.evaluation.importance import importance_bound
from vaescape.metrics import annealing, likelihood
from vaescape.progress import track
from vaescape.study import Study

ANNEALED_BESIDE = 1000
"""Samples of the importance-weighted bound that annealing is compared with, on the same images."""

TEMPERATURES = 100
"""Of annealed importance sampling."""


def annealed_bound(
    study: Study,
    images: int = 100,
    *,
    temperatures: int = TEMPERATURES,
    chains: int = 16,
    start: Literal["posterior", "prior"] = "posterior",
    seed: int = 0,
) -> dict[str, Any]:
    """Return minus the annealed bound on some test images, the importance-weighted beside it.

    Neal (2001), Wu et al. (2017). In nats, in float32 whatever precision the training had; of a
    conditional model, of p(x | c).

    Args:
        study: Trained.
        images: How many test images, as :meth:`Study.some` chooses them.
        temperatures: Densities from the start to p(z) p(x | z).
        chains: For each image.
        start: Where chains start: "posterior" for the encoder's, which is close; "prior" for a
            number that does not depend on the encoder and takes more temperatures.
        seed: Of all draws.

    Raises:
        ComponentError: If codes are discrete, on a sphere, in a ball, of several layers or without
            a density.
        OptionError: If a count is too small, or ``start`` is another.
    """
    if start not in ("posterior", "prior"):
        raise OptionError(f"Annealing starts at the 'posterior' or the 'prior'. Got {start!r}.")
    refuse_annealing(study)
    likelihood.check_counts(images=images)
    model, test = study.model, study.some(study.test, images)
    x, label = study.space.floats(test), test.labels.to(study.device)

    def target(rows: slice) -> tuple[Distribution, annealing.LogDensity]:
        c = model.condition(label[rows])
        prior = model.prior(c)
        first = prior if start == "prior" else model.posterior(x[rows], c)

        def log_joint(z: Float[Tensor, "K B D"]) -> Float[Tensor, "K B"]:
            return prior.log_prob(z) + model.decode((z,), label[rows]).log_prob(x[rows])

        return first, log_joint

    found = annealing.annealed_bound(
        target,
        images=len(test),
        chains=chains,
        temperatures=temperatures,
        seed=seed,
        track=track(f"annealing, {temperatures} temperatures"),
    )
    beside = importance_bound(study, ANNEALED_BESIDE, images=len(test), pool=1, seed=seed)
    return {
        "images": len(test),
        "nats": -found.bound.mean().item(),
        "effective_samples": found.effective_samples.mean().item(),
        "chains": chains,
        "temperatures": temperatures,
        "start": start,
        "acceptance": found.acceptance.mean().item(),
        "importance_weighted_bound": beside | {"samples": ANNEALED_BESIDE},
    }


def refuse_annealing(study: Study) -> None:
    """Raise a :class:`ComponentError` for codes that cannot be moved through a density."""
    parts, why = study.configuration.parts, ""
    if not study.space.probabilistic:
        why = f"posterior {parts.posterior!r} makes a plain autoencoder, which has no p(x)"
    elif study.space.support is not Support.SPACE:
        why = f"posterior {parts.posterior!r} puts z {study.space.support}"
    elif study.model.layers > 1:
        why = f"model {parts.model!r} has {study.model.layers} layers of them"
    elif not study.model.prior.exact:
        why = f"the density of prior {parts.prior!r} is only bounded, so nothing can follow it"
    if why:
        raise ComponentError(
            "Annealed importance sampling moves the codes of one layer anywhere in latent space, "
            f"and {why}. Leave out --ais; the importance-weighted bound stands where it has one."
        )
