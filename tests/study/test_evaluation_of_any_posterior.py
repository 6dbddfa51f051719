"""The aggregate posterior, whatever the family of q; what small sets leave out; collapse."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from vaescape import Study, evaluate
from vaescape.cli import tables
from vaescape.distributions.lattice import Lattice, tents_of
from vaescape.evaluation.latents import aggregate_posterior, posterior_means
from vaescape.evaluation.remarks import remarks
from vaescape.generation import draw_codes
from vaescape.geometry.density import AggregateDensity
from vaescape.metrics import latents
from vaescape.recipes import configuration
from vaescape.report import build_report

SMALL: dict[str, Any] = {"limit": 200, "epochs": 1, "threads": 1, "batch": 20}
FOURIER = "fourier(features=8, scale=2.0)"
QUICK: dict[str, Any] = {"bounds": ((20, 30),), "paths": 5}


@pytest.fixture(scope="module", params=["swift", "atlas"])
def lattice(request: pytest.FixtureRequest) -> Study:
    return Study(request.param, network=FOURIER, data="shapes", **SMALL).fit()


def grid(points: int = 240, reach: float = 6.0) -> tuple[torch.Tensor, float]:
    """Points of the plane, and the area of each."""
    axis = torch.linspace(-reach, reach, points)
    return torch.cartesian_prod(axis, axis), (axis[1] - axis[0]).item() ** 2


def test_the_mixture_of_lattices_is_a_lattice_with_the_mean_of_their_densities():
    q = Lattice(3 * torch.randn(7, 64, generator=torch.Generator().manual_seed(0)), tents_of(8), 2)
    mixed, (z, _) = q.mixed(), grid(20)
    assert mixed is not None
    assert mixed.batch_shape == (1,)
    expected = q.log_prob(z[:, None]).logsumexp(1) - math.log(7)
    torch.testing.assert_close(mixed.log_prob(z[:, None])[:, 0], expected, rtol=1e-5, atol=1e-4)


@torch.no_grad()
def test_the_numbers_of_a_lattice_are_those_of_quadrature(lattice: Study):
    """KL to the prior and the mass of the prior in holes, from densities on a grid of the plane."""
    q, (z, area) = aggregate_posterior(lattice, seed=1), grid()
    assert q is not None
    each = lattice.space.posterior(lattice.test[:]).log_prob(z[:, None].to(lattice.device))
    log_q = each.logsumexp(1) - math.log(each.shape[1])
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(q.log_prob(z), log_q, rtol=1e-4, atol=1e-3)
    mass = log_q.exp() * area
    kl = (mass * (log_q - log_p)).sum().item()
    rate = (each.exp() * area * (each - log_p[:, None])).nan_to_num(0.0).sum(0).mean().item()
    gap = latents.prior_gap(q, lattice.space.prior_log_density)
    assert mass.sum().item() == pytest.approx(1, abs=0.01)
    assert gap.kl == pytest.approx(kl, abs=5 * gap.kl_error + 0.02)
    assert gap.mean_kl == pytest.approx(rate, abs=0.35)
    assert gap.mutual_information == pytest.approx(gap.mean_kl - gap.kl, abs=1e-4)
    found = latents.hole_fraction(q, draw_codes(lattice.space, 20_000, seed=0))
    edge = q.log_density.quantile(0.01)
    assert found == pytest.approx((log_p.exp() * area)[log_q < edge].sum().item(), abs=0.02)


def test_swift_and_atlas_have_the_numbers_that_gaussian_posteriors_have(lattice: Study):
    metrics = evaluate(lattice, **QUICK)
    aggregate = metrics["test"]["aggregate_posterior"]
    assert aggregate.keys() == {
        "mean_kl",
        "mutual_information",
        "kl",
        "kl_error",
        "mmd2",
        "hole_fraction",
    }
    assert 0 < aggregate["mutual_information"] <= math.log(len(lattice.test)) + 0.2
    linear = metrics["smoothness"]["paths"]["linear"]
    assert all({"support", "log_density"} <= found.keys() for found in linear.values())
    means = posterior_means(lattice)
    expected = lattice.space.posterior(lattice.test[:]).mean.cpu()
    torch.testing.assert_close(means, expected, rtol=1e-4, atol=1e-4)
    active = (expected.var(0, correction=0) > 0.01).sum().item()
    assert metrics["test"]["active_units"]["by_variance"] == active


def test_both_ways_to_the_aggregate_posterior_of_gaussians_agree():
    study = Study("first-look", data="shapes", **SMALL).fit()
    q = aggregate_posterior(study)
    assert q is not None
    density = AggregateDensity.of(study.space, study.test, study.test)
    torch.testing.assert_close(density.log_prob(q.z[0]), q.log_density[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("posterior", ["full-rank", "power-spherical"])
def test_other_families_have_them_too(posterior: str):
    study = Study("first-look", data="shapes", posterior=posterior, latent=3, **SMALL).fit()
    found = evaluate(study, **QUICK)["test"]["aggregate_posterior"]
    assert found["mean_kl"] == pytest.approx(found["mutual_information"] + found["kl"], abs=1e-4)
    assert 0 <= found["hole_fraction"] <= 1


def test_a_flow_leaves_out_what_would_ask_a_network_for_every_pair():
    study = Study("first-look", data="shapes", posterior="iaf(transforms=1)", **SMALL).fit()
    metrics = evaluate(study, **QUICK)
    assert metrics["test"]["aggregate_posterior"].keys() == {"mmd2"}
    assert "takes a network evaluation" in metrics["left_out"]["aggregate_posterior.hole_fraction"]
    assert "takes a network evaluation" in metrics["left_out"]["smoothness.support"]


def npz(folder: Path, train: int, test: int, classes: int, size: int = 16) -> str:
    """Return the text of a small set of noise."""
    rng, path = np.random.default_rng(0), folder / "set.npz"
    arrays: dict[str, Any] = {
        f"{name}_{split}": value
        for split, count in (("train", train), ("test", test))
        for name, value in (
            ("x", rng.integers(0, 255, (count, size, size), dtype=np.uint8)),
            ("y", np.arange(count) % classes),
        )
    }
    np.savez(path, **arrays)
    return f"npz(path={str(path)!r})"


@pytest.mark.parametrize(
    ("sizes", "changes", "left_out"),
    [
        ((12, 3, 1), {}, {"captures.knn_accuracy", "captures.trustworthiness", "samples"}),
        ((12, 1, 1), {}, {"active_units", "aggregate_posterior", "smoothness", "samples"}),
        ((1, 1, 1), {}, {"active_units", "aggregate_posterior", "smoothness", "samples"}),
        ((12, 12, 12), {}, {"captures.knn_accuracy", "captures.silhouette"}),
        ((12, 6, 1, 8), {}, {"ssim", "captures.continuity"}),
        ((12, 3, 1), {"posterior": "vq(codes=4)"}, {"aggregate_posterior", "samples"}),
        ((12, 4, 2), {"conditional": True}, {"captures.continuity", "samples"}),
    ],
)
def test_a_small_set_is_measured_and_says_what_it_is_too_small_for(
    tmp_path: Path, sizes: tuple[int, ...], changes: dict[str, Any], left_out: set[str]
):
    data = npz(tmp_path, *sizes)
    wanted = configuration("first-look", data=data, batch=1, epochs=1, threads=1, **changes)
    study = Study(wanted).fit()
    metrics = evaluate(study, paths=5)
    assert left_out <= metrics["left_out"].keys()
    assert not {name for name in left_out if name in metrics | metrics["test"]}
    json.dumps(metrics, allow_nan=False)
    tables.print_metrics(metrics)
    page = build_report({}, metrics, [], {})
    assert all(reason.split("<")[0] in page for reason in metrics["left_out"].values())


def test_collapse_is_said_and_only_collapse():
    changes: dict[str, Any] = {"data": "shapes", "network": "conv(channels=[4], hidden=5)"}
    changes |= SMALL | {"objective": "elbo(beta=1000)", "epochs": 3}
    gone = Study("first-look", **changes).fit()
    found = evaluate(gone, **QUICK)
    assert found["test"]["active_units"]["by_variance"] == 0
    (sentence,) = found["remarks"]
    assert "none of the 2 latent dimensions" in sentence
    assert "elbo(free_nats=0.5)" in sentence
    assert sentence.split("'")[0] in build_report({}, found, [], {})


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ({"images": 9, "active_units": {"by_variance": 2}}, ""),
        ({"images": 9, "active_units": {"by_variance": 1}}, "dimensions: 1 of 2"),
        ({"images": 9, "active_units": {"by_variance": 0}}, "Collapse: none of the 2"),
        ({"images": 9, "code_use": {"active_codes": 1}}, "one discrete code"),
        ({"images": 9, "code_use": {"active_codes": 5}}, ""),
        ({"images": 9}, ""),
        ({"images": 9, "mse": 0.1, "mean_image_mse": 0.1}, "no better than the mean image"),
        ({"images": 9, "mse": 0.099, "mean_image_mse": 0.1}, ""),
    ],
)
def test_the_rule_of_the_sentence(test: dict[str, Any], said: str):
    found = remarks(test, 2)
    assert bool(found) == bool(said)
    assert said in "".join(found)
