"""Every number of a study, as ``metrics.json`` has them."""

from typing import Any

import torch

from vaescape.evaluation.annealed import TEMPERATURES, annealed_bound, refuse_annealing
from vaescape.evaluation.importance import BOUNDS, POOLED_BOUNDS, Bounds, importance_bound, pools
from vaescape.evaluation.latents import captures, latent_use
from vaescape.evaluation.lower_bound import elbo, inferred_classes
from vaescape.evaluation.reconstructions import reconstruction_errors
from vaescape.evaluation.samples import class_agreement, sample_quality
from vaescape.evaluation.smoothness import smoothness_table
from vaescape.metrics import codes, fidelity, smoothness
from vaescape.quantities import recorded
from vaescape.study import AT_ONCE, Study

FORMAT = 1


@torch.no_grad()
def evaluate(
    study: Study,
    *,
    bounds: Bounds | None = None,
    pool: int | None = None,
    paths: int = smoothness.PATHS,
    baseline: Study | None = None,
    chunk: int = AT_ONCE,
    seed: int = 0,
    ais: int | None = None,
    temperatures: int = TEMPERATURES,
) -> dict[str, Any]:
    """Return every number of a study on its test images, ready for JSON.

    Args:
        study: Trained.
        bounds: Which importance-weighted bounds to compute, as (samples, first images or None);
            None: ``POOLED_BOUNDS`` where images can share their draws, else ``BOUNDS``.
        pool: How many images share their draws, as in :func:`importance_bound`.
        paths: Interpolation paths for each kind of pair in the smoothness table.
        baseline: A plain autoencoder to set beside it in that table.
        chunk: Codes decoded at once for the bounds; it changes memory and time, not the numbers.
        seed: Of all draws.
        ais: Annealed importance sampling on the first so many test images; None: none.
        temperatures: Of the annealing.

    Raises:
        ComponentError: If annealing is asked for and has no meaning for this model.
    """
    if ais is not None:
        refuse_annealing(study)
    means, log_vars = study.encode_with_variance(study.test)
    test = elbo(study, study.test, seed=seed) | reconstruction_errors(study, study.test)
    if study.classifies:
        test |= inferred_classes(study, study.test, seed)
    left_out = _left_out(study)
    if study.probabilistic and "importance_weighted_bound" not in left_out:
        test["importance_weighted_bound"] = {
            str(samples): importance_bound(
                study, samples, images=images, pool=pool, chunk=chunk, seed=seed
            )
            for samples, images in bounds or (POOLED_BOUNDS if pools(study) else BOUNDS)
        }
    if ais is not None:
        test["annealed_importance_sampling"] = annealed_bound(
            study, ais, temperatures=temperatures, seed=seed
        )
    if study.probabilistic and not study.discrete:
        test |= latent_use(study, means, log_vars, test.get("kl_per_dimension"), seed)
    if study.discrete:
        head = study.model.posterior.head
        test["code_use"] = codes.code_use(study.codes(study.test), head.codes)
    metrics = {
        "format": FORMAT,
        "quantities": recorded(of=study.likelihood.quantity),
        "reconstruction_term": study.likelihood.quantity.name,
        "test": test,
        "train": elbo(study, study.train, seed=seed),
    }
    if study.splits.validation is not None:
        metrics["validation"] = elbo(study, study.splits.validation, seed=seed)
    metrics["smoothness"] = smoothness_table(study, baseline, paths=paths, seed=seed)
    metrics["captures"] = captures(study, means, seed)
    if study.probabilistic and min(len(study.train), len(study.test)) > fidelity.K:
        metrics["samples"] = sample_quality(study, seed=seed)
    if study.conditions and study.probabilistic:
        metrics["class_agreement"] = class_agreement(study, seed=seed)
    return metrics | ({"left_out": left_out} if left_out else {})


def _left_out(study: Study) -> dict[str, str]:
    """Return what has no meaning for discrete codes or such a prior, with the reason."""
    if not study.discrete:
        only_bounded = "the prior's density is only bounded, so no KL to it can be computed"
        return {} if study.model.prior.exact else {"aggregate_posterior_kl": only_bounded}
    reasons = {
        "active_units": "a code has no variance of its own: code_use counts what is in use",
        "aggregate_posterior": "codes have no density: code_use holds them against the prior",
    }
    if study.model.posterior.head.one_draw:
        reasons["importance_weighted_bound"] = (
            "all draws for an image are the same code, so the bound is the negative ELBO"
        )
    return reasons
