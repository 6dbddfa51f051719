"""The one check of pixels: what counts as an image, and in which range its values lie.

Integers are bytes, floats lie in [0, 1]. Nothing else is guessed: whatever is outside is refused
with the range that came.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from vaescape.errors import OptionError

TOLERANCE = 1e-6
"""How far a float may lie outside of [0, 1]: a resize may round 1 to 1.0000001."""


TOPS = (1, 255, 1023, 4095, 16383, 65535)
"""What integers count as white: of masks, bytes, and 10, 12, 14 and 16 bits."""


DIM = 32
"""A set whose brightest byte is below this is nearly black: the numbers of classes, perhaps."""


def pixels(images: Any, shape: Sequence[int]) -> Float[Tensor, "N C H W"]:
    """Return images as a model takes them: float32 in [0, 1], bytes divided by 255.

    Args:
        images: A tensor or an array (N, C, H, W), on any device: integers from 0 to 255, or floats
            in [0, 1].
        shape: (C, H, W) of the data.

    Raises:
        OptionError: For another shape, type or range, and for numbers that are not finite.
    """
    values = tensor(images)
    if values.ndim != 4 or tuple(values.shape[1:]) != tuple(shape):
        raise OptionError(
            f"Expected images of shape (N, C, H, W) = (N, {', '.join(map(str, shape))}). "
            f"Got {tuple(values.shape)}."
        )
    return _unit(values)


def unit(values: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return bytes in [0, 1], exactly k/255 in float32 on every device."""
    # By a tensor, for CUDA divides by a plain number by multiplying with its rounded reciprocal.
    return values.to(torch.float32) / torch.full((), 255.0, device=values.device)


def white(brightest: int) -> int | None:
    """Return what counts as white in a set whose brightest integer is this; None: too large."""
    if brightest < 1:
        return 255
    return next((top for top in TOPS if brightest <= top), None)


def note_if_dim(where: object, brightest: int, below: int) -> None:
    """Tell the user if the bytes of a set are nearly black.

    Args:
        where: The set.
        brightest: Its brightest byte.
        below: The brightest below 255: masks of class numbers mark what has no class with 255.
    """
    if 0 < below < DIM:
        apart = "apart from 255, " if brightest == 255 else ""
        note(
            f"{where}: {apart}the brightest value of the set is {below} of 255, so its images are "
            "nearly black. If the values are numbers of classes, save them as colours; if they "
            "have fewer bits than the files, scale them first."
        )


def below_white(values: UInt8[np.ndarray, "N *S"]) -> int:
    """Return the brightest byte below 255, or any of at least ``DIM``."""
    found, rows = 0, max(1, (1 << 24) // max(1, values[:1].size))
    for start in range(0, len(values), rows):
        part = values[start : start + rows]
        found = max(found, int(part[part < 255].max(initial=0)))
        if found >= DIM:
            break
    return found


def note(text: str) -> None:
    """Tell the user what was decided for a whole set; the command line prints it."""
    warnings.warn(text, stacklevel=2)


def tensor(values: Any) -> Shaped[Tensor, "..."]:
    """Return an array of any kind as a tensor.

    Raises:
        OptionError: If it holds no plain numbers.
    """
    if isinstance(values, Tensor):
        return values
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "buif":
            raise TypeError(f"{array.dtype} values")
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        return torch.from_numpy(np.ascontiguousarray(native).reshape(array.shape))
    except (TypeError, ValueError) as error:
        kind = getattr(values, "dtype", type(values).__name__)
        raise OptionError(
            f"Expected images as a tensor or an array of numbers. Got {kind} ({error})."
        ) from error


def span(values: Any) -> str:
    """Return the range of some values in words: " from −1 to 1", or nothing of none."""
    if 0 in values.shape:
        return ""
    return f" from {values.min().item():g} to {values.max().item():g}"


def _unit(values: Shaped[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    if values.dtype == torch.uint8:
        _note_if_mask(values)
        return unit(values)
    if values.dtype == torch.bool:
        return values.float()
    kind = str(values.dtype).removeprefix("torch.")
    if values.dtype in (torch.uint16, torch.uint32, torch.uint64):  # PyTorch compares no such
        values = values.to(torch.int64)
    top, margin = (1.0, TOLERANCE) if values.is_floating_point() else (255, 0)
    # Compared so that NaN fails. An empty batch has no range to be wrong.
    inside = (values >= -margin) & (values <= top + margin)
    if not inside.all():
        raise OptionError(
            "Pixels must be whole numbers from 0 to 255, or floats from 0 to 1. "
            f"Got {kind}{span(values)}. Rescale them first."
        )
    if values.is_floating_point():
        return values.float().clamp(0, 1)
    _note_if_mask(values)
    return unit(values.to(torch.uint8))


def _note_if_mask(values: Shaped[Tensor, "N C H W"]) -> None:
    """Tell the user if whole numbers are 0 and 1: as bytes they are nearly black."""
    if values.numel() and values.max() == 1:
        note(
            "images: the brightest value is 1 of 255, so they are nearly black. If 1 is white, "
            "give them as booleans or as floats."
        )
