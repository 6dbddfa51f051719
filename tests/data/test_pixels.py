"""The one check of pixels: integers are bytes, floats lie in [0, 1], all else is refused."""

import numpy as np
import pytest
import torch

from vaescape.data import pixels
from vaescape.errors import OptionError

GREY, COLOUR = (1, 4, 4), (3, 4, 4)


def some(shape, n=5) -> np.ndarray:
    x = np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)
    x[0, 0, 0, :2] = [0, 255]
    return x


@pytest.mark.parametrize("shape", [GREY, COLOUR])
@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32", "int64", "uint64", ">i4"])
def test_integers_of_every_kind_are_bytes(shape, kind):
    found = pixels(some(shape).astype(kind), shape)
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), some(shape).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_stay_what_they_are(kind):
    x = (some(GREY) / 255).astype(kind)
    assert np.array_equal(pixels(x, GREY).numpy(), x.astype(np.float32))
    assert np.array_equal(pixels(torch.from_numpy(x), GREY).numpy(), x.astype(np.float32))


def test_rounding_at_the_ends_is_allowed_and_taken_back():
    x = np.zeros((1, *GREY), np.float32)
    x[0, 0, 0] = [1 + 1e-7, -1e-7, 1 + 9e-7, 0.5]
    assert pixels(x, GREY)[0, 0, 0].tolist() == [1, 0, 1, 0.5]
    with pytest.raises(OptionError, match=r"Got float32 from 0 to 1\.00001"):
        pixels(np.where(x > 1, 1.00001, x * 0).astype(np.float32), GREY)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (some(GREY).astype(np.float32), "Got float32 from 0 to 255"),
        (some(GREY) / 127.5 - 1, "Got float64 from -1 to 1"),
        (np.full((1, *GREY), np.nan, np.float32), "Got float32 from nan to nan"),
        (np.full((1, *GREY), np.inf), "Got float64 from inf to inf"),
        (some(GREY).astype(np.int64) - 256, "Got int64 from -256 to -1"),
        (some(GREY).astype(np.uint16) * 257, "Got uint16 from 0 to 65535"),
        (torch.full((1, *GREY), 2**64 - 1, dtype=torch.uint64), "Got uint64 from -1"),
        (some(GREY).astype(complex), "Got complex128"),
        (some(GREY).astype(str), "Got <U"),
        ("a picture", "Got str"),
        (some(GREY)[0], r"\(N, 1, 4, 4\)\. Got \(1, 4, 4\)"),
        (some(COLOUR), r"\(N, 1, 4, 4\)\. Got \(5, 3, 4, 4\)"),
    ],
)
def test_whatever_else_is_refused_with_what_came(values, told):
    with pytest.raises(OptionError, match=told):
        pixels(values, GREY)


def test_black_and_white_and_none():
    white = some(GREY) > 127
    assert np.array_equal(pixels(white, GREY).numpy(), white.astype(np.float32))
    assert pixels(np.zeros((0, *GREY), np.float32), GREY).shape == (0, *GREY)


@pytest.mark.parametrize("kind", ["uint8", "int64"])
def test_whole_numbers_that_are_0_and_1_are_told_of(kind):
    """A set of masks is read with 1 as white; the same array later is bytes, nearly black."""
    mask = (some(GREY) > 128).astype(kind)
    with pytest.warns(UserWarning, match="brightest value is 1 of 255"):
        assert pixels(mask, GREY).max() == 1 / np.float32(255)
    assert pixels(mask.astype(bool), GREY).max() == 1
