"""What the commands print."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vaescape.cli import plain
from vaescape.quantities import Quantity, headline, quantities_of
from vaescape.report.comparison import settings
from vaescape.report.tables import ONLY_MEANS, number, shares_draws, title_of, words
from vaescape.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def console() -> Console:
    """Return where tables go: standard output, as wide as it is."""
    return _Console(highlight=False, soft_wrap=False, markup=False, emoji=False)


class _Console(Console):
    """Prints what it is given: a name is neither markup nor a command to the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(plain(text), **options)


def print_pairs(pairs: Mapping[str, Any], title: str = "") -> None:
    """Print names and values."""
    table = Table(show_header=False, box=None, title=title or None, title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs.items():
        table.add_row(words(name), _text(value))
    console().print(table)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{words(key)} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else number(value)


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Print the headline numbers."""
    quantities, test, notes = quantities_of(metrics), metrics["test"], set[str]()
    table = Table(title=f"On {test['images']:,} test images", title_justify="left", box=None)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right")
    table.add_column("", style="dim")
    for quantity in headline(test, quantities):
        table.add_row(quantity.title, number(test[quantity.name]), quantity.unit)
    for samples, bound in test.get("importance_weighted_bound", {}).items():
        name = f"importance-weighted bound, {samples} samples"
        table.add_row(name, number(bound["nats"]), f"nats, {bound['images']:,} images")
        notes |= {ONLY_MEANS} if shares_draws(bound) else set()
    if annealed := test.get("annealed_importance_sampling"):
        unit = f"nats, {annealed['images']:,} images"
        table.add_row("annealed importance sampling", number(annealed["nats"]), unit)
        same = annealed["importance_weighted_bound"]
        name = f"importance-weighted bound, {same['samples']} samples"
        table.add_row(name, number(same["nats"]), "nats, the same images")
    shares = {k: metrics[k] for k in ("class_agreement",) if k in metrics}
    for name, found in (metrics.get("captures", {}) | shares).items():
        if "estimate" in found:
            low, high = found.get("low"), found.get("high")
            between = f"95 % interval {number(low)} to {number(high)}"
            table.add_row(words(name), number(found["estimate"]), between)
    if found := metrics.get("samples", {}).get("sets"):
        for measure in ("precision", "recall", "density", "coverage"):
            theirs, ours = (found.get(name, {}) for name in ("training images", "samples"))
            beside = f"training images {number(theirs.get(measure))}"
            table.add_row(f"{measure} of samples", number(ours.get(measure)), beside)
    for walk, kinds in metrics.get("smoothness", {}).get("paths", {}).items():
        for kind, measures in kinds.items():
            ratio = measures.get("length_ratio", {})
            which = f"{kind} class" if kind != "any" else ""
            table.add_row(f"length over chord, {walk}", number(ratio.get("estimate")), which)
    if "training" in metrics:
        table.add_row("training", number(metrics["training"]["seconds"]), "s")
    console().print(table)
    for sentence in [*notes, *metrics.get("remarks", [])]:
        console().print("\n" + sentence, markup=False)


def print_run(folder: RunFolder) -> None:
    """Print what a run is and how far it came."""
    record = folder.record
    last = (folder.history() or [{}])[-1]
    pairs = {
        "status": record["status"],
        **settings(folder),
        "reached": f"step {last.get('step', 0)}, epoch {last.get('epoch', 0):g}",
        "created": record["provenance"].get("date", "–"),
    }
    print_pairs(pairs, title=str(folder))


def print_comparison(
    rows: Mapping[str, Mapping[str, Any]], quantities: Mapping[str, Quantity], warning: str = ""
) -> None:
    """Print runs as columns, and a warning under them."""
    table = Table(box=None)
    table.add_column("")
    for run in rows:
        table.add_column(run, justify="right", overflow="fold")
    for key in dict.fromkeys(key for row in rows.values() for key in row):
        title = title_of(key, quantities)
        table.add_row(title, *(_text(row.get(key)) for row in rows.values()))
    console().print(table)
    if warning:
        console().print("\n" + warning)


def comparison_figure(
    rows: Mapping[str, Mapping[str, Any]], quantities: Mapping[str, Quantity], warning: str = ""
) -> "Figure":
    """Return the numbers of several runs as a figure."""
    from vaescape import plots

    shown = {run: {k: v for k, v in row.items() if k in quantities} for run, row in rows.items()}
    return plots.compare(shown, quantities=quantities, warning=warning)


def print_whole(name: str, row: Mapping[str, Any]) -> None:
    """Print one component."""
    out = console()
    out.print(Text(name, style="cyan"), row["is"], soft_wrap=True)
    if row.get("details"):
        out.print("\n" + row["details"], markup=False, soft_wrap=True)
    if row["takes"]:
        table = Table(box=None, show_header=False, padding=(1, 2, 0, 0))
        for argument, told in row["takes"].items():
            table.add_row(argument, repr(told["default"]), told["is"])
        out.print(table)
    if row.get("example"):
        out.print("\n" + row["example"], markup=False, soft_wrap=True)


def print_inventory(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Print components by kind."""
    for kind, members in rows.items():
        table = Table(title=kind, title_justify="left", title_style="bold", box=None, expand=False)
        table.add_column("name", style="cyan", no_wrap=True)
        table.add_column("what it is")
        table.add_column("takes", style="dim")
        for name, row in members.items():
            takes = ", ".join(f"{k}={v!r}" if v is not None else k for k, v in row["takes"].items())
            table.add_row(name, row["is"], takes)
        console().print(table)
        console().print()
