"""The commands that make a run: run, train, resume, reproduce."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from vaescape.cli.common import Run, app, print_json, say
from vaescape.cli.settings import (
    DataDir,
    Device,
    Epochs,
    Limit,
    Measure,
    Name,
    Overwrite,
    Root,
    RunSeed,
    Threads,
    configures,
)

if TYPE_CHECKING:
    from vaescape.recipes import Configuration

DryRun = Annotated[bool, Option("--dry-run", help="Print the configuration and stop.")]
Baseline = Annotated[
    bool,
    Option(
        help="Also train a plain autoencoder with the same network, and compare the smoothness of "
        "the two latent spaces."
    ),
]


@app.command(epilog="Examples: vaescape run · vaescape run paper --latent 8 --beta 4 --seed 1 · "
             "vaescape run first-look --epochs 5")  # fmt: skip
@configures("paper")
def run(
    chosen: "Configuration", data_dir: DataDir = None,
    root: Root = Path("runs"), name: Name = None, overwrite: Overwrite = False,
    baseline: Baseline = False, measure: Measure = "quick", dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Train and evaluate a model; write figures, a report and an explorer into a run folder."""
    if dry_run:
        return _print(chosen, data_dir)
    from vaescape import pipeline
    from vaescape.cli.tables import print_metrics
    from vaescape.processes import first

    study = pipeline.run(
        chosen, root=root, name=name, overwrite=overwrite, data_dir=data_dir, baseline=baseline,
        measure=measure, tell=say,
    )  # fmt: skip
    assert study.folder is not None
    return print_metrics(study.folder.metrics) if first() else None


@app.command(epilog="Example: vaescape train paper --epochs 5 --name short")
@configures("paper")
def train(
    chosen: "Configuration", data_dir: DataDir = None,
    root: Root = Path("runs"), name: Name = None, overwrite: Overwrite = False,
    dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Train only: weights, latents and the training log."""
    if dry_run:
        return _print(chosen, data_dir)
    from vaescape import pipeline

    pipeline.run(
        chosen, root=root, name=name, overwrite=overwrite, data_dir=data_dir, stages=("train",),
        tell=say,
    )  # fmt: skip
    return None


def _print(chosen: "Configuration", data_dir: Path | None) -> None:
    """Print a configuration; a data set that was chosen must exist. Nothing is downloaded."""
    from vaescape.recipes import configuration

    if chosen.data != configuration(chosen.recipe).data:
        from vaescape.data import opened

        opened(chosen.data, data_dir=data_dir)
    print_json(chosen.to_dict())


@app.command(epilog="Example: vaescape resume runs/paper")
def resume(run: Run, data_dir: DataDir = None) -> None:
    """Continue an interrupted run. The result is bit-identical to an uninterrupted run."""
    from vaescape import pipeline
    from vaescape.cli.tables import print_metrics
    from vaescape.processes import first
    from vaescape.runs import METRICS, RunFolder

    folder = RunFolder.open(run)
    pipeline.finish(folder, data_dir=data_dir, tell=say)
    if first() and (folder / METRICS).exists():
        print_metrics(folder.metrics)


@app.command(epilog="Examples: vaescape reproduce exemplar · vaescape reproduce aevb --epochs 2")
def reproduce(
    name: Annotated[str, Argument(help="A reproduction: `vaescape list reproduction`.")],
    epochs: Epochs = None, limit: Limit = None, seed: RunSeed = None, device: Device = None,
    threads: Threads = None, data_dir: DataDir = None, root: Root = Path("runs"),
) -> None:  # fmt: skip
    """Reproduce a published result: train, measure, and compare both on a page."""
    from vaescape.reproduce import reproduce

    given = {
        "epochs": epochs,
        "limit": limit,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    say(reproduce(name, root=root, data_dir=data_dir, **changes))
