"""What latent dimensions carry, how the codes lie beside the prior, and what they capture."""

from typing import Any

import torch
from torch import Tensor

from vaescape.metrics import latents, neighbours
from vaescape.progress import track
from vaescape.study import Study

PRIOR_DRAWS = 5_000


def latent_use(
    study: Study,
    means: Tensor,
    log_vars: Tensor | None,
    kl_per_dimension: Any,
    seed: int,
) -> dict[str, Any]:
    """Return what has a meaning: KLs per dimension and densities ask for diagonal Gaussians."""
    active = {"by_variance": int(latents.active_units(means).sum())}
    if kl_per_dimension is not None:
        by_kl = torch.tensor(kl_per_dimension)[None]
        active["by_kl"] = int(latents.active_by_kl(by_kl).sum())
    return {
        "active_units": active,
        "aggregate_posterior": _aggregate(study, means, log_vars, seed),
    }


def _aggregate(study: Study, means: Tensor, log_vars: Tensor | None, seed: int) -> dict[str, float]:
    prior_draws = study.draw_codes(PRIOR_DRAWS, seed=seed)
    if log_vars is None or not study.model.prior.exact:
        posterior_draws = study.encode(study.test, draw=True, seed=seed)
        return {"mmd2": _mmd2(posterior_draws, prior_draws)}
    q = latents.aggregate(means, log_vars, seed=seed)
    return {
        **latents.prior_gap(q, study.prior_log_density)._asdict(),
        "mmd2": _mmd2(q.z[0], prior_draws),
        "hole_fraction": latents.hole_fraction(q, prior_draws),
    }


def _mmd2(posterior_draws: Tensor, prior_draws: Tensor) -> float:
    count = min(len(posterior_draws), PRIOR_DRAWS)
    return latents.mmd2(posterior_draws[:count], prior_draws[:count])


def captures(study: Study, means: Tensor, seed: int) -> dict[str, Any]:
    """Return what codes tell of classes and of neighbours in pixel space."""
    return {
        "definitions": neighbours.DEFINITIONS,
        **neighbours.neighbours(
            study.encode(study.train).numpy(),
            study.train.labels.numpy(),
            means.numpy(),
            study.test.labels.numpy(),
            study.test.floats().numpy(),
            seed=seed,
            progress=track("what the latent space captures"),
        ),
    }
