"""The points of the map: codes, their spread, classes, errors and colours."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from vaescape.errors import OptionError
from vaescape.explore import blobs, discrete
from vaescape.explore.view import Section, View
from vaescape.extras import require_extra
from vaescape.plots import class_colours

COLOURED = 10_000
"""Test images by whose codes classes get their colours, at most: neighbours get distinct ones."""


def points(view: View) -> Section:
    """Return codes, log variances, labels, errors; colours and percentiles of the errors."""
    codes, classes, errors = view.codes, view.classes, view.errors
    if codes.index is None:
        found = {"latents": blobs.quantised(codes.mean.numpy(), "u16")}
    else:
        found = discrete.carried(view.codebook, codes.index)
    if codes.log_var is not None:
        found["logvars"] = blobs.quantised(codes.log_var.numpy(), "u8")
    if classes:
        found["labels"] = blobs.labels(codes.label.numpy(), len(classes))
    if errors is not None:
        found["errors"] = blobs.alike(errors, "u8")
        percentiles = np.percentile(errors[codes.train :], np.arange(101)).tolist()
    else:
        percentiles = []
    return {
        "colours": list(view.partner.colours) if view.partner else colours(view),
        "percentiles": percentiles,
    }, found


def colours(view: View) -> list[str]:
    """Return the colours of the classes."""
    codes = view.codes
    test = slice(codes.train, codes.train + COLOURED)  # as in the figures: the same colours there
    return class_colours(codes.mean[test], codes.label[test], len(view.classes))


def embedding(view: View) -> Section:
    """Return the codes' UMAP (McInnes et al. 2018), if it was asked for; same codes, same map."""
    embed = method(view)
    return {}, {"umap": blobs.quantised(embed(view.codes.mean.numpy()), "u16")} if embed else {}


def method(
    view: View,
) -> Callable[[Float[np.ndarray, "N D"]], Float[np.ndarray, "N 2"]] | None:
    """Return what embeds codes in a plane, or None for principal components.

    Raises:
        OptionError: If it would project a plane.
        MissingExtraError: If UMAP is not installed.
    """
    study, projection = view.study, view.projection
    if projection == "pca":
        return None
    if projection != "umap":
        raise OptionError(f"Projection must be pca or umap. Got {projection!r}.")
    if study.space.latent <= 2:
        raise OptionError(
            f"This latent space has {study.space.latent} dimensions, and is shown as it is. Leave "
            "out the projection."
        )
    require_extra("umap", "The projection umap")
    from umap import UMAP  # pyright: ignore[reportMissingImports]

    return UMAP(random_state=0, n_jobs=1).fit_transform
