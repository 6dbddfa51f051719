"""What several figures share: the encoded test images, their plane, a decoded grid."""

from collections.abc import Callable
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import ArrayLike
from torch import Tensor

from vaescape import plots
from vaescape.distributions import Gaussian
from vaescape.geometry.paths import quantile_grid
from vaescape.geometry.principal import principal
from vaescape.study import Study

MAPPED = 10_000
"""Encoded images on a map, at most."""


class Encoded(NamedTuple):
    """The test images in latent space, and in the plane that is drawn."""

    z: Float[Tensor, "N D"]
    log_var: Float[Tensor, "N D"] | None
    labels: Int[np.ndarray, " N"]
    plane: Float[Tensor, "N 2"]
    projection: str | None
    axes_names: tuple[str, str]
    to_latent: Callable[[Float[Tensor, "*S 2"]], Float[Tensor, "*S D"]]
    colours: list[str]
    layer: str
    """Which layer of a hierarchy this is; empty where there is but one."""

    @property
    def note(self) -> str:
        """The note below a map."""
        return notes(self.projection, self.layer)


def encoded(study: Study) -> Encoded:
    """Return what all maps of a study share: one encoding, one projection, one colour per class."""
    return study.space.memory.recall(study.model, encoded, lambda: _encoded(study))


def _encoded(study: Study) -> Encoded:
    images = study.some(study.test, MAPPED)
    z, log_var = study.encode_with_variance(images)
    labels, classes = images.labels.numpy(), study.classes
    colours = plots.class_colours(z.numpy(), labels, len(classes))
    if study.space.latent <= 2:
        return Encoded(
            z, log_var, labels, z, None, plots.AXES_NAMES, lambda p: p, colours, _layer(study)
        )
    mean, axes = principal(z)
    plane = (z - mean) @ axes
    share = plane.square().sum() / (z - mean).square().sum()
    return Encoded(
        z,
        log_var,
        labels,
        plane,
        f"PCA: the plane shows {share:.0%} of the variance of {study.space.latent} dimensions",
        ("first principal component", "second principal component"),
        lambda p: mean + p @ axes.T,
        colours,
        _layer(study),
    )


def _layer(study: Study) -> str:
    layers, lower = study.model.layers, "the layers below are at the means of their priors"
    return f"the top layer of {layers}; {lower}" if layers > 1 else ""


def exemplars(study: Study, count: int, seed: int) -> list[tuple[str, UInt8[Tensor, "C H W"]]]:
    """Return test images with the names of their classes: random ones, all classes in turn."""
    rng = np.random.default_rng(seed)
    labels, names = study.test.labels.numpy(), study.classes
    order = islice(cycle(rng.permutation(np.unique(labels)).tolist()), count)
    return [
        (names[c], study.test.pixels[int(rng.choice(np.flatnonzero(labels == c)))]) for c in order
    ]


def one_class(study: Study, label: str | int | None = None) -> tuple[str | int | None, str]:
    """Return the class that a figure of one class shows, the first by default, and says so."""
    if not study.space.conditions:
        return label, ""
    number = study.classes.number(label or 0)
    return number, f"all of class {study.classes[number]}"


def notes(*parts: str | None) -> str:
    """Return what there is to note, as one line."""
    return "; ".join(filter(None, parts))


def classes_of(study: Study, numbers: ArrayLike) -> Tensor | None:
    """Return the class of each code, for a model that asks."""
    return torch.as_tensor(numbers) if study.space.conditions else None


def decoded_grid(
    study: Study, cells: int, reach: float | None = None, label: str | int | None = None
) -> tuple[Float[Tensor, "n n C H W"], Float[np.ndarray, " n"]]:
    """Return the decoded plane, row 0 the lowest, and its coordinates.

    Through the prior's quantiles where the plane is the latent space, evenly elsewhere.
    """
    shared = encoded(study)
    if reach is None and (quantiles := quantiles_of(study, label)):
        grid = quantile_grid(cells, quantiles).flip(0).cpu()
        return study.decode(grid, label), grid[0, :, 0].numpy()
    reach = reach or float(shared.plane.abs().quantile(0.99))
    axis = torch.linspace(-reach, reach, cells)
    if study.space.latent == 1:
        return study.decode(axis[None, :, None], label), axis.numpy()
    plane = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    return study.decode(shared.to_latent(plane), label), axis.numpy()


def quantiles_of(study: Study, label: str | int | None) -> Callable[[Tensor], Tensor] | None:
    """Return the prior's quantile function, where the plane is the latent space and it has one."""
    prior = study.space.prior(label)
    has_quantiles = (
        study.space.latent == 2 and study.space.probabilistic and isinstance(prior, Gaussian)
    )
    return prior.icdf if has_quantiles else None


def bounded(study: Study) -> str | None:
    """Return what a figure needs that goes anywhere in latent space, where this study lacks it."""
    if study.space.support.project is not None:
        return f"codes anywhere in latent space, and here they lie {study.space.support}"
    return None


NO_PRIOR = "a prior, and a plain autoencoder has none"
