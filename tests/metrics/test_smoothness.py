import json
import math
from functools import partial

import pytest
import torch

from vaescape.errors import OptionError
from vaescape.metrics import smoothness as module
from vaescape.metrics.nearest import Nearest
from vaescape.metrics.smoothness import (
    DEFINITIONS,
    Density,
    Walk,
    cross_fade,
    pairs,
    path_statistics,
    smoothness,
    support,
)


def linear(a, b, t):
    return a[:, None] + t[:, None] * (b - a)[:, None]


def as_images(points):
    """Two coordinates as an image of 1 × 1 × 2 pixels."""
    return points[..., None, None, :]


def arc(angles, radius=1.0):
    return radius * torch.stack([angles.cos(), angles.sin()], dim=-1)


def statistics(points):
    return [float(value) for value in path_statistics(as_images(points[None]))]


# Pairs


def test_pairs_are_of_one_class_or_of_two_and_never_of_an_image_with_itself():
    labels = torch.randint(0, 5, (80,), generator=torch.Generator().manual_seed(0))
    for same in (True, False):
        first, second = pairs(labels, 2000, same).T
        assert len(first) == 2000
        assert bool(((labels[first] == labels[second]) == same).all())
        assert bool((first != second).all())


def test_pairs_reach_every_allowed_partner_evenly():
    labels = torch.tensor([0, 1, 0, 1, 1])
    for same, allowed in ((True, 2 * 1 + 3 * 2), (False, 2 * 3 + 3 * 2)):
        found, counts = pairs(labels, 12_000, same).unique(dim=0, return_counts=True)
        assert len(found) == allowed
        partners = [int(((labels == labels[i]) == same).sum()) - same for i, _ in found.tolist()]
        expected = torch.tensor([12_000 / 5 / p for p in partners])
        assert torch.allclose(counts.float(), expected, rtol=0.15)


def test_pairs_follow_the_seed():
    labels = torch.arange(40) % 4
    assert torch.equal(pairs(labels, 50, True, seed=1), pairs(labels, 50, True, seed=1))
    assert not torch.equal(pairs(labels, 50, True, seed=1), pairs(labels, 50, True, seed=2))


def test_there_are_no_pairs_where_no_image_has_a_partner():
    assert pairs(torch.zeros(9, dtype=torch.long), 5, same=False).shape == (0, 2)
    assert pairs(torch.arange(9), 5, same=True).shape == (0, 2)


def test_an_image_alone_in_its_class_is_in_no_pair_of_the_same_class():
    assert 0 not in pairs(torch.tensor([7, 1, 1, 1]), 200, same=True)


# Length, step, turning


def test_a_straight_line_at_constant_speed_has_ratio_one_and_does_not_turn():
    a, b = torch.rand(2, 6, 1, 28, 28)
    found = path_statistics(linear(a, b, torch.linspace(0, 1, 11).view(-1, 1, 1)))
    assert torch.allclose(found.length_ratio, torch.ones(6), atol=1e-5)
    assert torch.allclose(found.step_ratio, torch.ones(6), atol=1e-5)
    assert torch.allclose(found.curvature, torch.zeros(6), atol=1e-4)


def test_a_quarter_circle_is_longer_than_its_chord_and_turns_by_its_angle():
    frames = 101
    angles = torch.linspace(0, math.pi / 2, frames, dtype=torch.float64)
    length, step, turning = statistics(arc(angles))
    assert length == pytest.approx(math.pi / 2 / math.sqrt(2), rel=1e-4)
    assert step == pytest.approx(1)
    assert turning == pytest.approx(math.pi / 2 * (frames - 2) / (frames - 1))


def test_a_sharp_corner_turns_by_its_angle_and_a_reversal_by_pi():
    corner = torch.tensor([[0.0, 0], [1, 0], [1, 1]], dtype=torch.float64)
    assert statistics(corner)[2] == pytest.approx(math.pi / 2)
    reversal = torch.tensor([[0.0, 0], [2, 0], [1, 0]], dtype=torch.float64)
    assert statistics(reversal) == pytest.approx([3, 4 / 3, math.pi])


def test_the_step_ratio_is_the_largest_over_the_mean_step():
    points = torch.tensor([[0.0, 0], [1, 0], [2, 0], [8, 0]], dtype=torch.float64)
    assert statistics(points) == pytest.approx([1, 6 / (8 / 3), 0])


def test_reparametrising_changes_the_steps_but_neither_length_nor_turning():
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    even, uneven = (statistics(arc(s * math.pi / 2)) for s in (t, t**2))
    assert uneven[0] == pytest.approx(even[0], rel=1e-5)
    assert uneven[2] == pytest.approx(even[2], rel=2e-3)
    assert uneven[1] == pytest.approx(2, rel=2e-3)
    assert even[1] == pytest.approx(1)


def test_contrast_and_brightness_change_nothing():
    points = torch.rand(11, 2, dtype=torch.float64)
    assert statistics(0.2 * points + 0.5) == pytest.approx(statistics(points))


def test_pauses_do_not_turn():
    points = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]], dtype=torch.float64)
    paused = points[[0, 0, 0, 1, 1, 2, 2, 3, 3]]
    assert statistics(paused)[2] == pytest.approx(statistics(points)[2]) == pytest.approx(math.pi)


def test_a_path_that_never_moves_is_defined_also_under_rounding():
    still = torch.rand(1, 1, 1, 28, 28).expand(3, 11, 1, 28, 28)
    rounded = still + 2e-7 * torch.randn(3, 11, 1, 28, 28)
    for images in (still, rounded):
        found = path_statistics(images)
        assert found.length_ratio.tolist() == [1, 1, 1]
        assert found.step_ratio.tolist() == [1, 1, 1]
        assert found.curvature.tolist() == [0, 0, 0]


def test_a_path_that_returns_to_its_start_has_a_large_finite_length_ratio():
    angles = torch.linspace(0, 2 * math.pi, 11, dtype=torch.float64)
    assert 1e5 < statistics(arc(angles))[0] < math.inf


def test_neither_the_order_of_paths_nor_that_of_pixels_matters():
    images = torch.rand(5, 7, 1, 4, 4, dtype=torch.float64)
    order, pixels = torch.randperm(5), torch.randperm(16)
    shuffled = images[order].flatten(2)[..., pixels].view(5, 7, 1, 4, 4)
    for before, after in zip(path_statistics(images), path_statistics(shuffled), strict=True):
        assert torch.allclose(before[order], after)


# Support


def test_support_counts_the_in_between_points_above_the_percentile():
    real = torch.arange(101.0)
    path = torch.tensor([[-9.0, 4, 5, 6, -9], [99, 99, 99, 99, 99], [99, 0, 1, 2, 99]])
    assert torch.allclose(support(path, real, percentile=5), torch.tensor([2 / 3, 1, 0]))


def test_support_falls_as_the_percentile_rises():
    generator = torch.Generator().manual_seed(0)
    path, real = torch.randn(20, 11, generator=generator), torch.randn(500, generator=generator)
    shares = torch.stack([support(path, real, q) for q in (0, 5, 25, 50, 75, 100)])
    assert bool((shares.diff(dim=0) <= 0).all())
    assert shares[0].mean() > shares[-1].mean()


def test_a_path_through_a_hole_of_the_aggregate_posterior_has_no_support():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    z = torch.randn(400, 2, generator=generator) * 0.3 + 20.0 * labels[:, None]

    def log_density(points):
        centres = torch.tensor([[0.0, 0.0], [20.0, 20.0]])
        return torch.logsumexp(-torch.cdist(points, centres).square() / 0.18, dim=1)

    walk = Walk(z, linear, as_images, Density(log_density, log_density(z)))
    found = smoothness({"linear": walk}, labels, as_images(z), paths=60)
    assert found["same"]["linear"]["support"]["estimate"] > 0.9
    assert found["different"]["linear"]["support"]["estimate"] < 0.05
    gap = [found[kind]["linear"]["log_density"]["estimate"] for kind in ("same", "different")]
    assert gap[0] > gap[1] + 100


# The whole


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(60, 1, 8, 8, generator=generator)
    return images, torch.arange(60) % 3, torch.rand(90, 1, 8, 8, generator=generator)


def bent(points):
    """A decoder that bends straight lines."""
    return torch.sigmoid(torch.sin(points @ torch.linspace(-3, 3, 128).view(2, 64))).view(
        -1, 1, 8, 8
    )


def walks(images):
    z = images.flatten(1)[:, :2] * 4 - 2
    density = partial(Density, lambda points: -points.square().sum(1) / 2)
    return {
        "linear": Walk(z, linear, bent, density(-z.square().sum(1) / 2)),
        "cross-fade": cross_fade(images),
    }


def test_endpoints_are_exact():
    images = torch.rand(4, 1, 28, 28)
    walk = cross_fade(images)
    path = walk.path(images[:2], images[2:], torch.linspace(0, 1, 11))
    assert torch.equal(path[:, 0], images[:2])
    assert torch.equal(path[:, -1], images[2:])
    assert torch.allclose(path[:, 5], (images[:2] + images[2:]) / 2)


def test_the_cross_fade_is_perfectly_straight_and_even(data):
    images, labels, real = data
    for kind in ("same", "different"):
        found = smoothness({"cross-fade": cross_fade(images)}, labels, real, paths=40)[kind]
        assert found["cross-fade"]["length_ratio"]["estimate"] == pytest.approx(1, abs=1e-5)
        assert found["cross-fade"]["step_ratio"]["estimate"] == pytest.approx(1, abs=1e-5)
        assert found["cross-fade"]["curvature"]["estimate"] == pytest.approx(0, abs=1e-4)


def test_the_ends_are_left_out_of_the_nearest_distance(data):
    images, labels, _ = data
    found = smoothness({"fade": cross_fade(images)}, labels, images, paths=40, frames=3)["same"]
    first, second = pairs(labels, 40, same=True).T
    middle = Nearest(images)((images[first] + images[second]) / 2)
    assert found["fade"]["end_distance"]["estimate"] == 0
    assert found["fade"]["nearest_distance"]["estimate"] == pytest.approx(float(middle.mean()))


def test_the_result_goes_to_json_and_has_every_defined_measure(data):
    images, labels, real = data
    found = smoothness(walks(images), labels, real, paths=30, frames=5, seed=2)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["settings"] == {
        "paths": 30,
        "frames": 5,
        "real_images": 90,
        "seed": 2,
        "percentile": 5.0,
    }
    for kind in ("same", "different"):
        assert found[kind]["linear"].keys() == DEFINITIONS.keys()
        assert found[kind]["cross-fade"].keys() == DEFINITIONS.keys() - {"support", "log_density"}
        for record in found[kind]["linear"].values():
            assert record["low"] <= record["estimate"] <= record["high"]
    assert found["same"]["linear"]["length_ratio"]["estimate"] > 1.1


def test_the_result_does_not_depend_on_the_chunks(data, monkeypatch):
    images, labels, real = data
    whole = smoothness(walks(images), labels, real, paths=30)
    monkeypatch.setattr(module, "_PATHS_AT_ONCE", 7)
    parts = smoothness(walks(images), labels, real, paths=30)
    for name, record in whole["same"]["linear"].items():
        assert parts["same"]["linear"][name] == pytest.approx(record, rel=1e-5)


def test_the_seed_chooses_the_pairs(data):
    images, labels, real = data
    first, again, other = (
        smoothness(walks(images), labels, real, paths=20, seed=seed)["same"] for seed in (0, 0, 1)
    )
    assert first == again != other


def test_kinds_of_pair_that_the_labels_do_not_allow_are_left_out(data):
    images, labels, real = data
    alone = smoothness(walks(images), torch.zeros_like(labels), real, paths=5)
    assert alone.keys() == {"settings", "same"}
    assert smoothness(walks(images), None, real, paths=5).keys() == {"settings", "any"}


def test_progress_sees_every_piece_of_work(data):
    images, labels, real = data
    seen = []

    def progress(work):
        for piece in work:
            seen.append(piece)
            yield piece

    smoothness(walks(images), labels, real, paths=150, progress=progress)
    assert len(seen) == 2 * 2 * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 2}, "at least 3 frames, two ends and one between, got 2. Try 11"),
        ({"paths": 0}, "at least 1 path and at most 100,000, got 0"),
        ({"labels": torch.zeros(3)}, "'linear' 60, walk 'cross-fade' 60, labels 3"),
        ({"walks": {}, "labels": None}, "got none"),
    ],
)
def test_refuses_what_cannot_be_measured(data, change, message):
    images, labels, real = data
    arguments = {"walks": walks(images), "labels": labels, "real": real, "paths": 5} | change
    with pytest.raises(OptionError, match=message):
        smoothness(**arguments)
