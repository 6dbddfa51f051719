"""The commands for a trained run: evaluate, figures, report, export, explore, fit-prior."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from vaescape.cli.common import Json, Run, Seed, app, open_run, print_json, say, use_threads
from vaescape.cli.settings import DataDir, Device, Measure, Threads
from vaescape.errors import OptionError

if TYPE_CHECKING:
    from vaescape.runs import RunFolder
    from vaescape.study import Study


@app.command(epilog="Examples: vaescape evaluate runs/paper --samples 5000 --images 1000 --json · "
             "vaescape evaluate runs/paper --ais 100")  # fmt: skip
def evaluate(
    run: Run,
    samples: Annotated[int | None, Option(help="Compute one importance-weighted bound with "
                                          "this many samples instead of the default.")] = None,
    images: Annotated[int | None, Option(help="Test images for it: the first ones of a shuffled "
                                         "set, else some of each class.")] = None,
    pool: Annotated[int | None, Option(help="Neighbouring images that share samples. Default: "
                                       "100 in up to 3 latent dimensions, else 1.")] = None,
    paths: Annotated[int | None, Option(help="Interpolation paths for each kind of pair.")] = None,
    measure: Measure = "quick",
    baseline: Annotated[Path | None, Option(help="A plain autoencoder's run folder.")] = None,
    chunk: Annotated[int, Option(help="Codes decoded at once. Changes memory use only.")] = 500,
    ais: Annotated[int | None, Option(help="Estimate log p(x) by annealed importance sampling "
                                      "on this many test images, e.g. 100.")] = None,
    temperatures: Annotated[int | None, Option(help="Intermediate densities of --ais.")] = None,
    seed: Seed = 0,
    data_dir: DataDir = None, device: Device = None, threads: Threads = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Measure a trained run on its test images, and write metrics.json."""
    from vaescape import pipeline
    from vaescape.cli.tables import print_metrics
    from vaescape.evaluation import TEMPERATURES

    if images is not None and samples is None:
        raise OptionError(f"--images {images} needs --samples. Add it.")
    if temperatures is not None and ais is None:
        raise OptionError(f"--temperatures {temperatures} needs --ais. Add it.")
    folder, study = open_run(run, data_dir, device, threads)
    beside = of_baseline(folder, baseline, data_dir, device)
    bounds = None if samples is None else ((samples, images),)
    metrics = pipeline.measure(
        folder, study, beside, bounds=bounds, pool=pool, paths=paths, measure=measure, chunk=chunk,
        seed=seed, ais=ais, temperatures=TEMPERATURES if temperatures is None else temperatures,
    )  # fmt: skip
    print_json(metrics) if as_json else print_metrics(metrics)


@app.command(epilog="Examples: vaescape figures runs/paper · vaescape figures runs/paper map "
             "manifold --theme dark --out dark/")  # fmt: skip
def figures(
    run: Run,
    names: Annotated[list[str] | None, Argument(help="Names of figures. Default: all.")] = None,
    theme: Annotated[str, Option(help="light or dark.")] = "light",
    out: Annotated[Path | None, Option("--out", "-o", help="Folder. Default: the run's.")] = None,
    data_dir: DataDir = None,
) -> None:  # fmt: skip
    """Draw the figures of a trained run, as PNG and SVG."""
    from vaescape.figures import render
    from vaescape.runs import FIGURES

    folder, study = open_run(run, data_dir)
    for path in render(study, out or folder / FIGURES, names, theme=theme).values():
        say(path)


@app.command(epilog="Example: vaescape report runs/paper")
def report(run: Run) -> None:
    """Write report.html again from the contents of the run folder."""
    from vaescape import pipeline
    from vaescape.runs import RunFolder

    say(pipeline.report(RunFolder.open(run, finished=True)))


@app.command(epilog="Example: vaescape export runs/paper")
def export(
    run: Run,
    out: Annotated[Path | None, Option("--out", "-o", help="Folder. Default: the run's.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write encoder and decoder as ONNX, after checking that they agree with PyTorch."""
    from vaescape.export import export

    folder, study = open_run(run, data_dir)
    place = out or folder / "onnx"
    for network in export(study, place):
        say(
            f"{place / network.file}: {len(network.content) / 1e3:.0f} kB, "
            f"at most {network.worst:.1e} from PyTorch"
        )


@app.command(epilog="Examples: vaescape explore runs/paper · vaescape explore runs/paper --save "
             "page.html --originals all · vaescape explore page.html · "
             "vaescape explore runs/paper --codes codes/ · "
             "vaescape explore runs/beta-1 runs/beta-4 --save both.html")  # fmt: skip
def explore(
    run: Annotated[Path, Argument(help="A run folder, or a page that --save wrote.")],
    beside: Annotated[
        Path | None,
        Argument(metavar="RUN2", help="A second run of the same images, shown beside it."),
    ] = None,
    save: Annotated[Path | None, Option(help="Write one HTML file instead of serving.")] = None,
    codes: Annotated[
        Path | None,
        Option(help="Show all codes of a folder that `vaescape encode` wrote: ten million, say."),
    ] = None,
    originals: Annotated[
        Literal["none", "test", "all"], Option(help="Original images in the page.")
    ] = "test",
    film: Annotated[
        int, Option(help="Training snapshots in the page, 0.2 MB each for paper and 0.5 MB for "
                    "swift. The run must have kept them: vaescape run --film 20.")
    ] = 0,
    projection: Annotated[
        Literal["pca", "umap"], Option(help="For three or more dimensions; umap is an extra.")
    ] = "pca",
    classifier: Annotated[
        Path | None, Option(help="An ONNX classifier of the images, whose classes the map can "
                            "show. Default: the classes of the nearest images.")
    ] = None,
    title: Annotated[str | None, Option(help="Title of the page.")] = None,
    host: Annotated[str, Option(help="Address to listen on. Default: this machine only.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int | None, Option(help="Port. Default: a free one.")] = None,
    browser: Annotated[bool, Option(help="Open the browser.")] = True,
    data_dir: DataDir = None, device: Device = None, threads: Threads = None,
) -> None:  # fmt: skip
    """Explore the latent space in the browser, live or in a single file; or two side by side."""
    from vaescape.cli import exploring

    use_threads(threads)

    if codes and beside:
        raise OptionError(
            "--codes shows all codes of one run, and two runs are linked by the images of their "
            "own data. Leave out --codes, or the second run."
        )
    if codes and (run.is_file() or save or film or projection != "pca"):
        raise OptionError(
            "--codes is served live, from a run folder. Leave out --save, --film and --projection."
        )
    options = {
        "title": title, "originals": originals, "projection": projection, "film": film,
        "classifier": classifier,
    }  # fmt: skip
    if beside:
        pair = exploring.pair_of((run, beside), data_dir, device, **options)
        say(pair.save(save)) if save else exploring.serve_pair(pair, host, port, browser)
    elif run.is_file():
        exploring.open_page(run, browser)
    elif save:
        study = exploring.open_run(run, data_dir=data_dir, device=device)
        say(exploring.page.save(study, save, **options))
        if not film:
            exploring.offer_film(study)
    else:
        exploring.serve(run, host, port, browser, data_dir, device, codes, **options)


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
    """Fit a prior to the codes of a trained run (second stage). The model does not change."""
    from dataclasses import asdict

    from vaescape import pipeline
    from vaescape.cli.tables import print_pairs

    folder, study = open_run(run, data_dir)
    fitted = pipeline.fit_prior(folder, study, prior, epochs=epochs, batch=batch, lr=lr, seed=seed)
    if as_json:
        return print_json(asdict(fitted))
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


def of_baseline(
    folder: "RunFolder", given: Path | None, data_dir: Path | None, device: str | None
) -> "Study | None":
    """Return the plain autoencoder to compare a run with: the one given, or the run's own."""
    from vaescape.study import Study

    path = given or folder.baseline.path
    found = given or path.exists()
    return Study.load(path, data_dir=data_dir, device=device) if found else None
