"""``python -m benchmarks``: what each measures is its own command below."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.page import RESULTS

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Threads = Annotated[int | None, typer.Option(help="CPU threads; PyTorch's default.")]


def _threads(given: int | None) -> int:
    from benchmarks.contest import cores

    return given or cores()


@app.command()
def peers(
    rounds: int = 3,
    images: int = 60_000,
    who: str = "ours,ours-bf16,keras,pythae,loop",
    threads: Threads = None,
) -> None:
    """The same model and training in other libraries, interleaved."""
    from benchmarks import peers as bench

    bench.measure(who.split(","), rounds=rounds, images=images, threads=_threads(threads))


@app.command()
def quality(
    swift: int = 12,
    atlas: int = 2,
    paper: int = 0,
    keras_epochs: Annotated[int, typer.Option(help="0 leaves Keras out.")] = 20,
    threads: Threads = None,
) -> None:
    """Seconds of training against nats on the test images."""
    from benchmarks import quality as bench

    seeds = {name: n for name, n in (("swift", swift), ("atlas", atlas), ("paper", paper)) if n}
    bench.measure(seeds=seeds, keras_epochs=keras_epochs, threads=_threads(threads))


@app.command()
def choices(swift: int = 5, atlas: int = 5, threads: Threads = None) -> None:
    """Settings of `swift` and `atlas` compared on validation images, so many seeds of each."""
    from benchmarks import choices as bench

    bench.measure(seeds={"swift": swift, "atlas": atlas}, threads=_threads(threads))


@app.command()
def audit(run: Path, data_dir: Annotated[Path | None, typer.Option()] = None) -> None:
    """The numbers of a run computed anew in NumPy from its networks: theirs, ours, difference."""
    from benchmarks import audit as bench

    typer.echo(bench.report(run, data_dir))


@app.command()
def bound(
    samples: int = 5000,
    images: int = 10_000,
    chunk: int = 500,
    peer_images: Annotated[int, typer.Option(help="0 leaves pythae out.")] = 10,
    threads: Threads = None,
) -> None:
    """The importance-weighted bound of `swift`."""
    from benchmarks import bound as bench

    bench.measure(
        samples=samples, images=images, chunk=chunk, peer_images=peer_images,
        threads=_threads(threads),
    )  # fmt: skip


@app.command()
def composition(rounds: int = 15, steps: int = 100, threads: Threads = None) -> None:
    """The training step of `paper` beside the same model written by hand."""
    from benchmarks import composition as bench

    bench.measure(rounds=rounds, steps=steps, threads=_threads(threads))


@app.command()
def faults(
    inputs: Annotated[int, typer.Option(help="Damaged files of each kind.")] = 100_000,
    kills: Annotated[int, typer.Option(help="Killed processes.")] = 1000,
    ranks: Annotated[int, typer.Option(help="Killed processes of torchrun.")] = 50,
) -> None:
    """Damaged files of each kind, and runs killed and resumed: nothing crashes, nothing is lost."""
    from benchmarks import faults as bench

    raise typer.Exit(bool(bench.measure(inputs, kills, ranks)))


@app.command()
def layers(batch: int = 128, threads: Threads = None) -> None:
    """What each layer of `paper` takes of a training step, and of the machine's peak."""
    from benchmarks import layers as bench

    bench.measure(batch=batch, threads=_threads(threads))


@app.command()
def quadrature(points: str = "256,576,1024", seeds: int = 5, threads: Threads = None) -> None:
    """`swift` beside training on shared points of z, by quasi-Monte-Carlo."""
    from benchmarks import quadrature as bench

    counts = [int(count) for count in points.split(",")]
    bench.measure(points=counts, seeds=seeds, threads=_threads(threads))


@app.command()
def precision(
    recipes: str = "paper,aevb,conditional,m2,exemplar/vae,first-look,swift,atlas",
    rounds: int = 3,
    threads: Threads = None,
) -> None:
    """Training steps in float32 and in bfloat16, recipe by recipe."""
    from benchmarks import precision as bench

    bench.measure(recipes.split(","), rounds=rounds, threads=_threads(threads))


@app.command()
def growth(threads: Threads = None) -> None:
    """Time and memory against images, latent size, image size, batch and epochs."""
    from benchmarks import growth as bench

    bench.measure(threads=_threads(threads))


@app.command()
def startup(rounds: int = 7, threads: Threads = None) -> None:
    """Imports and `--help`."""
    from benchmarks import startup as bench

    bench.measure(rounds=rounds, threads=_threads(threads))


@app.command()
def whole(
    recipe: str = "swift",
    options: Annotated[list[str] | None, typer.Argument(help="More words of the command.")] = None,
    rounds: int = 3,
    keras: Annotated[int, typer.Option(help="Epochs of Keras to compare with; 0 for none.")] = 0,
    threads: Threads = None,
) -> None:
    """`vaescape run`, all of it."""
    from benchmarks import startup as bench

    bench.whole(
        recipe=recipe, options=options or [], rounds=rounds, keras=keras, threads=_threads(threads)
    )


@app.command()
def page(
    run: Annotated[
        Path | None, typer.Option(help="A run's folder; else `swift` is trained.")
    ] = None,
    rounds: int = 3,
    moves: int = 500,
    threads: Threads = None,
) -> None:
    """The explorer's page in Chromium."""
    from benchmarks import explorer as bench

    bench.measure(run, rounds=rounds, moves=moves, threads=_threads(threads))


@app.command()
def scale(
    rounds: int = 3,
    steps: int = 100,
    codes: Annotated[int, typer.Option(help="On the map.")] = 10_000_000,
    threads: Threads = None,
) -> None:
    """Two processes, shards, packed sets, encoding, and ten million codes in Chromium."""
    from benchmarks import scale as bench

    bench.measure(rounds=rounds, steps=steps, codes=codes, threads=_threads(threads))


@app.command()
def play(seconds: float = 20, turns: int = 10, threads: Threads = None) -> None:
    """Train while you watch, in Chromium."""
    from benchmarks import play as bench

    bench.measure(seconds=seconds, turns=turns, threads=threads or max(1, _threads(None) - 1))


@app.command()
def plot() -> None:
    """Draw quality against time from what `quality` left."""
    from benchmarks.chart import leave

    for path in leave(RESULTS.parent / "images" / "quality"):
        typer.echo(path)


app()
