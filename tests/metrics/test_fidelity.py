"""Samples among real images: brute force, the published self-test, and what the features see."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vaescape.components import construct
from vaescape.data import Data
from vaescape.errors import OptionError
from vaescape.metrics import fidelity
from vaescape.metrics.fidelity import (
    DEFINITIONS,
    Overlap,
    cubic_mmd2,
    overlap,
    standardised,
    untrained_features,
)


def normal(rows: int, size: int, seed: int, shift: float = 0.0) -> Tensor:
    noise = torch.Generator().manual_seed(seed)
    return torch.randn(rows, size, generator=noise, dtype=torch.float64) + shift


def in_so_many_words(real: Tensor, fake: Tensor, k: int) -> Overlap:
    """The definitions, one pair at a time."""

    def distance(a: Tensor, b: Tensor) -> float:
        return (a - b).square().sum().sqrt().item()

    def radius(points: Tensor, i: int) -> float:
        others = [distance(points[i], points[j]) for j in range(len(points)) if j != i]
        return sorted(others)[k - 1]

    around_real = [radius(real, i) for i in range(len(real))]
    around_fake = [radius(fake, j) for j in range(len(fake))]
    near = [[distance(x, y) < r for y in fake] for x, r in zip(real, around_real, strict=True)]
    reached = [
        any(distance(x, y) < r for y, r in zip(fake, around_fake, strict=True)) for x in real
    ]
    held = [sum(column) for column in zip(*near, strict=True)]
    return Overlap(
        precision=sum(count > 0 for count in held) / len(fake),
        recall=sum(reached) / len(real),
        density=sum(held) / len(fake) / k,
        coverage=sum(any(row) for row in near) / len(real),
    )


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("shift", [0.0, 0.8, 50.0])
@pytest.mark.parametrize(("rows", "columns"), [(23, 17), (12, 31)])
def test_it_is_the_definitions_one_pair_at_a_time(monkeypatch, rows, columns, shift, k):
    monkeypatch.setattr(fidelity, "_ROWS_AT_ONCE", 5)
    real, fake = normal(rows, 3, 0), normal(columns, 3, 1, shift)
    assert overlap(real, fake, k=k) == pytest.approx(in_so_many_words(real, fake, k))
    if shift == 50:
        assert overlap(real, fake, k=k) == (0, 0, 0, 0)


def test_an_outlier_raises_precision_and_recall_but_not_density_and_coverage():
    """Naeem et al. 2020, figure 1: one real, or one made image far from all others."""
    real, fake = normal(200, 2, 0), normal(200, 2, 1, 8.0)
    far = torch.full((1, 2), 30.0).double()
    real_outlier = overlap(torch.cat([real, far]), fake)
    assert real_outlier.precision == 1
    assert real_outlier.density == pytest.approx(1 / 5)
    fake_outlier = overlap(real, torch.cat([fake, far - 60]))
    assert fake_outlier.recall == 1
    assert fake_outlier.coverage == 0


@pytest.mark.slow
def test_the_published_numbers_of_two_equal_normals():
    """The self-test of Naeem et al.: 10,000 points each in 1,000 dimensions, k = 5."""
    found = overlap(normal(10_000, 1000, 0).float(), normal(10_000, 1000, 1).float())
    assert found.precision == pytest.approx(0.4772, abs=0.02)
    assert found.recall == pytest.approx(0.4705, abs=0.02)
    assert found.density == pytest.approx(1.0555, abs=0.06)
    assert found.coverage == pytest.approx(0.9735, abs=0.01)


def test_the_coverage_of_equal_distributions_is_what_is_expected():
    """1 − (N − 1) … (N − k) / ((N + M − 1) … (N + M − k)): the k nearest all real, else covered."""
    n, m, k = 400, 300, 3
    found = [overlap(normal(n, 4, s), normal(m, 4, s + 100), k=k).coverage for s in range(12)]
    missed = 1.0
    for i in range(k):
        missed *= (n - 1 - i) / (n + m - 1 - i)
    assert torch.tensor(found).mean().item() == pytest.approx(1 - missed, abs=0.015)


@pytest.mark.parametrize("k", [0, 10])
def test_too_few_images_are_refused(k):
    with pytest.raises(OptionError, match="k must be from 1 to below 10"):
        overlap(normal(10, 2, 0), normal(30, 2, 1), k=k)


def test_the_discrepancy_is_the_double_sum(monkeypatch):
    monkeypatch.setattr(fidelity, "_ROWS_AT_ONCE", 4)
    x, y = normal(9, 5, 0), normal(13, 5, 1, 0.3)

    def kernel(a: Tensor, b: Tensor) -> float:
        return (a @ b / 5 + 1).item() ** 3

    within = [
        sum(kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j)
        / (len(z) * (len(z) - 1))
        for z in (x, y)
    ]
    between = sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))
    assert cubic_mmd2(x, y) == pytest.approx(sum(within) - 2 * between, rel=1e-10)


def test_without_bias_it_is_zero_on_average_for_equal_distributions_and_above_for_others():
    same = torch.tensor([cubic_mmd2(normal(60, 3, s), normal(50, 3, s + 500)) for s in range(200)])
    assert abs(same.mean()) < 4 * same.std() / 200**0.5
    assert (same < 0).any()
    assert cubic_mmd2(normal(60, 3, 0), normal(50, 3, 1, 1.0)) > same.max()


@pytest.fixture(scope="module")
def shapes() -> Data:
    return construct("data", "shapes", data_dir=None, cache=None)


def test_the_features_see_a_blur_that_pixels_take_for_the_best_of_images(shapes):
    real, others = (shapes.load("train")[part].floats() for part in (slice(300), slice(300, 600)))
    blurred = F.avg_pool2d(others, 5, stride=1, padding=2)

    def density(seen) -> list[float]:
        space = seen(real)
        return [overlap(space, seen(images)).density for images in (others, blurred)]

    sharp, soft = density(untrained_features)
    assert soft < 0.6 * sharp
    sharp, soft = density(lambda images: images.flatten(1))
    assert soft > sharp


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 9), (2, 1, 3)])
def test_the_features_are_the_same_for_everyone(shape):
    images = torch.rand(7, *shape, generator=torch.Generator().manual_seed(0))
    features = untrained_features(images)
    assert features.shape == (7, 64)
    torch.manual_seed(3)
    assert torch.equal(untrained_features(images), features)
    torch.testing.assert_close(untrained_features(images[:3]), features[:3])
    assert not torch.allclose(untrained_features(images, seed=1), features)


def test_standardised_features_have_the_others_mean_and_deviation_as_units():
    like = normal(50, 3, 0, 2.0)
    like[:, 2] = 7
    found = standardised(like, like)
    torch.testing.assert_close(found.mean(0), torch.zeros(3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(found.std(0), torch.tensor([1.0, 1, 0]).double())


def test_every_measure_is_defined():
    assert {*Overlap._fields, "mmd2"} == DEFINITIONS.keys()
