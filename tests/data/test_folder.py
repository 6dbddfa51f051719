import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from vaescape.components import construct
from vaescape.data import opened, splits
from vaescape.data.folder import Folder, visible_files
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
    with pytest.warns(UserWarning, match="left out 2 pictures that cannot be read"):
        train = data.load("train")
    assert len(train) + len(data.load("test")) == 14


def test_pictures_of_every_kind_side_by_side(save_pictures):
    root = save_pictures("a", count=8)
    Image.new("CMYK", (50, 20)).save(root / "a" / "x.jpg")
    Image.new("I;16", (9, 9), 65535).save(root / "a" / "y.png")
    Image.new("RGBA", (9, 9)).save(root / "a" / "z.PNG")
    images = Folder(str(root)).load("train")
    assert images.pixels.dtype == torch.uint8


@pytest.mark.parametrize("options", ["", ", nested=True"])
def test_deeper_folders_are_told_or_taken(save_pictures, tmp_path, options):
    root = save_pictures("a", "a/more", "b", count=8)
    spec = f"folder(path={str(root)!r}{options})"
    data = construct("data", spec, data_dir=None, cache=None, base=None)
    if options:
        assert len(data.load("train")) + len(data.load("test")) == 24
    else:
        with pytest.warns(UserWarning, match=r"left out 8 of 24 files: 8 in deeper folders"):
            train = data.load("train")
        assert len(train) + len(data.load("test")) == 16
        (tmp_path / "only" / "c").mkdir(parents=True)
        (root / "a" / "more").rename(tmp_path / "only" / "c" / "deep")
        (tmp_path / "only" / "d").mkdir()
        (root / "b").rename(tmp_path / "only" / "d" / "deep")
        spec = rf"folder\(path='{tmp_path}/only', nested=True\)"
        said = rf"class c, d can be read .*\. Give --data \"{spec}\"\."
        with pytest.raises(DataError, match=said):
            Folder(str(tmp_path / "only")).load("train")


def test_a_link_to_a_folder_around_it_is_passed_over(save_pictures):
    root = save_pictures("a", "b", count=8)
    (root / "a" / "around").symlink_to(root)
    (root / "itself").symlink_to(root)
    (root / "b" / "dead.png").symlink_to(root / "nowhere")
    (root / "b" / "linked.png").symlink_to(root / "a" / "000.png")
    for nested in (False, True):
        data = Folder(str(root), nested=nested)
        with pytest.warns(UserWarning, match=r"left out 1 of 18 files: 1 links that lead nowhere"):
            train = data.load("train")
        assert len(train) + len(data.load("test")) == 17
        assert data.classes == ("a", "b")
    assert len(visible_files(root)) == 18


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("set.npz", r"Give the file itself: --data .*only/set\.npz\."),
        ("train-images-idx3-ubyte.gz", r"MNIST's four files: --data mnist .* --data-dir .*only\."),
        ("pictures.zip", r"Unpack pictures\.zip, and give the folder\."),
        ("digits.npy", r"Save what is in digits\.npy with numpy\.savez"),
        ("notes.txt", r"Save them anew, or take the folder away\."),
    ],
)
def test_a_folder_of_other_files_says_what_to_do_with_them(tmp_path, file, told):
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / file).write_bytes(b"something")
    with pytest.raises(DataError, match=told):
        Folder(str(tmp_path / "only")).load("train")
    if file != "set.npz":
        kind = "expected a folder of pictures, a packed set or an .npz file. Got a file of another"
        with pytest.raises(DataError, match=kind):
            opened(str(tmp_path / "only" / file))


@pytest.mark.parametrize("kind", ["jfif", "", "jp2", "avif", "tga", "qoi", "ico"])
def test_the_content_says_what_a_picture_is(tmp_path, kind):
    (tmp_path / "set" / "a").mkdir(parents=True)
    for n in range(8):
        name = f"{n}.{kind}" if kind else str(n)
        formats = {"jfif": "JPEG", "": "PNG", "jp2": "JPEG2000"}
        image = Image.new("RGB", (32, 32), (20 * n, 90, 90))
        image.save(tmp_path / "set/a" / name, format=formats.get(kind, kind.upper()))
    data = Folder(str(tmp_path / "set"), grey=False)
    found = torch.cat([data.load("train").pixels, data.load("test").pixels])[:, 0, 14, 14]
    assert (found.sort().values.float() - 20 * torch.arange(8)).abs().max() <= 6


@pytest.mark.parametrize("names", [("train", "val"), ("Train", "Valid"), ("training", "dev")])
def test_val_is_the_test_images_where_there_is_no_test(save_pictures, names):
    root = save_pictures(*(f"{one}/{each}" for one in names for each in "ab"), count=3)
    data = Folder(str(root))
    assert (data.classes, data.validation) == (("a", "b"), None)
    assert len(data.load("train")) == len(data.load("test")) == 6


def test_val_beside_test_is_the_validation_images(save_pictures):
    root = save_pictures(*(f"{s}/{c}" for s in ("train", "val", "test") for c in "ab"), count=3)
    data = Folder(str(root))
    found = splits(data)
    assert found.validation is not None
    assert [len(one) for one in (found.train, found.validation, found.test)] == [6, 6, 6]
    assert found.validation.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_litter_wrapping_and_odd_names(save_pictures):
    root = save_pictures("set/a", "set/b", "set/__MACOSX/a", "set/a/x.png", count=8)
    for path in (root, root / "set"):  # unpacked into a folder of its own, or not
        data = Folder(str(path))
        assert data.classes == ("a", "b")
        with pytest.warns(UserWarning, match="8 in deeper folders"):
            train = data.load("train")
        assert len(train) == 14


def test_a_flat_folder_is_one_class(save_pictures):
    data = Folder(str(save_pictures("a", count=8) / "a"))
    assert (data.classes, len(data.load("train"))) == (("images",), 7)


def test_train_may_be_a_class(save_pictures):
    assert Folder(str(save_pictures("car", "plane", "train"))).classes == ("car", "plane", "train")


def test_frames_are_told(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    for n in range(8):
        first, second = (Image.new("L", (9, 9), 60 * one) for one in (1, 2))
        first.save(tmp_path / "set/a" / f"{n}.gif", save_all=True, append_images=[second])
    with pytest.warns(UserWarning, match="8 files hold several pictures. The first of each"):
        pixels = Folder(str(tmp_path / "set")).load("train").pixels
    assert pixels.unique().tolist() == [60]


def test_numbers_of_classes_are_nearly_black(tmp_path):
    (tmp_path / "dim" / "a").mkdir(parents=True)
    for n in range(8):
        Image.new("L", (9, 9), n).save(tmp_path / "dim/a" / f"{n}.png")
    with pytest.warns(UserWarning, match="brightest value of the set is 7 of 255"):
        Folder(str(tmp_path / "dim")).load("train")


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


@pytest.mark.filterwarnings("ignore:.*nearly black")
def test_too_few_pictures_to_divide(save_pictures):
    with pytest.raises(DataError, match="2 images leave 0 to test on and 2 to train on"):
        Folder(str(save_pictures("a", count=2))).load("train")


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize(("brightest", "told"), [(20, True), (31, True), (32, False), (254, False)])
def test_masks_of_class_numbers_are_nearly_black_and_it_is_said(tmp_path, brightest, told, void):
    """Also where a border of 255 marks what has no class."""
    values = (np.arange(8 * 12 * 12) % (brightest + 1)).astype(np.uint8).reshape(8, 12, 12)
    values[:, 0, 0] = brightest
    if void:
        values[:, 1] = 255
    folder = tmp_path / "masks"
    folder.mkdir()
    for n, mask in enumerate(values):
        Image.fromarray(mask).save(folder / f"{n}.png")
    np.savez(tmp_path / "masks.npz", images=values)
    for spec in (f"folder(path={str(folder)!r})", f"npz(path={str(tmp_path / 'masks.npz')!r})"):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            opened(spec).load("train")
        sentences = [str(one.message) for one in found]
        assert any(f"is {brightest} of 255" in one for one in sentences) is told
        assert any("numbers of classes, save them as colours" in one for one in sentences) is told
        assert any(": apart from 255, the brightest" in one for one in sentences) is (told and void)


def test_colours_of_12_bits_in_files_of_16_are_nearly_black_and_it_is_said(save_pictures):
    """Pillow keeps the upper eight bits of 48-bit colour, which of these are four."""
    root = save_pictures("a", count=8)
    for n in range(8):
        values = np.random.default_rng(n).integers(0, 16, (9, 9, 3), np.uint8)
        values[0, 0, 0] = 15
        Image.fromarray(values).save(root / "a" / f"{n:03}.png")
    with pytest.warns(UserWarning, match=r"is 15 of 255, .* fewer bits than the files, scale"):
        Folder(str(root)).load("train")


def test_binary_masks_are_black_and_white_and_nothing_is_said(tmp_path):
    values = np.random.default_rng(0).choice([0, 255], (20, 28, 28)).astype(np.uint8)
    (tmp_path / "masks").mkdir()
    for n, mask in enumerate(values):
        Image.fromarray(mask).save(tmp_path / "masks" / f"{n}.png")
    np.savez(tmp_path / "masks.npz", images=values)
    for path in ("masks", "masks.npz"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pixels = opened(str(tmp_path / path)).load("train").pixels
        assert pixels.unique().tolist() == [0, 255]


@pytest.mark.parametrize(("height", "told"), [(900, True), (141, True), (140, False)])
def test_pictures_that_are_too_long_are_told(save_pictures, height, told):
    root = save_pictures("a", count=8, size=(20, height))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        Folder(str(root)).load("train")
    said = [str(one.message) for one in found]
    assert any("8 pictures are so long that their short side" in one for one in said) is told
