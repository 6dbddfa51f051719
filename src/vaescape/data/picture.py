"""Pictures of any kind, made alike: bytes, upright, of one size."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from vaescape.data.places import other_file
from vaescape.data.values import TOLERANCE, TOPS, white
from vaescape.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 80_000_000
"""Of a picture as it is decoded: below the size at which Pillow suspects a decompression bomb."""
REDUCED = 4_000_000
"""JPEGs of more pixels are decoded at a half, a quarter or an eighth of their size."""
FORMATS = (
    *("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"),
    *("AVIF", "JPEG2000", "HEIF", "ICO", "ICNS", "QOI", "DDS", "PSD"),
)
"""Raster formats that are told by their first bytes; others of Pillow's start programs or fetch
files."""
_BY_SUFFIX = {".tga": "TGA", ".pcx": "PCX", ".sgi": "SGI", ".dib": "DIB"}
"""Formats with no first bytes of their own: the name must say it."""
_ORIENTATION = 0x0112
_ANIMATED = ("GIF", "TIFF", "WEBP", "PNG")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


class UnknownFormat(ImageError):
    """A file that is no picture of any format that can be read."""


class Traits(NamedTuple):
    """What a picture file holds, before it is prepared."""

    width: int
    height: int
    colour: bool
    deep: int | None
    """The brightest value of integers of more than eight bits; None for bytes and floats."""
    bright: int | None
    """The brightest byte, of a picture of bytes without transparency."""
    below: int | None
    """The brightest byte below 255."""
    ink: float | None
    """The mean brightness of what is not transparent, 0 to 255; None if nothing is transparent."""
    frames: int


def open_picture(
    source: Path | bytes,
    formats: tuple[str, ...] = FORMATS,
    *,
    top: int | None = None,
    backdrop: int | None = None,
    most: int = MOST_PIXELS,
    near: int = 1024,
    where: str | None = None,
) -> tuple["Image", Traits]:
    """Return a picture upright, in 8-bit grey or colour, and what its file holds.

    Of an animation or a stack of pages it is the first.

    Args:
        source: A file, or what is in one.
        formats: What it may be.
        top: The integer that becomes 255, of pictures that hold integers. By default the least of
            255, 1023, 4095, 16383 and 65535 that no value exceeds, and for bytes 255.
        backdrop: The brightness behind transparent pixels. By default white, or black behind ink
            that is nearly white.
        most: Pixels that are decoded at most.
        near: A large JPEG is decoded at a size not smaller than this.
        where: What to call it in messages; its file by default.

    Raises:
        ImageError: If it is missing, not a picture, damaged or larger than ``most`` pixels.
    """
    from PIL import Image, UnidentifiedImageError

    path = where or ("The picture" if isinstance(source, bytes) else source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's bomb warning: the size is checked below
            file = BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(file, formats=_readable(path, formats)) as image:
                size = image.size
                if image.width * image.height > REDUCED:
                    image.draft(None, (near, near))  # pyright: ignore[reportArgumentType]
                if image.width * image.height > most:
                    raise _too_large(path, most, f"{image.width} × {image.height} pixels")
                return _plain(path, image, size, top, backdrop)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such picture.") from error
    except UnidentifiedImageError as error:
        raise UnknownFormat(f"{path}: {_unknown(source, formats)}") from error
    except Image.DecompressionBombError as error:
        raise _too_large(path, most, str(error)) from error
    except Exception as error:  # Pillow's decoders raise of every kind on damaged files
        raise ImageError(f"{path}: damaged ({error}). Save it anew, or take it away.") from error


def prepare(image: "Image", shape: tuple[int, int, int]) -> UInt8[Tensor, "C H W"]:
    """Return the bytes of a picture fitted into (C, H, W), antialiased, its aspect kept.

    What a side lacks is filled with the tone of the picture's own border.
    """
    from PIL import Image

    channels, height, width = shape
    image = image.convert("L" if channels == 1 else "RGB")
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = np.array(image.resize(size, Image.Resampling.BILINEAR)).reshape(*size[::-1], channels)
    pixels = torch.from_numpy(small).permute(2, 0, 1)
    tone = border(pixels).median(dim=1).values
    canvas = tone[:, None, None].repeat(1, height, width)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[:, top : top + size[1], left : left + size[0]] = pixels
    return canvas


def border(pixels: UInt8[Tensor, "*N C H W"]) -> UInt8[Tensor, "*N C P"]:
    """Return the outermost pixels of images; each corner counts twice."""
    sides = (pixels[..., 0, :], pixels[..., -1, :], pixels[..., :, 0], pixels[..., :, -1])
    return torch.cat(sides, dim=-1)


def heif_is_installed() -> bool:
    """Return whether HEIC pictures can be read, having told Pillow how."""
    try:
        from pillow_heif import register_heif_opener  # pyright: ignore[reportMissingImports]
    except ImportError:
        return False
    register_heif_opener()
    return True


def is_heif(source: Path | bytes) -> bool:
    """Return whether a file, or what is in one, is a HEIC picture by its first bytes."""
    if isinstance(source, Path):
        with open(source, "rb") as file:
            source = file.read(12)
    return source[4:8] == b"ftyp" and source[8:12] in _HEIF_BRANDS


def _readable(path: Path | str, formats: tuple[str, ...]) -> list[str]:
    """Return those of the formats that this Pillow reads, and the one that the name says."""
    from PIL import Image

    Image.init()
    if "HEIF" in formats and "HEIF" not in Image.OPEN:
        heif_is_installed()
    named = _BY_SUFFIX.get(Path(path).suffix.lower()) if formats is FORMATS else None
    return [name for name in (*formats, *([named] if named else [])) if name in Image.OPEN]


def _unknown(source: Path | bytes, formats: tuple[str, ...]) -> str:
    if is_heif(source):
        return (
            "a HEIC picture, which needs the extra 'heif': pip install 'vaescape[heif]'. "
            "Or save it as JPEG."
        )
    remedy = (other_file(source) if isinstance(source, Path) else None) or ""
    return f"not a picture that can be read. Expected one of {', '.join(formats)}. {remedy}".strip()


def _too_large(path: Path | str, most: int, got: str) -> ImageError:
    return ImageError(
        f"{path}: too large. Expected at most {most:,} pixels. Got {got}. Make it smaller."
    )


def _plain(
    path: Path | str,
    image: "Image",
    size: tuple[int, int],
    top: int | None,
    backdrop: int | None,
) -> tuple["Image", Traits]:
    from PIL import Image, ImageOps

    frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    if image.getexif().get(_ORIENTATION, 1) >= 5:  # turned by a quarter
        size = size[1], size[0]
    image = ImageOps.exif_transpose(image)
    deep = bright = below = ink = None
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        deep = int(values.max()) if image.mode.startswith("I") else None
        plain = Image.fromarray(_eight_bits(path, values, top))
    elif image.has_transparency_data:
        plain, ink = over(image.convert("RGBA"), backdrop)
    else:
        plain = image.convert("L" if image.mode in ("1", "L") else "RGB")
        levels = {n % 256 for n, count in enumerate(plain.histogram()) if count}
        bright, below = max(levels), max(levels - {255}, default=0)
        if top == 1 and bright == 1 and plain.mode == "L":
            plain = plain.point([0] + [255] * 255)
    return plain, Traits(*size, plain.mode == "RGB", deep, bright, below, ink, frames)


def over(image: "Image", backdrop: int | None) -> tuple["Image", float]:
    """Return an RGBA picture laid over a backdrop, and the mean brightness of its ink.

    None: on what its own ink can be seen.
    """
    from PIL import Image

    grey, alpha = np.asarray(image.convert("L"), float), np.asarray(image.getchannel("A"), float)
    ink = float((grey * alpha).sum() / max(alpha.sum(), 1))
    tone = behind([ink]) if backdrop is None else backdrop
    back = Image.new("RGBA", image.size, (tone, tone, tone, 255))
    return Image.alpha_composite(back, image).convert("RGB"), ink


def behind(inks: list[float]) -> int:
    """Return the backdrop on which such inks can be seen: white, or black if they are white."""
    return 0 if inks and sum(inks) / len(inks) > 230 else 255


def _eight_bits(path: Path | str, values: np.ndarray, top: int | None) -> UInt8[np.ndarray, "H W"]:
    """Return integers from 0 to ``top``, or floats in [0, 1], as bytes."""
    floats = values.dtype.kind == "f"
    most, margin = (1.0, TOLERANCE) if floats else (TOPS[-1], 0)
    if not (values.min() >= -margin and values.max() <= most + margin):
        raise ImageError(
            f"{path}: expected values from 0 to {most:g}. Got {values.min():g} to "
            f"{values.max():g}. Scale all of them alike, and save them as 8-bit grey."
        )
    scale = 1.0 if floats else max(top or 0, white(int(values.max())) or most)
    return np.rint(values.clip(0, most) / scale * 255).astype(np.uint8)
