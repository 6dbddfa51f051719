"""`swift` trained by integrating over z on shared points (Correia et al. 2023), beside itself."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.page import RESULTS, conditions, leave, table
from benchmarks.quality import warm_up
from vaescape.batch import Batch
from vaescape.evaluation import elbo, importance_bound
from vaescape.models.base import Model
from vaescape.objectives import Objective
from vaescape.recipes import configuration
from vaescape.study import Study

FINER = 16_384
"""Grid points of a q that is close to the posterior."""


class Integrated(Objective):
    """−log Σ_i w_i p(x | z_i) at N points, w_i = 1/N: a bound as tight as the points are close.

    The points are a Sobol sequence at quantiles of the prior, shifted at random in every step:
    randomised quasi-Monte-Carlo, as continuous mixtures are trained (Correia, Gala, Quaeghebeur, de
    Campos & Peharz, 2023).

    Args:
        points: N.
    """

    kl_weight = 1.0  # q is exact at the points, so the loss is an ELBO

    def __init__(self, points: int) -> None:
        super().__init__()
        self.points = points

    def forward(self, model: Model, batch: Batch, t: Float[Tensor, ""]) -> Tensor:
        """Return the mean over the batch, in nats."""
        prior = model.prior()
        (size,) = prior.event_shape
        places = torch.quasirandom.SobolEngine(size).draw(self.points) + torch.rand(size)
        normal = torch.distributions.Normal(prior.mean, prior.variance.sqrt())
        z = normal.icdf((places % 1).clamp(1e-6, 1 - 1e-6))
        scores = model.decode((z,), None).pairs(batch.x)
        return -(scores.logsumexp(0) - math.log(self.points)).mean()


def measure(*, points: list[int], seeds: int, threads: int, out: Path = RESULTS) -> None:
    """Train each at seeds 0, 1, …; leave ``quadrature.md``."""
    warm_up("swift", threads)
    ways: dict[str, dict[str, Any]] = {"`swift` as it is": {}} | {
        f"{count} points, shifted at random": {"objective": Integrated(count)} for count in points
    }
    found = {name: [_trained(seed, threads, change) for seed in range(seeds)]
             for name, change in ways.items()}  # fmt: skip
    keys = ("negative_elbo", "finer", "bound", "seconds")
    rows = [
        [name, *(_mean([run[key] for run in runs], 1 if key == "seconds" else 2) for key in keys)]
        for name, runs in found.items()
    ]
    text = (
        f"{conditions(threads)}\nThe decoder, the optimiser and the number of steps of `swift`; "
        "the others decode all their points in every step, with gradients. On the 10,000 test "
        "images: the negative ELBO with q by Bayes' rule on the 2,304 grid points of the recipe, "
        f"and on {FINER:,}; the importance-weighted bound of 500 samples, which hardly depends on "
        f"q; {seeds} seeds, mean ± standard deviation.\n\n"
        + table(
            [
                "training",
                "negative ELBO, nats",
                f"with {FINER:,} points",
                "bound, nats",
                "training, s",
            ],
            rows,
        )
    )
    leave("quadrature", "Integrating over z on shared points", text, found, out)


def _trained(seed: int, threads: int, changes: dict[str, Any]) -> dict[str, float]:
    made = configuration("swift", seed=seed, threads=threads, device="cpu").with_changes(**changes)
    study = Study(made).fit()
    assert study.last_tick is not None
    found = {
        "seed": seed,
        "seconds": study.last_tick.seconds,
        "negative_elbo": elbo(study, study.test)["negative_elbo"],
        "finer": elbo(_on_finer_grid(study), study.test)["negative_elbo"],
        "bound": importance_bound(study, 500)["nats"],
    }
    print(changes, found, flush=True)
    return found


def _on_finer_grid(study: Study) -> Study:
    """Return the same decoder with a q on more grid points."""
    posterior = f"bayes(points={FINER}, training_points=576, refresh_interval=4)"
    other = Study(study.configuration.with_changes(posterior=posterior), read=study.data)
    other.model.load_state_dict(study.model.state_dict())
    other.model.eval()
    return other


def _mean(values: list[float], digits: int) -> str:
    off = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{off}"
