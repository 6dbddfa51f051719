"""The commands. Each imports what it needs when it runs, so that ``--help`` is there at once."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Argument, Option

from vaescape import __version__
from vaescape.cli.settings import (
    DataDir,
    Device,
    Epochs,
    Limit,
    Name,
    Overwrite,
    Root,
    RunSeed,
    Threads,
    configures,
)
from vaescape.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaescape.recipes import Configuration
    from vaescape.runs import RunFolder
    from vaescape.study import Study

app = typer.Typer(
    help="Train a variational autoencoder, then see, measure and walk what it learned.",
    epilog="Start with [bold]vaescape run first-look[/bold] (no download, a few minutes), "
    "then [bold]vaescape run paper[/bold] (the study, on Fashion-MNIST).",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Run = Annotated[Path, Argument(help="A run folder, such as runs/paper.")]
Json = Annotated[bool, Option("--json", help="Print JSON, for a script to read.")]
Out = Annotated[Path | None, Option("--out", "-o", help="Where to write: .png, .svg or .npz.")]
Seed = Annotated[int, Option(help="Seed of the draws.")]
Class = Annotated[
    str | None, Option("--class", help="Of a conditional model: the class, by name or number.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vaescape {__version__}")
        raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool,
        Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Take the options that come before a command."""


DryRun = Annotated[bool, Option("--dry-run", help="Print the configuration and stop.")]
NoBaseline = Annotated[
    bool,
    Option("--no-baseline", help="Leave out the plain autoencoder that smoothness is set beside."),
]


@app.command(epilog="Examples: vaescape run · vaescape run paper --latent 8 --beta 4 --seed 1 · "
             "vaescape run first-look --epochs 5")  # fmt: skip
@configures
def run(
    chosen: "Configuration", data_dir: DataDir = None,
    root: Root = Path("runs"), name: Name = None, overwrite: Overwrite = False,
    no_baseline: NoBaseline = False, dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Train, evaluate, draw and report: everything, into a folder of its own."""
    from vaescape import pipeline

    if dry_run:
        return _print_json(chosen.to_dict())
    folder, study = pipeline.start(
        chosen, root=root, name=name, overwrite=overwrite, data_dir=data_dir
    )
    _announce(folder, study)
    return _go_on(folder, study, data_dir, with_baseline=not no_baseline)


@app.command(epilog="Example: vaescape train paper --epochs 5 --name short")
@configures
def train(
    chosen: "Configuration", data_dir: DataDir = None,
    root: Root = Path("runs"), name: Name = None, overwrite: Overwrite = False,
    dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Train only: weights, latents and the training log."""
    from vaescape import pipeline

    if dry_run:
        return _print_json(chosen.to_dict())
    folder, study = pipeline.start(
        chosen, root=root, name=name, overwrite=overwrite, data_dir=data_dir
    )
    _announce(folder, study)
    pipeline.train(folder, study)
    return _say_trained(folder)


@app.command(epilog="Example: vaescape resume runs/paper")
def resume(run: Run, data_dir: DataDir = None, no_baseline: NoBaseline = False) -> None:
    """Go on with a run that was stopped, to the bits it would have ended with, and finish it."""
    from vaescape.errors import RunError
    from vaescape.recipes import Configuration
    from vaescape.runs import RunFolder
    from vaescape.study import Study

    folder = RunFolder.open(run)
    if folder.status == "diverged":
        raise RunError(
            f"{folder} diverged, and would again. Train anew with a lower --lr or another --seed."
        )
    study = Study(Configuration.from_dict(folder.configuration), data_dir=data_dir)
    _go_on(folder, study, data_dir, with_baseline=not no_baseline)


@app.command(epilog="Examples: vaescape reproduce exemplar · vaescape reproduce aevb --epochs 2")
def reproduce(
    name: Annotated[str, Argument(help="Which: `vaescape list reproduction` shows them.")],
    epochs: Epochs = None, limit: Limit = None, seed: RunSeed = None, device: Device = None,
    threads: Threads = None, data_dir: DataDir = None, root: Root = Path("runs"),
) -> None:  # fmt: skip
    """Make a published result again: train, measure, and set ours beside theirs in a page."""
    from vaescape.reproduce import reproduce

    given = {
        "epochs": epochs,
        "limit": limit,
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    typer.echo(reproduce(name, root=root, data_dir=data_dir, **changes))


@app.command(epilog="Examples: vaescape evaluate runs/paper --samples 5000 --images 1000 --json · "
             "vaescape evaluate runs/paper --ais 100")  # fmt: skip
def evaluate(
    run: Run,
    samples: Annotated[int | None, Option(help="One importance-weighted bound of so many samples, "
                                          "instead of the usual.")] = None,
    images: Annotated[int | None, Option(help="… on the first so many test images.")] = None,
    pool: Annotated[int | None, Option(help="So many images share their draws; 1: none. In up to "
                                       "3 latent dimensions 100, else 1.")] = None,
    paths: Annotated[int, Option(help="Interpolation paths for each kind of pair.")] = 300,
    baseline: Annotated[Path | None, Option(help="A plain autoencoder's run folder.")] = None,
    chunk: Annotated[int, Option(help="Codes decoded at once: memory, not numbers.")] = 500,
    ais: Annotated[int | None, Option(help="Annealed importance sampling of log p(x), on the first "
                                      "so many test images: 100, say.")] = None,
    temperatures: Annotated[int | None, Option(help="… through so many densities; 100.")] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Measure a trained run on its test images, and write metrics.json."""
    from vaescape import pipeline
    from vaescape.cli.tables import print_metrics
    from vaescape.evaluation import TEMPERATURES

    if images is not None and samples is None:
        raise OptionError(f"--images {images} says on how many images --samples are drawn. Add it.")
    if temperatures is not None and ais is None:
        raise OptionError(f"--temperatures {temperatures} are those of --ais. Add it.")
    folder, study = _open(run, data_dir)
    beside = _baseline(folder, baseline, data_dir)
    bounds = None if samples is None else ((samples, images),)
    metrics = pipeline.measure(
        folder, study, beside, bounds=bounds, pool=pool, paths=paths, chunk=chunk, seed=seed,
        ais=ais, temperatures=TEMPERATURES if temperatures is None else temperatures,
    )  # fmt: skip
    _print_json(metrics) if as_json else print_metrics(metrics)


@app.command(epilog="Examples: vaescape figures runs/paper · vaescape figures runs/paper map "
             "manifold --theme dark --out dark/")  # fmt: skip
def figures(
    run: Run,
    names: Annotated[list[str] | None, Argument(help="Which; all by default.")] = None,
    theme: Annotated[str, Option(help="light or dark.")] = "light",
    out: Annotated[Path | None, Option("--out", "-o", help="Folder; the run's by default.")] = None,
    data_dir: DataDir = None,
) -> None:  # fmt: skip
    """Draw the figures of a trained run, as PNG and SVG."""
    from vaescape.gallery import render
    from vaescape.runs import FIGURES

    folder, study = _open(run, data_dir)
    for path in render(study, out or folder / FIGURES, names, theme=theme).values():
        typer.echo(path)


@app.command(epilog="Example: vaescape report runs/paper")
def report(run: Run) -> None:
    """Write report.html again from what the run folder holds."""
    from vaescape import pipeline
    from vaescape.runs import RunFolder

    typer.echo(pipeline.report(RunFolder.open(run, finished=True)))


@app.command(epilog="Example: vaescape export runs/paper")
def export(
    run: Run,
    out: Annotated[Path | None, Option("--out", "-o", help="Folder; the run's by default.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write encoder and decoder as ONNX, once they have given PyTorch's numbers."""
    from vaescape.export import export

    folder, study = _open(run, data_dir)
    place = out or folder / "onnx"
    for network in export(study, place):
        typer.echo(
            f"{place / network.file}: {len(network.content) / 1e3:.0f} kB, "
            f"at most {network.worst:.1e} from PyTorch"
        )


@app.command(epilog="Examples: vaescape explore runs/paper · vaescape explore runs/paper --save "
             "page.html --originals all · vaescape explore page.html")  # fmt: skip
def explore(
    run: Annotated[Path, Argument(help="A run folder, or a page that --save wrote.")],
    save: Annotated[Path | None, Option(help="Write one file instead of serving.")] = None,
    originals: Annotated[
        Literal["none", "test", "all"], Option(help="Images in it.")
    ] = "test",
    film: Annotated[
        int, Option(help="Moments of the training in it, about 0.2 MB each: of a run that kept "
                    "them, vaescape run --film 20.")
    ] = 0,
    projection: Annotated[
        Literal["pca", "umap"], Option(help="Of three dimensions or more; umap is an extra.")
    ] = "pca",
    title: Annotated[str | None, Option(help="Title of the page.")] = None,
    host: Annotated[str, Option(help="Who may reach it: this machine only by default.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int | None, Option(help="A free one by default.")] = None,
    browser: Annotated[bool, Option(help="Open the browser.")] = True,
    data_dir: DataDir = None,
) -> None:  # fmt: skip
    """Walk the latent space in the browser, live or in a file that needs nothing else."""
    from vaescape.cli import exploring

    if run.is_file():
        exploring.open_page(run, browser)
    elif save:
        typer.echo(exploring.save(run, save, originals, projection, title, film, data_dir))
    else:
        exploring.serve(run, originals, projection, title, film, host, port, browser, data_dir)


@app.command("fit-prior", epilog="Example: vaescape fit-prior runs/paper --prior flow, then "
             "vaescape sample runs/paper --prior flow")  # fmt: skip
def fit_prior(
    run: Run,
    prior: Annotated[str, Option(help="A prior: `vaescape list prior`.")],
    epochs: Annotated[float, Option(help="Passes over the codes of the training images.")] = 20,
    batch: Annotated[int, Option(help="Codes per step.")] = 128,
    lr: Annotated[float, Option(help="Learning rate.")] = 1e-3,
    seed: Annotated[int, Option(help="Seed of weights, order and draws.")] = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Fit a prior to the codes of a trained run, which stays as it is: the second stage."""
    from dataclasses import asdict

    from vaescape import pipeline
    from vaescape.cli.tables import print_pairs

    folder, study = _open(run, data_dir)
    fitted = pipeline.fit_prior(folder, study, prior, epochs=epochs, batch=batch, lr=lr, seed=seed)
    if as_json:
        return _print_json(asdict(fitted))
    return print_pairs(
        {
            "prior": fitted.spec,
            "−log p(z), training images": fitted.train,
            "−log p(z), test images": fitted.test,
            "with the run's own prior": fitted.own,
            "unit": "nats per image",
            "draw from it": f"vaescape sample {run} --prior {fitted.name}",
        }
    )


@app.command(epilog="Example: vaescape sample runs/paper -n 100 --seed 7 --out samples.png")
def sample(
    run: Run,
    n: Annotated[int, Option("-n", help="How many.")] = 64,
    label: Class = None,
    seed: Seed = 0,
    kind: Annotated[str, Option(help="means, or draws from the likelihood.")] = "means",
    prior: Annotated[str | None, Option(help="One that fit-prior fitted, by its name.")] = None,
    temperature: Annotated[
        float, Option(help="Below 1: z nearer to the modes of the prior, more usual images.")
    ] = 1.0,
    out: Out = None,
    data_dir: DataDir = None,
) -> None:  # fmt: skip
    """Draw z from the prior and decode it."""
    from vaescape import plots

    _, study = _open(run, data_dir)
    images = study.sample(
        n,
        label,
        seed=seed,
        kind=kind,  # pyright: ignore[reportArgumentType]
        prior=prior,
        temperature=temperature,
    )
    words = {"means": "decoder means", "draws": "draws from the likelihood"}[kind]
    asked = "" if label is None else f"class {study.classes[study.class_number(label)]}, "
    source = f"fitted prior {prior}" if prior else "prior"
    at = "" if temperature == 1 else f" at temperature {temperature:g}"
    note = f"{asked}z from the {source}{at}, seed {seed}"
    _leave(out or Path("samples.png"), plots.samples(images, kind=words, note=note), images)


ENDS = (
    "Two ends, or four corners of a grid. Each is the number of a test image (12), a class "
    "(Sandal), a point of the latent space (0.5,-1.2) or a picture file."
)


@app.command(epilog="Examples: vaescape interpolate runs/paper Sandal Bag · vaescape interpolate "
             "runs/paper 12 97 --path spherical --out walk.gif · vaescape interpolate runs/paper "
             "Coat Dress Bag Trouser --out grid.png",
             context_settings={"ignore_unknown_options": True})  # fmt: skip
def interpolate(
    run: Run,
    ends: Annotated[list[str], Argument(help=ENDS)],
    steps: Annotated[int, Option(help="Images on the path, its ends included.")] = 11,
    path: Annotated[str, Option(help="linear, spherical, geodesic or all.")] = "all",
    label: Class = None,
    out: Annotated[Path, Option("--out", "-o", help=".png, .svg, .gif, .npz.")] = Path("path.png"),
    data_dir: DataDir = None,
) -> None:  # fmt: skip
    """Walk between images, classes or points; as a strip, a grid or an animated GIF."""
    from vaescape.cli import drawing

    _, study = _open(run, data_dir)
    places = [drawing.place(study, end, label) for end in ends]
    _leave(out, *drawing.interpolation(study, ends, places, steps, path))


@app.command(epilog="Example: vaescape traverse runs/paper --steps 9 --reach 2.5")
def traverse(
    run: Run,
    dim: Annotated[list[int] | None, Option(help="Only these dimensions, counted from 0.")] = None,
    steps: Annotated[int, Option(help="Images along each dimension.")] = 11,
    reach: Annotated[float, Option(help="From −reach to reach.")] = 3.0,
    label: Class = None,
    out: Out = None,
    data_dir: DataDir = None,
) -> None:
    """Move one latent dimension at a time."""
    from vaescape.cli import drawing

    _, study = _open(run, data_dir)
    _leave(out or Path("traversals.png"), *drawing.traversal(study, dim, steps, reach, label))


@app.command(epilog="Examples: vaescape reconstruct runs/paper shoe.jpg · vaescape reconstruct "
             "runs/paper 0 1 2 3")  # fmt: skip
def reconstruct(
    run: Run,
    pictures: Annotated[list[str], Argument(help="Picture files, or numbers of test images.")],
    label: Class = None,
    out: Out = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Encode and decode test images, or pictures of your own."""
    from vaescape import plots
    from vaescape.cli import drawing

    _, study = _open(run, data_dir)
    images = drawing.pictures(study, pictures)
    own = drawing.own_classes(study, pictures, label)
    rows = drawing.reconstruction(study, pictures, images, own)
    again = study.reconstruct(images, own)
    strip = plots.reconstruction_strip(study.floats(images).cpu(), again)
    _leave(out or Path("reconstructions.png"), strip, again, quiet=as_json)
    if as_json:
        _print_json({"pictures": rows})
    else:
        for row in rows:
            typer.echo(f"{row['picture']}: z = {row['z']}, pixel MSE {row['mse']:.4f}")


@app.command(epilog="Example: vaescape compare runs/paper runs/paper-2 --out compare.png")
def compare(
    runs: Annotated[list[Path], Argument(help="Run folders that were evaluated.")],
    out: Annotated[Path | None, Option("--out", "-o", help="Where to write: .png, .svg.")] = None,
    as_json: Json = False,
) -> None:
    """Set runs side by side: their settings where they differ, and their numbers."""
    from vaescape.cli import tables
    from vaescape.runs import RunFolder

    folders = [RunFolder.open(run) for run in runs]
    rows = tables.comparison(folders)
    _print_json(rows) if as_json else tables.print_comparison(rows)
    if out:
        _leave(out, tables.comparison_figure(rows))


@app.command(
    epilog="Examples: vaescape data fashion-mnist · vaescape data 'folder(path=\"photos\")'"
)
def data(
    name: Annotated[str, Argument(help="A data set: `vaescape list data`.")] = "fashion-mnist",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Fetch a data set if need be, check it, and say what is in it."""
    from vaescape.cli.tables import print_pairs
    from vaescape.components import construct
    from vaescape.data import Data

    found: Data = construct("data", name, data_dir=data_dir, cache=None)
    facts = {
        "title": found.title,
        "training images": len(found.load("train")),
        "test images": len(found.load("test")),
        "shape": list(found.shape),
        "classes": list(found.classes),
        "factors": list(found.factors or ()),
        "sha256": found.digest(),
    }
    _print_json(facts) if as_json else print_pairs(facts)


@app.command("list", epilog="Examples: vaescape list · vaescape list prior · "
             "vaescape list prior vamp")  # fmt: skip
def list_(
    kind: Annotated[str | None, Argument(help="recipe, data, network, posterior, …")] = None,
    name: Annotated[str | None, Argument(help="One of them: all that it says of itself.")] = None,
    as_json: Json = False,
) -> None:
    """List recipes and components, with what each is and takes."""
    from vaescape.cli import tables

    if kind is not None and name is not None:
        row = tables.whole(kind, name)
        return _print_json(row) if as_json else tables.print_whole(name, row)
    rows = tables.inventory(kind)
    return _print_json(rows) if as_json else tables.print_inventory(rows)


@app.command(epilog="Example: vaescape show runs/paper")
def show(run: Run, as_json: Json = False) -> None:
    """Show a run: what it is, how far it came, and its numbers."""
    from vaescape.cli import tables
    from vaescape.runs import METRICS, RunFolder

    folder = RunFolder.open(run)
    measured = folder.metrics if (folder / METRICS).exists() else None
    if as_json:
        return _print_json(folder.record | {"metrics": measured})
    tables.print_run(folder)
    return tables.print_metrics(measured) if measured else None


# What the commands share -------------------------------------------------------------------------


def _open(run: Path, data_dir: Path | None) -> tuple["RunFolder", "Study"]:
    from vaescape.study import Study

    study = Study.load(run, data_dir=data_dir)
    assert study.folder is not None
    return study.folder, study


def _baseline(folder: "RunFolder", given: Path | None, data_dir: Path | None) -> "Study | None":
    """Return the plain autoencoder to set beside a run: the one given, or the run's own."""
    from vaescape.study import Study

    path = given or folder.baseline.path
    return Study.load(path, data_dir=data_dir) if given or path.exists() else None


def _go_on(folder: "RunFolder", study: "Study", data_dir: Path | None, with_baseline: bool) -> None:
    """Do what is left of a run: train, baseline, evaluate, draw, report, explorer."""
    from vaescape import pipeline
    from vaescape.cli.tables import print_metrics
    from vaescape.study import Study

    if folder.status == "finished":
        study = Study.load(folder, data_dir=data_dir)
    else:
        pipeline.train(folder, study)
        _say_trained(folder)
    compared = with_baseline and study.probabilistic
    base = pipeline.baseline(folder, data_dir=data_dir, read=study.data) if compared else None
    metrics = pipeline.measure(folder, study, base)
    pipeline.draw(folder, study)
    page = pipeline.report(folder)
    print_metrics(metrics)
    typer.echo(f"\nThe report: {page}")
    _explore(folder, study)


def _explore(folder: "RunFolder", study: "Study") -> None:
    """Write the explorer last: where its page was never built, the rest of the run still stands."""
    from vaescape import pipeline
    from vaescape.explore.page import PageError

    try:
        typer.echo(f"The explorer, to open in a browser: {pipeline.explorer(folder, study)}")
    except PageError as error:
        typer.echo(f"No explorer: {error}", err=True)


def _announce(folder: "RunFolder", study: "Study") -> None:
    c = study.configuration
    typer.echo(
        f"{folder}: recipe {c.recipe}, {len(study.train):,} images of {study.splits.title}, "
        f"{c.train.epochs:g} epochs, seed {c.train.seed}, on {study.device}"
    )


def _say_trained(folder: "RunFolder") -> None:
    last = folder.history()[-1]
    typer.echo(
        f"{folder}: trained in {last['seconds']:.1f} s, "
        f"{last['held_out_split']} loss {last['held_out']['loss']:.2f} nats per image"
    )


def _leave(out: Path, figure: "Figure", images: Any = None, quiet: bool = False) -> None:
    """Write a figure, an animation or the arrays themselves, by the ending of the name."""
    from vaescape.cli.drawing import write

    write(out, figure, images)
    if not quiet:
        typer.echo(out)


def _print_json(value: Any) -> None:
    try:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
    except ValueError as error:
        raise OptionError(f"This cannot be printed as JSON: {error}.") from error
