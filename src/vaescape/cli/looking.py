"""The commands that only look: compare, data, list, show."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from vaescape.cli.common import Json, Run, app, leave, print_json
from vaescape.cli.settings import DataDir


@app.command(epilog="Example: vaescape compare runs/paper runs/paper-2 --out compare.png")
def compare(
    runs: Annotated[list[Path], Argument(help="Run folders that were evaluated.")],
    out: Annotated[Path | None, Option("--out", "-o", help="Where to write: .png, .svg.")] = None,
    as_json: Json = False,
) -> None:
    """Compare runs: the settings that differ, and the numbers."""
    from vaescape.cli import tables
    from vaescape.report.comparison import comparison, other_images, quantities_in
    from vaescape.runs import RunFolder

    folders = [RunFolder.open(run) for run in runs]
    rows, quantities = comparison(folders), quantities_in(folders)
    warning = other_images(folders)
    print_json(rows) if as_json else tables.print_comparison(rows, quantities, warning)
    if out:
        leave(out, tables.comparison_figure(rows, quantities, warning))


@app.command(
    epilog="Examples: vaescape data fashion-mnist · vaescape data 'folder(path=\"photos\")'"
)
def data(
    name: Annotated[str, Argument(help="A data set: `vaescape list data`.")] = "fashion-mnist",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Download a data set if necessary, verify it, and describe it."""
    from vaescape.cli.tables import print_pairs
    from vaescape.data import opened

    found = opened(name, data_dir=data_dir)
    facts = {
        "title": found.title,
        "training images": len(found.load("train")),
        **({"validation images": len(found.validation)} if found.validation else {}),
        "test images": len(found.load("test")),
        "shape": list(found.shape),
        "images": found.preparation.sentence(),
        "classes": list(found.classes),
        "factors": list(found.factors or ()),
        "sha256": found.digest(),
    }
    print_json(facts) if as_json else print_pairs(facts)


@app.command("list", epilog="Examples: vaescape list · vaescape list prior · "
             "vaescape list prior vamp")  # fmt: skip
def list_(
    kind: Annotated[str | None, Argument(help="recipe, data, network, posterior, …")] = None,
    name: Annotated[str | None, Argument(help="A component: its whole description.")] = None,
    as_json: Json = False,
) -> None:
    """List recipes and components, with a description and the arguments of each."""
    from vaescape.cli import inventory, tables

    if kind is not None and name is not None:
        row = inventory.whole(kind, name)
        return print_json(row) if as_json else tables.print_whole(name, row)
    rows = inventory.inventory(kind)
    return print_json(rows) if as_json else tables.print_inventory(rows)


@app.command(epilog="Example: vaescape show runs/paper")
def show(run: Run, as_json: Json = False) -> None:
    """Show a run: its configuration, its progress and its numbers."""
    from vaescape.cli import tables
    from vaescape.runs import METRICS, RunFolder

    folder = RunFolder.open(run)
    measured = folder.metrics if (folder / METRICS).exists() else None
    if as_json:
        return print_json(folder.record | {"metrics": measured})
    tables.print_run(folder)
    return tables.print_metrics(measured) if measured else None
