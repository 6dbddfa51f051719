"""Somebody's own picture is prepared as the training set was, and inverted only where that says so.

Each with grey and colour, dark and bright sets, from npz and from folders.
"""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from vaescape.data import Preparation
from vaescape.data.folder import Folder
from vaescape.data.npz import Npz
from vaescape.errors import ImageError, RunError


def read_picture(source, preparation: Preparation, **options):
    return preparation.picture(source, **options)[0]


def marks(background: int, ink: int, n: int = 30, side: int = 28, noise: int = 0) -> np.ndarray:
    """Discs of one tone on a background of another."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    found = np.full((n, side, side), background, int)
    for one in found:
        cx, cy = draw.uniform(side * 0.4, side * 0.6, 2)
        one[np.hypot(x - cx, y - cy) < side / 4] = ink
        one += draw.integers(-noise, noise + 1, one.shape)
    return found.clip(0, 255).astype(np.uint8)


def photos(n: int = 30, side: int = 28, channels: int = 3) -> np.ndarray:
    """Gradients whose borders have every tone."""
    draw = np.random.default_rng(1)
    start, end = draw.integers(0, 256, (2, n, 1, 1, channels))
    t = np.linspace(0, 1, side)[None, :, None, None]
    return (start + t * (end - start)).repeat(side, 2).astype(np.uint8)


def as_set(kind: str, images: np.ndarray, root):
    if kind == "npz":
        np.savez(root / "set.npz", images=images)
        return Npz(str(root / "set.npz"))
    (root / "set" / "a").mkdir(parents=True)
    for n, image in enumerate(images):
        Image.fromarray(image).save(root / "set" / "a" / f"{n:03}.png")
    return Folder(str(root / "set"), grey=images.ndim == 3)


def disc(root, background, ink, mode="L"):
    picture = Image.new(mode, (100, 100), background)
    ImageDraw.Draw(picture).ellipse((30, 30, 70, 70), fill=ink)
    picture.save(root / "own.png")
    return root / "own.png"


@pytest.mark.parametrize("kind", ["npz", "folder"])
@pytest.mark.parametrize(("trained", "own"), [(0, 0), (0, 255), (255, 0), (255, 255), (20, 170)])
def test_marks_come_out_as_in_the_set(tmp_path, kind, trained, own):
    data = as_set(kind, marks(trained, 255 - trained, noise=10), tmp_path)
    assert data.preparation.background == ("dark" if trained < 64 else "bright")
    assert abs((data.preparation.border or 0) - trained) <= 10
    found = read_picture(disc(tmp_path, own, 255 - own), data.preparation)
    same = (own > 127) == (trained > 127)
    expected = own if same else 255 - own
    assert (found[0, 0, 0].item(), found[0, 14, 14].item()) == (expected, 255 - expected)


@pytest.mark.parametrize("kind", ["npz", "folder"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("own", [0, 90, 255])
def test_nothing_is_inverted_where_borders_have_every_tone(tmp_path, kind, channels, own):
    images = photos(channels=channels)
    data = as_set(kind, images[..., 0] if channels == 1 else images, tmp_path)
    assert data.preparation.background is None
    found = read_picture(disc(tmp_path, own, 255 - own), data.preparation)
    assert found[:, 0, 0].tolist() == [own] * channels


@pytest.mark.parametrize("trained", [0, 255])
def test_colours_are_never_inverted(tmp_path, trained):
    images = np.stack([marks(trained, 255 - trained)] * 3, -1)
    data = as_set("npz", images, tmp_path)
    sky = Image.new("RGB", (64, 48), (120, 180, 250))
    sky.save(tmp_path / "sky.png")
    found = read_picture(tmp_path / "sky.png", data.preparation)
    assert found.flatten(1).unique(dim=1)[:, 0].tolist() == [120, 180, 250]


def test_the_choice_can_be_made(tmp_path):
    given = Preparation((1, 28, 28), background="dark")
    path = disc(tmp_path, 255, 0)
    assert read_picture(path, given, invert=False)[0, 0, 0] == 255
    assert read_picture(path, given, invert=True)[0, 0, 0] == 0
    assert given.picture(path)[1] == (
        "28 × 28 grey, from 100 × 100 grey, inverted, because the training images have a dark "
        "background"
    )
    assert given.picture(path, invert=False)[1] == "28 × 28 grey, from 100 × 100 grey"


def test_a_picture_of_the_set_comes_back_as_it_is_in_the_set(tmp_path):
    """The law: prepared alone, a file of the set has the bytes that the set has."""
    root = tmp_path / "set" / "cells"
    root.mkdir(parents=True)
    ramp = np.tile(np.linspace(0, 1, 40), (40, 1))
    for n in range(10):
        values = (ramp * 4095 * (n + 1) / 10).round().astype(np.uint16)
        Image.fromarray(values).save(root / f"{n}.tif")
    data = Folder(str(tmp_path / "set"), test=0.3)
    with pytest.warns(UserWarning, match="brightest value of the set is 4095, so 4095 becomes"):
        images = torch.cat([data.load("train").pixels, data.load("test").pixels])
    assert data.preparation.top == 4095
    alone = torch.stack([read_picture(root / f"{n}.tif", data.preparation) for n in range(10)])
    key = lambda x: x.flatten(1).sum(1).argsort()  # noqa: E731
    assert torch.equal(alone[key(alone)], images[key(images)])
    assert alone[0].max() < 30  # one factor for all: the darkest stays dark


@pytest.mark.parametrize("top", [1, 255, 1023, 4095, 16383, 65535])
@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_integers_of_every_depth_reach_white(tmp_path, top, kind):
    (tmp_path / "set" / "a").mkdir(parents=True)
    ramp = np.tile(np.linspace(0, 1, 28), (28, 1))
    for n in range(8):
        Image.fromarray((ramp * top).round().astype(kind)).save(tmp_path / "set/a" / f"{n}.tif")
    data = Folder(str(tmp_path / "set"))
    if top == 65535:
        pixels = data.load("train").pixels
    else:
        with pytest.warns(UserWarning, match=f"so {top} becomes white"):
            pixels = data.load("train").pixels
    expected = np.rint((ramp * top).round() / top * 255)
    assert np.abs(pixels[0, 0].numpy() - expected).max() <= 1
    assert pixels.max() == 255


def test_masks_of_zeros_and_ones_are_black_and_white(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    for n in range(8):
        Image.fromarray(marks(0, 1)[n]).save(tmp_path / "set/a" / f"{n}.png")
    data = Folder(str(tmp_path / "set"))
    with pytest.warns(UserWarning, match="1 becomes white"):
        assert data.load("train").pixels.unique().tolist() == [0, 255]
    own = read_picture(tmp_path / "set/a/0.png", data.preparation)
    assert own.unique().tolist() == [0, 255]


@pytest.mark.parametrize(("ink", "behind"), [(0, 255), (120, 255), (255, 0)])
def test_transparent_pictures_can_be_seen(tmp_path, ink, behind):
    (tmp_path / "set" / "a").mkdir(parents=True)
    for n in range(8):
        icon = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
        ImageDraw.Draw(icon).rectangle((8, 8, 20, 20), fill=(ink, ink, ink, 255))
        icon.save(tmp_path / "set/a" / f"{n}.png")
    data = Folder(str(tmp_path / "set"))
    if behind:
        pixels = data.load("train").pixels
    else:
        with pytest.warns(UserWarning, match="transparent becomes black"):
            pixels = data.load("train").pixels
    assert (pixels[0, 0, 0, 0].item(), pixels[0, 0, 14, 14].item()) == (behind, ink)
    own = read_picture(tmp_path / "set/a/0.png", data.preparation, invert=False)
    assert torch.equal(own, pixels[0])


def test_the_sentence_says_what_became_of_the_pictures(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    for n in range(8):
        Image.fromarray(photos(8, 64)[n]).resize((320, 240)).save(tmp_path / "set/a" / f"{n}.png")
    data = Folder(str(tmp_path / "set"))
    assert data.preparation.sentence() == "28 × 28 grey, from 320 × 240 colour"
    Image.new("L", (640, 480), 90).save(tmp_path / "set/a/x.png")
    more = Folder(str(tmp_path / "set"), grey=False, size=32)
    assert (
        more.preparation.sentence() == "32 × 32 colour, from 320 × 240 to 640 × 480 grey and colour"
    )
    np.savez(tmp_path / "set.npz", images=marks(255, 0, side=20))
    assert Npz(str(tmp_path / "set.npz")).preparation.sentence() == (
        "20 × 20 grey, bright background"
    )


def test_it_is_recorded_and_read_again():
    given = Preparation((1, 28, 28), 12.5, "dark", 4095, 255, "320 × 240 colour")
    assert Preparation.from_dict(given.to_dict()) == given
    for damage in (
        {}, None, {"shape": [1, 28]}, {"shape": [1, 28, 28], "more": 1},
        {"shape": [1, 28, 28], "background": "grey"}, {"shape": [1, 28, 28], "top": "x"},
        {"shape": [1, 28, 10**9]}, {"shape": [True, 28, 28]},
    ):  # fmt: skip
        with pytest.raises(RunError, match="recorded preparation of pictures is damaged"):
            Preparation.from_dict(damage)


def test_a_large_photo_is_read_reduced(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    photo = Image.new("RGB", (5712, 4284), (90, 90, 90))
    photo.paste((200, 200, 200), (0, 0, 2856, 4284))
    photo.save(tmp_path / "dsc.jpg")
    found = read_picture(tmp_path / "dsc.jpg", Preparation((1, 28, 28)))
    assert abs(int(found[0, 14, 3]) - 200) <= 2
    assert abs(int(found[0, 14, 25]) - 90) <= 2
    assert Preparation((1, 28, 28)).picture(tmp_path / "dsc.jpg")[1].endswith("5712 × 4284 colour")


def test_a_large_photo_held_upright_is_described_upright(tmp_path):
    photo = Image.new("RGB", (4000, 2000), (90, 90, 90))
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(tmp_path / "dsc.jpg", exif=exif)
    assert Preparation((1, 28, 28)).picture(tmp_path / "dsc.jpg")[1].endswith("2000 × 4000 colour")


def test_heic_says_what_is_missing(tmp_path):
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    with pytest.raises(ImageError, match=r"HEIC picture, which needs|damaged"):
        read_picture(tmp_path / "a.HEIC", Preparation((1, 28, 28)))


def test_heic_is_read_as_any_other_picture(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    photo = Image.fromarray(photos(n=1, side=64)[0])
    photo.save(tmp_path / "own.HEIC", quality=95)
    photo.save(tmp_path / "own.png")
    preparation = Preparation((3, 28, 28))
    found, said = preparation.picture(tmp_path / "own.HEIC")
    expected = read_picture(tmp_path / "own.png", preparation)
    assert (found.int() - expected.int()).abs().max() <= 8
    assert said == "28 × 28 colour, from 64 × 64 colour"


TONES = st.integers(0, 255)


@settings(max_examples=150, deadline=None)
@given(TONES, TONES, TONES, TONES, st.sampled_from([1, 3]), st.integers(0, 3))
def test_laws_of_inversion(background, ink, own, own_ink, channels, seed):
    """Whatever the set and the picture: never colours; else the background's side decides."""
    images = marks(background, ink, n=20, noise=8 * seed)
    pixels = torch.from_numpy(images)[:, None].expand(-1, channels, -1, -1)
    given = Preparation.of(pixels)
    picture = torch.full((channels, 28, 28), own, dtype=torch.uint8)
    picture[:, 10:18, 10:18] = own_ink
    inverts = given.inverts(picture)
    if channels == 3 or 64 + 24 <= background <= 191 - 24:
        assert not inverts
    if inverts:
        assert given.background is not None
        assert (own > 127) == (given.background == "dark")
        assert not given.inverts(255 - picture)  # once is enough
    # A set and a picture that are both turned are treated alike.
    assert Preparation.of(255 - pixels).inverts(255 - picture) == inverts
    # An image of the set is left as it is.
    if given.background is not None:
        assert not given.inverts(pixels[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["L", "RGB"]), st.integers(0, 9))
def test_a_picture_of_the_right_size_stays_what_it_is(width, height, mode, seed):
    """Preparing is idempotent, and keeps to the range of the picture."""
    shape = (height, width) if mode == "L" else (height, width, 3)
    values = np.random.default_rng(seed).integers(40, 200, shape, np.uint8)
    given = Preparation((1 if mode == "L" else 3, 28, 28))
    once = read_picture(as_png(Image.fromarray(values)), given)
    assert once.shape == given.shape
    assert 40 <= once.min() <= once.max() <= 199
    array = once.permute(1, 2, 0).numpy()
    again = Image.fromarray(array[..., 0] if mode == "L" else array)
    assert torch.equal(read_picture(as_png(again), given), once)


def as_png(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()
