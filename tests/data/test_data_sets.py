import hashlib

import numpy as np
import pytest
import torch

from vaescape.components import construct, known
from vaescape.data import Data, Images, splits, unit
from vaescape.data.base import SPLITS, held_out
from vaescape.errors import DataError, OptionError


def images(n: int, side: int = 2) -> Images:
    pixels = (torch.arange(n * side * side) % 256).to(torch.uint8).reshape(n, 1, side, side)
    return Images(pixels, torch.arange(n) % 3, torch.arange(n)[:, None].float())


class Counted(Data):
    title = "Counted"
    shuffled = True
    classes = ("a", "b", "c")

    def __init__(self, train: int = 10, test: int = 6) -> None:
        self.counts = {"train": train, "test": test}
        self.reads = 0

    def read(self, split):
        self.reads += 1
        return images(self.counts[split])


def test_all_256_values_are_exactly_k_over_255():
    pixels = torch.arange(256, dtype=torch.uint8)
    expected = torch.tensor([np.float32(k) / np.float32(255) for k in range(256)])
    assert torch.equal(unit(pixels), expected)
    assert torch.equal((unit(pixels) * 255).round().to(torch.uint8), pixels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_all_256_values_are_exact_on_a_gpu():
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(unit(pixels.cuda()).cpu(), unit(pixels))


def test_images_are_indexed_alike():
    some = images(10)
    for index, rows in [
        (3, [3]),
        (-1, [9]),
        (slice(2, 5), [2, 3, 4]),
        (torch.tensor([7, 1]), [7, 1]),
    ]:
        part = some[index]
        assert part.factors is not None
        assert part.factors[:, 0].tolist() == rows
        assert torch.equal(part.pixels, some.pixels[rows])
        assert torch.equal(part.labels, some.labels[rows])
    mask = some.labels == 1
    assert len(some[mask]) == 3
    assert some.shape == (1, 2, 2)
    assert some.floats().dtype == torch.float32


def test_images_are_checked():
    pixels, labels = torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(DataError, match=r"bytes of shape .* Got torch\.float32"):
        Images(pixels.float(), labels)
    with pytest.raises(DataError, match=r"Got torch.uint8 of shape \(4, 2, 2\)"):
        Images(pixels[:, 0], labels)
    with pytest.raises(DataError, match="one int64 label for each image"):
        Images(pixels, labels.float())
    with pytest.raises(DataError, match="do not match: 4 images, 3 labels"):
        Images(pixels, labels[:3])
    with pytest.raises(DataError, match="do not match: 4 images, 2 rows of factors"):
        Images(pixels, labels, torch.zeros(2, 5))


def test_a_split_is_read_once():
    data = Counted()
    assert data.load("train") is data.load("train")
    assert data.shape == (1, 2, 2)
    assert data.reads == 1


def test_digest_depends_on_pixels_labels_and_division():
    data, same, other, moved = Counted(), Counted(), Counted(), Counted(11, 5)
    assert data.digest() == same.digest()
    other.load("test").labels[0] = 2
    assert len({data.digest(), other.digest(), moved.digest()}) == 3
    changed = Counted()
    changed.load("train").pixels[0, 0, 0, 0] += 1
    assert changed.digest() != data.digest()


def test_validation_images_are_the_last_of_the_training_set():
    parts = splits(Counted(10, 6), validation=4)
    assert parts.validation is not None
    rows = [part.factors[:, 0].tolist() for part in (parts.train, parts.validation, parts.test)]  # pyright: ignore
    assert rows == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9], [0, 1, 2, 3, 4, 5]]
    assert (parts.classes, parts.title) == (("a", "b", "c"), "Counted")


def test_no_validation_unless_asked():
    parts = splits(Counted())
    assert parts.validation is None
    assert len(parts.train) == 10


def test_limit_takes_the_first():
    parts = splits(Counted(10, 6), validation=2, limit=7)
    assert parts.validation is not None
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (7, 2, 6)
    assert parts.train.factors is not None
    assert parts.train.factors[:, 0].tolist() == list(range(7))


@pytest.mark.parametrize("validation", [-1, 10, 11])
def test_an_impossible_validation_split(validation):
    with pytest.raises(OptionError, match=f"between 0 and 9, .* Got {validation}"):
        splits(Counted(10), validation=validation)


def test_an_impossible_limit():
    with pytest.raises(OptionError, match=r"limit must be 1 or more images\. Got 0"):
        splits(Counted(), limit=0)


@pytest.mark.parametrize("share", [0.1, 0.15, 0.5, 0.9])
def test_held_out_is_stratified_and_even(share):
    labels = np.array([0] * 40 + [1] * 100 + [2] * 7)
    mask = held_out(labels, share)
    for label in range(3):
        mine = mask[labels == label]
        assert abs(mine.sum() - share * len(mine)) < 1
        gaps = np.diff(np.flatnonzero(mine))
        assert not len(gaps) or gaps.max() - gaps.min() <= 1


def test_the_known_sets():
    assert set(known("data")) >= {"fashion-mnist", "mnist", "kmnist", "folder", "npz", "shapes"}
    for name, member in known("data").items():
        assert (member.__doc__ or "").strip(), name


def test_facts_go_to_those_who_ask(tmp_path):
    given = construct("data", "mnist", data_dir=None, cache=tmp_path)
    assert given.cache == tmp_path
    assert construct("data", "shapes(images=8)", data_dir=None, cache=tmp_path).images == 8


def test_digest_is_of_the_bytes():
    data = Counted(1, 1)
    expected = hashlib.sha256()
    for split in SPLITS:
        loaded = data.load(split)
        expected.update(b"(1, 1, 2, 2)" + bytes(loaded.pixels.flatten().tolist()))
        expected.update(np.array(loaded.labels.tolist(), dtype=np.int64).tobytes())
    assert data.digest() == expected.hexdigest()
