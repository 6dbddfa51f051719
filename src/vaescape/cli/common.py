"""What the commands share: the application, arguments, and how results are written."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from vaescape._version import __version__
from vaescape.cli import DEBUG, plain
from vaescape.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaescape.runs import RunFolder
    from vaescape.study import Study

app = typer.Typer(
    help="Train a variational autoencoder, then visualise, measure and explore what it learned.",
    epilog="Start with [bold]vaescape run first-look[/bold] (no download, a minute), "
    "then [bold]vaescape run paper[/bold] (the study, on Fashion-MNIST).",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Run = Annotated[Path, Argument(help="A run folder, such as runs/paper.")]
Json = Annotated[bool, Option("--json", help="Print JSON, for scripts.")]
Out = Annotated[Path | None, Option("--out", "-o", help="Where to write: .png, .svg or .npz.")]
Seed = Annotated[int, Option(help="Seed of the draws.")]
Class = Annotated[
    str | None,
    Option("--class", help="Class of a conditional model: its name, or #3 for an index."),
]
Invert = Annotated[
    bool | None,
    Option(
        "--invert/--as-is",
        help="Exchange light and dark of picture files, or never do. Default: only where a grey "
        "training set has one background, dark or bright, and the picture the other.",
        show_default=False,
    ),
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
    debug: Annotated[bool, Option("--debug", help="Also print the traceback of an error.")] = False,
) -> None:
    """Take the options that come before a command."""
    if debug:
        os.environ[DEBUG] = "1"


def say(text: object) -> None:
    """Print a line, without control characters that foreign names may contain."""
    typer.echo(plain(str(text)))


def open_run(
    run: Path, data_dir: Path | None, device: str | None = None, threads: int | None = None
) -> tuple["RunFolder", "Study"]:
    """Return a finished run's folder and its study."""
    from vaescape.study import Study

    use_threads(threads)
    study = Study.load(run, data_dir=data_dir, device=device)
    assert study.folder is not None
    return study.folder, study


def use_threads(threads: int | None) -> None:
    """Set the number of CPU threads; None leaves the choice to PyTorch.

    Raises:
        OptionError: For an impossible number.
    """
    from vaescape.train import TrainOptions

    if TrainOptions(threads=threads).threads is not None:
        import torch

        torch.set_num_threads(threads)  # pyright: ignore[reportArgumentType]


def leave(out: Path, figure: "Figure", images: Any = None, quiet: bool = False) -> None:
    """Write a figure, an animation or the arrays themselves, by the ending of the name."""
    from vaescape.cli.drawing import write

    write(out, figure, images)
    if not quiet:
        say(out)


def print_json(value: Any) -> None:
    """Print a value as JSON.

    Raises:
        OptionError: If it holds a number that is not finite, for JSON has none.
    """
    try:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
    except ValueError as error:
        raise OptionError(f"This cannot be printed as JSON: {error}.") from error
