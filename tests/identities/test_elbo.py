"""The loss is what it says it is: against torch.distributions, and against exact evidence."""

import math

import pytest
import torch
from linear_gaussian import linear_gaussian
from torch.distributions import Bernoulli, MultivariateNormal, Normal

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct
from vaescape.conditionals import Neural, OneHot, Posterior
from vaescape.models import VAE
from vaescape.recipes import Parts

SHAPE = (1, 8, 8)
SMALL = Parts(network="conv(channels=[4], hidden=5)")
NOW = torch.tensor(1.0)


def test_a_batch_of_one_is_minus_log_p_minus_kl():
    """L = −log p(x | z) + KL, with the KL in closed form and z the same draw."""
    model, objective = build(SMALL, shape=SHAPE)
    x = torch.rand(1, *SHAPE).round()
    torch.manual_seed(0)
    loss = objective(model, Batch(x), NOW)
    torch.manual_seed(0)
    e = model.evidence(x)
    q = Normal(e.latents[0].q.mean, e.latents[0].q.variance.sqrt())
    kl = torch.distributions.kl_divergence(q, Normal(0, 1)).sum()
    log_p = Bernoulli(probs=e.likelihood.mean).log_prob(x).sum()
    torch.testing.assert_close(loss.total, kl - log_p)
    torch.testing.assert_close(loss.metrics["kl"], kl)


def test_doubling_the_batch_changes_nothing():
    model, objective = build(
        Parts(network="mlp(hidden=7)", posterior="point", objective="elbo(beta=0)"), shape=SHAPE
    )
    x = torch.rand(5, *SHAPE)
    once = objective(model, Batch(x), NOW).total
    torch.testing.assert_close(objective(model, Batch(torch.cat([x, x])), NOW).total, once)


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_the_effective_beta_is_the_one_asked_for(beta: float):
    model, objective = build(Parts(objective=f"elbo(beta={beta})"), shape=(1, 28, 28))
    loss = objective(model.double(), Batch(torch.rand(4, 1, 28, 28).double()), NOW)
    effective = (loss.total - loss.metrics["reconstruction"]) / loss.metrics["kl"]
    assert effective.item() == pytest.approx(beta, rel=1e-6)


def test_the_weight_reaches_its_target_and_the_metrics_are_never_weighted():
    model, objective = build(Parts(objective="elbo(beta=3, warmup=0.5)"), shape=SHAPE)
    x = torch.rand(4, *SHAPE)

    def at(t: float):
        torch.manual_seed(0)
        loss = objective(model, Batch(x), torch.tensor(t))
        return loss.total - loss.metrics["reconstruction"], loss.metrics["kl"]

    for t, weight in ((0.0, 0.0), (0.25, 1.5), (0.5, 3.0), (1.0, 3.0)):
        weighted, kl = at(t)
        torch.testing.assert_close(weighted, weight * kl, rtol=1e-3, atol=1e-4)


def test_per_dimension_kl_sums_to_the_kl():
    model, objective = build(Parts(latent=6), shape=SHAPE)
    metrics = objective(model, Batch(torch.rand(4, *SHAPE)), NOW).metrics
    assert metrics["kl_per_dimension"].shape == (6,)
    torch.testing.assert_close(metrics["kl_per_dimension"].sum(), metrics["kl"])


def test_encoding_is_the_mean_and_twice_the_same():
    model, _ = build(SMALL, shape=SHAPE)
    x = torch.rand(3, *SHAPE)
    (first,), (second,) = model.encode(x), model.encode(x)
    assert torch.equal(first, second)
    draws = model.posterior(x).sample((20_000,))
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - first).abs() < 5 * error).all()
    torch.testing.assert_close(draws.var(0), model.posterior(x).variance, rtol=0.06, atol=0)


def test_a_code_does_not_depend_on_its_batch():
    model, _ = build(SMALL, shape=SHAPE)
    x = torch.rand(9, *SHAPE)
    torch.testing.assert_close(model.encode(x)[0][2:3], model.encode(x[2:3])[0])


def test_the_starting_weights_follow_the_seed_and_leave_the_random_state_alone():
    before = torch.random.get_rng_state()
    one, again, other = (build(SMALL, shape=SHAPE, seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


# ---- a model whose evidence is known -------------------------------------------------------------


@pytest.fixture
def known():
    return linear_gaussian()


def test_the_bound_is_below_the_evidence_by_the_kl_to_the_exact_posterior(known):
    model, truth, x = known
    torch.manual_seed(0)
    e = model.evidence(x, samples=4000)
    elbo = e.log_likelihood().mean(0) - e.kl()
    mean, precision = truth.exact_posterior_mean(x)
    q = e.latents[0].q
    exact = MultivariateNormal(mean, precision_matrix=precision)
    approximate = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    gap = torch.distributions.kl_divergence(approximate, exact)
    assert (gap > 0.01).all()
    torch.testing.assert_close(elbo + gap, truth.evidence(x), rtol=0, atol=0.15)
    assert abs((elbo + gap - truth.evidence(x)).mean()) < 0.02


def test_log_weights_have_the_evidence_as_their_mean(known):
    """E_q[p(x, z) / q(z | x)] = p(x), whatever q."""
    model, truth, x = known
    torch.manual_seed(0)
    log_weights = model.evidence(x, samples=20_000).log_weight()
    estimate = log_weights.logsumexp(0) - math.log(20_000)
    torch.testing.assert_close(estimate, truth.evidence(x), rtol=0, atol=0.03)


# ---- conditioning -------------------------------------------------------------------------------


def test_a_conditional_model_listens_to_its_label():
    network = construct("network", "mlp(hidden=12)")
    posterior: Posterior = construct("posterior", "gaussian")
    likelihood = construct("likelihood", "cross-entropy")
    model = VAE(
        Neural(network.encoder((1 + 3, 8, 8), posterior.channels(2)), posterior, event_dims=3),
        Neural(network.decoder(2 + 3, (1, 8, 8)), likelihood, event_dims=1),
        construct("prior", "normal", latent_dim=2),
        embed=OneHot(3),
    )
    x, zero, one = torch.rand(5, 1, 8, 8), torch.zeros(5).long(), torch.ones(5).long()
    assert model.evidence(x, zero, samples=4).log_likelihood().shape == (4, 5)
    assert not torch.equal(model.encode(x, zero)[0], model.encode(x, one)[0])
    z = torch.randn(5, 2)
    assert not torch.equal(model.decode((z,), zero).mean, model.decode((z,), one).mean)
    assert model.sample(5, zero).mean.shape == (5, 1, 8, 8)
