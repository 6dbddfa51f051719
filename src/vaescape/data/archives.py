"""Sets whose files hold many pictures each: what their readers share."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from vaescape.data.arrays import ONE_CLASS, classes_of
from vaescape.data.base import SPLITS, Split
from vaescape.data.pictures import SPLIT_WORDS, Entry, Pictures
from vaescape.data.values import note
from vaescape.errors import DataError
from vaescape.progress import bar


class Row(NamedTuple):
    """A picture as its file describes it."""

    name: str
    label: int | str | None
    """None: the set has no classes."""
    place: tuple[int, int]


class Archives(Pictures):
    """A set in files that hold many pictures each.

    Words in the paths of the files say which split they are, as in ``train-00000.tar`` or
    ``test/0.parquet``; without any, all are training images.

    Args:
        path: The folder of the files, or a single one.
        usual: As of all sets of pictures.

    Raises:
        DataError: If there are no such files, or none to train on.
    """

    ends: ClassVar[tuple[str, ...]]
    """Of the names of its files."""
    names: Sequence[str] | None = None
    """What the labels 0, 1, … mean, where the files say it."""

    def __init__(self, path: str, **usual: Any) -> None:
        super().__init__(path, **usual)
        self.title = self.path.resolve().stem
        self._list()

    @abstractmethod
    def rows(self, file: Path) -> Iterable[Row]:
        """Return what a file describes, in its order."""

    def _list(self) -> None:
        """Read what the files describe, without the pictures."""
        if not self.path.exists():
            raise DataError(f"{self.path}: there is no such folder or file.")
        files = list(archives(self.path, self.ends))
        if not files:
            raise DataError(
                f"{self.path}: expected files ending in {' or '.join(self.ends)}. Got none."
            )
        splits: dict[Path, Split | None] = {
            file: _split(file.relative_to(self.path).as_posix()) for file in files
        }
        if "train" not in splits.values():
            splits = {file: "train" if split is None else split for file, split in splits.items()}
        if others := [file.name for file, split in splits.items() if split is None]:
            note(
                f"{self.path}: left out {len(others)} files whose names say no split, {others[0]} "
                "first. Rename them if they are train, val or test."
            )
        found: list[tuple[Path, Split, Row]] = []
        for file, split in bar(splits.items(), desc=f"Listing {self.title}", unit="file"):
            if split is not None:
                found.extend((file, split, row) for row in self.rows(file))
        given = [row.label for _, _, row in found]
        kinds = {type(label) for label in given}
        if len(kinds) > 1 or not kinds <= {int, str, type(None)}:
            raise DataError(
                f"{self.path}: expected a label for each picture, whole numbers or names, or none. "
                f"Got {', '.join(sorted(kind.__name__ for kind in kinds))}."
            )
        self.roots = tuple(dict.fromkeys(split for _, split, _ in found))
        if "train" not in self.roots:
            raise DataError(f"{self.path}: expected pictures to train on. Got none.")
        if "test" not in self.roots and "validation" in self.roots:
            moved: dict[Split, Split] = {"train": "train", "validation": "test"}
            found = [(file, moved[split], row) for file, split, row in found]
            self.roots = SPLITS
        labels = np.array([ONE_CLASS if label is None else label for label in given])
        self.classes, places = classes_of({"train": labels}, self.names)
        self._entries = [
            Entry(file, split, label, row.name, row.place)
            for (file, split, row), label in zip(found, places["train"].tolist(), strict=True)
        ]

    def entries(self) -> list[Entry]:
        """Return all entries, file after file."""
        return self._entries

    def __getstate__(self) -> dict[str, Any]:
        """Return what a process needs that decodes some of the entries."""
        return self.__dict__ | {"_entries": []}


def archives(path: Path, ends: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files in a folder, and in those inside it, whose names end so, in order."""
    for one in sorted(path.iterdir()) if path.is_dir() else [path]:
        if one.is_dir() and not one.name.startswith("."):
            yield from archives(one, ends)
        elif one.name.endswith(ends):
            yield one


def _split(path: str) -> Split | None:
    words = set(re.split(r"[^a-z]+", path.lower()))
    return next((split for split, names in SPLIT_WORDS.items() if words & set(names)), None)
