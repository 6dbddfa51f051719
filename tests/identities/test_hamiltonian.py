"""The Hamiltonian objective: exact evidence, volumes that are kept, gradients through slopes."""

import math

import pytest
import torch
from linear_gaussian import Given, linear_gaussian
from torch import Tensor

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct
from vaescape.distributions import Gaussian
from vaescape.errors import ComponentError
from vaescape.models import VAE
from vaescape.objectives.hamiltonian import Place, leapfrog
from vaescape.recipes import Parts

NOW = torch.tensor(1.0)
SHAPE = (1, 8, 8)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def objective_of(text: str):
    return construct("objective", text, latent_dim=2).double()


def poor():
    """The exact model with a posterior that is off by a few of its standard deviations."""
    model, truth, x = linear_gaussian()

    def posterior(x, c=None):
        mean, _ = truth.exact_posterior_mean(x)
        return Gaussian(mean + 0.15, torch.full_like(mean, math.log(0.3)))

    return VAE(Given(posterior), model.likelihood, model.prior), truth, x


def log_weights(objective, model, x) -> Tensor:
    e = model.evidence(x)
    return (e.log_weight() + objective.gained(model, Batch(x), e.latents[0]))[0]


@pytest.mark.parametrize("steps", [1, 3])
def test_the_mean_weight_is_the_evidence(steps: int):
    model, truth, x = poor()
    objective = objective_of(f"hamiltonian(steps={steps}, step=0.1, tempering=0.8)")
    objective.raw_step.data[1] -= 1  # each dimension at its own pace
    some = x[:5].repeat(20_000, 1, 1, 1)
    with torch.no_grad():
        ratio = (log_weights(objective, model, some) - truth.evidence(some)).exp().reshape(-1, 5)
    error = ratio.std(0) / len(ratio) ** 0.5
    assert (error < 0.1).all()
    assert ((ratio.mean(0) - 1).abs() < 4 * error).all()


def test_learned_steps_lift_the_bound_from_the_elbo_towards_the_evidence():
    model, truth, x = poor()
    objective = objective_of("hamiltonian(step=0.05)")
    adam = torch.optim.Adam(objective.parameters(), lr=0.05)
    for _ in range(60):
        adam.zero_grad()
        objective(model, Batch(x), NOW).total.backward()
        adam.step()
    many = x.repeat(100, 1, 1, 1)
    loss = objective(model, Batch(many), NOW)
    elbo, bound, exact = (
        -objective.loss(model.evidence(many), NOW).total,
        -loss.total,
        truth.evidence(x).mean(),
    )
    assert elbo + 1 < bound < exact
    assert exact - bound < (exact - elbo) / 2
    torch.testing.assert_close(loss.metrics["gained"], bound - elbo, rtol=0.15, atol=0)


def test_without_steps_it_is_the_monte_carlo_elbo():
    model, _, x = poor()
    torch.manual_seed(1)
    total = objective_of("hamiltonian(steps=0)")(model, Batch(x), NOW).total
    torch.manual_seed(1)
    assert torch.equal(total, construct("objective", "iwae(samples=1)")(model, Batch(x), NOW).total)


def look(z: Tensor) -> Place:
    """log p ∝ −z₀⁴/4 − (z₁ − sin z₀)²: a slope that is not linear."""
    x, y = z.unbind(-1)
    away = y - x.sin()
    slope = torch.stack([2 * away * x.cos() - x**3, -2 * away], -1)
    return Place(z, -(x**4) / 4 - away**2, slope)


def test_leapfrog_keeps_volumes_and_goes_back_the_way_it_came():
    step = torch.tensor([0.3, 0.4]).double()

    def on(both: Tensor) -> Tensor:
        z, momentum = both.chunk(2)
        place, momentum = leapfrog(look, look(z[None, None]), momentum[None, None], step)
        return torch.cat([place.z, momentum], -1).flatten()

    both = torch.randn(4).double()
    volume = torch.autograd.functional.jacobian(on, both)
    assert torch.linalg.det(volume).item() == pytest.approx(1, abs=1e-12)  # pyright: ignore
    turned = torch.tensor([1.0, 1, -1, -1]).double()
    there = on(both)
    assert (there - both).abs().min() > 0.01
    torch.testing.assert_close(turned * on(turned * there), both)


def test_a_small_step_is_worth_its_slope_in_energy():
    """Energy stays to third order in the step; tempering aside, so does the weight."""
    model, _, x = poor()
    found = []
    for step in (0.02, 0.01):
        objective = objective_of(f"hamiltonian(steps=1, step={step}, tempering=0.999999)")
        torch.manual_seed(2)
        e = model.evidence(x)
        found.append(objective.gained(model, Batch(x), e.latents[0]).abs().mean().item())
    assert found[0] / found[1] == pytest.approx(8, rel=0.1)


def test_gradients_pass_through_the_slopes():
    """To steps, tempering, encoder and decoder: central differences at the same noise."""
    parts = Parts(network="mlp(hidden=7)", latent=2, objective="hamiltonian(step=0.1)")
    model, objective = build(parts, shape=SHAPE)
    model, objective = model.double(), objective.double()
    x = torch.rand(3, *SHAPE).double()

    def total() -> Tensor:
        torch.manual_seed(3)
        return objective(model, Batch(x), NOW).total

    parameters = [*objective.parameters(), *model.parameters()]
    exact = torch.autograd.grad(total(), parameters)
    with torch.no_grad():  # where a slope is a slope, too
        for parameter, gradient in zip(parameters, exact, strict=True):
            away = 1e-5 * torch.randn_like(parameter)
            parameter += away
            above = total()
            parameter -= 2 * away
            below = total()
            parameter += away
            assert ((above - below) / 2).item() == pytest.approx(
                (gradient * away).sum().item(), rel=1e-4, abs=1e-12
            )


def test_under_bfloat16_networks_gradients_are_nearly_those_of_float32():
    parts = Parts(network="mlp(hidden=7)", latent=2, objective="hamiltonian(step=0.05)")
    model, objective = build(parts, shape=SHAPE)
    x = torch.rand(6, *SHAPE)
    found = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            total = objective(model, Batch(x), NOW).total
        assert total.dtype == torch.float32
        parameters = [*objective.parameters(), *model.parameters()]
        gradients = torch.autograd.grad(total, parameters)
        found.append(torch.cat([total.reshape(1), *(g.flatten() for g in gradients)]))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=0.01, atol=0)
    off = (found[1][1:] - found[0][1:]).norm() / found[0][1:].norm()
    assert 0 < off < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"posterior": "vq", "prior": "uniform-codes"}, "anywhere.*'vq' puts z at discrete codes"),
        ({"posterior": "power-spherical", "prior": "uniform-sphere"}, "puts z on the unit sphere"),
        ({"posterior": "point"}, "has no density"),
        (
            {"likelihood": "gaussian-optimal"},
            "fits its σ.*gaussian\\(scale=.learned",
        ),
        ({"model": "ladder"}, "one layer of latent variables"),
    ],
)
def test_what_cannot_be_moved_is_refused(change, message):
    with pytest.raises(ComponentError, match=message):
        build(
            Parts(network="mlp(hidden=7)", latent=4, objective="hamiltonian", **change), shape=SHAPE
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hamiltonian(steps=-1)", "steps must be 0 or more"),
        ("hamiltonian(step=0.5)", "step must be above 0 and below longest, 0.5"),
        ("hamiltonian(tempering=1)", "tempering must be a number between 0 and 1"),
    ],
)
def test_impossible_values_are_refused(text: str, message: str):
    with pytest.raises(ComponentError, match=message):
        construct("objective", text, latent_dim=2)
