"""The family of MNIST: four IDX files, 60,000 training and 10,000 test images, 28 × 28, grey."""

import hashlib
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import UInt8

from vaescape.data.base import Data, Images, Split
from vaescape.data.download import cache_folder, fetch
from vaescape.data.idx import read_idx
from vaescape.errors import DataError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


class MnistLike(Data):
    """A set in MNIST's four files, from the first place that has them.

    In this order: ``data_dir``, if given, and then nowhere else; the cache; the folder of a system
    package; the public mirrors.

    Args:
        data_dir: A folder with the four files, plain or ``.gz``, or with a subfolder that has them
            and the set's name.
        cache: Where downloads are kept; by default ``$VAESCAPE_CACHE``, or the system's folder.
    """

    shuffled = True
    mirrors: ClassVar[tuple[str, ...]] = ()
    sha256: ClassVar[tuple[str, ...]] = ()
    """The digest of each file's uncompressed content, in the order of ``FILES``."""
    sha256_gz: ClassVar[tuple[str, ...]] = ()
    """The digest of each ``.gz`` file as published, where the content's is not known."""
    package: ClassVar[tuple[str, Path] | None] = None
    """The name of a system package, and the folder where it puts the files."""
    counts: ClassVar[dict[Split, int]] = {"train": 60_000, "test": 10_000}
    size: ClassVar[int] = 28

    def __init__(self, data_dir: Path | None = None, cache: Path | None = None) -> None:
        self.data_dir = data_dir
        self.cache = cache

    def read(self, split: Split) -> Images:
        """Return a split, checked."""
        images_file, labels_file = FILES[:2] if split == "train" else FILES[2:]
        images, labels = self._array(images_file), self._array(labels_file).astype(np.int64)
        if labels.max() >= len(self.classes):
            raise DataError(
                f"{labels_file}: expected labels from 0 to {len(self.classes) - 1}. "
                f"Got {labels.max()}. The file is damaged or not of {self.title}: replace it."
            )
        return Images(torch.from_numpy(images[:, None].copy()), torch.from_numpy(labels))

    def _array(self, file: str) -> UInt8[np.ndarray, "..."]:
        if self.data_dir is not None:
            return self._checked(self._given(self.data_dir, file), file)
        reasons = []
        for source in (self._cached, self._packaged, self._downloaded):
            try:
                return self._checked(source(file), file)
            except DataError as error:
                reasons.append(f"\n- {error}")
        raise DataError(
            f"{self.title} could not be had. Tried:{''.join(reasons)}\n{self._advice()}"
        )

    def _given(self, folder: Path, file: str) -> Path:
        return _in(
            (folder, folder / self.name),
            file,
            f"Expected {file} or {file}.gz in the data folder {folder} or in its subfolder "
            f"{self.name}. Got neither. Put {self.title}'s four files there, or leave the data "
            "folder out to have them fetched.",
        )

    def _cached(self, file: str) -> Path:
        return _in([self._cache()], file, f"The cache {self._cache()} does not hold {file}.")

    def _packaged(self, file: str) -> Path:
        if self.package is None:
            raise DataError(f"No system package of {self.title} is known.")
        name, folder = self.package
        missing = f"The package {name} is not installed ({folder} does not hold {file})."
        return _in([folder], file, missing)

    def _downloaded(self, file: str) -> Path:
        cap = 2 * math.prod(self._sizes(file)) + 4096
        check = partial(self._check_download, file=file)
        return fetch(f"{file}.gz", self.mirrors, self._cache(), check=check, cap=cap)

    def _check_download(self, path: Path, file: str) -> None:
        self._checked(path, file)
        published = _of(file, self.sha256_gz)
        if published and (found := hashlib.sha256(path.read_bytes()).hexdigest()) != published:
            raise DataError(
                f"{path}: not the file as published. Expected SHA-256 {published}. Got {found}."
            )

    def _checked(self, path: Path, file: str) -> UInt8[np.ndarray, "..."]:
        return read_idx(path, self._sizes(file), _of(file, self.sha256))

    def _sizes(self, file: str) -> tuple[int, ...]:
        count = self.counts["train" if file in FILES[:2] else "test"]
        return (count, self.size, self.size) if "images" in file else (count,)

    def _cache(self) -> Path:
        return (self.cache or cache_folder()) / self.name

    def _advice(self) -> str:
        package = "" if self.package is None else f"apt-get install {self.package[0]}, or "
        return (
            f"What helps: {package}a network, or a folder that holds the four IDX files, named "
            "with --data-dir."
        )


def _in(folders: Sequence[Path], file: str, missing: str) -> Path:
    """Return the file in one of the folders, plain or compressed; otherwise say what is missing."""
    paths = [folder / name for folder in folders for name in (file, f"{file}.gz")]
    if found := [path for path in paths if path.is_file()]:
        return found[0]
    raise DataError(missing)


def _of(file: str, digests: tuple[str, ...]) -> str | None:
    return digests[FILES.index(file)] if digests else None
