"""The page's description of the run: its data, its model and the evaluation's numbers."""

from datetime import UTC, datetime
from typing import Any

from vaescape._version import __version__
from vaescape.components import parse
from vaescape.explore.view import Section, View
from vaescape.export.parts import names
from vaescape.inference import BayesRule
from vaescape.models.evidence import Hierarchy
from vaescape.quantities import headline, quantities_of
from vaescape.runs import METRICS
from vaescape.study import Study

SCHEMA = 1


def about(view: View) -> Section:
    """Return the words and numbers of the manifest."""
    study, codes = view.study, view.codes
    return {
        "schema": SCHEMA,
        "version": __version__,
        "live": False,
        "title": view.title or f"{view.set_title}: latent space ({view.name})",
        "run": view.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": study.configuration.data,
            "title": view.set_title,
            "classes": list(view.classes),
            "shape": list(study.shape),
            "preparation": study.preparation.to_dict(),
            "train": codes.train,
            "test": len(codes.mean) - codes.train,
        },
        "model": _model(view),
        "figures": _figures(study),
        "remarks": _measured(study).get("remarks", []),
        "partner": _partner(view),
    }, {}


def _partner(view: View) -> dict[str, Any] | None:
    """Return on which plane the run lies as the one beside it; None for a page that is alone."""
    partner = view.partner
    return partner and {"basis": partner.basis, "origin": partner.origin}


def _model(view: View) -> dict[str, Any]:
    study, c = view.study, view.study.configuration
    parts, (encoder, decoder) = c.to_dict()["parts"], names(study).values()
    return {
        "latent": study.space.latent,
        "recipe": c.recipe,
        "parts": {name: parts[name] for name in parts if name != "latent"},
        "seed": c.train.seed,
        "epochs": c.train.epochs,
        "decoder": {"input": decoder[0], "output": "x"},
        "encoder": {"input": encoder[0], "output": encoder[1]},
        "amortised": study.model.posterior.head.amortised,
        "grid": _grid(study),
        "codes": view.codebook.entry() if study.space.discrete else None,
        "below": _below(study),
        "probabilistic": study.space.probabilistic,
        "conditional": study.space.conditions or None,
        "prior": {"kind": parse(c.parts.prior)[0], "standard_normal": view.standard_normal}
        if study.space.probabilistic
        else None,
        "kl_per_dimension": _measured(study)["test"].get("kl_per_dimension"),
        "parameters": sum(p.numel() for p in study.model.parameters()),
    }


def _grid(study: Study) -> dict[str, Any] | None:
    """Return the grid points and β of inference by Bayes' rule; None of any other."""
    q = study.model.posterior
    return {"points": len(q.net.points), "beta": q.beta} if isinstance(q, BayesRule) else None


def _below(study: Study) -> list[int] | None:
    """Return how many numbers each layer below the top of a ladder has."""
    model = study.model
    if not isinstance(model, Hierarchy):
        return None
    with study.space.inference():
        ((x, c),) = study.space.batches(study.test[:1])
        return [layer.numel() for layer in study.model.encode(x, c)[1:]]


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
