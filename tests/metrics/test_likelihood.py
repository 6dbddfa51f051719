"""Against a linear-Gaussian model, z ~ N(0, I), x|z ~ N(Wz + b, σ²I), whose evidence is known."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, kl_divergence

from vaescape.errors import OptionError
from vaescape.metrics.likelihood import BLOCK, bits_per_dimension, importance_bound
from vaescape.metrics.pooled import neighbourhoods, pooled_bound

D, P, SIGMA = 2, 5, 0.7
WEIGHT = torch.randn(P, D, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
BIAS = torch.linspace(-1, 1, P, dtype=torch.float64)


def likelihood(z):
    return Independent(Normal(z @ WEIGHT.T + BIAS, SIGMA), 1)


def evidence():
    noise = SIGMA**2 * torch.eye(P, dtype=torch.float64)
    return MultivariateNormal(BIAS, WEIGHT @ WEIGHT.T + noise)


def true_posterior(x):
    precision = torch.eye(D, dtype=torch.float64) + WEIGHT.T @ WEIGHT / SIGMA**2
    mean = (x - BIAS) @ WEIGHT @ precision.inverse() / SIGMA**2
    return MultivariateNormal(mean, precision_matrix=precision)


def wrong_posterior(x):
    exact = true_posterior(x)
    scale = 1.4 * exact.covariance_matrix.diagonal(dim1=-2, dim2=-1).sqrt()
    return Independent(Normal(exact.mean + 0.1, scale), 1)


@dataclass
class Toy:
    x: torch.Tensor
    posterior: Callable[[torch.Tensor], Distribution]
    scored: int = 0
    largest: int = 0

    def draw(self, images, samples):
        q = self.posterior(self.x[images])
        z = q.rsample((samples,))
        return z, Normal(0, 1).log_prob(z).sum(-1) - q.log_prob(z)

    def score(self, z, rows):
        pairs = z.shape[0] * z.shape[1]
        self.scored += pairs
        self.largest = max(self.largest, pairs)
        return likelihood(z).log_prob(self.x[rows])

    def bound(self, samples, **options):
        return importance_bound(
            self.draw, self.score, images=len(self.x), samples=samples, **options
        )

    def draw_together(self, rows, samples):
        q = self.posterior(self.x[rows])
        z = q.rsample((samples,)).flatten(0, 1)
        mixture = q.log_prob(z[:, None]).logsumexp(1) - math.log(len(rows))
        return z, Normal(0, 1).log_prob(z).sum(-1) - mixture

    def score_pairs(self, z, rows):
        self.scored += len(z) * len(rows)
        self.largest = max(self.largest, len(z))
        return likelihood(z[:, None]).log_prob(self.x[rows])

    def pooled(self, samples, **options):
        places = true_posterior(self.x).mean
        return pooled_bound(
            self.draw_together, self.score_pairs, places=places, samples=samples, **options
        )


def toy(images, posterior=wrong_posterior):
    z = torch.randn(images, D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    noise = torch.randn(images, P, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return Toy(z @ WEIGHT.T + BIAS + SIGMA * noise, posterior)


def given_weights(log_w):
    """The bound of log-weights (K, N) that are handed over as they are, half by each callable."""

    def draw(images, samples):
        part = log_w[:samples, images] / 2
        return part[..., None], part

    return importance_bound(
        draw, lambda z, _: z[..., 0], images=log_w.shape[1], samples=len(log_w), chunk=4
    )


def test_the_bound_is_the_log_of_the_mean_weight_over_the_samples():
    log_w = 3 * torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    result = given_weights(log_w)
    torch.testing.assert_close(result.bound, log_w.exp().mean(0).log())
    weights = log_w.softmax(0)
    torch.testing.assert_close(result.effective_samples, 1 / weights.square().sum(0))
    torch.testing.assert_close(given_weights(log_w.flip(0)).bound, result.bound)
    assert not torch.allclose((weights * log_w).sum(0), result.bound, atol=0.1)


def test_weights_beyond_the_range_of_exp_stay_finite():
    result = given_weights(torch.tensor([[-2000.0, 900.0], [-2001.0, 900.0]], dtype=torch.float64))
    expected = [-2000 + math.log((1 + math.exp(-1)) / 2), 900.0]
    assert result.bound.tolist() == pytest.approx(expected, rel=1e-12)


def test_one_sample_is_the_elbo():
    model = toy(400)
    exact, q = true_posterior(model.x), wrong_posterior(model.x)
    full_q = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    elbo = (evidence().log_prob(model.x) - kl_divergence(full_q, exact)).mean()
    draws = torch.stack([model.bound(1, seed=s).bound.mean() for s in range(20)])
    assert abs(draws.mean() - elbo) < 4 * draws.std() / math.sqrt(len(draws))


def test_more_samples_never_loosen_the_bound_on_average():
    model = toy(300)
    exact = evidence().log_prob(model.x).mean()
    gaps = [(exact - model.bound(k).bound.mean()).item() for k in (1, 5, 50, 500)]
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3]
    assert gaps[0] > 0.2
    assert abs(gaps[3]) < 0.01


def test_many_samples_give_the_exact_evidence_inside_a_99_percent_band():
    model, samples = toy(130), 2000
    result = model.bound(samples)
    ratio = (result.bound - evidence().log_prob(model.x)).exp()  # unbiased for 1
    variance = 1 / result.effective_samples - 1 / samples
    assert abs(ratio.mean() - 1) < 2.576 * variance.sum().sqrt() / len(ratio)
    assert variance.sum().sqrt() / len(ratio) < 0.005


@pytest.mark.parametrize("samples", [1, 3, BLOCK + 30])
def test_the_exact_posterior_gives_the_evidence_with_any_number_of_samples(samples):
    model = toy(BLOCK + 53, true_posterior)
    result = model.bound(samples)
    torch.testing.assert_close(result.bound, evidence().log_prob(model.x), rtol=0, atol=1e-10)
    torch.testing.assert_close(
        result.effective_samples, torch.full_like(result.bound, samples), rtol=1e-9, atol=0
    )


def test_the_chunk_of_decoding_changes_nothing():
    model = toy(BLOCK + 53)
    whole = model.bound(BLOCK + 30, chunk=10**7)
    for chunk in (7, 64, 1000):
        model.largest = 0
        pieces = model.bound(BLOCK + 30, chunk=chunk)
        assert model.largest == chunk
        for got, expected in zip(pieces, whole, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_ragged_blocks_count_every_pair_once():
    model = toy(2 * BLOCK + 53)
    model.bound(BLOCK + 30)
    assert model.scored == (2 * BLOCK + 53) * (BLOCK + 30)


def test_fewer_samples_than_a_block_are_what_is_used():
    model = toy(3, true_posterior)
    assert model.bound(1).effective_samples.tolist() == pytest.approx([1.0] * 3)
    assert model.scored == 3


def test_draws_depend_on_the_seed_alone_and_leave_the_callers_random_state():
    model = toy(20)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = model.bound(10, seed=4).bound
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(model.bound(10, seed=4).bound, first)
    assert not torch.equal(model.bound(10, seed=5).bound, first)


def test_every_block_has_draws_of_its_own():
    model = toy(1)
    model.x = model.x.expand(2 * BLOCK, P)
    bounds = model.bound(1).bound
    assert len(bounds.unique()) == 2 * BLOCK
    assert len({model.bound(k * BLOCK).bound[0].item() for k in (1, 2)}) == 2


def test_more_images_do_not_change_the_bound_of_the_earlier_blocks():
    few, many = toy(BLOCK), toy(BLOCK)
    many.x = torch.cat([many.x, many.x])
    assert torch.equal(few.bound(5).bound, many.bound(5).bound[:BLOCK])


def test_progress_sees_every_unit():
    seen = []
    toy(BLOCK + 1).bound(BLOCK + 1, track=lambda units: seen.extend(units) or units)
    assert [(u.images.start, u.images.stop, u.samples) for u in seen] == [
        (0, BLOCK, BLOCK),
        (0, BLOCK, 1),
        (BLOCK, BLOCK + 1, BLOCK),
        (BLOCK, BLOCK + 1, 1),
    ]
    assert len({u.seed for u in seen}) == 4


def test_no_gradients_are_kept():
    model = toy(3)
    model.x.requires_grad_()
    assert not model.bound(2).bound.requires_grad


def test_float32_models_are_summed_in_float64():
    log_w = torch.zeros(1, 1)
    result = importance_bound(
        lambda images, k: (torch.zeros(k, 1, 1), log_w.expand(k, 1)),
        lambda z, _: z[..., 0],
        images=1,
        samples=1000,
    )
    assert result.bound.dtype == torch.float64
    assert result.bound.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"samples": 0}, "samples must be at least 1 and at most 10,000,000, got 0"),
        ({"samples": 1, "chunk": 0}, "chunk must be at least 1 and at most 10,000,000, got 0"),
        ({"samples": 1, "seed": -1}, "seed must be 0 or more, got -1"),
    ],
)
def test_impossible_options_are_refused(wrong, message):
    with pytest.raises(OptionError, match=message):
        toy(1).bound(**wrong)


def test_bits_per_dimension_of_a_uniform_byte_is_eight():
    assert bits_per_dimension(784 * math.log(256), 784) == pytest.approx(8)
    nats = torch.tensor([0.0, 10 * math.log(2)])
    torch.testing.assert_close(bits_per_dimension(nats, 5), torch.tensor([0.0, 2.0]))


def test_pooled_weights_have_the_evidence_for_their_mean_inside_a_99_percent_band():
    model, seeds = toy(90), 40
    exact = evidence().log_prob(model.x)
    ratios = torch.stack(
        [(model.pooled(600, pool=30, seed=s).bound - exact).exp().mean() for s in range(seeds)]
    )
    error = ratios.std() / math.sqrt(seeds)
    assert error < 0.01
    assert abs(ratios.mean() - 1) < 2.7 * error


def test_sharing_draws_tightens_the_bound_that_as_many_decodings_give():
    model = toy(400)
    exact = evidence().log_prob(model.x).mean()
    own = torch.stack([exact - model.bound(10, seed=s).bound.mean() for s in range(5)]).mean()
    shared = torch.stack(
        [exact - model.pooled(1000, pool=100, seed=s).bound.mean() for s in range(5)]
    ).mean()
    assert 0 < shared < own / 2


def test_a_pool_of_one_with_the_exact_posterior_is_the_evidence():
    model = toy(7, true_posterior)
    result = model.pooled(5, pool=1)
    torch.testing.assert_close(result.bound, evidence().log_prob(model.x), rtol=0, atol=1e-10)
    torch.testing.assert_close(result.effective_samples, torch.full_like(result.bound, 5))


def test_the_chunk_changes_no_pooled_bound():
    model = toy(90)
    whole = model.pooled(300, pool=40)
    for chunk in (7, 64):
        model.largest = 0
        pieces = model.pooled(300, pool=40, chunk=chunk)
        assert model.largest == chunk
        for got, expected in zip(pieces, whole, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_every_image_is_in_one_pool_and_rests_on_as_many_draws_as_asked():
    model = toy(103)
    model.pooled(50, pool=10)
    pools = neighbourhoods(true_posterior(model.x).mean, 10)
    assert torch.cat(pools).sort().values.tolist() == list(range(103))
    assert max(map(len, pools)) <= 10
    assert model.scored == sum(len(pool) ** 2 * -(-50 // len(pool)) for pool in pools)
    assert model.scored >= 103 * 50


def test_pools_are_of_neighbours():
    places = torch.randn(512, 2, generator=torch.Generator().manual_seed(0))
    spread = torch.stack([places[pool].std(0).mean() for pool in neighbourhoods(places, 32)])
    assert spread.mean() < 0.4 * places.std(0).mean()
    alike = neighbourhoods(torch.zeros(9, 2), 4)
    assert sorted(map(len, alike)) == [2, 3, 4]


def test_pooled_draws_depend_on_the_seed_alone_and_leave_the_callers_random_state():
    model = toy(20)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = model.pooled(10, seed=4).bound
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(model.pooled(10, seed=4).bound, first)
    assert not torch.equal(model.pooled(10, seed=5).bound, first)


@pytest.mark.parametrize("options", [{"samples": 0}, {"pool": 0}, {"chunk": 0}, {"seed": -1}])
def test_impossible_pools_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        toy(3).pooled(**{"samples": 2} | options)
