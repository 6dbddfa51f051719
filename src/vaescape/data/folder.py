"""A folder of pictures."""

import warnings
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from vaescape.components import require
from vaescape.data.base import SPLITS, Data, Images, Split, held_out, split_by
from vaescape.data.picture import open_picture, prepare
from vaescape.errors import DataError, ImageError
from vaescape.progress import bar

_SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"]
)


class Folder(Data, name="folder"):
    """Your own pictures: one subfolder for each class, or ``train`` and ``test`` with those inside.

    Without ``train`` and ``test``, evenly spaced pictures of each class, in the order of their
    names, become the test images.

    Args:
        path: The folder.
        size: Height and width that every picture is fitted into, in pixels; the aspect is kept.
        grey: One channel; otherwise three.
        test: The share of test images, where the folder does not divide them itself.
        broken: ``'error'`` stops at a picture that cannot be read; ``'skip'`` leaves it out and
            tells how many.
    """

    def __init__(
        self,
        path: str,
        size: int = 28,
        grey: bool = True,
        test: float = 0.15,
        broken: Literal["error", "skip"] = "error",
    ) -> None:
        require(lambda v: 4 <= v <= 1024, "between 4 and 1024 pixels", size=size)
        require(lambda v: 0 < v < 1, "between 0 and 1", test=test)
        require(lambda v: v in ("error", "skip"), "'error' or 'skip'", broken=broken)
        self.path = Path(path).expanduser()
        self.test, self.broken = test, broken
        self._shape = (1 if grey else 3, size, size)
        self.title = self.path.resolve().name
        self.divided = all((self.path / split).is_dir() for split in SPLITS)
        self.classes = _classes(self.path / "train" if self.divided else self.path)
        if self.divided and (others := _classes(self.path / "test")) != self.classes:
            raise DataError(
                f"{self.path}: train and test must have the same class folders. Only one of them "
                f"has: {', '.join(sorted(set(others) ^ set(self.classes)))}."
            )

    def read(self, split: Split) -> Images:
        """Return a split, decoded."""
        return self._read(self.path / split) if self.divided else self._parts[split]

    @cached_property
    def _parts(self) -> dict[Split, Images]:
        images = self._read(self.path)
        return split_by(images, held_out(images.labels.numpy(), self.test), str(self.path))

    def _read(self, root: Path) -> Images:
        files = [
            (file, label) for label, name in enumerate(self.classes) for file in _files(root / name)
        ]
        shown = bar(files, desc=f"Reading {root.name}", unit="picture")
        pictures = [(self._picture(file), label) for file, label in shown]
        good = [(pixels, label) for pixels, label in pictures if pixels is not None]
        labels = np.array([label for _, label in good], dtype=np.int64)
        self._check_skipped(root, len(files) - len(good), labels)
        return Images(torch.stack([pixels for pixels, _ in good]), torch.from_numpy(labels))

    def _picture(self, file: Path) -> UInt8[Tensor, "C H W"] | None:
        try:
            return prepare(open_picture(file), self._shape)
        except ImageError as error:
            if self.broken == "skip":
                return None
            raise ImageError(f"{error} Or leave such pictures out with broken='skip'.") from error

    def _check_skipped(self, root: Path, skipped: int, labels: np.ndarray) -> None:
        lost = [name for label, name in enumerate(self.classes) if label not in labels]
        if lost:
            raise DataError(
                f"{root}: no picture of the class {', '.join(lost)} can be read. Save them anew, "
                "or take the folder away."
            )
        if skipped:
            warnings.warn(f"{root}: left out {skipped} pictures that cannot be read.", stacklevel=2)


def _classes(root: Path) -> tuple[str, ...]:
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder. Expected one subfolder for each class.")
    names = tuple(
        sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    )
    if not names:
        raise DataError(
            f"{root}: expected one subfolder for each class. Got none. Sort the pictures into "
            "subfolders; a single one will do."
        )
    return names


def _files(folder: Path) -> list[Path]:
    files = sorted(
        p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith(".")
    )
    if not files:
        raise DataError(
            f"{folder}: an empty class folder. Expected pictures ({', '.join(sorted(_SUFFIXES))}). "
            "Add some, or take the folder away."
        )
    return files
