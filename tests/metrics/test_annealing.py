"""Annealed importance sampling, against linear-Gaussian models whose evidence is known."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from vaescape.errors import OptionError
from vaescape.metrics.annealing import TOGETHER, annealed_bound, shares

D, P, SIGMA = 2, 5, 0.3
WEIGHT = torch.randn(P, D, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
BIAS = torch.linspace(-1, 1, P, dtype=torch.float64)
ZERO = torch.zeros(D, dtype=torch.float64)
PRIOR = Independent(Normal(ZERO, 1.0), 1)


def images(count: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(2)
    z = torch.randn(count, D, dtype=torch.float64, generator=g)
    return z @ WEIGHT.T + BIAS + SIGMA * torch.randn(count, P, dtype=torch.float64, generator=g)


def evidence(x: torch.Tensor) -> torch.Tensor:
    noise = SIGMA**2 * torch.eye(P, dtype=torch.float64)
    return MultivariateNormal(BIAS, WEIGHT @ WEIGHT.T + noise).log_prob(x)


def posterior(x: torch.Tensor, off: float = 0.0, wide: float = 1.0) -> MultivariateNormal:
    precision = torch.eye(D, dtype=torch.float64) + WEIGHT.T @ WEIGHT / SIGMA**2
    mean = (x - BIAS) @ WEIGHT @ precision.inverse() / SIGMA**2
    return MultivariateNormal(mean + off, precision_matrix=precision / wide**2)


def estimate(x: torch.Tensor, start, **options):
    def target(rows: slice):
        def log_joint(z):
            seen = Independent(Normal(z @ WEIGHT.T + BIAS, SIGMA), 1)
            return PRIOR.log_prob(z) + seen.log_prob(x[rows])

        return start(x[rows]), log_joint

    return annealed_bound(target, images=len(x), **options)


STARTS = {
    "prior": lambda x: PRIOR,
    "posterior, wide": lambda x: posterior(x, wide=1.5),
    "posterior, far off and narrow": lambda x: posterior(x, off=0.4, wide=0.6),
}


@pytest.mark.parametrize("start", STARTS)
def test_the_mean_weight_is_the_evidence_inside_its_own_error(start: str):
    """E[w] / p(x) = 1, whatever the start; a wrong weight or a move that leans is seen here."""
    x = images(40)
    found = estimate(x, STARTS[start], chains=32, temperatures=60)
    ratio = (found.bound - evidence(x)).exp()
    variance = 1 / found.effective_samples - 1 / 32
    assert abs(ratio.mean() - 1) < 2.6 * variance.sum().sqrt() / len(x)
    assert variance.sum().sqrt() / len(x) < 0.05
    assert found.effective_samples.mean() > 8
    assert 0.4 < found.acceptance.mean() < 0.95


def test_the_moves_matter_where_the_encoder_is_poor():
    """Importance weights of the same start stand on a single draw."""
    x, start = images(20), STARTS["posterior, far off and narrow"]
    z = start(x).sample((32,))
    seen = Independent(Normal(z @ WEIGHT.T + BIAS, SIGMA), 1).log_prob(x)
    log_w = PRIOR.log_prob(z) + seen - start(x).log_prob(z)
    plain = (log_w.logsumexp(0) - math.log(32) - evidence(x)).mean()
    annealed = (estimate(x, start, chains=32, temperatures=60).bound - evidence(x)).mean()
    assert plain < -1
    assert abs(annealed) < 0.1


def test_more_temperatures_tighten_the_bound_from_below():
    x = images(40)
    gaps = [
        (evidence(x) - estimate(x, STARTS["prior"], chains=4, temperatures=t).bound).mean().item()
        for t in (3, 12, 60)
    ]
    assert gaps[0] > gaps[1] > gaps[2] > -0.05
    assert gaps[0] > 1
    assert gaps[2] < gaps[0] / 5


def test_the_exact_posterior_gives_the_evidence_whatever_the_moves():
    x = images(TOGETHER + 3)
    found = estimate(x, posterior, chains=3, temperatures=5)
    torch.testing.assert_close(found.bound, evidence(x), rtol=0, atol=1e-9)
    torch.testing.assert_close(found.effective_samples, torch.full_like(found.bound, 3))


def test_the_shares_rise_from_nothing_to_all():
    path = shares(9)
    steps = path.diff()
    assert (path[0], path[-1]) == (0, 1)
    assert (steps > 0).all()
    assert steps.argmax() in (3, 4)
    torch.testing.assert_close(steps, steps.flip(0))


def test_draws_depend_on_the_seed_alone_and_leave_the_callers_random_state():
    x = images(3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = estimate(x, STARTS["prior"], temperatures=4, seed=4).bound
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(estimate(x, STARTS["prior"], temperatures=4, seed=4).bound, first)
    assert not torch.equal(estimate(x, STARTS["prior"], temperatures=4, seed=5).bound, first)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"chains": 0}, "chains must be at least 1 and at most 10,000,000, got 0"),
        ({"temperatures": 1}, "temperatures must be 2 or more, at most 10,000,000, got 1"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
    ],
)
def test_impossible_options_are_refused(wrong, message):
    with pytest.raises(OptionError, match=message):
        estimate(images(1), STARTS["prior"], **wrong)
