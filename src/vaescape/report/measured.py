"""The tables of a report that show ``metrics.json`` and the training log."""

from collections.abc import Mapping, Sequence
from typing import Any

from vaescape.quantities import NEGATIVE_LOG_LIKELIHOOD, Quantities, quantities_of
from vaescape.report.tables import (
    ONLY_MEANS,
    Table,
    crossed,
    listing,
    number,
    shares_draws,
    title_of,
    unit_of,
    words,
)


def measured(metrics: Mapping[str, Any]) -> list[Table | None]:
    """Return the tables of all numbers; None in place of those with nothing to show."""
    quantities, test = quantities_of(metrics), dict(metrics.get("test", {}))
    bounds = test.pop("importance_weighted_bound", {})
    bounds |= _annealed(test.pop("annealed_importance_sampling", None))
    latent = {
        key: test.pop(key)
        for key in ("kl_per_dimension", "active_units", "aggregate_posterior", "code_use")
        if key in test
    }
    smooth = metrics.get("smoothness", {})
    paths = smooth.get("paths", {})
    known = {"format", "reconstruction_term", "quantities", "units", "training", "train", "test"}
    known |= {"validation", "measure", "smoothness", "captures", "samples", "left_out", "remarks"}
    return [
        _splits(
            {"test": test} | {name: metrics.get(name, {}) for name in ("validation", "train")},
            metrics,
        ),
        crossed(
            "Importance-weighted bounds",
            ["samples per image"],
            {(samples,): cells for samples, cells in bounds.items()},
            quantities,
            note=_bound_note(metrics),
        ),
        listing("Use of the latent space", latent, quantities),
        crossed(
            "Smoothness of interpolations",
            ["path", "classes"],
            {
                (path, which): cells
                for path, split in paths.items()
                for which, cells in split.items()
            },
            quantities,
            definitions=smooth.get("definitions"),
        ),
        _captures(metrics.get("captures", {}), quantities),
        _samples(metrics.get("samples", {}), quantities),
        listing("Not measured, and why", metrics.get("left_out", {}), {}),
        listing("Training", metrics.get("training", {}), quantities),
        listing(
            "Other", {key: value for key, value in metrics.items() if key not in known}, quantities
        ),
    ]


def _annealed(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Annealed importance sampling as a line of the bounds, and the bound on the same images."""
    if not found:
        return {}
    columns, same = ("images", "nats", "effective_samples"), found["importance_weighted_bound"]
    names = {
        f"{same['samples']}, on the images below": same,
        f"annealed importance sampling, {found['chains']} chains through {found['temperatures']} "
        "temperatures": found,
    }
    return {name: {key: cells[key] for key in columns} for name, cells in names.items()}


def _captures(captures: Mapping[str, Any], quantities: Quantities) -> Table | None:
    """What the latent space captures: a row per measure, and per k where several were tried."""
    parts = ("estimate", "low", "high")
    lines = {
        (measure, k): {"value": {part: value[part] for part in parts if part in value}}
        for measure, found in captures.items()
        if isinstance(found, Mapping) and "estimate" in found
        for k, value in (found.get("by_k") or {str(found.get("k", "–")): found}).items()
    }
    return crossed(
        "What the latent space captures",
        ["measure", "k"],
        lines,
        quantities,
        note="Brackets: 95 % bootstrap intervals.",
        definitions=captures.get("definitions"),
    )


def _samples(found: Mapping[str, Any], quantities: Quantities) -> Table | None:
    """How samples overlap with real images: a row for them, and for other real images."""
    settings = found.get("settings", {})
    return crossed(
        "Samples compared with test images",
        [""],
        {(name,): cells for name, cells in found.get("sets", {}).items()},
        quantities,
        note=(
            f"{number(settings.get('images'))} images of each kind; samples are "
            f"{settings.get('samples are')} of the likelihood. The features are those of an "
            "untrained convolutional network: compare these numbers with each other, not with "
            "numbers from Inception features."
        ),
        definitions=found.get("definitions"),
    )


def _splits(splits: Mapping[str, Mapping[str, Any]], metrics: Mapping[str, Any]) -> Table | None:
    """ELBO, its terms and the reconstruction errors: a row per measure, a column per split."""
    columns = {name: values for name, values in splits.items() if values}
    keys = list(dict.fromkeys(key for values in columns.values() for key in values))
    if not keys:
        return None
    quantities = quantities_of(metrics)
    rows = [
        [
            title_of(key, quantities),
            *(number(values.get(key)) for values in columns.values()),
            unit_of(key, quantities),
            (found.better if (found := quantities.get(key)) else None) or "",
        ]
        for key in keys
    ]
    return Table("Reconstruction and ELBO", ["", *columns, "unit", "better"], rows)


def _bound_note(metrics: Mapping[str, Any]) -> str:
    found = metrics.get("test", {}).get("importance_weighted_bound", {}).values()
    notes, density = [], NEGATIVE_LOG_LIKELIHOOD.title
    if any(shares_draws(bound) for bound in found):
        notes.append(
            "Neighbouring images share importance samples, in groups (pool: their sizes); each "
            f"sample is weighted by the mixture of their posteriors. {ONLY_MEANS}"
        )
    term = title_of(metrics.get("reconstruction_term", density), quantities_of(metrics))
    if term != density:
        notes.append(
            f"With {term} on grey pixels these are bounds on a sum that is not a likelihood: "
            "compare them with each other, not with those of a density."
        )
    return " ".join(notes)


def training_log(history: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> Table | None:
    """The curves as numbers, for those who cannot see them: about twenty rows."""
    rows = [row for row in history if row.get("held_out")] or list(history)
    rows = rows[:: -(-len(rows) // 24)] + rows[-1:] if len(rows) > 24 else rows
    splits = [split for split in ("train", "held_out") if any(row.get(split) for row in rows)]
    keys = list(
        dict.fromkeys(
            key
            for row in rows
            for split in splits
            for key, value in (row.get(split) or {}).items()
            if isinstance(value, int | float)
        )
    )
    if not keys:
        return None
    quantities = quantities_of(metrics)
    head = [
        "epoch",
        *(f"{words(split)} {title_of(key, quantities)}" for split in splits for key in keys),
    ]
    cells = [
        [
            number(row.get("epoch")),
            *(number((row.get(split) or {}).get(key)) for split in splits for key in keys),
        ]
        for row in rows
    ]
    return Table("Training in numbers", head, cells)
