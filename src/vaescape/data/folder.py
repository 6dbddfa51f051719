"""A folder of pictures."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import UInt8
from torch import Tensor

from vaescape.components import parse, spell
from vaescape.conditions import require
from vaescape.data.base import Data, Images, Split, held_out, split_by
from vaescape.data.picture import (
    Traits,
    UnknownFormat,
    behind,
    is_heif,
    open_picture,
    prepare,
)
from vaescape.data.places import located, other_file
from vaescape.data.preparation import Preparation, described
from vaescape.data.values import note, note_if_dim, white
from vaescape.errors import DataError, ImageError
from vaescape.progress import bar

_SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"]
)
"""A file of such a name that is no picture is damaged; of others it is something else."""
_SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_LITTER = frozenset(["__macosx", "@eadir", "thumbs.db", "desktop.ini", "lost+found"])
"""Files that systems and archivers create next to pictures."""
_ONE_CLASS = "images"
THIN = 4
"""Pixels that the short side of a picture has at least, once it is fitted: else it is told."""
_BROKEN = "that cannot be read"
_DEEPER = "in deeper folders (nested=True takes them)"


@dataclass(frozen=True)
class Entry:
    """A file of a folder, with the split and the class that its place says."""

    file: Path
    split: Split
    label: int


class Folder(Data, name="folder"):
    """Your own pictures: one subfolder for each class, or all pictures in the folder itself.

    There may be subfolders ``train``, ``test`` and ``val`` with those inside. ``val`` holds the
    validation images, or the test images where there is no ``test``. Without either, evenly spaced
    pictures of each class, in the order of their names, become the test images.

    Every file is tried, whatever its name; what was left out is counted by reason. Integers of 10,
    12, 14 or 16 bits are divided by one number for the whole set.

    Args:
        path: The folder.
        size: Height and width that every picture is fitted into, in pixels; the aspect is kept.
        grey: One channel; otherwise three.
        test: The share of test images, where the folder does not divide them itself.
        broken: ``'error'`` stops at a picture that cannot be read; ``'skip'`` leaves it out and
            tells how many.
        nested: Take the pictures in deeper folders too, as of the class they lie in.
        data_dir: The folder in which ``path`` is looked for, if not where it says.
        base: The folder that a relative path starts from.
    """

    def __init__(
        self,
        path: str,
        size: int = 28,
        grey: bool = True,
        test: float = 0.15,
        broken: Literal["error", "skip"] = "error",
        nested: bool = False,
        data_dir: Path | None = None,
        base: Path | None = None,
    ) -> None:
        require(lambda v: 4 <= v <= 1024, "between 4 and 1024 pixels", size=size)
        require(lambda v: 0 < v < 1, "between 0 and 1", test=test)
        require(lambda v: v in ("error", "skip"), "'error' or 'skip'", broken=broken)
        self.path = located(path, data_dir, base)
        self.test, self.broken, self.nested = test, broken, nested
        self._shape = (1 if grey else 3, size, size)
        self.title = self.path.resolve().name
        self.left_out: Counter[str] = Counter()
        if not self.path.is_dir():
            raise DataError(
                f"{self.path}: there is no such folder. Expected one subfolder for each class."
            )
        self._roots = _roots(self.path)
        self.classes = _classes(next(iter(self._roots.values())))
        for split, root in self._roots.items():
            if (others := _classes(root)) != self.classes:
                first = next(iter(self._roots))
                raise DataError(
                    f"{self.path}: {first} and {split} must have the same class folders. Only one "
                    f"of them has: {', '.join(sorted(set(others) ^ set(self.classes)))}."
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self._shape

    def read(self, split: Split) -> Images:
        """Return a split, decoded."""
        return self._parts[split]

    @property
    def validation(self) -> Images | None:
        """The images of the folder ``val``, where there is a ``test`` beside it."""
        return self._parts.get("validation")

    @cached_property
    def preparation(self) -> Preparation:
        """What was done to the pictures."""
        return self._everything[1]

    @property
    def _parts(self) -> dict[Split, Images]:
        return self._everything[0]

    @cached_property
    def _everything(self) -> tuple[dict[Split, Images], Preparation]:
        """Return all splits and how they were prepared: read at once, for one factor for all."""
        listed = list(self.entries())
        read: dict[int, tuple[UInt8[Tensor, "C H W"], Traits]] = {}
        for n, one in enumerate(bar(listed, desc=f"Reading {self.title}", unit="picture")):
            found = self.picture(one.file)
            if found is not None:
                read[n] = found
        top, backdrop = decided([traits for _, traits in read.values()])
        for n, (_, traits) in read.items():
            if read_anew(traits, top, backdrop):
                again = self.picture(listed[n].file, top, backdrop)
                assert again is not None
                read[n] = again
        known = self.concluded(listed, {n: one for n, (_, one) in read.items()}, top, backdrop)
        parts = self._divided([(listed[n], pixels) for n, (pixels, _) in read.items()])
        return parts, Preparation.of(parts["train"].pixels, **known)

    def concluded(
        self,
        listed: Sequence[Entry],
        read: dict[int, Traits],
        top: int | None,
        backdrop: int | None,
    ) -> dict[str, Any]:
        """Check what was read, tell the user about it, and return what a preparation records.

        Args:
            listed: All entries.
            read: What those of them hold that could be read, by their places in ``listed``.
            top: The integer that became white.
            backdrop: What lies behind transparency.

        Raises:
            DataError: If a class lost all its pictures.
        """
        self._check(listed, read)
        traits = list(read.values())
        self._tell(traits, top, backdrop)
        source = described([one[:2] for one in traits], [one.colour for one in traits])
        return {"top": top, "backdrop": backdrop, "source": source}

    @property
    def divided(self) -> bool:
        """Whether the folder itself says which pictures are for tests."""
        return "test" in self._roots

    def _divided(self, pictures: list[tuple[Entry, Tensor]]) -> dict[Split, Images]:
        """Return the splits: those of the folder, or some of the training images as test images."""
        parts = {}
        for split in self._roots:
            mine = [(pixels, one.label) for one, pixels in pictures if one.split == split]
            labels = torch.tensor([label for _, label in mine], dtype=torch.int64)
            parts[split] = Images(torch.stack([pixels for pixels, _ in mine]), labels)
        if "test" not in parts:
            images = parts["train"]
            parts = split_by(images, held_out(images.labels.numpy(), self.test), str(self.path))
        return parts

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
                    yield Entry(file, split, label)
            if not flat:
                stray = sum(one.is_file() for one in _visible(root))
                self.left_out["outside of the class folders"] += stray

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

    def picture(
        self, file: Path, top: int | None = None, backdrop: int | None = None
    ) -> tuple[UInt8[Tensor, "C H W"], Traits] | None:
        """Return a picture prepared, and what it was; None for one that is left out."""
        near = 4 * max(self._shape[1:])
        try:
            image, traits = open_picture(file, top=top, backdrop=backdrop, near=near)
        except ImageError as error:
            suffix = file.suffix.lower()
            if isinstance(error, UnknownFormat) and suffix not in _SUFFIXES:
                self.left_out[_reason(file)] += 1
            elif self.broken == "skip":
                self.left_out[_BROKEN] += 1
            else:
                raise ImageError(
                    f"{error} Or leave such pictures out: --data {self._with(broken='skip')}."
                ) from error
            return None
        return prepare(image, self._shape), traits

    def _check(self, listed: Sequence[Entry], read: Collection[int]) -> None:
        """Refuse a class that lost all its pictures."""
        for split, root in self._roots.items():
            left = {listed[n].label for n in read if listed[n].split == split}
            lost = [name for label, name in enumerate(self.classes) if label not in left]
            if lost:
                folder = root / lost[0] if (root / lost[0]).is_dir() else root
                others = (other_file(one) for one in sorted(_visible(folder)))
                remedy = next(filter(None, others), "Save them anew, or take the folder away.")
                if self.left_out[_DEEPER] and not self.nested:
                    remedy = f"Give --data {self._with(nested=True)}."
                raise DataError(
                    f"{root}: no picture of the class {', '.join(lost)} can be read "
                    f"({_counted(self.left_out)}). {remedy}"
                )

    def _with(self, **more: Any) -> str:
        """Return this set with another option, as it is written on the command line."""
        chosen = parse(self.spec)[1] if self.spec else {"path": str(self.path)}
        text = spell("folder", chosen | more)
        return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'

    def _tell(self, traits: list[Traits], top: int | None, backdrop: int | None) -> None:
        """Say what was left out, and what was decided for the whole set."""
        told = +self.left_out
        if told.keys() == {_BROKEN}:
            note(f"{self.path}: left out {told[_BROKEN]} pictures {_BROKEN}.")
        elif told:
            whole = len(traits) + sum(told.values())
            note(f"{self.path}: left out {sum(told.values())} of {whole} files: {_counted(told)}.")
        if frames := sum(one.frames > 1 for one in traits):
            note(f"{self.path}: {frames} files hold several pictures. The first of each is taken.")
        size = self._shape[1]
        if thin := sum(size * min(one[:2]) < THIN * max(one[:2]) for one in traits):
            note(
                f"{self.path}: {thin} pictures are so long that their short side, fitted into "
                f"{size} × {size}, is less than {THIN} pixels. Cut them, or give a larger size=…."
            )
        if top is not None and top != 65535:
            note(
                f"{self.path}: the brightest value of the set is "
                f"{_brightest(traits)}, so {top} becomes white, for all its pictures."
            )
        elif top is None:
            brightest = _brightest(traits) or 0
            below = brightest if brightest != 255 else max(one.below or 0 for one in traits)
            note_if_dim(self.path, brightest, below)
        if backdrop == 0:
            note(f"{self.path}: what is transparent becomes black, for the ink is white.")


def _brightest(traits: list[Traits]) -> int | None:
    """Return the brightest whole number of a set; None if it has other pictures than of those."""
    deep = [one.deep for one in traits if one.deep is not None]
    plain = [one.bright for one in traits if one.bright is not None]
    return max(deep or (plain if len(plain) == len(traits) else ()), default=None)


def decided(traits: list[Traits]) -> tuple[int | None, int | None]:
    """Return for the whole set what integer becomes white, and what lies behind transparency."""
    deep = [one.deep for one in traits if one.deep is not None]
    top = white(max(deep)) if deep else None
    if not any(one.colour for one in traits) and _brightest(traits) == 1:
        top = 1  # masks of zeros and ones
    inks = [one.ink for one in traits if one.ink is not None]
    return top, behind(inks) if inks else None


def read_anew(traits: Traits, top: int | None, backdrop: int | None) -> bool:
    """Return whether what was decided for the whole set changes a picture that was read alone."""
    deep = top is not None and (traits.deep, traits.bright) != (None, None) and not traits.colour
    clear = backdrop == 0 and traits.ink is not None
    return (deep and (traits.deep is None or white(traits.deep) != top)) or clear


def _reason(file: Path) -> str:
    with open(file, "rb") as opened:
        heif = is_heif(opened.read(12))
    if heif:
        return "HEIC, which needs pip install 'vaescape[heif]'"
    return f"{file.suffix.lower() or 'without suffix'}, no pictures"


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common() if count)


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
    for split, names in _SPLITS.items():
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
    return names or (_ONE_CLASS,)
