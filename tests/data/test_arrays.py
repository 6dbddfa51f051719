"""Images in hand, and the layouts that people have: the right values of each."""

import io
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from vaescape.data.base import Split
from vaescape.data.given import as_data
from vaescape.data.npz import Npz
from vaescape.errors import DataError

X = np.random.default_rng(0).integers(0, 256, (60, 12, 12), np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (60, 12, 12, 3), np.uint8)
Y = np.arange(60) % 3


def parts(data):
    """All images, those of test last."""
    every = [data.load("train"), data.validation, data.load("test")]
    return torch.cat([one.pixels for one in every if one is not None])


def same(found, expected) -> bool:
    """The same images, in any order."""
    key = lambda x: sorted(one.tobytes() for one in np.asarray(x))  # noqa: E731
    return key(found) == key(expected)


class Pairs(torch.utils.data.Dataset):
    """As torchvision's: items (picture, number), and the names of the classes."""

    classes = ("cat", "dog", "emu")

    def __init__(self, x, y, kind="pil") -> None:
        self.x, self.y, self.kind = x, y, kind

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, n):
        if self.kind == "pil":
            return Image.fromarray(self.x[n]), int(self.y[n])
        if self.kind == "made":
            return self.x[n], int(self.y[n])
        return torch.from_numpy(self.x[n] / 255).float()[None], int(self.y[n])


class Rows:
    """As Hugging Face's: rows by name, and features."""

    features = {"image": None, "label": SimpleNamespace(names=["cat", "dog", "emu"])}  # noqa: RUF012

    def __init__(self, x, y) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, n):
        return {"image": Image.fromarray(self.x[n]), "label": int(self.y[n])}


@pytest.mark.parametrize(
    ("given", "classes"),
    [
        (X, ("images",)),
        (torch.from_numpy(X), ("images",)),
        (X[:, None], ("images",)),
        (X / 255, ("images",)),
        (X.astype(np.int64), ("images",)),
        (torch.from_numpy(X / 255).float()[:, None], ("images",)),
        ((X, Y), ("0", "1", "2")),
        ((torch.from_numpy(X), torch.from_numpy(Y)), ("0", "1", "2")),
        ((list(X), Y.tolist()), ("0", "1", "2")),
        ((X, np.array(["cat", "dog", "emu"])[Y]), ("cat", "dog", "emu")),
        ({"images": X, "labels": Y}, ("0", "1", "2")),
        ([Image.fromarray(one) for one in X], ("images",)),
        (Pairs(X, Y), ("cat", "dog", "emu")),
        (Pairs(X, Y, "tensor"), ("cat", "dog", "emu")),
        (Rows(X, Y), ("cat", "dog", "emu")),
    ],
)
def test_grey_images_in_hand(given, classes):
    data = as_data(given)
    assert (data.shape, data.classes) == ((1, 12, 12), classes)
    assert same(parts(data)[:, 0], X)
    train, test = data.load("train"), data.load("test")
    assert len(test) == 9
    if len(classes) == 3:
        every = {one.tobytes(): label for one, label in zip(X, Y, strict=True)}
        for part in (train, test):
            assert [every[one.numpy().tobytes()] for one in part.pixels] == part.labels.tolist()
        assert test.labels.bincount().tolist() == [3, 3, 3]


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("dataset", [False, True])
@pytest.mark.filterwarnings("ignore:images. what is transparent")
def test_transparent_pictures_lie_on_what_their_ink_can_be_seen_on(dataset, mode, ink, paper):
    """As in a folder: before, what is transparent had whatever colour its file hid there."""
    pixels = np.full((60, 12, 12, 4), ink, np.uint8)
    pixels[..., 3] = 255 * (X > 128)
    pictures = [Image.fromarray(one).convert(mode) for one in pixels]
    given = Pairs(pictures, Y, "made") if dataset else pictures
    expected = np.where(X > 128, ink, paper)
    assert same(parts(as_data(given))[:, 0], expected.astype(np.uint8))


def test_negative_numbers_of_classes_that_have_names_are_refused():
    """Before, the classes were called "-1", "0", …, and the names were gone."""
    withheld = {"train": Rows(X[:40], Y[:40]), "test": Rows(X[40:], np.full(20, -1))}
    with pytest.raises(DataError, match="from 0 to 2. Got -1 for 20 of 60 images"):
        as_data(withheld)


@pytest.mark.parametrize(
    "given",
    [RGB, np.moveaxis(RGB, 3, 1), RGB / 255, (RGB, Y), [Image.fromarray(one) for one in RGB],
     Pairs(RGB, Y), Rows(RGB, Y)],
)  # fmt: skip
def test_colour_images_in_hand(given):
    data = as_data(given)
    assert data.shape == (3, 12, 12)
    assert same(parts(data), np.moveaxis(RGB, 3, 1))


@pytest.mark.parametrize("kind", [Pairs, Rows])
def test_datasets_that_are_divided(kind):
    two = as_data((kind(X[:50], Y[:50]), kind(X[50:], Y[50:])))
    assert torch.equal(two.load("test").pixels[:, 0], torch.from_numpy(X[50:]))
    three = as_data(
        {"train": kind(X[:40], Y[:40]), "validation": kind(X[40:50], Y[40:50]),
         "test": kind(X[50:], Y[50:])}
    )  # fmt: skip
    assert three.validation is not None
    assert torch.equal(three.validation.pixels[:, 0], torch.from_numpy(X[40:50]))
    assert three.classes == ("cat", "dog", "emu")
    assert three.load("train").labels.tolist() == Y[:40].tolist()


def test_a_path_or_a_data_set_is_taken_too(tmp_path):
    np.savez(tmp_path / "a.npz", images=X)
    data = as_data(tmp_path / "a.npz")
    assert isinstance(data, Npz)
    assert as_data(data) is data
    assert as_data(f"npz(path={str(tmp_path / 'a.npz')!r})").digest() == data.digest()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (5, "Expected images as an array .* Got int"),
        (X[0], r"images \(train\): expected a shape .* Got \(12, 12\)"),
        (X.reshape(60, 144), r"12 × 12: reshape\(\(-1, 12, 12\)\)"),
        ((X, Y[:7]), "Expected 60 labels for 60 images. Got an array of shape"),
        (X / 127.5 - 1, r"floats in \[0, 1\]\. Got float64 from -1\.0 to 1\.0"),
        (np.full((3, 4, 4), np.nan), "Got float64 from nan to nan"),
        ({"pictures": X}, "Expected the keys .* Got pictures"),
        ([Image.new("L", (4, 4)), Image.new("L", (5, 4))], r"one size and kind. Got \(4, 4\)"),
        (np.array([{}]), "Got ndarray"),
        (Pairs(X[:0], Y[:0]), "Got an empty one"),
    ],
)
def test_what_does_not_fit_is_told(given, told):
    with pytest.raises(DataError, match=told):
        as_data(given)


# npz files as other packages write them -----------------------------------------------------------


def npz(tmp_path, **arrays) -> Npz:
    np.savez(tmp_path / "a.npz", **arrays)
    return Npz(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("x", [X, RGB])
def test_medmnist(tmp_path, x):
    cut = {"train": slice(0, 40), "val": slice(40, 50), "test": slice(50, 60)}
    data = npz(
        tmp_path,
        **{f"{key}_images": x[rows] for key, rows in cut.items()},
        **{f"{key}_labels": Y[rows, None].astype(np.uint8) for key, rows in cut.items()},
    )
    assert data.classes == ("0", "1", "2")
    assert data.validation is not None
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        assert data.load(split).labels.tolist() == Y[cut[split]].tolist()
    assert data.validation.labels.tolist() == Y[40:50].tolist()
    assert [len(one) for one in (data.load("train"), data.validation, data.load("test"))] == [
        40, 10, 10
    ]  # fmt: skip


def test_val_without_test_is_the_test_images(tmp_path):
    data = npz(tmp_path, train_images=X[:40], val_images=X[40:])
    assert data.validation is None
    assert torch.equal(data.load("test").pixels[:, 0], torch.from_numpy(X[40:]))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (Y[:, None], ("0", "1", "2")),
        (np.eye(3)[Y], ("0", "1", "2")),
        (Y.astype(np.float32), ("0", "1", "2")),
        (Y.astype(np.uint64), ("0", "1", "2")),
        (np.array([b"cat", b"dog", b"emu"])[Y], ("cat", "dog", "emu")),
        (Y - 1, ("-1", "0", "1")),
        (Y > 1, ("False", "True")),
    ],
)
def test_labels_of_every_kind(tmp_path, labels, classes):
    data = npz(tmp_path, images=X, labels=labels)
    assert data.classes == classes
    found = data.load("train").labels
    assert found.unique().tolist() == list(range(len(classes)))


def test_integers_of_two_kinds_are_one(tmp_path):
    data = npz(
        tmp_path, x_train=X[:50], y_train=Y[:50].astype(np.uint64), x_test=X[50:], y_test=Y[50:]
    )
    assert data.classes == ("0", "1", "2")
    assert data.load("test").labels.tolist() == Y[50:].tolist()


@pytest.mark.parametrize("names", [("x", "y"), ("imgs", "labels"), ("data", "target"), ("arr_0",)])
def test_other_names(tmp_path, names):
    data = npz(tmp_path, **dict(zip(names, (X, Y), strict=False)))
    assert same(parts(data)[:, 0], X)
    assert len(data.classes) == (3 if len(names) == 2 else 1)


@pytest.mark.parametrize(("top", "kind"), [(1, np.uint8), (1023, np.uint16), (4095, np.int32),
                                           (16383, np.int64), (65535, np.uint16)])  # fmt: skip
def test_one_factor_for_the_whole_set(tmp_path, top, kind):
    x = np.rint(np.arange(60)[:, None, None] / 59 * top * np.ones((1, 5, 5))).astype(kind)
    arrays = {"x_train": x[:50], "x_test": x[50:]}
    if top == 65535:
        data = npz(tmp_path, **arrays)
    else:
        with pytest.warns(UserWarning, match=f"so {top} becomes white"):
            data = npz(tmp_path, **arrays)
    expected = np.rint(x.astype(float) / top * 255).astype(np.uint8)
    assert np.array_equal(parts(data)[:, 0].numpy(), expected)
    assert data.preparation.top == top


def test_a_resize_may_round_up(tmp_path):
    x = (X / 255).astype(np.float32)
    x[0, 0, 0] = np.nextafter(np.float32(1), np.float32(2))
    x[0, 0, 1] = -1e-7
    found = parts(npz(tmp_path, x_train=x[:50], x_test=x[50:]))[0, 0, 0]
    assert found[:2].tolist() == [255, 0]


def test_fortran_order_and_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("vaescape.data.npz._CHUNK", 500)
    for order in ("C", "F"):
        data = npz(tmp_path, x_train=np.asarray(RGB[:50], order=order), x_test=RGB[50:])
        assert np.array_equal(parts(data), np.moveaxis(RGB, 3, 1))


@pytest.mark.filterwarnings("ignore:.*nearly black")
@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int64, np.float32]),
        st.tuples(st.integers(7, 20), st.integers(1, 6), st.integers(1, 6)),
        elements=st.integers(0, 255),
    )
)
def test_bytes_come_back(x):
    """Bytes as bytes, as integers and as k/255: the same images."""
    x[0, 0, 0] = 255
    given = x / np.float32(255) if x.dtype.kind == "f" else x
    assert same(parts(as_data(given))[:, 0].numpy(), x.astype(np.uint8))


# Bombs and damage --------------------------------------------------------------------------------


def archive(path, name: str, content: bytes, zeros: int = 0) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made, made.open(name, "w") as file:
        file.write(content)
        for _ in range(zeros >> 20):
            file.write(bytes(1 << 20))
    return str(path)


def header(shape, descr="|u1") -> bytes:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return head.getvalue()


def test_a_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    import tracemalloc

    monkeypatch.setattr("vaescape.data.npz.MOST_PIXELS", 1 << 20)
    path = archive(tmp_path / "a.npz", "images.npy", header((64, 1024, 1024)), 64 << 20)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"at most 1,048,576 pixels in all.*Got 67,108,864"):
        Npz(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_bomb_behind_a_small_header_is_not_unpacked(tmp_path):
    path = archive(tmp_path / "a.npz", "images.npy", header((4, 8, 8)), 64 << 20)
    with pytest.raises(DataError, match=r"Expected 256 bytes of uint8 of shape \(4, 8, 8\)"):
        Npz(path)


def test_labels_of_gigabytes_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("images.npy", header((400, 1, 1)) + bytes(400))
        with made.open("labels.npy", "w") as file:
            file.write(header((400,), "|S1048576"))
            for _ in range(400):
                file.write(bytes(1 << 20))
    with pytest.raises(DataError, match="labels of at most 268,435,456 bytes. Got 419,430,400"):
        Npz(str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    "content",
    [b"", b"no header at all", b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff",
     b"\x93NUMPY\x09\x00v\x00",
     header((4, 8, 8))[:-20], header((4, 8, 8)) + bytes(255), header((4, 8, 8)) + bytes(257),
     header((4, 8), "|O") + bytes(256), header((4, 8), "<M8[s]") + bytes(256),
     b"\x93NUMPY\x01\x00\x0a\x00" + b"[" * 10, header((-4, 8)), header((4.5, 8))],
)  # fmt: skip
def test_members_that_are_no_arrays_are_told(tmp_path, content):
    with pytest.raises(DataError, match=r"a\.npz: images: not a NumPy archive|shape") as caught:
        Npz(archive(tmp_path / "a.npz", "images.npy", content))
    assert "\n" not in str(caught.value)
