import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from vaescape.metrics import latents
from vaescape.metrics.latents import (
    active_by_kl,
    active_units,
    aggregate,
    aggregate_draws,
    aggregate_log_density,
    hole_fraction,
    mmd2,
    prior_gap,
)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def standard_normal(z):
    return Normal(0.0, 1.0).log_prob(z).sum(-1)


def posteriors(means, log_vars):
    return Independent(Normal(means, (log_vars / 2).exp()), 1)


# active units -------------------------------------------------------------------------------


def test_a_constant_mean_is_inactive_and_the_threshold_is_a_variance():
    spread = torch.tensor([1.0, -1.0]).repeat(50)[:, None]
    means = torch.cat([torch.full((100, 1), 7.0), 0.09 * spread, 0.11 * spread], 1)
    assert active_units(means).tolist() == [False, False, True]


def test_the_whole_split_decides_not_the_mean_of_batches():
    sorted_by_class = torch.arange(10.0).repeat_interleave(100)[:, None]
    assert active_units(sorted_by_class).item()
    assert not any(active_units(batch).item() for batch in sorted_by_class.split(100))


def test_by_kl_on_average_over_images():
    kl = torch.tensor([[0.0, 0.05, 0.3], [0.19, 0.05, 0.0]])
    assert active_by_kl(kl).tolist() == [False, False, True]


# density and draws of the aggregate posterior ------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_density_is_that_of_the_mixture_of_all(dtype, tolerance):
    means, log_vars = random(30, 3, dtype=dtype), random(30, 3, seed=1, dtype=dtype)
    mixture = MixtureSameFamily(
        Categorical(torch.ones(30, dtype=dtype)), posteriors(means, log_vars)
    )
    z = 2 * random(4, 25, 3, seed=2, dtype=dtype)
    got = aggregate_log_density(z, means, log_vars)
    assert got.shape == (4, 25)
    assert got.dtype == dtype
    torch.testing.assert_close(got, mixture.log_prob(z), rtol=tolerance, atol=tolerance)


def test_density_does_not_depend_on_the_block(monkeypatch):
    means, log_vars, z = random(30, 2), random(30, 2, seed=1), random(41, 2, seed=2)
    whole = aggregate_log_density(z, means, log_vars)
    for pairs in (1, 100):
        monkeypatch.setattr(latents, "_PAIRS_AT_ONCE", pairs)
        torch.testing.assert_close(aggregate_log_density(z, means, log_vars), whole)


def test_extreme_log_variances_and_far_points_stay_finite():
    means, log_vars = torch.zeros(2, 2), torch.tensor([[30.0, 30.0], [-30.0, -30.0]])
    z = torch.tensor([[0.0, 0.0], [50.0, -50.0]])
    assert aggregate_log_density(z, means, log_vars).isfinite().all()
    assert aggregate_log_density(z, means, log_vars[1:].expand(2, 2)).isfinite().all()


def test_draws_have_the_posteriors_moments():
    means, log_vars = random(3, 2), random(3, 2, seed=1)
    z = aggregate_draws(means, log_vars, draws=40_000, seed=3)
    scale = (log_vars / 2).exp()
    assert ((z.mean(0) - means).abs() < 4 * scale / 200).all()
    torch.testing.assert_close(z.std(0), scale, rtol=0.02, atol=0)


def test_draws_depend_on_the_seed_alone_and_leave_the_callers_random_state():
    means, log_vars = random(5, 2), random(5, 2, seed=1)
    before = torch.get_rng_state()
    first = aggregate_draws(means, log_vars, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(aggregate_draws(means, log_vars, seed=1), first)
    assert not torch.equal(aggregate_draws(means, log_vars, seed=2), first)


# the gap to the prior ------------------------------------------------------------------------


def test_no_gap_when_every_posterior_is_the_prior():
    gap = prior_gap(aggregate(torch.zeros(50, 3), torch.zeros(50, 3)), standard_normal)
    assert gap == pytest.approx((0, 0, 0, 0), abs=1e-5)


def test_identical_posteriors_have_the_closed_form_and_no_information():
    mean, log_var = torch.tensor([0.8, -0.3]).double(), torch.tensor([-1.0, 0.4]).double()
    truth = kl_divergence(posteriors(mean, log_var), posteriors(0 * mean, 0 * log_var)).item()
    gap = prior_gap(
        aggregate(mean.expand(300, 2), log_var.expand(300, 2), draws=10), standard_normal
    )
    assert abs(gap.kl - truth) < 4 * gap.kl_error
    assert gap.kl_error < 0.05
    assert gap.mutual_information == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("n", [1, 7, 100])
def test_separated_posteriors_carry_log_n(n):
    means = 100.0 * torch.arange(n)[:, None].expand(n, 2).double()
    gap = prior_gap(aggregate(means, torch.zeros_like(means)), standard_normal)
    assert gap.mutual_information == pytest.approx(math.log(n), abs=1e-9)


def test_mean_kl_is_information_plus_gap():
    means, log_vars = random(200, 2), random(200, 2, seed=1) - 2
    gap = prior_gap(aggregate(means, log_vars, draws=50), standard_normal)
    prior = posteriors(torch.zeros_like(means), torch.zeros_like(means))
    truth = kl_divergence(posteriors(means, log_vars), prior).mean().item()
    assert gap.mean_kl == pytest.approx(gap.mutual_information + gap.kl, abs=1e-12)
    assert gap.mean_kl == pytest.approx(truth, abs=0.05)
    assert 0 < gap.mutual_information < math.log(200)


def test_overlapping_posteriors_agree_with_quadrature():
    means, scales = np.array([-0.6, 0.9]), np.array([0.5, 0.8])

    def density(z):
        return stats.norm.pdf(z, means, scales).mean()

    def integrand(z):
        return density(z) * (math.log(density(z)) - stats.norm.logpdf(z))

    truth, _ = integrate.quad(integrand, -8, 8)
    log_vars = torch.tensor(2 * np.log(scales))[:, None]
    q = aggregate(torch.tensor(means)[:, None], log_vars, draws=50_000)
    gap = prior_gap(q, standard_normal)
    assert abs(gap.kl - truth) < 4 * gap.kl_error
    assert gap.kl_error < 0.1 * truth


def test_the_gap_is_to_the_prior_that_is_given():
    mean, log_var = torch.full((20, 2), 3.0), torch.zeros(20, 2)
    q = aggregate(mean, log_var)
    shifted = prior_gap(q, lambda z: Normal(3.0, 1.0).log_prob(z).sum(-1))
    assert shifted.kl == pytest.approx(0, abs=1e-5)
    assert prior_gap(q, standard_normal).kl > 5


# holes ---------------------------------------------------------------------------------------


def test_a_perfect_match_leaves_the_share_outside():
    zero = torch.zeros(2000, 2)
    share = hole_fraction(aggregate(zero, zero), random(2000, 2, seed=8, dtype=torch.float32))
    assert share == pytest.approx(0.01, abs=4 * math.sqrt(2 * 0.01 / 2000))
    assert share > 0


def test_a_narrow_posterior_leaves_the_closed_form_hole():
    means, log_vars = torch.zeros(2000, 2), torch.full((2000, 2), 2 * math.log(0.5))
    edge = 0.25 * stats.chi2(2).ppf(0.99)  # |z|² at which 1 % of N(0, ¼ I) lies outside
    share = hole_fraction(aggregate(means, log_vars), random(2000, 2, seed=9, dtype=torch.float32))
    assert share == pytest.approx(math.exp(-edge / 2), abs=0.06)


def test_a_cluster_away_from_the_prior_does_not_fill_its_centre():
    angle = torch.linspace(0, 2 * math.pi, 500)
    ring = 3 * torch.stack([angle.cos(), angle.sin()], 1)
    centre = 0.1 * random(200, 2, dtype=torch.float32)
    assert hole_fraction(aggregate(ring, torch.full_like(ring, -4.0)), centre) == 1.0


# maximum mean discrepancy --------------------------------------------------------------------


def test_mmd_drops_the_diagonal_and_follows_the_dimension():
    x, y = random(6, 3), random(8, 3, seed=1) + 0.5

    def mean_kernel(a, b, skip):
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (skip and i == j)]
        return np.mean([math.exp(-(a[i] - b[j]).square().sum() / 6) for i, j in pairs])

    expected = mean_kernel(x, x, True) + mean_kernel(y, y, True) - 2 * mean_kernel(x, y, False)
    assert mmd2(x, y) == pytest.approx(expected, abs=1e-12)


def test_mmd_of_equal_distributions_has_mean_zero():
    values = np.array(
        [mmd2(random(60, 2, seed=s), random(60, 2, seed=s + 500)) for s in range(200)]
    )
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))
    assert (values < 0).any()


def test_mmd_of_a_shift_has_the_closed_form():
    shift, d = 1.0, 2
    truth = 2 * (d / (d + 2)) ** (d / 2) * (1 - math.exp(-(shift**2) / (2 * (d + 2))))
    x, y = random(200, 100, d), random(200, 100, d, seed=1) + shift / math.sqrt(d)
    values = np.array([mmd2(*pair) for pair in zip(x, y, strict=True)])
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean() - truth) < 4 * error < 0.2 * truth


def test_mmd_does_not_depend_on_order_or_block(monkeypatch):
    x, y = random(50, 2), random(40, 2, seed=1)
    whole = mmd2(x, y)
    assert mmd2(x.flip(0), y.roll(3, 0)) == pytest.approx(whole, abs=1e-12)
    monkeypatch.setattr(latents, "_PAIRS_AT_ONCE", 100)
    assert mmd2(x, y) == pytest.approx(whole, abs=1e-12)


def test_mmd_takes_the_bandwidth_that_is_given():
    x, y = random(50, 2), random(40, 2, seed=1) + 1
    assert mmd2(10 * x, 10 * y, 10 * math.sqrt(2)) == pytest.approx(mmd2(x, y), abs=1e-12)
