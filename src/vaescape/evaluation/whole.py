"""Every number of a study, as ``metrics.json`` has them."""

from typing import Any

import torch

from vaescape.errors import OptionError
from vaescape.evaluation.annealed import TEMPERATURES, annealed_bound, refuse_annealing
from vaescape.evaluation.budget import Measure, budget
from vaescape.evaluation.importance import Bounds, importance_bound
from vaescape.evaluation.latents import captures, latent_use
from vaescape.evaluation.lower_bound import elbo, inferred_classes
from vaescape.evaluation.reasons import Results
from vaescape.evaluation.reconstructions import reconstruction_errors
from vaescape.evaluation.remarks import remarks
from vaescape.evaluation.samples import class_agreement, sample_quality
from vaescape.evaluation.smoothness import smoothness_table
from vaescape.latent_space import AT_ONCE
from vaescape.metrics import fidelity
from vaescape.precision import float32
from vaescape.quantities import recorded
from vaescape.study import Study

FORMAT = 1
SAME_DRAWS = "all draws for an image are the same code, so the bound is the negative ELBO"


@torch.no_grad()
@float32()
def evaluate(
    study: Study,
    *,
    bounds: Bounds | None = None,
    pool: int | None = None,
    paths: int | None = None,
    baseline: Study | None = None,
    chunk: int = AT_ONCE,
    seed: int = 0,
    ais: int | None = None,
    temperatures: int = TEMPERATURES,
    measure: Measure = "full",
) -> dict[str, Any]:
    """Return every number of a study on its test images, ready for JSON.

    Args:
        study: Trained.
        bounds: Which importance-weighted bounds to compute, as (samples, test images or None);
            None: those of ``measure``.
        pool: How many images share their draws, as in :func:`importance_bound`.
        paths: Interpolation paths for each kind of pair in the smoothness table; None: those of
            ``measure``.
        baseline: A plain autoencoder to compare with in that table.
        chunk: Codes decoded at once for the bounds; it changes memory and time, not the numbers.
        seed: Of all draws.
        ais: Annealed importance sampling on so many test images; None: none.
        temperatures: Of the annealing.
        measure: "full", or "quick" for about a tenth of the time that training took: a looser
            bound, fewer paths, and no more training images than test images in the ELBO.

    Raises:
        OptionError: If ``measure`` is another.
        ComponentError: If annealing is requested and does not apply to this model.
    """
    if measure not in ("quick", "full"):
        raise OptionError(f"Choose measure quick or full. Got {measure!r}.")
    usual_bounds, usual_paths = budget(study, measure)
    bounds, paths = bounds or usual_bounds, usual_paths if paths is None else paths
    if ais is not None:
        refuse_annealing(study)
    some = len(study.test) if measure == "quick" else None
    results = Results()
    test = results.numbers
    test |= elbo(study, study.test, seed=seed)
    test |= reconstruction_errors(study, study.test, results)
    if study.model.classifies:
        test |= inferred_classes(study, study.test, seed)
    if study.space.probabilistic:
        results.add(
            "importance_weighted_bound",
            SAME_DRAWS if study.space.discrete and study.model.posterior.head.one_draw else None,
            lambda: {
                str(samples): importance_bound(
                    study, samples, images=images, pool=pool, chunk=chunk, seed=seed
                )
                for samples, images in bounds
            },
        )
    if ais is not None:
        test["annealed_importance_sampling"] = annealed_bound(
            study, ais, temperatures=temperatures, seed=seed
        )
    if study.space.probabilistic or study.space.discrete:
        latent_use(study, test.get("kl_per_dimension"), seed, results)
    whole = Results(results.left_out)
    metrics = whole.numbers
    metrics |= {
        "format": FORMAT,
        "measure": measure,
        "quantities": recorded(of=study.space.likelihood.quantity),
        "reconstruction_term": study.space.likelihood.quantity.name,
        "test": test,
        "train": elbo(study, study.train, seed=seed, count=some),
    }
    if study.splits.validation is not None:
        metrics["validation"] = elbo(study, study.splits.validation, seed=seed)
    whole.add(
        "smoothness",
        None if len(study.test) > 1 else "it needs two test images or more",
        lambda: smoothness_table(study, baseline, paths=paths, seed=seed, results=results),
    )
    metrics["captures"] = captures(study, seed, results)
    if study.space.probabilistic:
        fewest = min(len(study.train), len(study.test))
        few = f"it needs more than {fidelity.K} test images and as many training images"
        whole.add(
            "samples",
            None if fewest > fidelity.K else few,
            lambda: sample_quality(study, seed=seed),
        )
        if study.space.conditions:
            whole.add(
                "class_agreement",
                None if len(study.train.labels.unique()) > 1 else "it needs two classes or more",
                lambda: class_agreement(study, seed=seed),
            )
    said = remarks(test, study.space.latent)
    return metrics | {k: v for k, v in (("remarks", said), ("left_out", results.left_out)) if v}
