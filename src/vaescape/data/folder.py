"""A folder of pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vaescape.data.arrays import ONE_CLASS
from vaescape.data.base import Split
from vaescape.data.pictures import SPLIT_WORDS, Entry, Pictures
from vaescape.data.places import other_file
from vaescape.errors import DataError

_LITTER = frozenset(["__macosx", "@eadir", "thumbs.db", "desktop.ini", "lost+found"])
"""Files that systems and archivers create next to pictures."""
_DEEPER = "in deeper folders (nested=True takes them)"


class Folder(Pictures, name="folder"):
    """Your own pictures: one subfolder for each class, or all pictures in the folder itself.

    There may be subfolders ``train``, ``test`` and ``val`` with those inside. ``val`` holds the
    validation images, or the test images where there is no ``test``. Without either, evenly spaced
    pictures of each class, in the order of their names, become the test images.

    Every file is tried, whatever its name; what was left out is counted by reason. Integers of 10,
    12, 14 or 16 bits are divided by one number for the whole set.

    Args:
        path: The folder.
        nested: Take the pictures in deeper folders too, as of the class they lie in.
        usual: As of all sets of pictures.
    """

    strict = False

    def __init__(self, path: str, *, nested: bool = False, **usual: Any) -> None:
        super().__init__(path, **usual)
        self.nested = nested
        if not self.path.is_dir():
            raise DataError(
                f"{self.path}: there is no such folder. Expected one subfolder for each class."
            )
        self._roots = _roots(self.path)
        self.roots = tuple(self._roots)
        self.classes = _classes(next(iter(self._roots.values())))
        for split, root in self._roots.items():
            if (others := _classes(root)) != self.classes:
                first = next(iter(self._roots))
                raise DataError(
                    f"{self.path}: {first} and {split} must have the same class folders. Only one "
                    f"of them has: {', '.join(sorted(set(others) ^ set(self.classes)))}."
                )

    def entries(self) -> Iterator[Entry]:
        """Yield the files of all splits, class after class, in the order of their names."""
        for split, root in self._roots.items():
            flat = not _folders(root)
            for label, name in enumerate(self.classes):
                folder = root if flat else root / name
                if not any(_visible(folder)):
                    raise DataError(
                        f"{folder}: an empty class folder. Expected pictures. Add some, or take "
                        "the folder away."
                    )
                for file in self._files(folder):
                    yield Entry(file, split, label, file.relative_to(self.path).as_posix())
            if not flat:
                stray = sum(one.is_file() for one in _visible(root))
                self.left_out["outside of the class folders"] += stray

    def content(self, entry: Entry) -> Path:
        """Return its file."""
        return entry.file

    def expected(self, listed: Sequence[Entry]) -> list[tuple[Split, int]]:
        """Return all: every class has a folder in every split."""
        return [(split, label) for split in self.roots for label in range(len(self.classes))]

    def remedy(self, split: Split, label: int) -> str:
        """Return what to do about a class without pictures that can be read."""
        if self.left_out[_DEEPER] and not self.nested:
            return f"Give --data {self.told(nested=True)}."
        root = self._roots[split]
        folder = root / self.classes[label] if (root / self.classes[label]).is_dir() else root
        others = (other_file(one) for one in sorted(_visible(folder)))
        return next(filter(None, others), "Save them anew, or take the folder away.")

    def _files(self, folder: Path) -> list[Path]:
        """Return the files of a class, in the order of their names."""
        found = []
        for one in sorted(_visible(folder)):
            if one.is_file():
                found.append(one)
            elif not one.is_dir():
                self.left_out["links that lead nowhere"] += 1
            elif self.nested:
                found += self._files(one)
            else:
                self.left_out[_DEEPER] += len(self._files(one))
        return found


def _visible(folder: Path) -> list[Path]:
    return [
        one
        for one in folder.iterdir()
        if not one.name.startswith(".") and one.name.lower() not in _LITTER and not _circle(one)
    ]


def _circle(one: Path) -> bool:
    """Return whether this is a link to a folder that it lies in: all in there is listed already."""
    return one.is_symlink() and one.parent.resolve().is_relative_to(one.resolve())


def visible_files(folder: Path) -> list[Path]:
    """Return all files in a folder and in those inside it, without what systems put there."""
    found = []
    for one in sorted(_visible(folder)):
        found += visible_files(one) if one.is_dir() else [one]
    return found


def _folders(root: Path) -> list[Path]:
    return sorted(one for one in _visible(root) if one.is_dir())


def _roots(path: Path) -> dict[Split, Path]:
    """Return the folder of each split: ``train`` first, and maybe ``test`` and ``validation``."""
    inside = _folders(path)
    if len(inside) == 1 and len(_visible(path)) == 1 and _folders(inside[0]):
        return _roots(inside[0])  # an archive that was unpacked into a folder of its own
    by_name = {one.name.lower(): one for one in inside}
    found: dict[Split, Path] = {}
    for split, names in SPLIT_WORDS.items():
        there = [by_name[name] for name in names if name in by_name]
        if there:
            found[split] = there[0]
    alone = len(inside) == 1 and "train" in found and bool(_folders(found["train"]))
    if "train" not in found or (len(found) == 1 and not alone):
        return {"train": path}  # a folder of that name may be the class of pictures of trains
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    return found


def _classes(root: Path) -> tuple[str, ...]:
    names = tuple(one.name for one in _folders(root))
    if not names and not _visible(root):
        raise DataError(
            f"{root}: expected pictures, or one subfolder for each class. Got an empty folder. "
            "Put them there, or give another folder."
        )
    return names or (ONE_CLASS,)
