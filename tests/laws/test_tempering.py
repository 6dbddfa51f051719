"""Draws at a temperature: variances in closed form, densities by brute force."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch.distributions import Independent, Laplace

from vaescape.build import build, prior_over
from vaescape.components import construct
from vaescape.conditionals import Neural
from vaescape.distributions import (
    Event,
    FullRankGaussian,
    Gaussian,
    Marginal,
    Mixture,
    PowerSpherical,
    UniformSphere,
    VonMisesFisher,
    draws,
    tempered,
)
from vaescape.errors import ComponentError
from vaescape.recipes import Parts
from vaescape.testing import draws_what_it_scores, plane

TAU = 0.6
SHAPE, IMAGES = (1, 4, 4), 12
MIXTURES = ("mixture(components=3)", "class", "vamp(components=4)", "exemplar(components=8)")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def prior_of(spec: str) -> Any:
    """A prior over two dimensions, in use, in double precision, whose parts differ."""
    pixels = torch.randint(0, 256, (IMAGES, *SHAPE), dtype=torch.uint8)
    parts = Parts(network="mlp(hidden=6)", prior=spec, latent=2)
    model, _ = build(parts, shape=SHAPE, images=IMAGES, pixels=pixels, classes=3)
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim != 4:
                parameter += (0.1 if "flow" in spec else 0.3) * torch.randn_like(parameter)
        return model.eval().prior()


def by_hand(p: Any, tau: float) -> torch.Tensor:
    """Σ w (τ² σ² + μ²) − (Σ w μ)²: the variance of a mixture of narrowed Gaussians."""
    weights, each = p.log_weights.exp()[:, None], p.components
    second = (weights * (tau**2 * each.variance + each.mean.square())).sum(0)
    return second - (weights * each.mean).sum(0).square()


def test_the_variance_of_a_standard_normal_is_the_squared_temperature():
    p = tempered(prior_of("normal"), TAU)
    torch.testing.assert_close(p.variance, torch.full((2,), TAU**2).double())
    z = draws(prior_of("normal"), 200_000, TAU)
    torch.testing.assert_close(z.var(0), p.variance, rtol=0.02, atol=0)


@pytest.mark.parametrize("tau", [TAU, 1.5])
@pytest.mark.parametrize("spec", MIXTURES)
def test_every_component_of_a_mixture_is_narrowed_and_their_weights_stay(spec: str, tau: float):
    p = prior_of(spec)
    z = draws(p, 200_000, tau)
    torch.testing.assert_close(z.var(0), by_hand(p, tau), rtol=0.02, atol=0)
    found = tempered(p, tau)
    torch.testing.assert_close(found.log_weights, p.log_weights)
    torch.testing.assert_close(found.components.variance, tau**2 * p.components.variance)
    draws_what_it_scores(found, *plane())


@pytest.mark.parametrize("family", ["maf", "realnvp", "nsf"])
def test_a_flow_has_its_noise_narrowed(family: str):
    p = prior_of(f"flow(family={family!r}, hidden=8)")
    cool = tempered(p, TAU)
    torch.manual_seed(1)
    z = draws(p, 50, TAU)
    torch.manual_seed(1)
    noise = TAU * torch.randn(50, 2, dtype=torch.float64)
    for transform in p.transforms:
        noise = transform(noise)
    torch.testing.assert_close(z, noise)
    draws_what_it_scores(cool, *plane())


FACTOR = torch.tensor([[0.8, 0.0, 0.0], [0.3, 1.1, 0.0], [-0.4, 0.2, 0.6]])
"""L of a Gaussian of full rank."""


@pytest.mark.parametrize(
    "p",
    [
        Gaussian(torch.tensor([0.3, -1.0, 0.2]), torch.tensor([0.1, -0.5, 0.4])),
        FullRankGaussian(torch.tensor([0.3, -1.0, 0.2]), FACTOR),
        PowerSpherical(torch.tensor([0.0, 0.6, 0.8]), torch.tensor(3.0)),
        VonMisesFisher(torch.tensor([0.0, 0.6, 0.8]), torch.tensor(3.0)),
    ],
    ids=lambda p: type(p).__name__,
)
def test_of_one_part_it_is_the_density_to_the_power_of_one_over_the_square(p: Event):
    """Two log-densities that differ by a constant, at any z, are of one density."""
    z = torch.nn.functional.normalize(torch.randn(50, 3), dim=-1)
    apart = tempered(p, TAU).log_prob(z) - p.log_prob(z) / TAU**2
    torch.testing.assert_close(apart, apart[:1].expand(50), rtol=0, atol=1e-4)
    assert not torch.allclose(p.log_prob(z), tempered(p, TAU).log_prob(z), atol=0.1)


def test_both_stages_of_a_two_stage_prior_are_narrowed():
    """z = A u + γ ε has the covariance A Aᵀ + γ² I, and τ² of it."""
    a, gamma = torch.randn(2, 2, dtype=torch.float64), 0.7
    standard = Gaussian(torch.zeros(2).double(), torch.zeros(2).double())

    def likelihood(u):
        return Gaussian(u @ a.T, torch.full_like(u, math.log(gamma)))

    z = draws(Marginal(standard, likelihood, lambda z: standard, 2), 200_000, TAU)
    exact = TAU**2 * (a @ a.T + gamma**2 * torch.eye(2))
    torch.testing.assert_close(z.T.cov(), exact, rtol=0.03, atol=0.005)


def test_codes_have_the_logits_of_each_position_divided():
    """Against all nine codes of two positions: p_τ(code) = ∏ p(m | before)^(1/τ), normalised."""
    head = construct("posterior", "fsq(levels=3)", latent_dim=2)
    posterior = Neural(torch.nn.Identity(), head, 1)
    made = prior_over(head, "autoregressive(width=8, heads=2)", posterior=posterior, latent_dim=2)
    for parameter in made.parameters():  # far from uniform
        torch.nn.init.normal_(parameter, std=0.7)
    p, index = made(), torch.tensor(list(itertools.product(range(3), repeat=2)))
    with torch.no_grad():
        joint = p.log_mass(index).exp().view(3, 3)  # pyright: ignore
        first = joint.sum(1)
        second = (joint / first[:, None]) ** (1 / TAU)
        power = first ** (1 / TAU) / (first ** (1 / TAU)).sum()
        exact = (power[:, None] * second / second.sum(1, keepdim=True)).flatten()
        found = tempered(p, TAU).log_mass(index).exp()  # pyright: ignore
    torch.testing.assert_close(found, exact)
    drawn = head.index(draws(p, 20_000, TAU))
    shares = torch.stack([(drawn == code).all(-1).float().mean() for code in index])
    torch.testing.assert_close(shares, exact, atol=0.015, rtol=0)


@pytest.mark.parametrize("spec", ["normal", *MIXTURES, "flow(hidden=8)", "two-stage"])
def test_at_one_the_bits_are_those_of_the_prior(spec: str):
    p = prior_of(spec)
    assert tempered(p, 1.0) is p
    torch.manual_seed(3)
    before = p.sample(torch.Size((7,)))
    torch.manual_seed(3)
    assert torch.equal(draws(p, 7), before)


def test_a_batch_has_one_draw_each():
    p = Gaussian(torch.arange(5.0)[:, None].expand(5, 2), torch.zeros(2))
    torch.testing.assert_close(draws(p, 5, 1e-6), p.mean, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "p",
    [
        UniformSphere(torch.zeros(3)),
        Independent(Laplace(torch.zeros(3), 1.0), 1),
        Mixture(UniformSphere(torch.zeros(2, 3)), torch.zeros(2)),  # pyright: ignore
    ],
)
def test_what_has_nothing_to_change_is_refused(p: Event):
    with pytest.raises(ComponentError, match=r"no meaning for (UniformSphere|Independent).*Use a"):
        draws(p, 3, TAU)
    if not isinstance(p, Mixture):
        assert draws(p, 3).shape == (3, 3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_impossible_temperatures_are_refused(temperature: float):
    with pytest.raises(ComponentError, match="temperature must be a number above 0"):
        tempered(prior_of("normal"), temperature)
