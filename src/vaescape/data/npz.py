"""A NumPy archive."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Shaped
from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, read_magic

from vaescape.conditions import require
from vaescape.data.arrays import LAYOUTS, TEST, Arrays, Member, of_keys
from vaescape.data.base import Split
from vaescape.data.places import located
from vaescape.errors import DataError

MOST_PIXELS = 4 << 30
"""Of a set, as it lies in memory: a small archive may unpack to any size."""
MOST_LABELS = 256 << 20
"""Bytes of the labels of a split."""
_CHUNK = 1 << 26


class Npz(Arrays, name="npz"):
    """Your own NumPy archive: x_train and x_test with y_train and y_test, or images and labels.

    MedMNIST's names (train_images, train_labels, val_images, …) and others are known too; what
    ``val`` is are the validation images, or the test images where there are none. Images are whole
    numbers, or floats in [0, 1] that are rounded to k/255, of shape (N, H, W), (N, H, W, C) or
    (N, C, H, W) with 1 or 3 channels. Whole numbers are bytes, unless the brightest of the set says
    otherwise: masks of zeros and ones, or 10 to 16 bits. Labels are whole numbers or names, also of
    shape (N, 1) or one-hot, and may be missing: then there is one class. Without test images,
    evenly spaced images of each class become the test images.

    Args:
        path: The file.
        test: The share of test images, where the archive does not divide them itself.
        data_dir: The folder in which ``path`` is looked for, if not where it says.
        base: The folder that a relative path starts from.
    """

    def __init__(
        self,
        path: str,
        test: float = TEST,
        data_dir: Path | None = None,
        base: Path | None = None,
    ) -> None:
        require(lambda v: 0 < v < 1, "between 0 and 1", test=test)
        self.path = located(path, data_dir, base)
        try:
            with zipfile.ZipFile(self.path) as archive:
                keys, images, labels = _read(self.path, archive)
                super().__init__(str(self.path), images, labels, keys=keys, test=test)
        except (DataError, Warning):
            raise
        except FileNotFoundError as error:
            raise DataError(
                f"{self.path}: there is no such file. Expected a NumPy archive (.npz)."
            ) from error
        except MemoryError as error:
            raise DataError(f"{self.path}: does not fit in memory. Take fewer images.") from error
        except Exception as error:  # zipfile and zlib raise of every kind on damaged files
            why = f" ({error})" if zipfile.is_zipfile(self.path) else ""
            raise DataError(
                f"{self.path}: not a NumPy archive (.npz) of plain arrays, or damaged{why}. Save "
                "it anew with numpy.savez."
            ) from error
        self.title = self.path.stem


def _read(
    path: Path, archive: zipfile.ZipFile
) -> tuple[
    dict[Split, tuple[str, str | None]],
    dict[Split, Member],
    dict[Split, Shaped[np.ndarray, "..."]],
]:
    """Return the keys of each split, its images, not yet read, and their labels."""
    keys = {name.removesuffix(".npy"): name for name in archive.namelist()}
    layout = of_keys(keys)
    if layout is None:
        raise DataError(
            f"{path}: expected the keys {LAYOUTS}, with labels or without. "
            f"Got {', '.join(keys) or 'none'}. Save the arrays under such names."
        )
    if layout.keys() == {"train"} and "train" in layout["train"][0]:
        wanted = layout["train"][0].replace("train", "test")
        raise DataError(
            f"{path}: expected {LAYOUTS}. Got {', '.join(keys)}; {wanted} is missing. Add it, or "
            "save all images under 'images': then some of them become test images."
        )
    images: dict[Split, Member] = {
        split: _member(path, archive, keys[x]) for split, (x, _) in layout.items()
    }
    for one in images.values():
        cells = int(np.prod(one.shape, dtype=object))
        if cells > MOST_PIXELS:
            raise DataError(
                f"{one.where}: expected at most {MOST_PIXELS:,} pixels in all, as many as fit in "
                f"memory. Got {cells:,}: shape {one.shape}. Take fewer or smaller images."
            )
    labels: dict[Split, Shaped[np.ndarray, ...]] = {
        split: _whole(_member(path, archive, keys[y]))
        for split, (_, y) in layout.items()
        if y is not None
    }
    return layout, images, labels


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> Member:
    """Return an array of an archive: its header is read and checked, its content is not.

    Raises:
        DataError: If it has no header, is of another kind than plain numbers or names, or is
            shorter than its header says.
    """
    where = f"{path}: {name.removesuffix('.npy')}"
    with archive.open(name) as file:
        shape, dtype, fortran = _header(where, file)
        start = file.tell()
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if archive.getinfo(name).file_size - start != size:
        raise DataError(
            f"{where}: not a NumPy archive (.npz) of plain arrays, or damaged. Expected {size:,} "
            f"bytes of {dtype} of shape {shape}. Got {archive.getinfo(name).file_size - start:,}. "
            "Save it anew with numpy.savez."
        )

    def parts() -> Iterator[Shaped[np.ndarray, "..."]]:
        if not size:
            return
        if fortran:  # the last axis runs slowest, so that no row is whole before the end
            with archive.open(name) as file:
                _exactly(where, file, start)
                yield np.frombuffer(_exactly(where, file, size), dtype).reshape(shape, order="F")
            return
        row = size // shape[0]
        rows = max(1, _CHUNK // row)
        with archive.open(name) as file:
            _exactly(where, file, start)
            for first in range(0, shape[0], rows):
                count = min(rows, shape[0] - first)
                values = np.frombuffer(_exactly(where, file, count * row), dtype)
                yield values.reshape(count, *shape[1:])

    return Member(where, shape, dtype, parts)


def _whole(one: Member) -> Shaped[np.ndarray, "..."]:
    """Return labels, all at once: they are few."""
    size = int(np.prod(one.shape, dtype=object)) * one.dtype.itemsize
    if size > MOST_LABELS:
        raise DataError(
            f"{one.where}: expected labels of at most {MOST_LABELS:,} bytes. Got {size:,}: "
            f"{one.dtype} of shape {one.shape}. Give each image one label."
        )
    parts = list(one.parts())
    return np.concatenate(parts) if parts else np.empty(one.shape, one.dtype)


def _header(where: str, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Return shape, type and order of an array from the first bytes of its file."""
    try:
        first = read_magic(file) == (1, 0)
        shape, fortran, dtype = (read_array_header_1_0 if first else read_array_header_2_0)(file)
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")
    except Exception as error:  # of every kind on damaged headers
        raise DataError(
            f"{where}: not a NumPy archive (.npz) of plain arrays, or damaged: it has no header of "
            "an array. Save it anew with numpy.savez."
        ) from error
    if dtype.hasobject or dtype.kind not in "buifcSU" or not dtype.itemsize:
        raise DataError(
            f"{where}: not a NumPy archive (.npz) of plain arrays. Expected numbers or names. Got "
            f"elements of type {dtype.descr!r:.60}. Convert them first, names with astype(str)."
        )
    return shape, dtype, bool(fortran)


def _exactly(where: str, file: IO[bytes], count: int) -> bytes:
    found = file.read(count)
    if len(found) != count:
        raise DataError(
            f"{where}: not a NumPy archive (.npz) of plain arrays, or damaged: it ends too soon. "
            "Save it anew with numpy.savez."
        )
    return found
