"""Numbers as the report prints them: dictionaries become tables, names become words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Any

from vaescape.quantities import Quantities

_WORDS = {
    "elbo": "ELBO",
    "kl": "KL",
    "mse": "MSE",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "mmd2": "MMD²",
    "knn": "k-NN",
    "cpu": "CPU",
    "gpu": "GPU",
    "id": "ID",
    "gib": "GiB",
}


ONLY_MEANS = "Use the mean only: the bound for a single image can be off by several nats."
"""What is said of a bound whose images share their draws."""


@dataclass(frozen=True)
class Table:
    """A titled table; the first cell of each row is its header."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    definitions: Mapping[str, str] | None = None
    """Of the measures that the table shows."""


def words(name: str) -> str:
    """``negative_elbo`` as ``negative ELBO``."""
    return " ".join(_WORDS.get(part, part) for part in str(name).replace("_", " ").split())


def number(value: Any) -> str:
    """A value as text: numbers to three figures and a decimal, estimates with their interval."""
    match value:
        case None | "":
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return _decimal(value)
        case {"estimate": estimate, **rest}:
            return _estimate(estimate, rest)
        case str():
            return value
        case Mapping():
            return ", ".join(f"{words(key)} {number(item)}" for key, item in value.items())
        case Sequence():
            shown = ", ".join(number(item) for item in value[:32])
            return f"{shown}, … ({len(value)} in all)" if len(value) > 32 else shown
    return str(value)


def _estimate(estimate: Any, rest: dict[str, Any]) -> str:
    low, high = rest.pop("low", None), rest.pop("high", None)
    interval = "" if low is None or high is None else f" [{number(low)}, {number(high)}]"
    aside = f" ({number(rest)})" if rest else ""
    return f"{number(estimate)}{interval}{aside}"


def _decimal(value: float) -> str:
    if not isfinite(value):
        return "not finite"
    if 0 < abs(value) < 1e-4:
        return "< 0.0001" if value > 0 else "> −0.0001"
    if abs(value) >= 1e6:
        return f"{value:.3g}".replace("-", "−")
    digits = int(max(1, 2 - floor(log10(abs(value))))) if value else 0
    return f"{value:,.{digits}f}".replace("-", "−")


def unit_of(name: str, quantities: Quantities) -> str:
    """Unit of a measure by the last part of its dotted name; empty for a pure number."""
    found = quantities.get(name.rsplit(".", 1)[-1])
    return found.unit if found else ""


def title_of(name: str, quantities: Quantities) -> str:
    """Title of a measure; its name in words if it is not in the table."""
    found = quantities.get(name)
    return found.title if found else words(name)


def shares_draws(bound: Mapping[str, Any]) -> bool:
    """Tell whether an importance-weighted bound is of images that share their draws."""
    pool = bound.get("pool", 1)
    return (pool["largest"] if isinstance(pool, Mapping) else pool) > 1


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a nested dictionary; an estimate with interval is one value."""
    for key, value in values.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping) and "estimate" not in value:
            yield from leaves(value, name)
        else:
            yield name, value


def listing(
    title: str, values: Mapping[str, Any], quantities: Quantities, **more: Any
) -> Table | None:
    """A table of name and value, with units; ``None`` if there is nothing to list."""
    rows = [
        (
            " · ".join(title_of(part, quantities) for part in name.split(".")),
            _with_unit(name, value, quantities),
        )
        for name, value in leaves(values)
    ]
    return Table(title, ("", "value"), rows, **more) if rows else None


def _with_unit(name: str, value: Any, quantities: Quantities) -> str:
    counted = isinstance(value, int | str) or value is None
    unit = "" if counted else unit_of(name, quantities)
    return f"{number(value)} {unit}".strip()


def crossed(
    title: str,
    corner: Sequence[str],
    lines: Mapping[tuple[str, ...], Mapping[str, Any]],
    quantities: Quantities,
    *,
    note: str = "",
    definitions: Mapping[str, str] | None = None,
) -> Table | None:
    """A row for each line, a column for each measure; ``None`` if nothing was measured.

    Args:
        title: The heading.
        corner: Headers of the columns that name the lines.
        lines: Measures by the names of their line, as many as there are headers.
        quantities: Titles and units by measure.
        note: A line below the table.
        definitions: Of measures by name; those that the table does not show are left out.
    """
    measures = list(dict.fromkeys(measure for cells in lines.values() for measure in cells))
    if not measures:
        return None
    head = [*corner, *(_headed(measure, quantities) for measure in measures)]
    rows = [
        [*(words(name) for name in names), *(number(cells.get(measure)) for measure in measures)]
        for names, cells in lines.items()
    ]
    named = {*measures, *(name for names in lines for name in names)}
    shown = {name: text for name, text in (definitions or {}).items() if name in named}
    return Table(title, head, rows, note, shown)


def _headed(measure: str, quantities: Quantities) -> str:
    unit = unit_of(measure, quantities)
    title = title_of(measure, quantities)
    return f"{title}, {unit}" if unit and unit != measure else title
