"""A NumPy archive."""

from pathlib import Path
from zipfile import is_zipfile

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from vaescape.components import require
from vaescape.data.base import SPLITS, Data, Images, Split, held_out, split_by
from vaescape.data.places import located
from vaescape.errors import DataError

_CHANNELS = (1, 3)
_DIVIDED = ("x_train", "y_train", "x_test", "y_test")
_WHOLE = ("images", "labels")


class Npz(Data, name="npz"):
    """Your own NumPy archive: x_train, y_train, x_test and y_test, or images and labels.

    Images are bytes, or floats in [0, 1] that are rounded to k/255, of shape (N, H, W),
    (N, H, W, C) or (N, C, H, W) with 1 or 3 channels. Labels are whole numbers or names, and may be
    missing: then there is one class. Without test images, evenly spaced images of each class become
    the test images.

    Args:
        path: The file.
        test: The share of test images, where the archive does not divide them itself.
        data_dir: The folder in which ``path`` is looked for, if not where it says.
        base: The folder that a relative path starts from.
    """

    def __init__(
        self,
        path: str,
        test: float = 0.15,
        data_dir: Path | None = None,
        base: Path | None = None,
    ) -> None:
        require(lambda v: 0 < v < 1, "between 0 and 1", test=test)
        self.path = located(path, data_dir, base)
        self.title = self.path.stem
        arrays = _arrays(self.path)
        divided = "x_train" in arrays
        keys = [(f"x_{split}", f"y_{split}") for split in SPLITS] if divided else [_WHOLE]
        pixels = [_pixels(self.path, arrays, key) for key, _ in keys]
        labels = [_labels(self.path, arrays, key, label) for key, label in keys]
        _check_alike(self.path, pixels, labels)
        names, indices = np.unique(np.concatenate(labels), return_inverse=True)
        images = Images(torch.cat(pixels), torch.from_numpy(indices.astype(np.int64)))
        held = np.arange(len(images)) >= len(pixels[0]) if divided else held_out(indices, test)
        self.classes = tuple(map(str, names))
        self._parts = split_by(images, held, str(self.path))

    def read(self, split: Split) -> Images:
        """Return a split."""
        return self._parts[split]


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files if key in _DIVIDED + _WHOLE}
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: there is no such file. Expected a NumPy archive (.npz)."
        ) from error
    except Exception as error:  # numpy and zipfile raise of every kind on damaged files
        # Of what is no archive at all numpy says how to load it unsafely: not what one wants here.
        why = f" ({error})" if is_zipfile(path) else ""
        raise DataError(
            f"{path}: not a NumPy archive (.npz) of plain arrays, or damaged{why}. Save it anew "
            "with numpy.savez."
        ) from error


def _pixels(path: Path, arrays: dict[str, np.ndarray], key: str) -> UInt8[Tensor, "N C H W"]:
    if key not in arrays:
        raise DataError(
            f"{path}: expected {', '.join(_DIVIDED)}, or {' and '.join(_WHOLE)}. Got "
            f"{', '.join(arrays) or 'none of them'}; {key} is missing."
        )
    where, values = f"{path}: {key}", arrays[key]
    return torch.from_numpy(_channels_first(where, _bytes(where, values)))


def _bytes(where: str, values: Shaped[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind != "f" or not values.size or not (values.min() >= 0 and values.max() <= 1):
        span = (
            f" from {values.min()} to {values.max()}"
            if values.size and values.dtype.kind in "if"
            else ""
        )
        raise DataError(
            f"{where}: expected bytes (uint8), or floats in [0, 1]. Got {values.dtype}{span}. "
            "Bring them to one of the two first."
        )
    return np.rint(values.astype(np.float64) * 255).astype(np.uint8)


def _channels_first(where: str, values: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "N C H W"]:
    if values.ndim == 3 and values.size:
        return values[:, None].copy()
    if values.ndim == 4 and values.size and values.shape[1] in _CHANNELS:
        return values.copy()
    if values.ndim == 4 and values.size and values.shape[3] in _CHANNELS:
        return np.moveaxis(values, 3, 1).copy()
    raise DataError(
        f"{where}: expected a shape (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels. "
        f"Got {values.shape}. Rearrange it first."
    )


def _labels(
    path: Path, arrays: dict[str, np.ndarray], key: str, label: str
) -> Shaped[np.ndarray, " N"]:
    count = len(arrays[key])
    if not any(name in arrays for name in ("y_train", "y_test", "labels")):
        return np.full(count, "images")
    values = arrays.get(label)
    if values is None or values.shape != (count,):
        got = "none" if values is None else f"an array of shape {values.shape}"
        raise DataError(
            f"{path}: {key} and {label} do not match. Expected {count} labels for {count} images. "
            f"Got {got}. Give each image one label, or leave all labels out."
        )
    if values.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: {label} must be whole numbers or names. Got {values.dtype}. Convert them."
        )
    return values


def _check_alike(path: Path, pixels: list[Tensor], labels: list[np.ndarray]) -> None:
    """Refuse train and test parts that differ in size or in the kind of their labels."""
    shapes = {tuple(part.shape[1:]) for part in pixels}
    if len(shapes) > 1:
        raise DataError(
            f"{path}: x_train and x_test must hold images of one size. Got "
            f"{' and '.join(map(str, sorted(shapes)))} (channels, height, width)."
        )
    if len({part.dtype.kind in "iu" for part in labels}) > 1:
        raise DataError(f"{path}: y_train and y_test must both be whole numbers, or both names.")
