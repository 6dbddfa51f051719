"""A packed set: bytes in NumPy files that are mapped, not read, and a digest of each shard."""

import hashlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from vaescape import schema
from vaescape.data.base import EVERY, SPLITS, Data, Images, Split
from vaescape.data.places import located
from vaescape.data.preparation import Preparation
from vaescape.errors import DataError
from vaescape.progress import bar
from vaescape.signals import stop_if_requested

MANIFEST = "packed.json"
FORMAT = 1
HEADER = 128
"""Bytes before the pixels: what NumPy writes for a shape of four numbers."""
_DESCRIBED = {
    "format": int,
    "title": str,
    "classes": [str],
    "factors": schema.Either([str], None),
    "shuffled": bool,
    "source": str,
    "shape": [int],
    "preparation": dict,
    "data_sha256": str,
    "shard": int,
    "splits": {...: {"images": int, "shards": [str], "files": {...: str}}},
}


@dataclass(frozen=True)
class Shard:
    """Some consecutive images of a split, with a digest of their own."""

    split: Split
    number: int
    """Counted from 0 within the split."""
    rows: slice
    sha256: str

    @property
    def name(self) -> str:
        """In messages, and of files made from it: "train-00003"."""
        return f"{self.split}-{self.number:05}"


class Packed(Data, name="packed"):
    """A set that `vaescape pack` wrote: images in mapped files, so that a set needs no memory.

    Each split is one file of bytes (N, C, H, W), because PyTorch takes one tensor; shards are
    ranges of its images, each with a SHA-256 in the manifest. They are verified before a run is
    made of the set.

    Args:
        path: The folder.
        data_dir: The folder in which ``path`` is looked for, if not where it says.
        base: The folder that a relative path starts from.
    """

    def __init__(self, path: str, data_dir: Path | None = None, base: Path | None = None) -> None:
        self.path = located(path, data_dir, base)
        told = self._manifest = read_manifest(self.path)
        self.title, self.classes = told["title"], tuple(told["classes"])
        self.factors = None if told["factors"] is None else tuple(told["factors"])
        self.shuffled, self.splits = told["shuffled"], tuple(told["splits"])

    def read(self, split: Split) -> Images:
        """Return a split, mapped."""
        labels = self._mapped(split, "labels", np.int64, ())
        factors = None
        if "factors" in self._manifest["splits"][split]["files"]:
            factors = torch.from_numpy(self._mapped(split, "factors", np.float32, None))
        return Images(torch.from_numpy(self._pixels(split)), torch.from_numpy(labels), factors)

    @property
    def preparation(self) -> Preparation:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What was done to the pictures when they were packed."""
        return Preparation.from_dict(self._manifest["preparation"])

    @property
    def recorded_digest(self) -> str:
        """The digest of all images as it was when they were packed; :meth:`digest` verifies it."""
        return self._manifest["data_sha256"]

    def shards(self) -> Iterator[Shard]:
        """Yield the shards of all splits, in order."""
        size = self._manifest["shard"]
        for split, told in self._manifest["splits"].items():
            for n, sha256 in enumerate(told["shards"]):
                rows = slice(n * size, min((n + 1) * size, told["images"]))
                yield Shard(split, n, rows, sha256)

    def ids(self, split: Split, rows: slice) -> Shaped[np.ndarray, " n"]:
        """Return what some images are called: their files, or "train/12"."""
        if "ids" not in self._manifest["splits"][split]["files"]:
            return numbered(split, rows)
        return np.char.decode(self._mapped(split, "ids", None, ())[rows], "utf-8")

    @cached_property
    def _digest(self) -> str:
        """The digest of the same images in memory, when every shard was verified."""
        for split, told in self._manifest["splits"].items():
            for kind, sha256 in told["files"].items():
                if hashlib.sha256(_content(self._file(split, kind))).hexdigest() != sha256:
                    raise self._damaged(f"{split}.{kind}.npy", "has other content")
        with bar(desc=f"Verifying {self.title}", unit="shard") as progress:
            for shard in self.shards():
                self.verify(shard)
                progress.update()
                stop_if_requested()
        return self.recorded_digest

    def verify(self, shard: Shard) -> None:
        """Refuse a shard whose images are not those that were packed.

        Raises:
            DataError: With its name and the images in it.
        """
        row = self._pixels(shard.split)[:1].nbytes
        digest = hashlib.sha256()
        with open(self.path / f"{shard.split}.npy", "rb") as file:  # read: maps would fill memory
            file.seek(HEADER + shard.rows.start * row)
            left = (shard.rows.stop - shard.rows.start) * row
            while left and (part := file.read(min(left, 1 << 20))):
                digest.update(part)
                left -= len(part)
        if digest.hexdigest() != shard.sha256:
            images = f"images {shard.rows.start:,} to {shard.rows.stop - 1:,}"
            raise self._damaged(
                f"{shard.split}.npy", f"shard {shard.name} ({images}) has other content"
            )

    def _pixels(self, split: Split) -> Shaped[np.ndarray, "N C H W"]:
        shape = tuple(self._manifest["shape"])
        return self._mapped(split, None, np.uint8, shape)

    def _mapped(
        self, split: Split, kind: str | None, dtype: Any, shape: tuple[int, ...] | None
    ) -> Shaped[np.ndarray, "N *S"]:
        """Return an array that lies in a file, of a checked shape and type."""
        path, count = self._file(split, kind), self._manifest["splits"][split]["images"]
        try:
            # Writable for PyTorch's sake; what is written stays private to the process.
            found = np.load(path, mmap_mode="c", allow_pickle=False)
        except FileNotFoundError as error:
            raise self._damaged(path.name, "is missing") from error
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(
                path.name, self._shortened(path) or f"cannot be read ({error})"
            ) from error
        right = shape is None or found.shape[1:] == shape
        if len(found) != count or not right or (dtype and found.dtype != dtype):
            raise self._damaged(
                path.name, f"has {found.dtype} of shape {found.shape}, for {count} images"
            )
        return found

    def _shortened(self, path: Path) -> str | None:
        """Return which shards a file has lost that was cut short; None if it is not that."""
        split, row = path.stem, int(np.prod(self._manifest["shape"]))
        told = self._manifest["splits"].get(split)
        if told is None:
            return None
        there = (path.stat().st_size - HEADER) // row
        lost = [one.name for one in self.shards() if one.split == split and one.rows.stop > there]
        return f"was cut short: {', '.join(lost)} {'is' if len(lost) == 1 else 'are'} missing"

    def _file(self, split: Split, kind: str | None) -> Path:
        return self.path / (f"{split}.npy" if kind is None else f"{split}.{kind}.npy")

    def _damaged(self, file: str, what: str) -> DataError:
        return DataError(
            f"{self.path / file} is damaged: it {what}. Restore it from a copy, or pack the set "
            f"again: `vaescape pack {shlex.quote(self._manifest['source'])} …`."
        )


def numbered(split: Split, rows: slice) -> Shaped[np.ndarray, " n"]:
    """Return the names of images that have none: "train/12"."""
    return np.array([f"{split}/{n}" for n in range(rows.start, rows.stop)])


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what the manifest of a packed set says.

    Raises:
        DataError: If there is none, or it is damaged or of a later format.
    """
    file = path / MANIFEST
    try:
        found = schema.parsed(file.read_bytes(), _DESCRIBED)
        sound = len(found["shape"]) == 3 and min(*found["shape"], found["shard"]) > 0
        for split, told in found["splits"].items():
            sound &= split in EVERY and told["images"] > 0
            sound = sound and len(told["shards"]) == -(-told["images"] // found["shard"])
        if not sound or not set(SPLITS) <= found["splits"].keys():
            raise ValueError("its sizes do not fit together")
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: expected a packed set with {MANIFEST}. Got none. Pack one, or finish "
            f"one, with `vaescape pack SOURCE {path}`."
        ) from error
    except (ValueError, OSError) as error:
        raise DataError(
            f"{file} is damaged: {error}. Restore it from a copy, or pack the set again."
        ) from error
    if found["format"] > FORMAT:
        raise DataError(
            f"{file} was written by a later version: format {found['format']}, this vaescape reads "
            f"{FORMAT}. Upgrade vaescape to open it."
        )
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}. Restore the file from a copy.") from error


def manifest_text(**told: Any) -> str:
    """Return the text of a manifest."""
    return json.dumps({"format": FORMAT, **told}, indent=1, ensure_ascii=False) + "\n"
