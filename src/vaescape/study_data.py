"""The data of a study: what is read, split and recorded, before there is a model."""

from functools import cached_property
from pathlib import Path
from typing import Any

from vaescape.classes import Classes
from vaescape.components import Component
from vaescape.data import Data, Images, Preparation, Splits, binarised, opened, splits
from vaescape.data.base import some_rows
from vaescape.data.given import as_data
from vaescape.errors import DataError
from vaescape.recipes import Configuration
from vaescape.runs import RunFolder

IN_MEMORY = "in-memory"
"""What the configuration has in the place of a data set that was given as arrays."""


def in_hand(read: Any, changes: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return what has been read, and changes in which ``data`` is a text."""
    data = changes.get("data", "")
    if not isinstance(data, str | Path | type | Component):
        return data, changes | {"data": IN_MEMORY}
    if read is not None and not isinstance(read, Data) and "data" not in changes:
        return read, changes | {"data": IN_MEMORY}
    return read, (changes | {"data": str(data)} if isinstance(data, Path) else changes)


class StudyData:
    """A configuration and its data; a run folder, where there is one, says what they were.

    Args:
        configuration: Of the run.
        data_dir: Folder with the files of the data set, if they are in no usual place.
        read: A data set that has been read already, or images as for :func:`as_data`.
    """

    def __init__(
        self, configuration: Configuration, data_dir: str | Path | None = None, read: Any = None
    ) -> None:
        self.configuration = configuration
        self.folder: RunFolder | None = None
        self._data_dir = Path(data_dir) if data_dir else None
        self._read = None if read is None else as_data(read)

    def _recorded(self, name: str) -> Any:
        """Return a field of ``run.json``; None without one."""
        return self.folder.record.get(name) if self.folder else None

    @cached_property
    def data(self) -> Data:
        """The data set; relative paths start where the run was started.

        Raises:
            DataError: If it was in memory when the run was trained, or is not where it was.
        """
        if self._read is None and self.configuration.data == IN_MEMORY:
            raise DataError(
                f"{self.folder or 'This study'} was trained on images in memory. Give them again: "
                "Study.load(run, data=images)."
            )
        root = self._recorded("data_root")
        base = self.folder / root if self.folder and isinstance(root, str) else None
        return self._read or opened(self.configuration.data, data_dir=self._data_dir, base=base)

    @cached_property
    def preparation(self) -> Preparation:
        """How pictures are made like the training images; a run records it.

        Raises:
            RunError: If the recorded one is damaged.
        """
        recorded = self._recorded("preparation")
        return self.data.preparation if recorded is None else Preparation.from_dict(recorded)

    @cached_property
    def splits(self) -> Splits:
        """The training, validation and test images.

        Raises:
            DataError: If they are missing, damaged, or not those that the run was trained on.
        """
        images = len(self.data.load("train"))
        c = self.configuration = self.configuration.adapted("validation", images)
        self.data.check_digest(self._recorded("data_sha256"), self.folder)
        return binarised(splits(self.data, c.validation, c.limit, c.train.seed), c.binarise)

    @property
    def train(self) -> Images:
        """The training images."""
        return self.splits.train

    @property
    def test(self) -> Images:
        """The test images, which are never used in training."""
        return self.splits.test

    @property
    def held_out(self) -> tuple[str, Images]:
        """The name and the images of the split that the training log reports."""
        validation = self.splits.validation
        return ("test", self.test) if validation is None else ("validation", validation)

    def some(self, images: Images, count: int | None) -> Images:
        """Return so many images of a split that stand for all of it; None: all.

        The first of a set that is shuffled, as published protocols take them; of other sets, which
        may be sorted, a part spread over the classes.
        """
        if count is None or count >= len(images):
            return images
        return images[some_rows(self.data, images, count)]

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W); a run records it, so that its decoder needs no data."""
        c, h, w = self._recorded("shape") or self.train.shape
        return c, h, w

    @cached_property
    def classes(self) -> Classes:
        """The classes; a run records their names."""
        recorded = self._recorded("classes")
        names = tuple(self.data.classes if recorded is None else recorded)
        return Classes(names, self.configuration.parts.conditional)

    @property
    def images(self) -> int:
        """The number of training images; a run records it."""
        return self._recorded("images") or len(self.train)

    def record(self) -> dict[str, Any]:
        """Return what a run folder records of the data, besides the configuration."""
        return {
            "shape": list(self.train.shape),
            "images": len(self.train),
            "classes": list(self.classes),
            "title": self.splits.title,
            "preparation": self.preparation.to_dict(),
            "data_sha256": self.data.digest(),
        }
