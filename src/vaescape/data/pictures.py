"""Sets of pictures in files: decoded alike, with one decision on white and backdrop for all."""

import shlex
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import UInt8
from torch import Tensor

from vaescape.components import parse, spell
from vaescape.conditions import require
from vaescape.data.arrays import TEST
from vaescape.data.base import EVERY, Data, Images, Split, held_out, split_by
from vaescape.data.picture import (
    Traits,
    UnknownFormat,
    behind,
    is_heif,
    open_picture,
    prepare,
)
from vaescape.data.places import located
from vaescape.data.preparation import Preparation, described
from vaescape.data.values import note, note_if_dim, white
from vaescape.errors import DataError, ImageError
from vaescape.progress import bar

SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"]
)
"""A file of such a name that is no picture is damaged; of others it is something else."""
SPLIT_WORDS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
IMAGE_KEYS = ("image", "img", "pixel_values", "x")
LABEL_KEYS = ("label", "labels", "fine_label", "target", "y")
"""What datasets of others call their columns."""
THIN = 4
"""Pixels that the short side of a picture has at least, once it is fitted: else it is told."""
_BROKEN = "that cannot be read"

Broken = Literal["error", "skip"]


@dataclass(frozen=True)
class Entry:
    """A picture of a set, with its split and its class."""

    file: Path
    split: Split
    label: int
    name: str
    """What the set calls it."""
    place: tuple[int, int] = (0, 0)
    """Where in the file it is, as its reader counts."""


class Pictures(Data):
    """A set of pictures in files.

    Args:
        path: The set.
        size: Height and width that every picture is fitted into, in pixels; the aspect is kept.
        grey: One channel; otherwise three.
        test: The share of test images, where the set does not divide them itself.
        broken: ``'error'`` stops at a picture that cannot be read; ``'skip'`` leaves it out and
            tells how many.
        data_dir: The folder in which ``path`` is looked for, if not where it says.
        base: The folder that a relative path starts from.
    """

    strict: ClassVar[bool] = True
    """Whether every entry is a picture, whatever it is called."""
    roots: tuple[Split, ...]
    """The splits that the set itself has."""

    def __init__(
        self,
        path: str,
        size: int = 28,
        grey: bool = True,
        test: float = TEST,
        broken: Broken = "error",
        data_dir: Path | None = None,
        base: Path | None = None,
    ) -> None:
        require(lambda v: 4 <= v <= 1024, "between 4 and 1024 pixels", size=size)
        require(lambda v: 0 < v < 1, "between 0 and 1", test=test)
        require(lambda v: v in ("error", "skip"), "'error' or 'skip'", broken=broken)
        self.path = located(path, data_dir, base)
        self.test, self.broken = test, broken
        self._shape = (1 if grey else 3, size, size)
        self.title = self.path.resolve().name
        self.left_out: Counter[str] = Counter()

    @abstractmethod
    def entries(self) -> Iterable[Entry]:
        """Return all entries, in the order of the set."""

    @abstractmethod
    def content(self, entry: Entry) -> Path | bytes:
        """Return a picture as it lies in its file, or that file."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self._shape

    def read(self, split: Split) -> Images:
        """Return a split, decoded."""
        return self._parts[split]

    @property
    def splits(self) -> tuple[Split, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of the set, and test images."""
        return tuple(split for split in EVERY if split in self._parts)

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
            found = self.picture(one)
            if found is not None:
                read[n] = found
        top, backdrop = decided([traits for _, traits in read.values()])
        for n, (_, traits) in read.items():
            if read_anew(traits, top, backdrop):
                again = self.picture(listed[n], top, backdrop)
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
        """Whether the set itself says which pictures are for tests."""
        return "test" in self.roots

    def _divided(self, pictures: list[tuple[Entry, Tensor]]) -> dict[Split, Images]:
        """Return the splits: those of the set, or some of the training images as test images."""
        parts = {}
        for split in self.roots:
            mine = [(pixels, one.label) for one, pixels in pictures if one.split == split]
            labels = torch.tensor([label for _, label in mine], dtype=torch.int64)
            parts[split] = Images(torch.stack([pixels for pixels, _ in mine]), labels)
        if "test" not in parts:
            images = parts["train"]
            parts = split_by(images, held_out(images.labels.numpy(), self.test), str(self.path))
        return parts

    def picture(
        self, entry: Entry, top: int | None = None, backdrop: int | None = None
    ) -> tuple[UInt8[Tensor, "C H W"], Traits] | None:
        """Return a picture prepared, and what it was; None for one that is left out."""
        near, source = 4 * max(self._shape[1:]), self.content(entry)
        where = f"{entry.file}: {entry.name}" if isinstance(source, bytes) else None
        try:
            image, traits = open_picture(source, top=top, backdrop=backdrop, near=near, where=where)
        except ImageError as error:
            loose = not self.strict and entry.file.suffix.lower() not in SUFFIXES
            if isinstance(error, UnknownFormat) and loose:
                self.left_out[_reason(entry.file)] += 1
            elif self.broken == "skip":
                self.left_out[_BROKEN] += 1
            else:
                raise ImageError(
                    f"{error} Or leave such pictures out: --data {self.told(broken='skip')}."
                ) from error
            return None
        return prepare(image, self._shape), traits

    def _check(self, listed: Sequence[Entry], read: Collection[int]) -> None:
        """Refuse a class that lost all its pictures."""
        whole = self.expected(listed)
        left = {(listed[n].split, listed[n].label) for n in read}
        if lost := [both for both in whole if both not in left]:
            split = lost[0][0]
            names = ", ".join(self.classes[label] for one, label in lost if one == split)
            among = f" among those for {split}" if len(self.roots) > 1 else ""
            raise DataError(
                f"{self.path}: no picture of the class {names} can be read{among} "
                f"({_counted(self.left_out)}). {self.remedy(*lost[0])}"
            )

    def expected(self, listed: Sequence[Entry]) -> list[tuple[Split, int]]:
        """Return which splits must have pictures of which classes."""
        return list(dict.fromkeys((one.split, one.label) for one in listed))

    def remedy(self, split: Split, label: int) -> str:
        """Return what to do about a class without pictures that can be read."""
        return "Save them anew, or leave the class out."

    def told(self, **more: Any) -> str:
        """Return this set with other options, as it is written on the command line."""
        chosen = parse(self.spec)[1] if self.spec else {"path": str(self.path)}
        text = spell(self.name, chosen | more)
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
    if is_heif(file):
        return "HEIC, which needs pip install 'vaescape[heif]'"
    return f"{file.suffix.lower() or 'without suffix'}, no pictures"


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common() if count)
