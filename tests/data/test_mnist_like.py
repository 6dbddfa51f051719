import os

import numpy as np
import pytest
import torch

from vaescape.data import mnist_like
from vaescape.data.base import SPLITS
from vaescape.data.fashion_mnist import DEBIAN, FashionMNIST
from vaescape.data.kmnist import KMNIST
from vaescape.data.mnist import MNIST
from vaescape.data.mnist_like import FILES
from vaescape.errors import DataError


@pytest.fixture
def no_mirror(monkeypatch):
    """Fail where a download would begin."""

    def refuse(*_, **__):
        raise DataError("No mirror gave it.")

    monkeypatch.setattr(mnist_like, "fetch", refuse)


def test_reads_a_data_folder_plain_or_compressed(tiny_folder, tiny, tiny_content):
    data = tiny(data_dir=tiny_folder)
    for split in SPLITS:
        images = data.load(split)
        assert images.pixels.shape == (tiny.counts[split], 1, 5, 5)
        assert images.labels.tolist() == [n % 3 for n in range(tiny.counts[split])]
    content = tiny_content[FILES[0]]
    assert data.load("train").pixels.numpy().tobytes() == content[16:]


def test_reads_a_subfolder_of_the_sets_name(tmp_path, tiny, write_tiny):
    write_tiny(tmp_path / "tiny")
    assert len(tiny(data_dir=tmp_path).load("test")) == 8


def test_a_data_folder_is_the_only_place_looked_at(tmp_path, no_mirror, tiny, write_tiny):
    write_tiny(tmp_path / "cache" / "tiny")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz in the data folder .*empty"):
        tiny(data_dir=tmp_path / "empty", cache=tmp_path / "cache").load("train")


def test_then_the_cache(tmp_path, monkeypatch, no_mirror, tiny, write_tiny):
    write_tiny(tmp_path / "tiny")
    assert len(tiny(cache=tmp_path).load("train")) == 12
    monkeypatch.setenv("VAESCAPE_CACHE", str(tmp_path))
    assert len(tiny().load("train")) == 12


def test_then_the_package(tmp_path, monkeypatch, no_mirror, tiny, write_tiny):
    monkeypatch.setattr(tiny, "package", ("dataset-tiny", write_tiny(tmp_path / "packaged")))
    assert len(tiny(cache=tmp_path / "none").load("train")) == 12


def test_a_damaged_cache_is_passed_over(tmp_path, monkeypatch, no_mirror, tiny, write_tiny):
    cached = write_tiny(tmp_path / "tiny") / f"{FILES[0]}.gz"
    cached.write_bytes(cached.read_bytes()[:50])
    with pytest.raises(DataError, match=r"tiny.train-images-idx3-ubyte\.gz: cannot be read"):
        tiny(cache=tmp_path).load("train")
    monkeypatch.setattr(tiny, "package", ("dataset-tiny", write_tiny(tmp_path / "packaged")))
    assert len(tiny(cache=tmp_path).load("train")) == 12


def test_when_all_fail_each_place_and_each_remedy_is_told(tmp_path, monkeypatch, no_mirror, tiny):
    monkeypatch.setattr(tiny, "package", ("dataset-tiny", tmp_path / "packaged"))
    with pytest.raises(DataError) as caught:
        tiny(cache=tmp_path).load("train")
    for word in [
        "Tiny could not be had",
        f"cache {tmp_path / 'tiny'} does not hold train-images-idx3-ubyte",
        "package dataset-tiny is not installed",
        "No mirror gave it",
        "apt-get install dataset-tiny",
        "--data-dir",
    ]:
        assert word in str(caught.value)


def test_sets_without_a_package_do_not_advise_one(tmp_path, no_mirror):
    with pytest.raises(DataError) as caught:
        KMNIST(cache=tmp_path).load("train")
    assert "apt-get" not in str(caught.value)


def test_labels_beyond_the_classes_are_refused(tiny_folder, monkeypatch, tiny):
    monkeypatch.setattr(tiny, "classes", ("a", "b"))
    with pytest.raises(DataError, match=r"expected labels from 0 to 1\. Got 2"):
        tiny(data_dir=tiny_folder).load("train")


def test_images_of_one_split_with_labels_of_the_other(tiny_folder, tiny, tiny_content):
    (tiny_folder / FILES[1]).write_bytes(tiny_content[FILES[3]])
    with pytest.raises(DataError, match="expected an IDX file of 12 unsigned bytes. Got .* of 8"):
        tiny(data_dir=tiny_folder).load("train")


@pytest.mark.parametrize("member", [FashionMNIST, MNIST, KMNIST])
def test_members_are_complete(member):
    digests = member.sha256 or member.sha256_gz
    assert len(set(digests)) == len(FILES)
    assert all(len(digest) == 64 and int(digest, 16) for digest in digests)
    assert len(set(member.classes)) == 10
    assert len(member.mirrors) >= 2
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in member.mirrors)


def test_the_real_fashion_mnist():
    if not (DEBIAN / f"{FILES[0]}.gz").exists():
        told = "The package dataset-fashion-mnist is not installed: apt-get install it."
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    data = FashionMNIST(data_dir=DEBIAN)
    train, test = data.load("train"), data.load("test")
    assert train.pixels.shape == (60_000, 1, 28, 28)
    assert test.pixels.shape == (10_000, 1, 28, 28)
    assert train.labels.bincount().tolist() == [6000] * 10
    assert test.labels.bincount().tolist() == [1000] * 10
    assert (data.title, data.shape, data.classes[9]) == ("Fashion-MNIST", (1, 28, 28), "Ankle boot")
    assert train.labels[0] == 9
    # The mean grey that is known of this set, 0.2860.
    assert abs(train.pixels.double().mean().item() / 255 - 0.2860) < 1e-4
    assert data.digest().startswith("a06d3266794aa014")
    assert isinstance(train.pixels, torch.Tensor)
    assert np.shares_memory(train.pixels.numpy(), data.load("train").pixels.numpy())
