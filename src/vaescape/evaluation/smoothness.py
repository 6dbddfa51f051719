"""How smoothly images change along paths, compared with baselines."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from vaescape.evaluation.latents import FLOW
from vaescape.evaluation.reasons import Results
from vaescape.generation import PATHS, along
from vaescape.geometry.density import AggregateDensity
from vaescape.geometry.paths import linear
from vaescape.metrics import smoothness
from vaescape.progress import track
from vaescape.study import Study

REAL_IMAGES = 10_000
"""Number of training images that represent the real ones in the smoothness table."""


def smoothness_table(
    study: Study,
    baseline: Study | None = None,
    *,
    paths: int = smoothness.PATHS,
    seed: int = 0,
    results: Results | None = None,
) -> dict[str, Any]:
    """Return the smoothness of the three kinds of path and of the baselines.

    Args:
        study: Trained.
        baseline: A plain autoencoder to compare with.
        paths: Interpolation paths for each kind of pair.
        seed: Of the pairs.
        results: Where reasons for what is left out go.
    """
    test = study.test
    places = study.space.places(test)
    density = _density(study, results or Results())
    walks = {
        name: smoothness.Walk(places, along(study.space, name, places), study.decode, density)
        for name in PATHS
    }
    walks["pixel cross-fade"] = smoothness.cross_fade(test.floats())
    if baseline is not None:
        walks["plain autoencoder"] = smoothness.Walk(
            baseline.space.places(test), linear, baseline.decode
        )
    measured = smoothness.smoothness(
        walks,
        test.labels if len(test.labels.unique()) > 1 else None,
        study.some(study.train, REAL_IMAGES).floats(),
        paths=paths,
        seed=seed,
        progress=track("smoothness"),
    )
    settings = measured.pop("settings")
    return {
        "definitions": smoothness.DEFINITIONS,
        "settings": settings,
        "paths": {walk: {kind: measured[kind][walk] for kind in measured} for walk in walks},
    }


def _density(study: Study, results: Results) -> smoothness.Density | None:
    """Return the aggregate posterior of training images: no test image is its own support.

    None for a plain autoencoder, whose codes have no density, for discrete codes and for flows.
    """
    if study.space.discrete or not study.space.probabilistic:
        return None
    if not study.space.posterior(study.test[:1]).scores_pairs:
        for name in ("support", "log_density"):
            results.leave_out(f"smoothness.{name}", FLOW)
        return None
    density = AggregateDensity.of(study.space, study.train, study.test)

    def log_density(places: Float[Tensor, "M P"]) -> Float[Tensor, " M"]:
        return density.log_prob(places[:, : study.space.latent])

    return smoothness.Density(log_density, density.at_codes)
