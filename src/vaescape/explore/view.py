"""A study as the page sees it: what several sections of the page need is computed once here."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Normal

from vaescape.conditionals import Support
from vaescape.data import Images
from vaescape.evaluation import code_errors
from vaescape.explore import discrete, fields
from vaescape.explore.blobs import Blob
from vaescape.explore.discrete import Codebook
from vaescape.geometry.density import AggregateDensity
from vaescape.geometry.principal import principal
from vaescape.runs import ERRORS, LATENTS
from vaescape.study import Study, density
from vaescape.train.weights import check_shapes, unpack

Section = tuple[dict[str, Any], dict[str, Blob]]
"""Entries of the manifest, and blobs by their names."""

Originals = Literal["none", "test", "all"]
Projection = Literal["pca", "umap"]


@dataclass(frozen=True)
class Codes:
    """All images of a study in latent space, the training images first."""

    mean: Float[Tensor, "N D"]
    log_var: Float[Tensor, "N D"] | None
    label: Int[Tensor, " N"]
    train: int
    """How many are training images."""
    index: Int[Tensor, "N M"] | None = None
    """Of a discrete model; the means are then the vectors of these."""


@dataclass(frozen=True)
class Sample:
    """Codes that stand for all of a set that is too large for a page."""

    title: str
    classes: tuple[str, ...]
    codes: Codes
    plane: tuple[Float[Tensor, " D"], Float[Tensor, "D 2"]] | None
    """Mean and axes of the principal plane; None for codes of two dimensions."""


@dataclass(frozen=True)
class Partner:
    """What a page is told that stands beside another run's: an outer page has both."""

    colours: tuple[str, ...]
    """Of the classes, the same in both."""
    basis: tuple[tuple[float, float], ...] | None = None
    """(D, 2), orthonormal: the plane on which this run lies as the other does; None: there is none.
    A code z is at (z − origin) basis."""
    origin: tuple[float, ...] | None = None


class View:
    """A study and what was asked of its page.

    Args:
        study: Trained.
        title: Of the page; None: made from the data and the run's name.
        originals: Which images travel with it.
        projection: Of more than two dimensions: "pca", or "umap" as well.
        film: How many snapshots of the training it shows; 0 for no film.
        carry: Whether the networks travel with it.
        shown: The only images that it shows; None: all of the training and the test images.
        sample: Codes of another set, which it shows in their place.
        classifier: An ONNX file that classifies decoded images; None: by the nearest codes.
        partner: What it is told of another run beside it; None: it stands alone.
    """

    def __init__(
        self,
        study: Study,
        *,
        title: str | None = None,
        originals: Originals = "test",
        projection: Projection = "pca",
        film: int = 0,
        carry: bool = True,
        shown: Images | None = None,
        sample: "Sample | None" = None,
        classifier: Path | None = None,
        partner: Partner | None = None,
    ) -> None:
        self.study, self.title, self.originals = study, title, originals
        self.projection, self.film, self.carry = projection, film, carry
        self.classifier, self.partner = classifier, partner
        self.train = study.train if shown is None else shown[:0]
        self.test = study.test if shown is None else shown
        self.sample = sample

    @cached_property
    def codes(self) -> Codes:
        """The codes that the page shows: of a discrete model, one for each image."""
        codes = self._encoded
        if not self.study.space.discrete:
            return codes
        index = discrete.indices(self.study)
        return replace(codes, mean=self.codebook.lookup(index), index=index)

    @property
    def _encoded(self) -> Codes:
        if self.sample is not None:
            return self.sample.codes
        if self.test is self.study.test:
            return encode_all(self.study)
        return Codes(*self.study.encode_with_variance(self.test), self.test.labels, 0)

    @cached_property
    def codebook(self) -> Codebook:
        """The vectors of a discrete model's codes."""
        return Codebook.of(self.study)

    @cached_property
    def errors(self) -> Float[np.ndarray, " N"] | None:
        """The reconstruction error of each image, in squared pixels; None without the images."""
        if self.sample is not None:
            return None
        if self.test is self.study.test:
            return reconstruction_errors(self.study)
        return code_errors(self.study, self.test).numpy()

    @cached_property
    def density(self) -> AggregateDensity | None:
        """Where the codes are dense; None where they are discrete."""
        return density(self.study)

    @cached_property
    def principal(self) -> tuple[Float[Tensor, " D"], Float[Tensor, "D 2"]]:
        """The plane of the codes' first two principal components."""
        plane = None if self.sample is None else self.sample.plane
        return principal(self.codes.mean) if plane is None else plane

    @property
    def set_title(self) -> str:
        """What the images are called."""
        return self.study.splits.title if self.sample is None else self.sample.title

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of their classes."""
        return tuple(self.study.classes) if self.sample is None else self.sample.classes

    def flat(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N P"]:
        """Return codes of one or two dimensions as they are, others on the principal plane."""
        if z.shape[1] <= 2:
            return z
        mean, axes = self.principal
        return (z - mean) @ axes

    def cells(self, side: int) -> tuple[fields.Window, Float[Tensor, "M D"]]:
        """Return the window of the plane, and codes of so many cells a side, the top row first."""
        z = self.codes.mean
        place = fields.window(self.flat(z))
        points = place.grid(side).flatten(0, 1)
        if z.shape[1] == 2:
            return place, points
        mean, axes = self.principal
        return place, mean + points @ axes.T

    @cached_property
    def standard_normal(self) -> bool:
        """Whether p(z) is the standard normal by its density, whatever its component is called."""
        study = self.study
        if (
            not (study.space.probabilistic and study.model.prior.exact)
            or study.space.support != Support.SPACE
        ):
            return False
        z = torch.randn(64, study.space.latent, generator=torch.Generator().manual_seed(0))
        expected = Normal(0.0, 1.0).log_prob(z).sum(-1)
        return torch.allclose(study.space.prior_log_density(z), expected, atol=1e-3)

    @property
    def name(self) -> str:
        """The run's name, or the recipe's."""
        folder = self.study.folder
        return folder.path.resolve().name if folder else self.study.configuration.recipe

    @property
    def label(self) -> int | None:
        """The class that is decoded where none is chosen: the first, of a conditional model."""
        return 0 if self.study.space.conditions else None

    def decode(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N C H W"]:
        """Return what points of the plane decode to: of a discrete model, at the nearest codes."""
        z = self.codebook.snap(z) if self.study.space.discrete else z
        return self.study.decode(z, self.label)


def encode_all(study: Study) -> Codes:
    """Return the codes of all images: those that the run folder kept, or encoded now."""
    train, test = (_kept(study, split) for split in ("train", "test"))
    log_vars = [part[1] for part in (train, test) if part[1] is not None]
    return Codes(
        torch.cat([train[0], test[0]]),
        torch.cat(log_vars) if log_vars else None,
        torch.cat([train[2], test[2]]),
        len(train[0]),
    )


def _kept(study: Study, split: str) -> tuple[Tensor, Tensor | None, Tensor]:
    folder = study.folder
    if folder is not None and folder.status == "finished" and (folder / LATENTS).exists():
        tensors, _ = unpack(folder.verify(LATENTS), folder / LATENTS)
        _check_latents(study, tensors)
        return (
            tensors[f"{split}.mean"], tensors.get(f"{split}.log_var"), tensors[f"{split}.label"]
        )  # fmt: skip
    images: Images = getattr(study, split)
    return (*study.encode_with_variance(images), images.labels)


def _check_latents(study: Study, tensors: dict[str, Tensor]) -> None:
    """Refuse kept latents that do not fit the images of a study.

    Raises:
        RunError: With what differs.
    """
    first = tensors.get("train.mean")
    size = first.shape[1] if first is not None and first.ndim == 2 else study.space.latent
    names = ("mean", "log_var") if "train.log_var" in tensors else ("mean",)
    expected: dict[str, tuple[int, ...]] = {}
    for split, count in (("train", len(study.train)), ("test", len(study.test))):
        expected |= {f"{split}.{name}": (count, size) for name in names}
        expected[f"{split}.label"] = (count,)
    assert study.folder is not None
    check_shapes(expected, tensors, study.folder / LATENTS)


def reconstruction_errors(study: Study) -> Float[np.ndarray, " N"]:
    """Return the mean squared error of each image decoded from its code, in squared pixels.

    Those that the evaluation left in the run folder, or measured now.
    """
    folder = study.folder
    if folder is not None and (folder / ERRORS).exists():
        kept, _ = unpack(folder.verify(ERRORS), folder / ERRORS)
        sizes = {"train": (len(study.train),), "test": (len(study.test),)}
        check_shapes(sizes, kept, folder / ERRORS)
        return torch.cat([kept["train"], kept["test"]]).numpy()
    return torch.cat([code_errors(study, part) for part in (study.train, study.test)]).numpy()
