"""Laws over the distributions: they integrate to one, and sample what they score."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vaescape.distributions import (
    ContinuousBernoulli,
    Gaussian,
    Point,
    PseudoBernoulli,
)
from vaescape.errors import ComponentError

LAMBDAS = [1e-4, 0.3, 0.49, 0.499, 0.5, 0.501, 0.51, 0.7, 0.9999]


def logit(probability: float) -> torch.Tensor:
    return torch.tensor([math.log(probability) - math.log1p(-probability)], dtype=torch.float64)


def mass(distribution, low: float, high: float, points: int = 200_001) -> float:
    """∫ exp(log_prob) by the trapezoid rule."""
    x = torch.linspace(low, high, points, dtype=torch.float64)[:, None]
    return torch.trapezoid(distribution.log_prob(x).exp(), x[:, 0]).item()


@pytest.mark.parametrize("probability", LAMBDAS)
def test_continuous_bernoulli_integrates_to_one(probability: float):
    assert mass(ContinuousBernoulli(logit(probability), 1), 0, 1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("probability", LAMBDAS)
def test_continuous_bernoulli_agrees_with_torch(probability: float):
    ours = ContinuousBernoulli(logit(probability), 1)
    torchs = torch.distributions.ContinuousBernoulli(
        torch.tensor([probability], dtype=torch.float64), lims=(0.4999999, 0.5000001)
    )
    x = torch.tensor([[0.0], [0.2], [0.9], [1.0]], dtype=torch.float64)
    torch.testing.assert_close(ours.log_prob(x), torchs.log_prob(x)[:, 0], rtol=1e-5, atol=1e-6)
    if probability != 0.5:
        torch.testing.assert_close(ours.mean, torchs.mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "value", [-200.0, -0.1000001, -0.0999999, 0.0, 0.0999999, 0.1000001, 200.0]
)
def test_continuous_bernoulli_has_finite_gradients(value: float):
    logits = torch.tensor([value], requires_grad=True)
    d = ContinuousBernoulli(logits, 1)
    (gradient,) = torch.autograd.grad(d.log_prob(torch.tensor([0.25])), logits)
    assert torch.isfinite(gradient).all()
    assert gradient.item() == pytest.approx(0.25 - d.mean.item(), abs=1e-4)  # an exponential family


def test_the_normaliser_at_one_half_is_two():
    zero = torch.zeros(1, dtype=torch.float64)
    assert ContinuousBernoulli(zero, 1).log_normaliser().item() == pytest.approx(math.log(2))


def test_cross_entropy_is_not_a_density():
    assert mass(PseudoBernoulli(logit(0.5), 1), 0, 1) == pytest.approx(0.5)
    flat_grey = torch.full((1, 28, 28), 0.5)
    perfect = PseudoBernoulli(torch.zeros(1, 28, 28)).log_prob(flat_grey)
    assert -perfect.item() == pytest.approx(784 * math.log(2), rel=1e-6)


@pytest.mark.parametrize("log_scale", [-3.0, 0.0, 1.0])
def test_gaussian_integrates_to_one(log_scale: float):
    wide = Gaussian(torch.tensor([0.3]).double(), torch.tensor([log_scale]).double())
    reach = 12 * math.exp(log_scale)
    assert mass(wide, 0.3 - reach, 0.3 + reach) == pytest.approx(1, abs=1e-9)


def test_a_change_of_unit_changes_the_nats_by_its_logarithm():
    x, mean, a = torch.rand(3, 784).double(), torch.rand(784).double(), 255.0
    narrow = Gaussian(mean, torch.tensor(-2.0).double())
    wide = Gaussian(a * mean, torch.tensor(-2.0 + math.log(a)).double())
    torch.testing.assert_close(
        narrow.log_prob(x) - wide.log_prob(a * x), x.new_full((3,), 784 * math.log(a))
    )


DISTRIBUTIONS = {
    "gaussian": Gaussian(torch.tensor([0.3, -1.0]), torch.tensor([-1.0, 0.5])),
    "continuous-bernoulli": ContinuousBernoulli(torch.tensor([-4.0, -0.05, 0.0, 3.0]), 1),
    "cross-entropy": PseudoBernoulli(torch.tensor([-2.0, 0.0, 1.0]), 1),
    "point": Point(torch.tensor([0.3, -1.0])),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_draws_have_the_mean_and_the_variance(name: str):
    torch.manual_seed(0)
    d = DISTRIBUTIONS[name]
    draws = d.sample((100_000,))
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - d.mean).abs() <= 4 * error + 1e-6).all()
    if name == "gaussian":
        torch.testing.assert_close(draws.var(0), d.variance, rtol=0.03, atol=0)


def test_continuous_bernoulli_samples_its_density():
    torch.manual_seed(0)
    for value in (-30.0, -2.0, 0.05, 5.0, 30.0):
        d = ContinuousBernoulli(torch.tensor([value], dtype=torch.float64), 1)
        draws = d.sample((50_000,))
        for cut in torch.quantile(draws, torch.tensor([0.1, 0.5, 0.9]).double()):
            share = (draws <= cut).double().mean().item()
            assert mass(d, 0, cut.item()) == pytest.approx(share, abs=0.012)


def test_gaussian_quantiles_invert_the_cdf():
    d = Gaussian(torch.tensor([0.3, -1.0]).double(), torch.tensor([-1.0, 0.5]).double())
    u = torch.tensor([[0.01, 0.5], [0.7, 0.999]]).double()
    torch.testing.assert_close(torch.distributions.Normal(d.loc, d.scale).cdf(d.icdf(u)), u)
    torch.testing.assert_close(d.icdf(torch.tensor([0.5, 0.5]).double()), d.mean)


def random_gaussian(seed: int) -> Gaussian:
    g = torch.Generator().manual_seed(seed)
    draw = torch.randn(2, 5, 3, generator=g, dtype=torch.float64)
    return Gaussian(draw[0], 0.5 * draw[1])


def test_kl_agrees_with_torch_and_with_monte_carlo():
    q, p = random_gaussian(0), random_gaussian(1)
    exact = q.kl_to(p)
    assert exact is not None
    theirs = kl_divergence(Normal(q.mean, q.scale), Normal(p.mean, p.scale)).sum(-1)
    torch.testing.assert_close(exact, theirs)
    torch.manual_seed(0)
    z = q.sample((40_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    assert ((ratio.mean(0) - exact).abs() < 4 * ratio.std(0) / 200).all()


def test_kl_is_zero_only_of_itself_and_not_symmetric():
    q, p = random_gaussian(0), random_gaussian(1)
    there, back, none = q.kl_to(p), p.kl_to(q), q.kl_to(q)
    assert there is not None and back is not None and none is not None  # noqa: PT018
    assert none.abs().max() < 1e-12
    assert ((there - back).abs() > 1e-3).any()


def test_there_is_no_closed_form_for_a_point():
    assert Point(torch.zeros(2)).kl_per_dimension_to(random_gaussian(0)) is None


@pytest.mark.parametrize("log_var", [-30.0, 30.0])
def test_extreme_log_variances_stay_finite_and_pull_inward(log_var: float):
    raw = torch.tensor([[0.5, log_var]], requires_grad=True)
    q = Gaussian(raw[:, :1], 0.5 * raw[:, 1:])
    divergence = q.kl_to(Gaussian(torch.zeros(1), torch.zeros(1)))
    assert divergence is not None
    (gradient,) = torch.autograd.grad(divergence.sum(), raw)
    assert torch.isfinite(divergence).all()
    assert torch.isfinite(q.rsample()).all()
    assert gradient[0, 1] * log_var > 0


def test_draws_and_density_are_of_the_same_gaussian():
    torch.manual_seed(0)
    q = Gaussian(torch.tensor([[1.0, -2.0]]).double(), torch.tensor([[0.7, -1.1]]).double())
    z, _ = q.joint_rsample((40_000,))
    entropy = -q.log_prob(z)
    exact = (0.5 * math.log(2 * math.pi * math.e) + q.log_scale).sum()
    assert abs(entropy.mean() - exact) < 4 * entropy.std() / 200


def test_a_point_says_why_it_has_no_density():
    with pytest.raises(ComponentError, match="no density"):
        Point(torch.zeros(2)).log_prob(torch.zeros(2))
