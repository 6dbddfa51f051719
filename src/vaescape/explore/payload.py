"""Everything that the explorer's page shows of a study: a manifest and its blobs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaescape._version import __version__
from vaescape.components import parse
from vaescape.data import Images
from vaescape.errors import OptionError
from vaescape.evaluation import code_errors
from vaescape.explore import atlas, blobs, discrete, fields, graph
from vaescape.explore.blobs import Blob
from vaescape.explore.discrete import Codebook
from vaescape.explore.film import filmed
from vaescape.explore.places import places
from vaescape.export.onnx import TOLERANCE, names, networks
from vaescape.geometry.density import AggregateDensity
from vaescape.geometry.principal import principal
from vaescape.plots import class_colours
from vaescape.quantities import headline, quantities_of
from vaescape.runs import ERRORS, LATENTS, METRICS
from vaescape.study import Study
from vaescape.train.weights import unpack

SCHEMA = 1
CELLS = 32
"""Decoded images along each side of the background."""
FIELD = 64
"""Points along each side of the metric and the density."""
SELFTEST = 16
PRIOR_DRAWS = 2000

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
class Payload:
    """What fills the page."""

    manifest: dict[str, Any]
    blobs: dict[str, Blob]


def payload(
    study: Study,
    *,
    title: str | None = None,
    originals: Originals = "test",
    projection: Projection = "pca",
    film: int = 0,
    carry: bool = True,
) -> Payload:
    """Return everything that the page shows.

    Args:
        study: Trained.
        title: Of the page; the data's and the recipe's otherwise.
        originals: Which images travel with it: "none", "test" or "all".
        projection: Of more than two dimensions: "pca", or "umap" beside it.
        film: How many moments of the training it shows; 0 for no film.
        carry: Whether the networks travel with it; otherwise a server runs them.

    Raises:
        OptionError: If ``originals`` or ``projection`` is another, UMAP is impossible here, or
            there is no such film.
        ExportError: If a network cannot be exported.
    """
    if originals not in ("none", "test", "all"):
        raise OptionError(f"Originals must be none, test or all. Got {originals!r}.")
    embed = _embedding(study, projection)
    codes, classes = _shown(study), list(study.classes)
    errors = reconstruction_errors(study)
    density = fields.density(study) if study.latent > 1 else None
    plane = _plane(study, codes, density)
    found = {
        **_codes(study, codes, errors),
        **plane.blobs,
        **({"umap": blobs.quantised(embed(codes.mean.numpy()), "u16")} if embed else {}),
        **(_networks(study) if carry else {}),
        **_selftest(study, codes),
        **_prior_samples(study),
    }
    kept = _originals(study, originals)
    found |= {"originals": kept[0]} if kept else {}
    shown = filmed(study, film, found) if film else None
    found |= shown.blobs if shown else {}
    manifest = {
        "schema": SCHEMA,
        "version": __version__,
        "live": False,
        "title": title or f"{study.splits.title}: the latent space of {_name(study)}",
        "run": _name(study),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": study.configuration.data,
            "title": study.splits.title,
            "classes": classes,
            "shape": list(study.shape),
            "train": codes.train,
            "test": len(codes.mean) - codes.train,
        },
        "model": _model(study),
        "figures": _figures(study),
        **places(study, codes.mean, codes.label, codes.train),
        "colours": class_colours(codes.mean[-10_000:], codes.label[-10_000:], len(classes)),
        "percentiles": np.percentile(errors[codes.train :], np.arange(101)).tolist(),
        "selftest": {"count": SELFTEST, "tolerance": TOLERANCE},
        "field": plane.field,
        "density": None if density is None else {"typical": density.typical},
        "originals": kept[1] if kept else None,
        "film": shown.about if shown else None,
    }
    return Payload(manifest, found)


# Codes -------------------------------------------------------------------------------------------


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
        return (
            tensors[f"{split}.mean"], tensors.get(f"{split}.log_var"), tensors[f"{split}.label"]
        )  # fmt: skip
    images: Images = getattr(study, split)
    return (*study.encode_with_variance(images), images.labels)


def _shown(study: Study) -> Codes:
    """Return the codes that the page shows: of a discrete model, one for each image."""
    codes = encode_all(study)
    if not study.discrete:
        return codes
    index = discrete.indices(study)
    return replace(codes, mean=Codebook.of(study).lookup(index), index=index)


def reconstruction_errors(study: Study) -> Float[np.ndarray, " N"]:
    """Return the mean squared error of each image decoded from its code, in squared pixels.

    Those that the evaluation left in the run folder, or measured now.
    """
    folder = study.folder
    if folder is not None and (folder / ERRORS).exists():
        kept, _ = unpack(folder.verify(ERRORS), folder / ERRORS)
        return torch.cat([kept["train"], kept["test"]]).numpy()
    return torch.cat([code_errors(study, part) for part in (study.train, study.test)]).numpy()


def _codes(study: Study, codes: Codes, errors: np.ndarray) -> dict[str, Blob]:
    if codes.index is None:
        found = {"latents": blobs.quantised(codes.mean.numpy(), "u16")}
    else:
        found = discrete.carried(Codebook.of(study), codes.index)
    if codes.log_var is not None:
        found["logvars"] = blobs.quantised(codes.log_var.numpy(), "u8")
    if study.classes:
        found["labels"] = blobs.labels(codes.label.numpy(), len(study.classes))
    found["errors"] = blobs.alike(errors, "u8")
    return found


# The plane ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plane:
    """What is drawn behind the points, and where."""

    field: dict[str, Any] | None
    blobs: dict[str, Blob]


def _plane(study: Study, codes: Codes, density: AggregateDensity | None) -> _Plane:
    if study.latent == 1:
        return _line(study, codes)
    made = _flat if study.latent == 2 else _projected
    return made(study, codes, density)


def _decode(study: Study, z: Float[Tensor, "N D"]) -> Float[Tensor, "N C H W"]:
    """Return what places decode to: as the first class, if conditional; at codes, if discrete."""
    if study.discrete:
        z = Codebook.of(study).snap(z)
    return study.decode(z, 0 if study.conditions else None)


def _line(study: Study, codes: Codes) -> _Plane:
    low, high = torch.quantile(codes.mean.double(), torch.tensor([0.001, 0.999]).double()).tolist()
    strip = _decode(study, torch.linspace(low, high, CELLS)[:, None])
    return _Plane(None, {"poster": atlas.poster(atlas.decoded(strip, CELLS))})


def _flat(study: Study, codes: Codes, density: AggregateDensity | None) -> _Plane:
    place = fields.window(codes.mean)
    picture = atlas.decoded(_decode(study, place.grid(CELLS).flatten(0, 1)), CELLS)
    found = {"atlas": atlas.picture(picture), "poster": atlas.poster(picture)}
    if density is not None:
        found |= _geometry(study, density, place)
    return _Plane({"rows": CELLS, "cols": CELLS, **place.to_dict()}, found)


def _geometry(study: Study, density: AggregateDensity, place: fields.Window) -> dict[str, Blob]:
    """What a decoder of a plane does between codes."""
    points = place.grid(FIELD)
    g = fields.metric(study, points)
    with torch.no_grad():
        log_q = density.log_prob(points)
    found = {
        "metric": blobs.array(
            torch.stack([g[..., 0, 0], g[..., 0, 1], g[..., 1, 1]], -1).numpy(), "f16"
        ),
        "density": blobs.array(log_q.numpy(), "f32"),
    }
    sigma = fields.spread(study, points)
    return found | ({} if sigma is None else {"sigma": blobs.array(sigma.numpy(), "f16")})


def _projected(study: Study, codes: Codes, density: AggregateDensity | None) -> _Plane:
    """The plane of the first two principal components."""
    mean, axes = principal(codes.mean)
    flat = (codes.mean - mean) @ axes
    place = fields.window(flat)
    cells = mean + place.grid(CELLS).flatten(0, 1) @ axes.T
    picture = atlas.decoded(_decode(study, cells), CELLS)
    found = {
        "pca": blobs.quantised(flat.numpy(), "u16"),
        "pca_basis": blobs.array(axes.numpy(), "f32"),
        "pca_mean": blobs.array(mean.numpy(), "f32"),
        "poster": atlas.poster(picture),
    }
    if not study.discrete:
        found |= graph.carried(study, codes.mean, density)
    return _Plane(None, found)


def _embedding(
    study: Study, projection: str
) -> Callable[[Float[np.ndarray, "N D"]], Float[np.ndarray, "N 2"]] | None:
    """Return UMAP (McInnes et al. 2018), if it is asked for; same codes, same map.

    Raises:
        OptionError: If it is not installed, or would project a plane.
    """
    if projection == "pca":
        return None
    if projection != "umap":
        raise OptionError(f"Projection must be pca or umap. Got {projection!r}.")
    if study.latent <= 2:
        raise OptionError(
            f"This latent space has {study.latent} dimensions, and is shown as it is. Leave out "
            "the projection."
        )
    try:
        from umap import UMAP  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise OptionError(
            "UMAP is not installed. Install it with `pip install 'vaescape[umap]'`, or leave out "
            "the projection for principal components."
        ) from error
    return UMAP(random_state=0, n_jobs=1).fit_transform


# Networks ----------------------------------------------------------------------------------------


def _networks(study: Study) -> dict[str, Blob]:
    return {
        network.name: blobs.file(network.content, "application/onnx", compress=True, planes=2)
        for network in networks(study, half=True)
    }


def _selftest(study: Study, codes: Codes) -> dict[str, Blob]:
    """Codes across the set, and what PyTorch decodes them to, for the page to compare with."""
    chosen = torch.linspace(0, len(codes.mean) - 1, SELFTEST).long()
    z = codes.mean[chosen]
    c = study.weights(codes.label[chosen] if study.conditions else None)
    found = {"z": z} | ({"c": c} if study.conditions else {})
    return {f"selftest_{name}": blobs.array(v.numpy(), "f32") for name, v in found.items()} | {
        "selftest_x": blobs.alike(study.decode(z, c).numpy(), "u16")
    }


def _prior_samples(study: Study) -> dict[str, Blob]:
    """Draws of a prior that the page cannot draw from itself."""
    if not study.probabilistic or parse(study.configuration.parts.prior)[0] == "normal":
        return {}
    return {"prior_samples": blobs.array(study.draw_codes(PRIOR_DRAWS).numpy(), "f32")}


def _originals(study: Study, which: Originals) -> tuple[Blob, dict[str, int]] | None:
    if which == "none":
        return None
    whole = which == "all"
    pixels = torch.cat([study.train.pixels, study.test.pixels]) if whole else study.test.pixels
    blob, count, columns = atlas.originals(pixels)
    first = 0 if whole else len(study.train)
    return blob, {"first": first, "count": count, "columns": columns}


# Words and numbers -------------------------------------------------------------------------------


def _name(study: Study) -> str:
    return study.folder.path.resolve().name if study.folder else study.configuration.recipe


def _model(study: Study) -> dict[str, Any]:
    c = study.configuration
    parts, (encoder, decoder) = c.to_dict()["parts"], names(study).values()
    return {
        "latent": study.latent,
        "recipe": c.recipe,
        "parts": {name: parts[name] for name in parts if name != "latent"},
        "seed": c.train.seed,
        "epochs": c.train.epochs,
        "decoder": {"input": decoder[0], "output": "x"},
        "encoder": {"input": encoder[0], "output": encoder[1]},
        "codes": Codebook.of(study).entry() if study.discrete else None,
        "below": _below(study),
        "probabilistic": study.probabilistic,
        "conditional": study.conditions or None,
        "prior": {"kind": parse(c.parts.prior)[0]} if study.probabilistic else None,
        "kl_per_dimension": _measured(study)["test"].get("kl_per_dimension"),
        "parameters": sum(p.numel() for p in study.model.parameters()),
    }


def _below(study: Study) -> list[int] | None:
    """Return how many numbers each layer below the top of a ladder has."""
    if study.model.layers == 1:
        return None
    with torch.no_grad():
        c = study.weights(0 if study.conditions else None).to(study.device).expand(1, -1)
        layers = study.model.encode(study.floats(study.test[:1]), c)
    return [layer.numel() for layer in layers[1:]]


def _measured(study: Study) -> dict[str, Any]:
    """Return what the evaluation found on the test images; nothing before there was one."""
    folder = study.folder
    return folder.metrics if folder is not None and (folder / METRICS).exists() else {"test": {}}


def _figures(study: Study) -> list[dict[str, Any]]:
    metrics = _measured(study)
    return [
        {"name": each.title, "value": metrics["test"][each.name], "unit": each.unit}
        for each in headline(metrics["test"], quantities_of(metrics))
    ]
