"""Pictures of any kind, made alike: bytes, upright, of one size."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from vaescape.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 4096
MAX_PIXELS = 16_000_000
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Plain raster formats only; others of Pillow's start programs or fetch files."""


def read_picture(
    path: Path | str | bytes,
    shape: tuple[int, int, int],
    *,
    invert: bool | Literal["auto"] = "auto",
    formats: tuple[str, ...] = FORMATS,
) -> UInt8[Tensor, "C H W"]:
    """Return a picture prepared like the data: grey if they are, fitted into their size.

    The aspect is kept, and what a side lacks is filled with the tone of the picture's own border.

    Args:
        path: A picture file, or what is in one.
        shape: (C, H, W) of the data.
        invert: Exchange light and dark; ``"auto"`` does so if the border is brighter than mid-grey,
            for the data have a dark background.
        formats: What it may be.

    Raises:
        ImageError: If it is missing, not a picture, damaged, or larger than 4096 pixels a side or
            16 million in all.
    """
    pixels = prepare(open_picture(Path(path) if isinstance(path, str) else path, formats), shape)
    bright = bool(np.median(_border(pixels)) > 127)
    return 255 - pixels if (bright if invert == "auto" else invert) else pixels


def open_picture(source: Path | bytes, formats: tuple[str, ...] = FORMATS) -> "Image":
    """Return a picture upright, in 8-bit grey or colour; of an animation the first frame.

    What is transparent becomes white.

    Raises:
        ImageError: As :func:`read_picture`.
    """
    from PIL import Image, UnidentifiedImageError

    path = "The picture" if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            file = BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(file, formats=formats) as image:
                _check_size(path, image)
                return _plain(path, image)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such picture.") from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{path}: not a picture that can be read. Expected one of {', '.join(formats)}."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, str(error)) from error
    except Exception as error:  # Pillow's decoders raise of every kind on damaged files
        raise ImageError(f"{path}: damaged ({error}). Save it anew, or take it away.") from error


def prepare(image: "Image", shape: tuple[int, int, int]) -> UInt8[Tensor, "C H W"]:
    """Return the bytes of a picture fitted into (C, H, W), antialiased, its aspect kept."""
    from PIL import Image

    channels, height, width = shape
    image = image.convert("L" if channels == 1 else "RGB")
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = image.resize(size, Image.Resampling.BILINEAR)
    pixels = _tensor(small)
    tone = _border(pixels).median(dim=1).values
    canvas = tone[:, None, None].repeat(1, height, width)
    top, left = (height - small.height) // 2, (width - small.width) // 2
    canvas[:, top : top + small.height, left : left + small.width] = pixels
    return canvas


def _check_size(path: Path | str, image: "Image") -> None:
    width, height = image.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise _too_large(path, f"{width} × {height} pixels")


def _too_large(path: Path | str, got: str) -> ImageError:
    return ImageError(
        f"{path}: too large. Expected at most {MAX_SIDE} pixels a side and {MAX_PIXELS:,} in all. "
        f"Got {got}. Make it smaller."
    )


def _plain(path: Path | str, image: "Image") -> "Image":
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(path, np.asarray(image), image.mode))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _eight_bits(path: Path | str, values: np.ndarray, mode: str) -> UInt8[np.ndarray, "H W"]:
    """Return 16-bit integers, or floats in [0, 1], as bytes."""
    top = 1.0 if mode.startswith("F") else 65535.0
    if not (values.min() >= 0 and values.max() <= top):
        raise ImageError(
            f"{path}: expected values from 0 to {top:g}. Got {values.min():g} to {values.max():g}. "
            "Save it as 8-bit grey."
        )
    return np.rint(values / top * 255).astype(np.uint8)


def _tensor(image: "Image") -> UInt8[Tensor, "C H W"]:
    pixels = np.array(image)
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous()


def _border(pixels: UInt8[Tensor, "C H W"]) -> UInt8[Tensor, "C P"]:
    sides = (pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1])
    return torch.cat(sides, dim=1)
