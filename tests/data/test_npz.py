import numpy as np
import pytest
import torch

from vaescape.components import construct
from vaescape.data.npz import Npz
from vaescape.errors import DataError

BYTES = np.random.default_rng(0).integers(0, 256, (20, 6, 5), np.uint8)
LABELS = np.arange(20) % 4


@pytest.fixture
def save(tmp_path):
    def write(**arrays) -> str:
        np.savez_compressed(tmp_path / "mine.npz", **arrays)
        return str(tmp_path / "mine.npz")

    return write


def test_train_and_test(save):
    path = save(x_train=BYTES[:15], y_train=LABELS[:15], x_test=BYTES[15:], y_test=LABELS[15:])
    data = construct("data", f"npz(path={path!r})", data_dir=None, cache=None)
    assert (data.title, data.classes, data.shape) == ("mine", ("0", "1", "2", "3"), (1, 6, 5))
    assert torch.equal(data.load("train").pixels[:, 0], torch.from_numpy(BYTES[:15]))
    assert torch.equal(data.load("test").pixels[:, 0], torch.from_numpy(BYTES[15:]))
    assert data.load("test").labels.tolist() == LABELS[15:].tolist()


def test_images_and_labels_are_divided_evenly(save):
    data = Npz(save(images=BYTES, labels=LABELS), test=0.2)
    assert data.load("train").labels.bincount().tolist() == [4] * 4
    assert data.load("test").labels.bincount().tolist() == [1] * 4


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (BYTES, (1, 6, 5)),
        (BYTES[..., None], (1, 6, 5)),
        (BYTES[:, None], (1, 6, 5)),
        (np.stack([BYTES] * 3, -1), (3, 6, 5)),
        (np.stack([BYTES] * 3, 1), (3, 6, 5)),
    ],
)
def test_layouts(save, array, shape):
    data = Npz(save(images=array))
    assert data.shape == shape
    assert data.classes == ("images",)
    pixels = torch.cat([data.load("train").pixels, data.load("test").pixels])
    found = {image.numpy().tobytes() for image in pixels[:, 0]}
    assert found == {image.tobytes() for image in BYTES}


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_floats_become_bytes_again(save, kind):
    every = np.arange(256).reshape(16, 4, 4)
    data = Npz(save(images=(every / 255).astype(kind)))
    pixels = torch.cat([data.load("train").pixels, data.load("test").pixels])
    assert sorted(pixels.flatten().tolist()) == list(range(256))


def test_names_as_labels(save):
    data = Npz(save(images=BYTES, labels=np.array(["cat", "dog"] * 10)))
    assert data.classes == ("cat", "dog")
    assert data.load("train").labels[:2].tolist() == [0, 1]


def test_labels_need_not_begin_at_zero(save):
    data = Npz(save(images=BYTES, labels=LABELS * 10 + 5), test=0.2)
    assert data.classes == ("5", "15", "25", "35")
    assert data.load("train").labels.unique().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"images": BYTES.astype(np.float32)}, r"or floats in \[0, 1\]. Got float32 from 0.0 to 2"),
        ({"images": BYTES - 0.5 * BYTES.astype(float) - 1}, "Got float64 from -1"),
        ({"images": np.full((9, 4, 4), np.nan)}, "Got float64 from nan"),
        ({"images": BYTES.astype(np.int64) - 1}, "Got int64 from -1 to 25"),
        ({"images": BYTES.astype(np.uint32) * 1000}, "Got uint32 from 0 to 255000"),
        ({"images": BYTES.astype(complex)}, "Got complex128"),
        ({"images": BYTES.astype(str)}, "Got <U3"),
        ({"images": BYTES.reshape(20, 30)[:, :25]}, r"images of 5 × 5: reshape\(\(-1, 5, 5\)\)"),
        ({"images": BYTES, "labels": np.eye(20)[:, :4]}, "4 columns that are not one-hot"),
        ({"images": BYTES, "labels": np.full(20, 2**64 - 1, np.uint64)}, "Got uint64"),
        ({"images": BYTES.reshape(20, 30)}, r"shape \(N, H, W\).* Got \(20, 30\)"),
        ({"images": np.zeros((9, 4, 4, 2), np.uint8)}, r"1 or 3 channels. Got \(9, 4, 4, 2\)"),
        ({"images": np.zeros((0, 4, 4), np.uint8)}, r"Got \(0, 4, 4\)"),
        ({"pictures": BYTES, "why": LABELS}, "expected the keys x_train .* Got pictures, why"),
        ({"x_train": BYTES}, "Got x_train; x_test is missing"),
        ({"images": BYTES, "labels": LABELS[:7]}, "Expected 20 labels for 20 .* shape \\(7,\\)"),
        ({"images": BYTES, "labels": LABELS / 2}, "whole numbers or names. Got float64"),
        ({"x_train": BYTES, "x_test": BYTES, "y_train": LABELS}, "x_test and y_test do not match"),
        ({"x_train": BYTES, "x_test": BYTES[:, :4]}, "one size. Got .1, 4, 5. and .1, 6, 5."),
        (
            {"x_train": BYTES, "y_train": LABELS, "x_test": BYTES, "y_test": LABELS.astype(str)},
            "both be whole numbers, or both names",
        ),
    ],
)
def test_what_does_not_fit_is_refused(save, arrays, told):
    with pytest.raises(DataError, match=told) as caught:
        Npz(save(**arrays))
    assert "mine.npz" in str(caught.value)


def test_damage_raises_nothing_else(save, tmp_path):
    path = save(images=BYTES, labels=LABELS)
    with open(path, "rb") as file:
        content = file.read()
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content[: draw.integers(len(content) // 2, len(content) + 1)])
        damaged[draw.integers(len(damaged))] ^= 1 << draw.integers(8)
        (tmp_path / "mine.npz").write_bytes(damaged)
        try:
            Npz(path)
        except DataError:
            refused += 1
    assert refused > 120


def test_nothing_is_unpickled(save, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = save(images=BYTES, labels=np.array([Trap()] * 20, dtype=object))
    with pytest.raises(DataError, match="not a NumPy archive .* of plain arrays"):
        Npz(path)
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_is_no_archive(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        Npz(str(tmp_path / "none.npz"))
    np.save(tmp_path / "a.npy", BYTES)
    with pytest.raises(DataError, match="not a NumPy archive"):
        Npz(str(tmp_path / "a.npy"))


def test_an_array_larger_than_memory(tmp_path):
    import io
    import zipfile

    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", head.getvalue())
    with pytest.raises(DataError, match="or damaged"):
        Npz(str(tmp_path / "a.npz"))


def test_no_one_is_told_to_load_a_picture_unsafely(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(DataError, match="not a NumPy archive") as caught:
        Npz(str(tmp_path / "a.npz"))
    assert "pickle" not in str(caught.value)


def test_a_fourth_channel_gets_a_hint(tmp_path):
    path = tmp_path / "rgba.npz"
    np.savez(path, images=np.zeros((9, 8, 8, 4), np.uint8))
    with pytest.raises(
        DataError, match=r"If the fourth channel is transparency: images\[\.\.\., :3"
    ):
        Npz(str(path))
