"""The ladder: exact where the truth is known, and one descent for three ways to choose z."""

import math

import pytest
import torch
from known_classes import Given
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

from vaescape import Study, draw, evaluate
from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import known
from vaescape.distributions import Gaussian
from vaescape.errors import ComponentError
from vaescape.evaluation import importance_bound
from vaescape.figures.view import encoded
from vaescape.models.ladder import Ladder, Top
from vaescape.recipes import Parts

SHAPE = (1, 8, 8)
QUICK = {"network": "mlp(hidden=8)", "epochs": 0.3, "limit": 200}


@pytest.fixture(scope="module")
def study() -> Study:
    return Study("first-look", model="ladder(levels=3, dims=4, width=8)", **QUICK).fit()


class Copies(nn.Module):
    def forward(self, x, c=None):
        return [x.flatten(1), x.flatten(1)]


class Split(nn.Module):
    """z₂ | z₁ ~ N(A z₁, s² I), and its exact posterior p(z₂ | z₁, x), times a width."""

    def __init__(self, truth: "Truth", width: float) -> None:
        super().__init__()
        self.truth, self.width = truth, width

    def down(self, h):
        return h

    def prior(self, h):
        mean = h @ self.truth.a.T
        return Gaussian(mean, torch.full_like(mean, math.log(self.truth.s)))

    def posterior(self, h, features, p):
        mean, precision = self.truth.second(features, p.mean)
        q = torch.linalg.inv(precision).diagonal().log() / 2 + math.log(self.width)
        return Gaussian(mean, q.expand_as(mean))

    def merge(self, h, z):
        return z


class Truth:
    """z₁ ~ N(0, I), z₂ | z₁ ~ N(A z₁, s² I), x | z₂ ~ N(W z₂, σ² I); W has orthogonal columns."""

    s, sigma = 0.7, 0.5

    def __init__(self) -> None:
        g = torch.Generator().manual_seed(0)
        self.w = torch.linalg.qr(torch.randn(4, 2, generator=g, dtype=torch.float64)).Q * 1.5
        self.a = torch.linalg.qr(torch.randn(2, 2, generator=g, dtype=torch.float64)).Q * 1.2
        eye = torch.eye(2).double()
        self.middle = self.a @ self.a.T + self.s**2 * eye
        noise = self.w @ (self.s**2 * eye) @ self.w.T + self.sigma**2 * torch.eye(4).double()
        self.through, self.noise = self.w @ self.a, noise

    def second(self, x, mean):
        precision = torch.eye(2).double() / self.s**2 + self.w.T @ self.w / self.sigma**2
        back = x @ self.w / self.sigma**2 + mean / self.s**2
        return torch.linalg.solve(precision, back.mT).mT, precision

    def first(self, x, c=None):
        """p(z₁ | x), which is diagonal here: W and A have orthogonal columns."""
        inverse = torch.linalg.inv(self.noise)
        precision = torch.eye(2).double() + self.through.T @ inverse @ self.through
        mean = torch.linalg.solve(precision, (x @ inverse @ self.through).T).T
        return mean, torch.linalg.inv(precision)

    def evidence(self, x):
        covariance = self.w @ self.middle @ self.w.T + self.sigma**2 * torch.eye(4).double()
        return MultivariateNormal(torch.zeros(4).double(), covariance).log_prob(x.flatten(1))

    def ladder(self, width: float) -> Ladder:
        def top(features):
            mean, covariance = self.first(features)
            scale = covariance.diagonal().log() / 2 + math.log(width)
            return Gaussian(mean, scale.expand_as(mean))

        def likelihood(h, c=None):
            mean = (h @ self.w.T).unflatten(-1, (1, 2, 2))
            return Gaussian(mean, torch.tensor(math.log(self.sigma)).double(), event_dims=3)

        standard = Gaussian(torch.zeros(2).double(), torch.zeros(2).double())
        return Ladder(
            Top(Copies(), Given(top)),
            Given(lambda c=None: standard),
            nn.Identity(),
            nn.ModuleList([Split(self, width)]),
            Given(likelihood),
        )


def test_with_the_exact_posteriors_every_weight_is_the_evidence():
    truth = Truth()
    torch.manual_seed(0)
    model = truth.ladder(width=1.0)
    x = model.sample(20).sample()
    weights = model.evidence(x, samples=6).log_weight()
    torch.testing.assert_close(weights, truth.evidence(x).expand(6, -1))


def test_too_wide_a_posterior_costs_its_divergence_and_no_evidence():
    truth = Truth()
    torch.manual_seed(0)
    model = truth.ladder(width=1.3)
    x = model.sample(20).sample()
    e = model.evidence(x, samples=20_000)
    estimate = e.log_weight().logsumexp(0) - math.log(20_000)
    torch.testing.assert_close(estimate, truth.evidence(x), rtol=0, atol=0.03)
    elbo = (e.log_likelihood() - e.kl()).mean(0)
    wide = MultivariateNormal(torch.zeros(2), 1.3**2 * torch.eye(2))
    gap = 2 * kl_divergence(wide, MultivariateNormal(torch.zeros(2), torch.eye(2)))
    torch.testing.assert_close(truth.evidence(x) - elbo, gap.double().expand(20), rtol=0, atol=0.06)


def test_samples_have_the_moments_of_the_model():
    truth = Truth()
    torch.manual_seed(0)
    x = truth.ladder(1.0).sample(40_000).sample().flatten(1)
    exact = truth.w @ truth.middle @ truth.w.T + truth.sigma**2 * torch.eye(4).double()
    torch.testing.assert_close(x.T.cov(), exact, rtol=0, atol=0.08)


def test_a_temperature_narrows_every_layer():
    truth = Truth()
    torch.manual_seed(0)
    x = truth.ladder(1.0).sample(40_000, temperature=0.4).mean.flatten(1)
    exact = 0.4**2 * truth.w @ truth.middle @ truth.w.T
    torch.testing.assert_close(x.T.cov(), exact, rtol=0, atol=0.015)


def test_encoding_takes_the_means_and_decoding_what_it_is_given():
    truth = Truth()
    model, x = truth.ladder(1.0), torch.rand(5, 1, 2, 2).double()
    z1, z2 = model.encode(x)
    torch.testing.assert_close(z1, truth.first(x.flatten(1))[0])
    torch.testing.assert_close(z2, truth.second(x.flatten(1), z1 @ truth.a.T)[0])
    assert torch.equal(model.decode((z1, z2)).mean.flatten(1), z2 @ truth.w.T)
    assert torch.equal(model.decode((z1,)).mean.flatten(1), z1 @ truth.a.T @ truth.w.T)
    torch.manual_seed(0)
    drawn = torch.stack(
        [model.decode((z1,), draw=True).mean.flatten(1) @ truth.w / 2.25 for _ in range(3000)]
    )
    torch.testing.assert_close(drawn.mean(0), z1 @ truth.a.T, rtol=0, atol=0.06)
    torch.testing.assert_close(drawn.std(0), torch.full_like(z1, truth.s), rtol=0, atol=0.04)


@pytest.mark.parametrize("network", known("network"))
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 13, 18)])
@pytest.mark.parametrize("levels", [2, 4])
def test_every_network_carries_a_ladder_of_any_depth(network: str, shape, levels: int):
    small = {"resnet": "resnet(channels=[4, 8], attention=7)"}.get(network, network)
    parts = Parts(
        model=f"ladder(levels={levels}, width=6, dims=2)", network=small, latent=3,
        conditional=True, objective="elbo(samples=2)",
    )  # fmt: skip
    model, objective = build(parts, shape=shape, classes=3)
    batch = Batch(torch.rand(2, *shape), torch.tensor([0, 2]))
    loss = objective(model, batch, torch.tensor(1.0))
    assert loss.metrics["kl_per_layer"].shape == (levels,)
    torch.testing.assert_close(loss.metrics["kl_per_layer"].sum(), loss.metrics["kl"])
    loss.total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert len(model.encode(batch.x, batch.label)) == levels
    assert model.sample(2, batch.label).mean.shape == (2, *shape)


@pytest.mark.parametrize("objective", ["iwae(samples=3)", "elbo(free_nats=0.1)", "capacity"])
def test_objectives_work_unchanged(objective: str):
    parts = Parts(model="ladder(width=6)", network="mlp(hidden=5)", objective=objective)
    model, made = build(parts, shape=SHAPE, images=50)
    assert made(model, Batch(torch.rand(3, *SHAPE)), torch.tensor(1.0)).total.isfinite()


def test_what_has_no_meaning_is_refused():
    with pytest.raises(ComponentError, match="has nothing to draw"):
        build(Parts(model="ladder", posterior="point", objective="elbo(beta=0)"), shape=SHAPE)
    with pytest.raises(ComponentError, match="defined for one layer"):
        build(Parts(model="ladder", objective="beta-tc"), shape=SHAPE, images=50)
    with pytest.raises(ComponentError, match="levels must be 2 or more. Got 1"):
        build(Parts(model="ladder(levels=1)"), shape=SHAPE)


def test_everything_after_training_works_for_a_ladder(study: Study):
    base = Study(study.configuration.baseline()).fit()
    found = evaluate(study, bounds=((20, 30),), paths=12, baseline=base)
    layers = found["test"]["kl_per_layer"]
    assert found["test"]["kl"] == pytest.approx(sum(layers), rel=1e-5)
    assert layers[0] == pytest.approx(sum(found["test"]["kl_per_dimension"]), rel=1e-5)
    assert "the top layer of 3" in encoded(study).note
    assert draw(study, "map").axes
    assert draw(study, "manifold").axes


def test_the_bound_uses_every_layer(study: Study):
    bound = importance_bound(study, 1, images=100, chunk=30)["nats"]
    torch.manual_seed(0)
    e = study.model.evidence(study.test[:100].floats(), samples=100)
    assert bound == pytest.approx(-e.log_weight().mean().item(), rel=0.02)
    again = importance_bound(study, 1, images=100, chunk=1000)["nats"]
    assert bound == pytest.approx(again, rel=1e-6)
