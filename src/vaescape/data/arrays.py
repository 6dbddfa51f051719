"""Arrays of images and labels as a data set: pixels become bytes, labels become numbers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from vaescape.data.base import EVERY, Data, Images, Split, held_out, split_by
from vaescape.data.preparation import Preparation
from vaescape.data.values import TOLERANCE, TOPS, below_white, note, note_if_dim, white
from vaescape.errors import DataError

TEST = 0.15
"""The share of test images, where nobody divides them."""
ONE_CLASS = "images"
_CHANNELS = (1, 3)
_ROWS = 1 << 24
"""Numbers that are looked at in one go."""
_SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
_WHOLE = (("images", "labels"), ("imgs", "labels"), ("x", "y"), ("data", "labels"))
_WHOLE += (("data", "target"), ("arr_0", "arr_1"))


class Member(NamedTuple):
    """An array that may not have been read yet."""

    where: str
    """For messages."""
    shape: tuple[int, ...]
    dtype: np.dtype
    parts: Callable[[], Iterator[Shaped[np.ndarray, "..."]]]
    """Its rows, some at a time, from the first."""


class Arrays(Data):
    """A set of arrays: the images of each split, and their labels.

    Images are whole numbers, or floats in [0, 1] that are rounded to k/255, of shape (N, H, W),
    (N, H, W, C) or (N, C, H, W) with 1 or 3 channels. Whole numbers are bytes, unless the brightest
    of all splits says otherwise: masks of zeros and ones, or 10 to 16 bits. Labels are whole
    numbers or names, also of shape (N, 1) or one-hot, and may be missing: then there is one class.

    Args:
        title: Of the set.
        images: The images of each split. Without "test", the validation images are the test images,
            or evenly spaced images of each class.
        labels: Their labels: of all splits, or of none.
        keys: What images and labels of each split are called, for messages.
        names: What the labels 0, 1, … mean.
        test: The share of test images, where there are none.

    Raises:
        DataError: If they do not fit together.
    """

    def __init__(
        self,
        title: str,
        images: Mapping[Split, Member],
        labels: Mapping[Split, Shaped[np.ndarray, "..."]],
        *,
        keys: Mapping[Split, tuple[str, str | None]] = MappingProxyType({}),
        names: Sequence[str] | None = None,
        test: float = TEST,
    ) -> None:
        self.title = title
        pixels, self._top = _pixels(title, images)
        known = _labels(title, images, labels, keys)
        _check_shapes(title, images, pixels)
        self.classes, indices = classes_of(known, names)
        parts: dict[Split, Images] = {
            split: Images(pixels[split], torch.from_numpy(indices[split])) for split in images
        }
        if "test" not in parts and "validation" in parts:
            parts["test"] = parts.pop("validation")
        if "test" not in parts:
            whole = parts["train"]
            parts = split_by(whole, held_out(whole.labels.numpy(), test), title)
        self._parts = parts
        self.splits = tuple(split for split in EVERY if split in self._parts)

    def read(self, split: Split) -> Images:
        """Return a split."""
        return self._parts[split]

    @property
    def preparation(self) -> Preparation:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What makes a picture like the training images."""
        return Preparation.of(self.load("train").pixels, top=self._top)


def of_keys(keys: Iterable[str]) -> dict[Split, tuple[str, str | None]] | None:
    """Return which keys hold the images and the labels of each split; None: no layout is known.

    Known are ``x_train``, ``train_images`` (MedMNIST), ``train``; the same with ``val``, ``valid``
    or ``validation`` and ``test``; and ``images``, ``imgs``, ``x``, ``data`` or ``arr_0`` for a set
    that is not divided.
    """
    by_lower = {key.lower(): key for key in keys}
    found: dict[Split, tuple[str, str | None]] = {}
    for split, names in _SPLITS.items():
        for name in names:
            xs = (f"x_{name}", f"{name}_x", f"{name}_images", f"{name}_data", name)
            ys = (f"y_{name}", f"{name}_y", f"{name}_labels", f"{name}_label", f"{name}_targets")
            x = next((by_lower[key] for key in xs if key in by_lower), None)
            y = next((by_lower[key] for key in ys if key in by_lower), None)
            if x is not None and split not in found:
                found[split] = x, y
    if "train" in found:
        return found
    for x, y in _WHOLE:
        if x in by_lower:
            others = (y, "labels", "label", "y", "target", "targets")
            return {
                "train": (by_lower[x], next((by_lower[k] for k in others if k in by_lower), None))
            }
    return None


LAYOUTS = "x_train and x_test, train_images and test_images, or images"


def member(where: str, values: Shaped[np.ndarray, "..."]) -> Member:
    """Return an array that is in memory."""

    def parts() -> Iterator[Shaped[np.ndarray, "..."]]:
        rows = max(1, _ROWS // max(1, values[:1].size))
        for start in range(0, len(values), rows):
            yield values[start : start + rows]

    return Member(where, values.shape, values.dtype, parts)


# Pixels ------------------------------------------------------------------------------------------


def _pixels(
    title: str, images: Mapping[Split, Member]
) -> tuple[dict[Split, UInt8[Tensor, "N C H W"]], int | None]:
    """Return the bytes of each split, channels first, and the integer that became white."""
    for one in images.values():
        _check_layout(one)
    read = {split: _narrowed(one) for split, one in images.items()}
    whole = [split for split, one in images.items() if one.dtype.kind in "iu"]
    brightest = max((int(read[split].max()) for split in whole), default=255)
    top = None if white(brightest) == 255 else white(brightest)
    if top is not None and top != TOPS[-1]:
        note(f"{title}: the brightest value of the set is {brightest}, so {top} becomes white.")
    elif whole:
        note_if_dim(title, brightest, max(below_white(read[split]) for split in whole))
    found = {}
    for split, values in read.items():
        if split in whole and top is not None:
            values = np.rint(np.arange(top + 1) / top * 255).astype(np.uint8)[values]
        moved = _channels_first(values.astype(np.uint8, copy=False))
        found[split] = torch.from_numpy(np.ascontiguousarray(moved))
    return found, top


def _check_layout(one: Member) -> None:
    shape = one.shape
    grey = len(shape) == 3
    channels = len(shape) == 4 and (shape[1] in _CHANNELS or shape[3] in _CHANNELS)
    if (grey or channels) and 0 not in shape:
        return
    hint = ""
    side = round(shape[1] ** 0.5) if len(shape) == 2 else 0
    if side > 1 and side * side == shape[1]:
        hint = f" If these are images of {side} × {side}: reshape((-1, {side}, {side}))."
    if len(shape) == 4 and shape[3] == 4:
        hint = " If the fourth channel is transparency: images[..., :3]."
    elif len(shape) == 4 and min(shape) > 4:
        hint = f" If these are volumes, their slices: reshape((-1, {shape[2]}, {shape[3]}))."
    raise DataError(
        f"{one.where}: expected a shape (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 "
        f"channels. Got {shape}. Rearrange it first.{hint}"
    )


def _channels_first(values: np.ndarray) -> UInt8[np.ndarray, "N C H W"]:
    if values.ndim == 3:
        return values[:, None]
    return values if values.shape[1] in _CHANNELS else np.moveaxis(values, 3, 1)


def _narrowed(one: Member) -> np.ndarray:
    """Return floats as bytes, and whole numbers as bytes or 16 bits, never more than that at once.

    Raises:
        DataError: If the values are of another kind or range.
    """
    kind = one.dtype.kind
    if kind not in "buif":
        raise _refused(one, "")
    out = np.empty(one.shape, np.uint16 if kind in "iu" and one.dtype.itemsize > 1 else np.uint8)
    low, high, start = np.inf, -np.inf, 0
    for part in one.parts():
        low, high = np.minimum(low, part.min()), np.maximum(high, part.max())  # NaN stays
        rows = slice(start, start := start + len(part))
        if not (np.isfinite(low) and np.isfinite(high)):
            break
        if kind == "f":
            out[rows] = np.rint(part.clip(0, 1).astype(np.float64) * 255)
        else:
            out[rows] = part if kind == "u" and part.itemsize == 1 else part.clip(0, TOPS[-1])
    bound, margin = (1, TOLERANCE) if kind == "f" else (TOPS[-1], 0)
    if not (low >= -margin and high <= bound + margin):  # so that NaN is refused
        ends = (low, high) if kind == "f" else (int(low), int(high))
        raise _refused(one, f" from {ends[0]} to {ends[1]}", _remedy(float(low), float(high)))
    return out * np.uint8(255) if kind == "b" else out


def _remedy(low: float, high: float) -> str:
    """Return how to bring numbers to [0, 1], where their range says so."""
    if low >= 0 and 1 < high < np.inf:
        return f", by dividing all splits by {high:g} if that is white"
    return ", by (images + 1) / 2" if low >= -1 - TOLERANCE and high <= 1 + TOLERANCE else ""


def _refused(one: Member, span: str, remedy: str = "") -> DataError:
    return DataError(
        f"{one.where}: expected whole numbers from 0 to 255 (or up to 65535), or floats in [0, 1]. "
        f"Got {one.dtype}{span}. Bring them to one of the two first{remedy}."
    )


def _check_shapes(
    title: str, images: Mapping[Split, Member], pixels: Mapping[Split, Tensor]
) -> None:
    shapes = sorted({tuple(part.shape[1:]) for part in pixels.values()})
    if len(shapes) > 1:
        wheres = " and ".join(one.where.removeprefix(f"{title}: ") for one in images.values())
        raise DataError(
            f"{title}: {wheres} must hold images of one size. Got "
            f"{' and '.join(map(str, shapes))} (channels, height, width)."
        )


# Labels ------------------------------------------------------------------------------------------


def _labels(
    title: str,
    images: Mapping[Split, Member],
    labels: Mapping[Split, np.ndarray],
    keys: Mapping[Split, tuple[str, str | None]],
) -> dict[Split, np.ndarray]:
    """Return one label for each image: int64, or names."""
    called = {
        split: keys[split][1] or keys[split][0].replace("x_", "y_") if split in keys else "labels"
        for split in images
    }
    if not labels:
        return {split: np.full(one.shape[0], ONE_CLASS) for split, one in images.items()}
    found = {}
    for split, one in images.items():
        values = labels.get(split)
        flat = None if values is None else _flat(f"{title}: {called[split]}", values)
        if flat is None or len(flat) != one.shape[0]:
            got = "none" if values is None else f"an array of shape {values.shape}"
            raise DataError(
                f"{one.where} and {called[split]} do not match. Expected {one.shape[0]} labels for "
                f"{one.shape[0]} images. Got {got}. Give each image one label, or leave all labels "
                "out."
            )
        found[split] = flat
    if len({part.dtype.kind for part in found.values()}) > 1:
        raise DataError(
            f"{title}: {' and '.join(called.values())} must both be whole numbers, or both names. "
            f"Got {' and '.join(str(part.dtype) for part in found.values())}."
        )
    return found


def _flat(where: str, values: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, " N"]:
    """Return labels as one int64 or one name each."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 2 and values.dtype.kind in "buif" and values.shape[1] > 1:
        if not (np.isin(values, (0, 1)).all() and (values.sum(1) == 1).all()):
            raise DataError(
                f"{where}: expected one class for each image. Got {values.shape[1]} columns that "
                "are not one-hot. Choose one column, or leave the labels out."
            )
        values = values.argmax(1)
    if values.ndim != 1:
        raise DataError(
            f"{where}: expected one label for each image. Got an array of shape {values.shape}."
        )
    kind = values.dtype.kind
    if kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    if kind == "U":
        return values
    if kind == "b":
        return values.astype(str)
    if kind == "f" and np.isfinite(values).all() and (values == np.rint(values)).all():
        kind, values = "i", values.astype(np.int64)
    if kind not in "iu" or (values > np.iinfo(np.int64).max).any():
        raise DataError(
            f"{where} must be whole numbers or names. Got {values.dtype}. Convert them."
        )
    return values.astype(np.int64)


def classes_of(
    labels: Mapping[Split, np.ndarray], names: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[Split, np.ndarray]]:
    """Return the names of the classes, and each label's place among them.

    Raises:
        DataError: If numbers that have names are negative: so datasets mark labels that they
            withhold.
    """
    every = np.concatenate(list(labels.values()))
    numbered = names is not None and every.dtype.kind == "i"
    if names is not None and numbered and every.min() < 0:
        raise DataError(
            f"Expected labels from 0 to {len(names) - 1}. Got {every.min()} for "
            f"{np.count_nonzero(every < 0)} of {len(every)} images: labels that are withheld. "
            "Leave these images out, or all labels."
        )
    if names is not None and numbered and every.max() < len(names):
        unique, names = np.arange(len(names)), tuple(names)
    else:
        unique = np.unique(every)
        names = tuple(map(str, unique))
    places: dict[Split, np.ndarray] = {
        split: np.searchsorted(unique, part).astype(np.int64) for split, part in labels.items()
    }
    return names, places
