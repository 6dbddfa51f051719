"""What a data set is: bytes, labels, and the two splits it comes in."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from vaescape.components import Component
from vaescape.data.preparation import Preparation
from vaescape.data.values import unit
from vaescape.errors import DataError, OptionError

Split = Literal["train", "test", "validation"]
SPLITS: tuple[Split, Split] = ("train", "test")
EVERY: tuple[Split, ...] = (*SPLITS, "validation")
"""In the order of a set's digest."""


@dataclass(frozen=True, eq=False)
class Images:
    """Pictures as bytes, with their classes and, where known, their factors of variation.

    Raises:
        DataError: If the pixels are not N × C × H × W bytes, or the lengths differ.
    """

    pixels: UInt8[Tensor, "N C H W"]
    labels: Int[Tensor, " N"]
    factors: Float[Tensor, "N F"] | None = None

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise DataError(
                f"Expected images as bytes of shape (N, C, H, W). Got {self.pixels.dtype} of shape "
                f"{tuple(self.pixels.shape)}. Convert them first."
            )
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            raise DataError(
                f"Expected one int64 label for each image. Got {self.labels.dtype} of shape "
                f"{tuple(self.labels.shape)}. Convert them first."
            )
        for what, values in (("labels", self.labels), ("rows of factors", self.factors)):
            if values is not None and len(values) != len(self.pixels):
                raise DataError(
                    f"Images and {what} do not match: {len(self.pixels)} images, {len(values)} "
                    f"{what}. Each image needs exactly one."
                )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int | slice | Tensor) -> "Images":
        if isinstance(index, slice) and index.indices(len(self)) == (0, len(self), 1):
            return self  # all of them: what was computed of them need not be computed again
        rows = [index] if isinstance(index, int) else index
        factors = None if self.factors is None else self.factors[rows]
        return Images(self.pixels[rows], self.labels[rows], factors)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, c, h, w = self.pixels.shape
        return c, h, w

    def floats(self) -> Float[Tensor, "N C H W"]:
        """Return the pixels in [0, 1], exactly k/255."""
        return unit(self.pixels)


class Data(Component, ABC):
    """A set of images in two splits, train and test; test images are never trained on.

    Some sets bring validation images of their own.
    """

    kind = "data"
    title: str = ""
    classes: tuple[str, ...] = ()
    factors: tuple[str, ...] | None = None
    """The names of the factors of variation, where they are known."""
    shuffled: bool = False
    """Whether the first images of it, and the last, stand for all: published protocols take those.
    The images of other sets may be sorted, so parts of them are spread over the classes."""
    splits: tuple[Split, ...] = SPLITS
    """Those that it has, in the order of ``EVERY``."""

    @abstractmethod
    def read(self, split: Split) -> Images:
        """Return a split from where it is kept; :meth:`load` calls this once."""

    @property
    def validation(self) -> Images | None:
        """The validation images that the set brings along, beside test images."""
        return self.load("validation") if "validation" in self.splits else None

    @cached_property
    def preparation(self) -> Preparation:
        """What makes a picture like the training images."""
        return Preparation.of(self.load("train").pixels)

    def load(self, split: Split) -> Images:
        """Return a split; the second call returns the same object.

        Raises:
            DataError: If the data are missing, damaged or not what they should be.
        """
        if split not in self._loaded:
            self._loaded[split] = self.read(split)
        return self._loaded[split]

    @cached_property
    def _loaded(self) -> dict[Split, Images]:
        return {}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.load("train").shape

    def digest(self) -> str:
        """Return the SHA-256 of all pixels and labels: what a run's bits depend on."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for images in map(self.load, self.splits):
            digest.update(repr(tuple(images.pixels.shape)).encode())
            digest.update(images.pixels.numpy().tobytes())
            digest.update(images.labels.numpy().tobytes())
        return digest.hexdigest()

    def check_digest(self, recorded: str | None, run: object) -> None:
        """Refuse to go on if these are other images than those that a run was trained on.

        Args:
            recorded: The digest that the run recorded; None: it recorded none.
            run: The run, for the message.

        Raises:
            DataError: If they differ.
        """
        if recorded is not None and (found := self.digest()) != recorded:
            raise DataError(
                f"{self.title}: other images or labels than {run} was trained on. Expected data "
                f"of SHA-256 {recorded}. Got {found}. Give the folder that holds the run's data "
                "with --data-dir, or train a new run on these."
            )


@dataclass(frozen=True)
class Splits:
    """What a run sees of a data set."""

    train: Images
    validation: Images | None
    test: Images
    classes: tuple[str, ...]
    title: str
    grey: Images | None = None
    """The training images before they were binarised, where that is done anew at every step."""


def splits(data: Data, validation: int = 0, limit: int | None = None, seed: int = 0) -> Splits:
    """Return the images to train on, to select on and to report on.

    Of a shuffled set the validation images are the last of the training set, as in the Exemplar
    VAE's protocol (Norouzi et al., 2020): of 60,000, the first 50,000 train and the last 10,000
    validate; and ``limit`` takes the first. Of others, both are spread over the classes.

    Args:
        data: The set.
        validation: How many images of the training set are held out for model selection; 0: those
            that the set brings along, if any.
        limit: Take only so many of the training images, of the validation images that the set
            brings along and of the test images.
        seed: Of the choice, where it is spread over the classes.

    Raises:
        OptionError: If there are too few images for that.
    """
    train, test, held = data.load("train"), data.load("test"), data.validation
    if not 0 <= validation < len(train):
        raise OptionError(
            f"validation must be between 0 and {len(train) - 1}, for {data.title} has {len(train)} "
            f"training images and one at least must be left to train on. Got {validation}."
        )
    if limit is not None and limit < 1:
        raise OptionError(f"limit must be 1 or more images. Got {limit}.")
    if validation:
        rows = some_rows(data, train, len(train) - validation, seed)
        others = torch.ones(len(train), dtype=torch.bool).index_fill(0, rows, False)
        train, held = train[rows], train[others]
    elif held is not None and limit is not None:
        held = held[some_rows(data, held, limit, seed)]
    if limit is not None:
        train, test = (part[some_rows(data, part, limit, seed)] for part in (train, test))
    return Splits(train, held, test, data.classes, data.title)


def some_rows(data: Data, images: Images, count: int, seed: int = 0) -> Int[Tensor, " K"]:
    """Return the rows of ``count`` images that stand for all, in their order.

    The first of a shuffled set; of others, which may be sorted, a part spread over the classes.
    """
    if data.shuffled:
        return torch.arange(min(count, len(images)))
    return torch.from_numpy(spread(images.labels.numpy(), count, seed))


def spread(labels: Int[np.ndarray, " N"], count: int, seed: int = 0) -> Int[np.ndarray, " K"]:
    """Return the rows of some images, each class in its share of the whole, in their order.

    Within a class they are drawn at random, from (seed, class). Each class has at least one of
    them as long as there are as many as classes, and at most one more than its share.

    Args:
        labels: The classes of all.
        count: K, how many to take; all if there are fewer.
        seed: Zero or more.
    """
    order = np.empty(len(labels))
    for label in np.unique(labels):
        (members,) = np.nonzero(labels == label)
        draw = np.random.default_rng([seed, int(label)])
        order[draw.permutation(members)] = np.arange(len(members)) / len(members)
    # Where classes stand at the same share, the larger comes first: ties by class would favour
    # the first classes of all.
    sizes = np.bincount(labels)[labels] if len(labels) else order
    return np.sort(np.lexsort((labels, -sizes, order))[:count])


def some_labels(labels: Int[Tensor, " N"], kept: int) -> Int[Tensor, " N"]:
    """Return the labels of the first images of each class, ``kept`` in all; −1 for the others.

    Raises:
        OptionError: If there are not so many.
    """
    if not 1 <= kept <= len(labels):
        raise OptionError(f"labelled must be between 1 and {len(labels)} images. Got {kept}.")
    classes = labels.numpy()
    order = np.argsort(classes, kind="stable")
    _, start, count = np.unique(classes[order], return_index=True, return_counts=True)
    rank = np.empty(len(classes), dtype=np.int64)
    rank[order] = np.arange(len(classes)) - np.repeat(start, count)
    chosen = torch.from_numpy(np.lexsort((classes, rank))[:kept])
    return torch.full_like(labels, -1).index_copy(0, chosen, labels[chosen])


def held_out(labels: Int[np.ndarray, " N"], share: float) -> Bool[np.ndarray, " N"]:
    """Return which images of a set without a test split are its test images.

    Of the images of each class, in their order, evenly spaced ones are taken: the i-th where
    i·share passes a whole number. No randomness, and no class gains or loses more than one image.
    """
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        (members,) = np.nonzero(labels == label)
        passed = np.floor(np.arange(len(members) + 1) * share)
        test[members] = passed[1:] > passed[:-1]
    if not test.any():  # classes of a few images each: then of all images, class after class
        passed = np.floor(np.arange(len(labels) + 1) * share)
        test[np.argsort(labels, kind="stable")] = passed[1:] > passed[:-1]
    return test


def check_division(test: Bool[np.ndarray, " N"], where: str) -> None:
    """Refuse a division that leaves nothing to test on, or to train on.

    Raises:
        DataError: With both numbers.
    """
    if test.all() or not test.any():
        raise DataError(
            f"{where}: {len(test)} images leave {int(test.sum())} to test on and "
            f"{int((~test).sum())} to train on. Add images, or change the share test=…."
        )


def split_by(images: Images, test: Bool[np.ndarray, " N"], where: str) -> dict[Split, Images]:
    """Return the training and the test images, split by a mask.

    Raises:
        DataError: If one of the two is empty.
    """
    check_division(test, where)
    mask = torch.from_numpy(test)
    return {"train": images[~mask], "test": images[mask]}
