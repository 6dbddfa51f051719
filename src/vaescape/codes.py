"""The codes of a whole set, as ``vaescape encode`` writes them: read from a folder of files."""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from vaescape import schema
from vaescape.errors import DataError
from vaescape.progress import bar

MANIFEST = "codes.json"
FORMAT = 1
_DESCRIBED = {
    "format": int,
    "run": str,
    "weights_sha256": schema.Either(str, [str], None),
    "data_sha256": str,
    "title": str,
    "classes": [str],
    "latent": int,
    "splits": {...: int},
    "files": {...: int},
}


@dataclass(frozen=True)
class Codes:
    """The codes of a set, read from such a folder."""

    path: Path
    told: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> "Codes":
        """Return the codes in a folder.

        Raises:
            DataError: If it has none, or a file is missing.
        """
        told = read_manifest(path)
        if missing := [name for name in told["files"] if not (path / name).exists()]:
            raise DataError(
                f"{path}: {len(missing)} of {len(told['files'])} files are missing, {missing[0]} "
                "first. Encode them: give the same `vaescape encode` again."
            )
        return cls(path, told)

    def __len__(self) -> int:
        return sum(self.told["files"].values())

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(self.told["classes"])

    @cached_property
    def ends(self) -> Int[np.ndarray, " F"]:
        """How many images there are up to the end of each file."""
        return np.cumsum(list(self.told["files"].values()))

    def part(self, name: str, *keys: str) -> tuple[Shaped[np.ndarray, "n *S"], ...]:
        """Return arrays of a file.

        Raises:
            DataError: If it is damaged.
        """
        with self._reading(name) as path, np.load(path, allow_pickle=False) as file:
            found = tuple(file[key] for key in keys)
            if any(len(one) != self.told["files"][name] for one in found):
                raise ValueError("it has another number of codes")
        return found

    @contextmanager
    def _reading(self, name: str) -> Iterator[Path]:
        path = self.path / name
        try:
            yield path
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{path} is damaged ({error}). Take it away and give the same `vaescape encode` "
                "again."
            ) from error

    def arrays(self) -> tuple[Float[np.ndarray, "N D"], Int[np.ndarray, " N"]]:
        """Return all codes and labels, in the order of the set."""
        z = np.empty((len(self), self.told["latent"]), np.float32)
        labels, start = np.empty(len(self), np.int32), 0
        for name, count in bar(self.told["files"].items(), desc="Reading codes", unit="files"):
            rows = slice(start, start := start + count)
            z[rows], labels[rows] = self.part(name, "z", "label")
        return z, labels

    def take(
        self, rows: Int[np.ndarray, " n"], *keys: str
    ) -> tuple[Shaped[np.ndarray, "n *S"], ...]:
        """Return arrays of some images, by their places in the set, in rising order."""
        files, names = np.searchsorted(self.ends, rows, side="right"), list(self.told["files"])
        parts = []
        for file in np.unique(files).tolist():
            here = rows[files == file] - self.start(file)
            parts.append([array[here] for array in self.part(names[file], *keys)])
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def start(self, file: int) -> int:
        """Return the place in the set of the first image of a file."""
        return int(self.ends[file - 1]) if file else 0

    def ids(self, rows: Int[np.ndarray, " n"]) -> list[str]:
        """Return what images are called, by their places in the set, in rising order."""
        return self.take(rows, "id")[0].tolist()

    @cached_property
    def spreads(self) -> bool:
        """Whether q(z | x) has a variance here."""
        with self._reading(next(iter(self.told["files"]))) as path, zipfile.ZipFile(path) as file:
            return "log_var.npy" in file.namelist()

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the checksums that the files have of their arrays."""
        found = hashlib.sha256()
        for name in self.told["files"]:
            with self._reading(name) as path, zipfile.ZipFile(path) as file:
                parts = sorted((one.filename, one.CRC) for one in file.infolist())
            found.update(repr((name, parts)).encode())
        return found.hexdigest()

    def find(self, wanted: str) -> int | None:
        """Return the place of the image that is called so; None if there is none."""
        for file, name in enumerate(self.told["files"]):
            (places,) = np.nonzero(self.part(name, "id")[0] == wanted)
            if len(places):
                return self.start(file) + int(places[0])
        return None


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what is said of a folder of codes.

    Raises:
        DataError: If there are none, or it is damaged or of a later format.
    """
    try:
        found = schema.parsed((path / MANIFEST).read_bytes(), _DESCRIBED)
    except OSError as error:
        raise DataError(
            f"{path}: expected a folder of codes with {MANIFEST}. Got none. Write one with "
            f"`vaescape encode RUN SOURCE --out {path}`."
        ) from error
    except ValueError as error:
        raise DataError(f"{path / MANIFEST} is damaged: {error}. Encode the set again.") from error
    if found["format"] > FORMAT:
        raise DataError(f"{path} was written by a later version. Upgrade vaescape to open it.")
    if any(Path(name).name != name for name in found["files"]):
        raise DataError(
            f"{path / MANIFEST} names files outside of its folder. Encode the set again."
        )
    return found
