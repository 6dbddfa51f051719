"""What is drawn behind the points: decoded images, the metric, the density, σ; or the graph."""

import torch

from vaescape.explore import atlas, blobs, fields, graph
from vaescape.explore.blobs import Blob
from vaescape.explore.view import Section, View

CELLS = 32
"""Decoded images along each side of the background."""
FIELD = 64
"""Points along each side of the metric and the density."""


def plane(view: View) -> Section:
    """Return the background, and where it lies if the plane is the latent space itself."""
    made = {1: _line, 2: _flat}.get(view.study.space.latent, _projected)
    field, found = made(view)
    density = view.density if {"density", "knn_density"} & found.keys() else None
    about = None if density is None else {"typical": density.typical}
    return {"field": field, "density": about}, found


def _line(view: View) -> tuple[None, dict[str, Blob]]:
    shares = torch.tensor([0.001, 0.999]).double()
    low, high = torch.quantile(view.codes.mean.double(), shares).tolist()
    strip = view.decode(torch.linspace(low, high, CELLS)[:, None])
    return None, {"poster": atlas.poster(atlas.decoded(strip, CELLS))}


def _flat(view: View) -> tuple[dict, dict[str, Blob]]:
    place, cells = view.cells(CELLS)
    picture = atlas.decoded(view.decode(cells), CELLS)
    found = {"atlas": atlas.picture(picture), "poster": atlas.poster(picture)}
    if view.density is not None:
        found |= _geometry(view, place)
    return {"rows": CELLS, "cols": CELLS, **place.to_dict()}, found


def _geometry(view: View, place: fields.Window) -> dict[str, Blob]:
    """What a decoder of a plane does between codes, and where the codes are dense."""
    assert view.density is not None
    points = place.grid(FIELD)
    g = fields.metric(view.study, points)
    with torch.no_grad():
        log_q = view.density.log_prob(points)
    found = {
        "metric": blobs.array(
            torch.stack([g[..., 0, 0], g[..., 0, 1], g[..., 1, 1]], -1).numpy(), "f16"
        ),
        "density": blobs.array(log_q.numpy(), "f32"),
    }
    sigma = fields.spread(view.study, points)
    return found | ({} if sigma is None else {"sigma": blobs.array(sigma.numpy(), "f16")})


def _projected(view: View) -> tuple[None, dict[str, Blob]]:
    """The plane of the first two principal components."""
    mean, axes = view.principal
    picture = atlas.decoded(view.decode(view.cells(CELLS)[1]), CELLS)
    found = {
        "pca": blobs.quantised(view.flat(view.codes.mean).numpy(), "u16"),
        "pca_basis": blobs.array(axes.numpy(), "f32"),
        "pca_mean": blobs.array(mean.numpy(), "f32"),
        "poster": atlas.poster(picture),
    }
    if not view.study.space.discrete:
        found |= graph.carried(view.study, view.codes.mean, view.density)
    return None, found
