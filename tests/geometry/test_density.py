"""The aggregate posterior as a density, and the weight that it gives to places."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal

from vaescape.distributions.lattice import Lattice, tents_of
from vaescape.geometry.density import AggregateDensity, evenly
from vaescape.geometry.geodesic import step_costs

SHARED = Path(__file__).parents[2] / "web" / "test" / "pathcost.json"
"""A path with its weights and costs; web/test/geodesic.test.ts computes them too."""


def gaussians(count: int, size: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(count, size, generator=generator)
    return mean, 0.1 + torch.rand(count, size, generator=generator)


def normal(mean: torch.Tensor, scale: torch.Tensor) -> Independent:
    return Independent(Normal(mean, scale), 1)


def test_it_is_the_even_mixture_of_its_parts_however_they_are_cut():
    mean, scale = gaussians(70)
    z = torch.linspace(-3, 3, 24).reshape(3, 4, 2)
    each = normal(mean.double(), scale.double()).log_prob(z.double()[..., None, :])
    expected = each.exp().mean(-1).log()
    whole = AggregateDensity([normal(mean, scale)], mean)
    cut = AggregateDensity([normal(mean[:7], scale[:7]), normal(mean[7:], scale[7:])], mean)
    for density in (whole, cut):
        torch.testing.assert_close(density.log_prob(z).double(), expected, rtol=1e-5, atol=1e-5)
    assert whole.images == cut.images == 70


def test_a_lattice_integrates_to_one_and_has_the_mean_of_its_densities():
    logits = 3 * torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    q = Lattice(logits, tents_of(8), 2)
    density = AggregateDensity([q], q.mean)
    axis = (torch.arange(400) + 0.5) / 400 * 12 - 6
    z = torch.cartesian_prod(axis, axis)
    found = density.log_prob(z).double()
    assert found.exp().sum() * (12 / 400) ** 2 == pytest.approx(1, abs=1e-3)
    expected = q.log_prob(z[:9, None]).exp().mean(1).log()
    torch.testing.assert_close(found[:9].float(), expected, rtol=1e-4, atol=1e-3)


def test_far_from_everything_it_is_finite_and_as_far_as_the_nearest_component_says():
    density = AggregateDensity(
        [normal(torch.zeros(3, 1), torch.full((3, 1), 0.1))], torch.zeros(3, 1)
    )
    found = density.log_prob(torch.tensor([[100.0]]))
    assert found.item() == pytest.approx(-0.5 * 1000**2 - math.log(0.1 * math.sqrt(2 * math.pi)))


def test_it_is_float32_under_autocast():
    mean, scale = gaussians(50)
    density = AggregateDensity([normal(mean, scale)], mean)
    expected = density.log_prob(mean)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = density.log_prob(mean)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_the_weight_is_as_its_formula_says_and_has_a_slope():
    mean, scale = gaussians(40)
    density = AggregateDensity([normal(mean, scale)], mean)
    h = density.log_prob(mean).median().item()
    assert density.typical == h
    z = torch.tensor([[0.0, 0.0], [2.0, -1.0], [9.0, 9.0]], requires_grad=True)
    w = density.weight(0.5)(z)
    expected = 1 + 0.5 * (h - density.log_prob(z)).clamp_min(0)
    torch.testing.assert_close(w, expected)
    assert w[2] > w[1] >= 1
    assert density.weight(0.0)(z).tolist() == [1, 1, 1]
    (slope,) = torch.autograd.grad(w[2], z)
    nearest = normal(mean.double(), scale.double())
    nudged = z.detach().double()[2] + torch.tensor([[1e-4, 0], [-1e-4, 0]]).double()
    log_q = nearest.log_prob(nudged[:, None]).logsumexp(1)
    assert slope[2, 0].item() == pytest.approx(-0.5 * (log_q[0] - log_q[1]).item() / 2e-4, rel=1e-3)


def test_without_posteriors_it_is_scotts_kernel_estimate():
    codes, _ = gaussians(300, 1)
    density = AggregateDensity.around(codes)
    scale = codes.std() * 300 ** (-1 / 5)
    expected = Normal(codes[:, 0], scale).log_prob(torch.tensor([[0.3]])).exp().mean().log()
    assert density.log_prob(torch.tensor([[0.3]])).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_rows_are_chosen_evenly_with_both_ends():
    assert evenly(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert evenly(101, 3).tolist() == [0, 50, 100]


def path_cost() -> dict[str, Any]:
    """A path past three images and through emptiness, by a decoder of three pixels."""
    mean = torch.tensor([[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    density = AggregateDensity([normal(mean, torch.full((3, 2), 0.5))], mean)
    path = torch.stack([torch.linspace(-1, 1, 7), torch.linspace(-0.5, -1.5, 7)], 1)

    def decode(z):
        return torch.stack([z[:, 0], z[:, 1] ** 2, (z[:, 0] * z[:, 1]).sin()], 1)

    weight = density.weight(0.75)
    found = {
        "strength": 0.75,
        "typical": density.typical,
        "log_q": density.log_prob(path),
        "weights": weight(path),
        "images": decode(path),
        "costs": step_costs(decode, path, weight),
    }
    return {name: getattr(v, "tolist", lambda v=v: v)() for name, v in found.items()}


def test_the_page_weighs_and_measures_paths_on_these_values_too():
    found, shared = path_cost(), json.loads(SHARED.read_text())
    assert found.keys() == shared.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, shared[name], rtol=1e-5, atol=1e-6)
