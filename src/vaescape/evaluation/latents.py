"""Information in latent dimensions, codes compared with the prior, and what codes capture."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.evaluation.reasons import Results
from vaescape.generation import draw_codes
from vaescape.geometry.density import IMAGES, AggregateDensity
from vaescape.latent_space import AT_ONCE
from vaescape.metrics import latents, neighbours
from vaescape.metrics.codes import code_use
from vaescape.progress import track
from vaescape.randomness import step_seed
from vaescape.study import Study

PRIOR_DRAWS = 5_000

FLOW = "log q(z | x) of a flow takes a network evaluation for each pair of a point and an image"


def latent_use(study: Study, kl_per_dimension: Any, seed: int, results: Results) -> None:
    """Measure latent dimensions, and the codes compared with the prior, on the test images.

    Args:
        study: Trained.
        kl_per_dimension: Their mean KL in nats, or None where it has no closed form.
        seed: Of the draws.
        results: Where the numbers go.
    """
    if study.space.discrete:
        results.numbers["code_use"] = code_use(
            study.space.codes(study.test), study.model.posterior.head.codes
        )
        results.leave_out(
            "active_units", "discrete codes have no variance: code_use counts the codes in use"
        )
        results.leave_out(
            "aggregate_posterior",
            "discrete codes have no density: code_use compares them with the prior",
        )
        return
    few = None if len(study.test) > 1 else "it needs two test images or more"
    results.add("active_units", few, lambda: _active_units(study, kl_per_dimension))
    results.add("aggregate_posterior", few, lambda: _aggregate(study, seed, results))


def _active_units(study: Study, kl_per_dimension: Any) -> dict[str, int]:
    active = {"by_variance": int(latents.active_units(posterior_means(study)).sum())}
    if kl_per_dimension is not None:
        by_kl = torch.tensor(kl_per_dimension)[None]
        active["by_kl"] = int(latents.active_by_kl(by_kl).sum())
    return active


def posterior_means(study: Study) -> Float[Tensor, "N D"]:
    """Return E[z | x] of the test images; where it has no closed form, the point estimate.

    A code may be another point estimate, such as a mode.
    """
    means, log_vars = study.encode_with_variance(study.test)
    if log_vars is not None:
        return means
    parts = []
    for rows in torch.arange(len(study.test)).split(AT_ONCE):
        q = study.space.posterior(study.test[rows])
        try:
            parts.append(q.mean.cpu())
        except NotImplementedError:
            parts.append(q.point_estimate.cpu())
    return torch.cat(parts)


def _aggregate(study: Study, seed: int, results: Results) -> dict[str, float]:
    drawn, q = prior_draws(study, seed), aggregate_posterior(study, seed)
    if q is None:
        for name in ("mean_kl", "mutual_information", "kl", "hole_fraction"):
            results.leave_out(f"aggregate_posterior.{name}", FLOW)
        return {"mmd2": _mmd2(study.encode(study.test, draw=True, seed=seed), drawn)}
    if study.model.prior.exact:
        gap: dict[str, float] = latents.prior_gap(q, study.space.prior_log_density)._asdict()
    else:
        why = "the prior's density is only bounded, so no KL to it can be computed"
        results.leave_out("aggregate_posterior.kl", why)
        gap = {"mutual_information": latents.mutual_information(q)}
    return {
        **gap,
        "mmd2": _mmd2(q.z[0], drawn),
        "hole_fraction": latents.hole_fraction(q, drawn),
    }


@torch.no_grad()
def aggregate_posterior(study: Study, seed: int = 0) -> latents.Aggregate | None:
    """Return the aggregate posterior of the test images, one draw each; None for a flow's.

    Unless they are diagonal Gaussians, of at most ``IMAGES`` of them: those that are drawn from are
    those that are mixed, for the mutual information counts the component that a draw came from.

    Args:
        study: With posteriors that have a density.
        seed: Of the draws.
    """
    test = study.test
    means, log_vars = study.encode_with_variance(test)
    if log_vars is not None:
        return latents.aggregate(means, log_vars, seed=seed)
    if not study.space.posterior(test[:1]).scores_pairs:
        return None
    test = study.some(test, IMAGES)
    z = study.encode(test, draw=True, seed=seed)
    density = AggregateDensity.of(study.space, test, test)
    own = [
        study.space.posterior(test[rows]).log_prob(z[rows].to(study.device)).cpu()
        for rows in torch.arange(len(test)).split(AT_ONCE)
    ]
    return latents.Aggregate(
        z[None], torch.cat(own)[None], density.log_prob(z)[None], density.log_prob
    )


def prior_draws(study: Study, seed: int = 0) -> Float[Tensor, "M D"]:
    """Return draws of the prior whose noise is not that of the aggregate posterior's draws.

    The two are compared as independent samples. From the same seed they would be the same numbers
    where q(z | x) is p(z).
    """
    return draw_codes(study.space, PRIOR_DRAWS, seed=step_seed(seed, 1) % 2**63)


def _mmd2(posterior: Tensor, prior: Tensor) -> float:
    count = min(len(posterior), PRIOR_DRAWS)
    return latents.mmd2(posterior[:count], prior[:count])


def captures(study: Study, seed: int, results: Results) -> dict[str, Any]:
    """Return how well codes predict classes and neighbours in pixel space."""
    train, test = study.train, study.test
    measured = neighbours.neighbours(
        study.encode(train).numpy(),
        train.labels.numpy(),
        study.encode(test).numpy(),
        test.labels.numpy(),
        test.floats().numpy(),
        seed=seed,
        progress=track("what the latent space captures"),
    )
    for name in neighbours.DEFINITIONS:
        if name not in measured:
            results.leave_out(f"captures.{name}", neighbours.NEEDS[name])
    return {"definitions": neighbours.DEFINITIONS, **measured}
