"""A part of a set that is sorted by class stands for all classes, in every number."""

import numpy as np
import pytest
import torch

from vaescape import Study
from vaescape.data import opened
from vaescape.evaluation import importance_bound, sample_quality, smoothness_table
from vaescape.representatives import representatives

SMALL = {"network": "mlp(layers=1, hidden=8)", "epochs": 60, "batch": 20, "lr": 0.01, "threads": 1}


@pytest.fixture(scope="module")
def study() -> Study:
    """Two classes, one after the other: dim noise, which is cheap, and bright noise."""
    dice = np.random.default_rng(0)
    dim = dice.integers(0, 25, (140, 12, 12))
    bright = dice.integers(0, 256, (140, 12, 12))
    images = np.concatenate([dim, bright]).astype(np.uint8)
    return Study("first-look", data=(images, [0] * 140 + [1] * 140), **SMALL).fit()  # pyright: ignore


def test_the_bound_of_some_images_is_about_that_of_all(study: Study):
    found = [importance_bound(study, 5, images=n, pool=1)["nats"] for n in (20, None)]
    assert found[0] == pytest.approx(found[1], rel=0.05)  # of the first 20: half of it


def test_samples_and_training_images_are_compared_with_test_images_of_all_classes(study: Study):
    found = sample_quality(study)["sets"]["training images"]
    assert found["coverage"] > 0.8  # with the first training images: about 0.5
    assert found["recall"] > 0.75


def test_decoded_paths_are_compared_with_real_images_of_all_classes(study: Study, monkeypatch):
    monkeypatch.setattr("vaescape.evaluation.smoothness.REAL_IMAGES", 60)
    found = smoothness_table(study, paths=20)["paths"]["pixel cross-fade"]["same"]
    ends = found["end_distance"][
        "estimate"
    ]  # half of the pairs are dim: 12 pixels of √(2 · 24² / 12)
    dim = 12 * (24 / 255) * (2 / 12) ** 0.5
    bright = 12 * (2 / 12) ** 0.5
    assert ends == pytest.approx((dim + bright) / 2, rel=0.25)


def test_a_class_that_comes_last_has_a_representative_of_its_own(study: Study, monkeypatch):
    monkeypatch.setattr("vaescape.representatives.LOOKED_AT", 10)
    chosen = representatives(study)
    assert {label: int(study.test.labels[row]) for label, row in chosen.items()} == {0: 0, 1: 1}


def test_all_are_all_and_shuffled_sets_give_their_first(study: Study):
    assert study.some(study.test, None) is study.test
    assert study.some(study.test, 10_000) is study.test
    assert study.some(study.test, 10).labels.bincount().tolist() == [5, 5]
    data = opened("shapes(images=40)")
    data.shuffled = True
    shapes = Study("first-look", data=data)
    assert torch.equal(shapes.some(shapes.test, 3).pixels, data.load("test").pixels[:3])
