"""Each bad input that the project names, and the sentence that it gets: file, cause, remedy."""

import gzip

import numpy as np
import pytest

from vaescape.components import construct
from vaescape.data.folder import Folder
from vaescape.data.mnist_like import FILES
from vaescape.data.npz import Npz
from vaescape.errors import ComponentError, DataError, ImageError, VaescapeError

IMAGES = FILES[0]


def told(load, *args, kind: type[VaescapeError] = DataError) -> str:
    with pytest.raises(kind) as caught:
        load(*args)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def damaged(tiny, folder, change) -> str:
    path = folder / f"{IMAGES}.gz"
    path.write_bytes(change(path.read_bytes()))
    return told(tiny(data_dir=folder).load, "train")


def test_a_missing_file(tiny, tiny_folder):
    (tiny_folder / f"{IMAGES}.gz").unlink()
    message = told(tiny(data_dir=tiny_folder).load, "train")
    assert f"Expected {IMAGES} or {IMAGES}.gz in the data folder {tiny_folder}" in message
    assert "Put Tiny's four files there" in message


def test_a_missing_data_folder(tiny, tmp_path):
    assert "Got neither" in told(tiny(data_dir=tmp_path / "none").load, "train")


def test_a_truncated_file(tiny, tiny_folder):
    message = damaged(tiny, tiny_folder, lambda content: content[:-20])
    assert f"{tiny_folder / IMAGES}.gz: cannot be read or unpacked" in message
    assert message.endswith("Replace the file by a fresh copy.")


def test_a_truncated_file_that_unpacks(tiny, tiny_folder):
    message = damaged(tiny, tiny_folder, lambda _: gzip.compress(b"\0\0\x08\x03" + bytes(3)))
    assert "ends after 7 bytes, within its header" in message


def test_a_bit_flipped_file(tiny, tiny_folder, tiny_content):
    flipped = bytearray(tiny_content[IMAGES])
    flipped[100] ^= 4
    message = damaged(tiny, tiny_folder, lambda _: gzip.compress(bytes(flipped)))
    assert "damaged, or another edition. Expected content of SHA-256" in message


def test_a_file_of_the_wrong_size(tiny, tiny_folder, tiny_content):
    message = damaged(tiny, tiny_folder, lambda _: tiny_content[FILES[2]])
    assert "expected an IDX file of 12 × 5 × 5 unsigned bytes. Got an IDX file of 8 × 5 × 5" in (
        message
    )


def test_a_gzip_bomb(tiny, tiny_folder, tiny_content):
    bomb = gzip.compress(tiny_content[IMAGES] + bytes(10_000_000))
    assert "too long. Expected 316 bytes" in damaged(tiny, tiny_folder, lambda _: bomb)


def test_images_and_labels_that_do_not_match(tmp_path):
    pixels = np.zeros((10, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", images=pixels, labels=np.arange(9))
    message = told(Npz, str(tmp_path / "a.npz"))
    assert "images and labels do not match. Expected 10 labels for 10 images" in message
    assert "Give each image one label" in message


def test_a_missing_archive(tmp_path):
    assert "there is no such file. Expected a NumPy archive" in told(Npz, str(tmp_path / "a.npz"))


def test_a_missing_folder(tmp_path):
    assert "there is no such folder" in told(Folder, str(tmp_path / "none"))


def test_a_folder_without_classes(tmp_path):
    message = told(Folder, str(tmp_path))
    assert "expected pictures, or one subfolder for each class. Got an empty folder." in message


def test_an_empty_class_folder(save_pictures):
    root = save_pictures("boots")
    (root / "bags").mkdir()
    message = told(Folder(str(root)).load, "train")
    assert f"{root / 'bags'}: an empty class folder. Expected pictures." in message
    assert message.endswith("Add some, or take the folder away.")


def test_a_broken_picture_in_a_folder(save_pictures):
    root = save_pictures("boots", count=8)
    path = root / "boots" / "005.png"
    path.write_bytes(path.read_bytes()[:-25])
    message = told(Folder(str(root)).load, "train", kind=ImageError)
    assert f"{path}: damaged" in message
    assert "broken='skip'" in message


def test_a_class_of_broken_pictures_only(save_pictures):
    root = save_pictures("bags", "boots", count=8)
    for path in (root / "boots").iterdir():
        path.write_bytes(b"")
    message = told(Folder(str(root), broken="skip").load, "train")
    assert "no picture of the class boots can be read" in message


def test_train_and_test_with_different_classes(save_pictures):
    root = save_pictures("train/bags", "train/boots", "test/bags")
    message = told(Folder, str(root))
    assert "must have the same class folders. Only one of them has: boots." in message


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("fashion-mist", "There is no data named 'fashion-mist'. Did you mean 'fashion-mnist'?"),
        ("folder", "needs the argument 'path'"),
        ("npz(pth='a.npz')", "has no argument 'pth'. Did you mean 'path'?"),
        ("folder(path=5)", "path must be str. Got 5."),
    ],
)
def test_a_misspelt_component(spec, sentence):
    assert sentence in told(construct, "data", spec, kind=ComponentError)
