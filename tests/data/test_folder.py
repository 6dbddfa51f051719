import pytest
import torch
from PIL import Image

from vaescape.components import construct
from vaescape.data.folder import Folder
from vaescape.errors import ComponentError, DataError


def test_each_subfolder_is_a_class(save_pictures):
    root = save_pictures("boots", "bags", count=10)
    data = construct("data", f"folder(path={str(root)!r}, size=8)", data_dir=None, cache=None)
    train, test = data.load("train"), data.load("test")
    assert (data.classes, data.title, data.shape) == (("bags", "boots"), "pictures", (1, 8, 8))
    assert train.labels.bincount().tolist() == [9, 9]
    assert test.labels.bincount().tolist() == [1, 1]
    assert len({*train.pixels[:9, 0, 0, 0].tolist(), *test.pixels[:1, 0, 0, 0].tolist()}) == 10


def test_the_division_is_the_same_every_time(save_pictures):
    root = str(save_pictures("a", "b", count=9))
    assert Folder(root, test=0.3).digest() == Folder(root, test=0.3).digest()
    assert len(Folder(root, test=0.5).load("test")) == 8


def test_train_and_test_folders_are_used(save_pictures):
    root = save_pictures("train/a", "train/b", "test/a", "test/b", count=3)
    data = Folder(str(root))
    assert data.classes == ("a", "b")
    assert len(data.load("train")) == len(data.load("test")) == 6


def test_colour_and_size(save_pictures):
    data = Folder(str(save_pictures("a", count=8)), size=12, grey=False)
    assert data.shape == (3, 12, 12)


def test_other_files_do_not_disturb(save_pictures):
    root = save_pictures("a", count=8)
    (root / "a" / "notes.txt").write_text("hello")
    (root / "a" / ".hidden.png").write_bytes(b"")
    (root / ".thumbnails").mkdir()
    data = Folder(str(root))
    assert data.classes == ("a",)
    with pytest.warns(UserWarning, match=r"left out 1 of 9 files: 1 \.txt, no pictures"):
        train = data.load("train")
    assert len(train) + len(data.load("test")) == 8


def test_broken_pictures_can_be_skipped_and_are_counted(save_pictures):
    root = save_pictures("a", "b", count=8)
    for name in ("a/003.png", "b/000.png"):
        (root / name).write_bytes(b"no picture")
    data = Folder(str(root), broken="skip")
    with pytest.warns(UserWarning, match="left out 2 of 16 files: 2 that cannot be read"):
        train = data.load("train")
    assert len(train) + len(data.load("test")) == 14


def test_pictures_of_every_kind_side_by_side(save_pictures):
    root = save_pictures("a", count=8)
    Image.new("CMYK", (50, 20)).save(root / "a" / "x.jpg")
    Image.new("I;16", (9, 9), 65535).save(root / "a" / "y.png")
    Image.new("RGBA", (9, 9)).save(root / "a" / "z.PNG")
    images = Folder(str(root)).load("train")
    assert images.pixels.dtype == torch.uint8


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": 0}, "size must be between 4 and 1024"),
        ({"test": 0.0}, "test must be between 0 and 1"),
        ({"test": 1.0}, "test must be between 0 and 1"),
        ({"broken": "ignore"}, "broken must be 'error' or 'skip'"),
    ],
)
def test_impossible_values(save_pictures, options, told):
    with pytest.raises(ComponentError, match=told):
        Folder(str(save_pictures("a")), **options)


def test_too_few_pictures_to_divide(save_pictures):
    with pytest.raises(DataError, match="2 images leave 0 to test on and 2 to train on"):
        Folder(str(save_pictures("a", count=2))).load("train")
