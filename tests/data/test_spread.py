"""Subsets stand for the whole: spread over the classes, by the seed alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vaescape import Study
from vaescape.data import splits
from vaescape.data.base import held_out, spread
from vaescape.data.folder import Folder
from vaescape.data.npz import Npz

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=200).map(lambda x: np.array(sorted(x)))


@settings(max_examples=200, deadline=None)
@given(LABELS, st.integers(0, 220), st.integers(0, 5))
def test_every_class_has_its_share(labels, count, seed):
    rows = spread(labels, count, seed)
    assert len(rows) == len(set(rows.tolist())) == min(count, len(labels))
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(rows, spread(labels, count, seed))
    classes, sizes = np.unique(labels, return_counts=True)
    taken = np.array([(labels[rows] == each).sum() for each in classes])
    share = min(count, len(labels)) * sizes / len(labels)
    assert (np.abs(taken - share) < 1 + 1e-9 + len(classes) / len(labels) * sizes).all()
    if count >= len(classes):
        assert (taken >= 1).all()


@settings(max_examples=100, deadline=None)
@given(LABELS, st.integers(0, 5))
def test_a_smaller_subset_is_part_of_a_larger(labels, seed):
    for count in range(1, len(labels), 7):
        assert set(spread(labels, count, seed)) <= set(spread(labels, count + 3, seed))


@settings(max_examples=100, deadline=None)
@given(LABELS, st.floats(0.01, 0.99))
def test_test_images_are_a_share_of_every_class(labels, share):
    test = held_out(labels, share)
    for each in np.unique(labels):
        mine = labels == each
        assert abs(test[mine].sum() - share * mine.sum()) <= 1
    if share * len(labels) >= 1:
        assert test.any()


def test_another_seed_takes_others():
    labels = np.repeat(np.arange(10), 30)
    assert set(spread(labels, 100, 0)) != set(spread(labels, 100, 1))
    assert np.bincount(labels[spread(labels, 100, 1)]).tolist() == [10] * 10


def sorted_set(kind: str, root, channels: int = 1):
    """Ten classes of 30 images, one class after the other."""
    draw = np.random.default_rng(0)
    shape = (300, 8, 8) if channels == 1 else (300, 8, 8, 3)
    x, y = draw.integers(0, 256, shape, np.uint8), np.repeat(np.arange(10), 30)
    if kind == "npz":
        np.savez(root / "set.npz", images=x, labels=y)
        return Npz(str(root / "set.npz"))
    for n in range(300):
        folder = root / "set" / f"c{y[n]}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[n]).save(folder / f"{n:03}.png")
    return Folder(str(root / "set"), size=8, grey=channels == 1)


@pytest.mark.parametrize("kind", ["npz", "folder"])
@pytest.mark.parametrize("channels", [1, 3])
def test_limit_and_validation_of_a_sorted_set_have_all_classes(tmp_path, kind, channels):
    data = sorted_set(kind, tmp_path, channels)
    assert len(data.load("train")) == 260
    found = splits(data, validation=60, limit=100, seed=1)
    assert found.validation is not None
    assert found.validation.labels.bincount().tolist() == [6] * 10
    assert found.train.labels.bincount().tolist() == [10] * 10
    assert found.test.labels.bincount().tolist() == [4] * 10
    # Nothing is in two of them.
    parts = (found.train, found.validation, found.test)
    seen = [image.numpy().tobytes() for part in parts for image in part.pixels]
    assert len(set(seen)) == len(seen) == 200


def test_a_study_spreads_by_its_seed(tmp_path):
    sorted_set("npz", tmp_path)
    text = f"npz(path={str(tmp_path / 'set.npz')!r})"
    one, same, other = (
        Study("paper", data=text, limit=50, batch=10, seed=seed).train for seed in (3, 3, 4)
    )
    assert one.labels.bincount().tolist() == other.labels.bincount().tolist() == [5] * 10
    assert (one.pixels == same.pixels).all()
    assert not (one.pixels == other.pixels).all()
