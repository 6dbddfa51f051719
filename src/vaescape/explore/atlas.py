"""Many small pictures in one: the decoded grid, its blurred stand-in, the originals."""

import io

import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter
from torch import Tensor

from vaescape.explore.blobs import Blob, file

LIMIT = 16383
"""WebP's largest side, in pixels."""
POSTER_BYTES = 20_000


def grid(cells: UInt8[Tensor, "N C H W"], columns: int) -> Image.Image:
    """Return pictures side by side in reading order; what is missing of the last row is black."""
    count, channels, height, width = cells.shape
    rows = -(-count // columns)
    sheet = cells.new_zeros(rows * columns, channels, height, width)
    sheet[:count] = cells
    laid = sheet.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    pixels = laid.contiguous().numpy()
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels[..., :3])


def eight_bits(images: Float[Tensor, "*S C H W"]) -> UInt8[Tensor, "*S C H W"]:
    """Return pixels in [0, 1] as bytes."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def decoded(images: Float[Tensor, "N C H W"], columns: int) -> Image.Image:
    """Return decoded images in reading order."""
    return grid(eight_bits(images), columns)


def picture(image: Image.Image, quality: int = 80) -> Blob:
    """Return a picture as WebP, small rather than exact."""
    return file(_webp(image, quality=quality, method=5), "image/webp")


def poster(image: Image.Image) -> Blob:
    """Return a small and blurred picture, 20 KB at the most."""
    small = image.convert("RGB")
    small.thumbnail((320, 320))
    content = _webp(small.filter(ImageFilter.GaussianBlur(3)), quality=50, method=6)
    assert len(content) <= POSTER_BYTES
    return file(content, "image/webp")


def originals(pixels: UInt8[Tensor, "N C H W"]) -> tuple[Blob, int, int]:
    """Return images in one WebP, how many there was room for, and the columns."""
    count, _, height, width = pixels.shape
    columns = min(LIMIT // width, max(1, round((count * height / width) ** 0.5)))
    kept = min(count, columns * (LIMIT // height))
    image = grid(pixels[:kept], columns)
    return picture(image, quality=52), kept, columns


def _webp(image: Image.Image, **options: bool | int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="WEBP", **options)
    return stream.getvalue()
