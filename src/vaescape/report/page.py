"""The report's page: key numbers, pictures, tables, and how to do it again."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vaescape.errors import OptionError, RunError, VaescapeError
from vaescape.quantities import (
    NEGATIVE_LOG_LIKELIHOOD,
    Quantities,
    headline,
    quantities_of,
)
from vaescape.report.svg import safe_svg
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

if TYPE_CHECKING:
    from vaescape.figures import Words

WHAT_A_VAE_DOES = (
    "A variational autoencoder (VAE) is two networks: an encoder turns each image into a "
    "probability distribution over a few numbers, and a decoder turns any such numbers into an "
    "image. Training weighs how well images are reconstructed against how far their distributions "
    "are from a prior common to all images (the KL divergence), so that numbers drawn from the "
    "prior decode to images too."
)
"""In two sentences; README.md has the same."""
_TYPES = {".png": "image/png", ".gif": "image/gif"}


class _Tile(NamedTuple):
    name: str
    value: str
    unit: str


class _Shown(NamedTuple):
    name: str
    words: "Words"
    markup: str
    """An inline SVG, trusted because this package wrote it; empty for a picture."""
    source: str
    """A ``data:`` address; empty for an inline SVG."""
    still: str
    """The first frame of an animation, for readers who prefer reduced motion; else empty."""
    width: int
    """CSS pixels at full size."""


def build_report(
    run: Mapping[str, Any],
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    figures: Mapping[str, Path],
) -> str:
    """The report of a run as one self-contained HTML page.

    Whatever is missing from ``run`` and ``metrics`` is left out. All names and values are text to
    the page, whatever they contain.

    Args:
        run: What was run: ``name``, ``recipe``, ``data``, ``specs``, ``options``, ``versions``,
            ``machine``, ``git``, ``command``, …
        metrics: The contents of ``metrics.json``.
        history: Rows of the training log.
        figures: Figures by name (see :mod:`vaescape.figures`), as SVG, PNG or GIF.

    Raises:
        OptionError: If a figure is of another type.
    """
    from jinja2 import Environment, PackageLoader

    from vaescape.figures import in_order

    templates = Environment(
        loader=PackageLoader("vaescape.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["words"] = words
    html = templates.get_template("report.html.jinja").render(
        title=run.get("name") or "A vaescape run",
        lead=_lead(run, metrics),
        idea="" if _only_autoencodes(metrics) else WHAT_A_VAE_DOES,
        explorer=bool(run),
        tiles=_tiles(metrics),
        figures=[_shown(name, figures[name]) for name in in_order(list(figures))],
        remarks=metrics.get("remarks", []),
        tables=[table for table in _measured(metrics) if table],
        log=_log(history, metrics),
        details=[table for table in _provenance(run) if table],
        command=run.get("command", ""),
    )
    return html.encode("utf-8", "replace").decode()  # a folder's name need not be valid text


def _lead(run: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """A sentence that describes the run, from what is known."""
    test, training = metrics.get("test", {}), metrics.get("training", {})
    what = "An autoencoder" if _only_autoencodes(metrics) else "A variational autoencoder"
    dimensions = len(test.get("kl_per_dimension") or ())
    parts = [
        f"with {dimensions} latent dimension{'s' * (dimensions > 1)}" if dimensions else "",
        f"trained on {run['data']}" if run.get("data") else "",
        f"for {number(training['epochs'])} epochs" if training.get("epochs") else "",
        f"by the recipe {run['recipe']}" if run.get("recipe") else "",
    ]
    measured = (
        f", measured on {number(test['images'])} held-out images" if test.get("images") else ""
    )
    return f"{' '.join([what, *filter(None, parts)])}{measured}."


def _only_autoencodes(metrics: Mapping[str, Any]) -> bool:
    """Whether the model has no KL divergence, as far as is known."""
    test = metrics.get("test", {})
    return "kl" not in test and bool(test)


def _tiles(metrics: Mapping[str, Any]) -> list[_Tile]:
    test = metrics.get("test", {})
    tiles = [
        _Tile(each.title, number(test[each.name]), each.unit.partition(",")[0])
        for each in headline(test, quantities_of(metrics))
    ]
    seconds = metrics.get("training", {}).get("seconds")
    return [*tiles, _Tile("training time", *_duration(seconds))] if seconds is not None else tiles


def _duration(seconds: float) -> tuple[str, str]:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d}", "min"
    return (f"{minutes} min {rest:02d}", "s") if minutes else (number(float(seconds)), "s")


def _measured(metrics: Mapping[str, Any]) -> list[Table | None]:
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
    known |= {"smoothness", "captures", "samples", "left_out", "remarks"}
    return [
        _splits({"test": test, "train": metrics.get("train", {})}, metrics),
        crossed(
            "Importance-weighted bounds",
            ["samples per image"],
            {(samples,): cells for samples, cells in bounds.items()},
            quantities,
            note=_bound_note(metrics),
        ),
        listing("Use of the latent space", latent, quantities),
        crossed(
            "Smoothness of transitions",
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
        listing("Left out, and why", metrics.get("left_out", {}), {}),
        listing("Training", metrics.get("training", {}), quantities),
        listing(
            "More", {key: value for key, value in metrics.items() if key not in known}, quantities
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
        "Samples among test images",
        [""],
        {(name,): cells for name, cells in found.get("sets", {}).items()},
        quantities,
        note=(
            f"{number(settings.get('images'))} images of each kind; samples are the decoder's "
            f"{settings.get('samples are')}. Features of an untrained convolutional network: these "
            "numbers compare with each other, not with those of Inception's features."
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
            "Images close to each other share their draws, in groups of the size `pool`; each draw "
            f"is weighed against all of their posteriors together. {ONLY_MEANS}"
        )
    term = title_of(metrics.get("reconstruction_term", density), quantities_of(metrics))
    if term != density:
        notes.append(
            f"With {term} on grey pixels these are bounds on a sum that is not a likelihood: "
            "compare them with each other, not with a density's."
        )
    return " ".join(notes)


def _log(history: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> Table | None:
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


def _provenance(run: Mapping[str, Any]) -> list[Table | None]:
    """Configuration, versions, machine, git, and whatever else the run says about itself."""
    titles = {
        "specs": "Configuration",
        "options": "Options",
        "versions": "Versions",
        "machine": "Machine",
        "git": "Git",
    }
    nested = {key: value for key, value in run.items() if isinstance(value, Mapping)}
    plain = {
        key: v for key, v in run.items() if key not in nested and key not in ("command", "name")
    }
    tables = [
        listing(titles.get(key, words(key).capitalize()), _exact(nested[key]), {}) for key in nested
    ]
    return [*tables, listing("The run", _exact(plain), {})]


def _exact(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they were given: 0.001, not 0.00100."""
    return {
        key: _exact(value)
        if isinstance(value, Mapping)
        else repr(value)
        if type(value) is float
        else value
        for key, value in values.items()
    }


def _shown(name: str, path: Path) -> _Shown:
    try:
        return _read(name, path)
    except VaescapeError:
        raise
    except (OSError, ValueError, IndexError, SyntaxError) as error:
        raise RunError(
            f"The figure {path} cannot be read: {error}. Draw it again: `vaescape figures RUN`."
        ) from error


def _read(name: str, path: Path) -> _Shown:
    from vaescape.figures import words_for

    if path.suffix == ".svg":
        markup, width = _inline(path.read_text(encoding="utf-8"), name)
        return _Shown(name, words_for(name), markup, "", "", width)
    if path.suffix not in _TYPES:
        raise OptionError(f"Expected figures as .svg, .png or .gif; got {path.name}.")
    data = path.read_bytes()
    still = _data_address(_first_frame(data), ".png") if path.suffix == ".gif" else ""
    width = _width(data, path.suffix)
    return _Shown(name, words_for(name), "", _data_address(data, path.suffix), still, width)


def _data_address(data: bytes, suffix: str) -> str:
    return f"data:{_TYPES[suffix]};base64,{base64.b64encode(data).decode()}"


def _first_frame(gif: bytes) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(gif)) as image:
        image.save(stream, format="PNG")
    return stream.getvalue()


def _width(data: bytes, suffix: str) -> int:
    if suffix == ".gif":
        return int.from_bytes(data[6:8], "little")
    return int.from_bytes(data[16:20], "big") // 2  # drawn at twice the density of a screen


def _inline(svg: str, name: str) -> tuple[str, int]:
    """A figure's SVG as part of a page, with identifiers of its own; and its width."""
    from vaescape.plots.style import themable

    body = safe_svg(svg, name)
    prefix = re.sub(r"\W", "-", name)
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'href="#', f'href="#{prefix}-', body)
    body = re.sub(r"url\(#", f"url(#{prefix}-", body)
    points = float(body.split('viewBox="0 0 ', 1)[1].split(" ", 1)[0])
    if not 0 < points < 1e5:
        raise ValueError(f"it is {points:g} points wide")
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    return themable(body.replace("<svg", '<svg role="img"', 1)), round(points * 4 / 3)
