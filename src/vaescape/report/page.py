"""The report's page: what a run is, how good it is, its map; then chapters that unfold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vaescape.quantities import headline, quantities_of
from vaescape.report.drawings import chapters
from vaescape.report.measured import measured, training_log
from vaescape.report.tables import Table, listing, number, words
from vaescape.report.verdict import verdict

WHAT_A_VAE_DOES = (
    "A variational autoencoder (VAE) has two parts: an encoder turns each image into a "
    "probability distribution over a few numbers, and a decoder turns any such numbers into an "
    "image. Training weighs how well images are reconstructed against how far their distributions "
    "are from a prior common to all images (the KL divergence), so that numbers drawn from the "
    "prior decode to images too."
)
"""In two sentences; README.md has the same."""
WITHOUT_ENCODER = (
    " This model has no encoder: the distribution of an image follows from the decoder by Bayes' "
    "rule."
)

HERO = "map"
"""The figure of the first screen."""


class _Tile(NamedTuple):
    name: str
    value: str
    unit: str


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
            ``machine``, ``git``, ``command``, …; ``explorer`` is the address of the explorer's
            page, as seen from the report.
        metrics: The contents of ``metrics.json``.
        history: Rows of the training log.
        figures: Figures by name (see :mod:`vaescape.figures`), as SVG, PNG or GIF.

    Raises:
        OptionError: If a figure is of another type.
    """
    from jinja2 import Environment, PackageLoader

    templates = Environment(
        loader=PackageLoader("vaescape.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["words"] = words
    drawn = chapters(figures)
    first = next((each for shown in drawn.values() for each in shown if each.name == HERO), None)
    html = templates.get_template("report.html.jinja").render(
        name=run.get("name") or "A vaescape run",
        title=_title(run, metrics),
        lead=_lead(run, metrics),
        idea="" if _only_autoencodes(metrics) else WHAT_A_VAE_DOES + _exception(run),
        verdict=verdict(metrics, latent=_latent(run)),
        remarks=metrics.get("remarks", []),
        hero=first,
        explorer=run.get("explorer", ""),
        tiles=_tiles(metrics),
        chapters={title: [each for each in shown if each is not first]
                  for title, shown in drawn.items() if shown != [first]},
        tables=[table for table in measured(metrics) if table],
        log=training_log(history, metrics),
        details=[table for table in _provenance(run) if table],
        command=run.get("command", ""),
    )  # fmt: skip
    return html.encode("utf-8", "replace").decode()  # a folder's name need not be valid text


def _title(run: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    what = "An autoencoder" if _only_autoencodes(metrics) else "A variational autoencoder"
    return f"{what} trained on {run['data']}" if run.get("data") else what


def _exception(run: Mapping[str, Any]) -> str:
    """How the model differs from that, as far as is known."""
    posterior = str(run.get("specs", {}).get("posterior", ""))
    return WITHOUT_ENCODER if posterior.partition("(")[0] == "bayes" else ""


def _latent(run: Mapping[str, Any]) -> int | None:
    """The number of latent dimensions, as far as is known."""
    found = run.get("specs", {}).get("latent")
    return found if isinstance(found, int) else None


def _lead(run: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """A sentence on how the model was made and measured, from what is known."""
    test, training = metrics.get("test", {}), metrics.get("training", {})
    latent, images = _latent(run), training.get("images")
    how = f" (--measure {metrics['measure']})" if metrics.get("measure") else ""
    time = "\u00a0".join(_duration(training["seconds"])) if "seconds" in training else ""
    trained = [
        f"on {number(images)} images" if images else "",
        f"for {training['epochs']:g} epochs" if training.get("epochs") else "",
        f"in {time}" if time else "",
    ]
    parts = [
        f"Recipe {run['recipe']}" if run.get("recipe") else "",
        f"{latent} latent dimension{'s' * (latent != 1)}" if latent else "",
        " ".join(["trained", *filter(None, trained)]) if any(trained) else "",
        f"measured on {number(test['images'])} held-out images{how}" if test.get("images") else "",
    ]
    known = ", ".join(filter(None, parts))
    return f"{known[:1].upper()}{known[1:]}." if known else ""


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
        key: v
        for key, v in run.items()
        if key not in nested and key not in ("command", "name", "explorer")
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
