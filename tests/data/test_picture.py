import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from vaescape.data import Preparation
from vaescape.data.picture import open_picture, prepare
from vaescape.errors import DataError, ImageError

GREY, COLOUR = Preparation((1, 28, 28)), Preparation((3, 28, 28))


def read_picture(source, preparation: Preparation, **options):
    return preparation.picture(source, **options)[0]


def ramp(height: int = 28, width: int = 28) -> np.ndarray:
    return (np.arange(height * width) % 200).reshape(height, width).astype(np.uint8)


def test_a_picture_of_the_right_size_is_unchanged(tmp_path):
    Image.fromarray(ramp()).save(tmp_path / "a.png")
    found = read_picture(tmp_path / "a.png", GREY, invert=False)
    assert found.dtype == torch.uint8
    assert torch.equal(found[0], torch.from_numpy(ramp()))


def test_colour_becomes_grey_or_stays(tmp_path):
    Image.new("RGB", (28, 28), (90, 0, 0)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", COLOUR)[:, 5, 5].tolist() == [90, 0, 0]
    assert read_picture(tmp_path / "a.png", GREY)[:, 5, 5].tolist() == [27]


@pytest.mark.parametrize(("background", "ink"), [(255, 0), (0, 255)])
@pytest.mark.parametrize("trained_on", ["dark", "bright"])
def test_the_background_comes_out_as_in_the_training_set(tmp_path, background, ink, trained_on):
    picture = Image.new("L", (100, 100), background)
    ImageDraw.Draw(picture).ellipse((30, 30, 70, 70), fill=ink)
    picture.save(tmp_path / "a.png")
    found = read_picture(tmp_path / "a.png", Preparation((1, 28, 28), background=trained_on))
    expected = 0 if trained_on == "dark" else 255
    assert (found[0, 0, 0], found[0, 14, 14]) == (expected, 255 - expected)
    kept = read_picture(tmp_path / "a.png", GREY, invert=False)
    turned = read_picture(tmp_path / "a.png", GREY, invert=True)
    assert torch.equal(kept, 255 - turned)
    assert kept[0, 0, 0] == background


def test_the_aspect_is_kept_and_the_sides_filled_with_the_border_tone(tmp_path):
    picture = Image.new("L", (200, 100), 40)
    ImageDraw.Draw(picture).rectangle((75, 25, 124, 74), fill=200)
    picture.save(tmp_path / "a.png")
    found = read_picture(tmp_path / "a.png", GREY)[0]
    assert found.shape == (28, 28)
    assert set(found[:7].flatten().tolist()) == {40}
    rows, columns = (found > 120).any(1).sum(), (found > 120).any(0).sum()
    assert rows == columns
    assert 6 <= rows <= 8


def test_shrinking_averages_over_area(tmp_path):
    """A fine chequerboard becomes even grey; single pixels would be black or white."""
    board = (np.indices((280, 280)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "a.png")
    found = read_picture(tmp_path / "a.png", GREY, invert=False)
    assert found.float().sub(127.5).abs().max() < 6


def test_orientation_is_taken_from_the_camera(tmp_path):
    picture = Image.new("L", (28, 28), 0)
    picture.paste(255, (0, 0, 28, 14))
    exif = picture.getexif()
    exif[0x0112] = 6  # turn clockwise: what is stored at the top is on the right
    picture.save(tmp_path / "a.jpg", exif=exif, quality=100)
    found = read_picture(tmp_path / "a.jpg", GREY, invert=False)[0]
    assert found[14, 24] > 250
    assert found[14, 3] < 5


def test_sixteen_bits_keep_their_range(tmp_path):
    values = np.linspace(0, 65535, 784).reshape(28, 28).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        found = read_picture(tmp_path / name, GREY, invert=False)[0].numpy().astype(float)
        assert np.abs(found - values / 257).max() <= 0.51


def test_floats(tmp_path):
    Image.fromarray(np.full((28, 28), 0.5, np.float32)).save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif", GREY, invert=False)[0, 0, 0] == 128
    Image.fromarray(np.full((28, 28), 7.5, np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(ImageError, match=r"expected values from 0 to 1\. Got 7\.5"):
        read_picture(tmp_path / "b.tif", GREY)


def test_cmyk_palette_bilevel_and_animation(tmp_path):
    red = Image.new("RGB", (28, 28), (255, 0, 0))
    red.convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    red.quantize(4).save(tmp_path / "a.png")
    red.save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (28, 28), "blue")])
    for name in ("a.jpg", "a.png", "a.gif"):
        found = read_picture(tmp_path / name, COLOUR, invert=False).flatten(1).float().mean(1)
        assert (found - torch.tensor([255.0, 0, 0])).abs().max() < 4, name
    Image.new("1", (28, 28), 1).save(tmp_path / "b.png")
    assert read_picture(tmp_path / "b.png", GREY, invert=False).unique().tolist() == [255]


def test_transparent_becomes_white(tmp_path):
    Image.new("RGBA", (28, 28), (10, 20, 30, 0)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", COLOUR, invert=False).unique().tolist() == [255]


def test_a_thin_picture_keeps_a_pixel(tmp_path):
    Image.new("L", (3000, 1), 80).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", GREY, invert=False).unique().tolist() == [80]


def huge_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(100))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(10_000, 10_000), (60_000, 60_000), (12_000, 12_000)])
def test_absurd_sizes_are_refused_before_decoding(tmp_path, size):
    (tmp_path / "a.png").write_bytes(huge_png(*size))
    with pytest.raises(ImageError, match=r"a\.png: too large\. Expected at most 80,000,000 pixels"):
        open_picture(tmp_path / "a.png")


def test_not_a_picture(tmp_path):
    with pytest.raises(ImageError, match=r"a\.png: there is no such picture"):
        open_picture(tmp_path / "a.png")
    for content in (b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(ImageError, match=r"a\.png: not a picture that can be read"):
            open_picture(tmp_path / "a.png")
    with pytest.raises(ImageError, match="damaged"):
        open_picture(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp", "webp"])
def test_damage_raises_nothing_else(tmp_path, suffix):
    Image.fromarray(ramp(40, 40)).save(tmp_path / f"a.{suffix}")
    content = (tmp_path / f"a.{suffix}").read_bytes()
    draw = np.random.default_rng(0)
    messages = []
    for _ in range(60):
        damaged = bytearray(content[: draw.integers(1, len(content) + 1)])
        for place in draw.integers(0, len(damaged), 3):
            damaged[place] ^= 1 << draw.integers(8)
        (tmp_path / f"b.{suffix}").write_bytes(damaged)
        try:
            assert prepare(open_picture(tmp_path / f"b.{suffix}")[0], (1, 28, 28)).shape == (
                1,
                28,
                28,
            )
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > 5
    assert all(f"b.{suffix}: " in message for message in messages)
