"""The explorer from the command line: in a file, or live."""

import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import typer

from vaescape.cli import plain
from vaescape.codes import Codes
from vaescape.errors import OptionError
from vaescape.explore import page
from vaescape.explore.crowd import Crowd
from vaescape.explore.live import Live, open_run
from vaescape.explore.pair import Pair
from vaescape.explore.pyramid import pyramid
from vaescape.extras import require_extra
from vaescape.runs import FILM
from vaescape.signals import stop_if_requested
from vaescape.study import Study
from vaescape.train.film import kept

Application = Callable[[str, frozenset[str]], Any]
"""Takes the token and the names of the server to what it serves."""


def open_page(path: Path, browser: bool) -> None:
    """Check a saved page, say what it is, and open it."""
    manifest = page.check(path)
    typer.echo(plain(f"{path} is intact: {manifest['title']}, created {manifest['created']}."))
    if browser:
        webbrowser.open(path.resolve().as_uri())


def serve(
    run: Path,
    host: str,
    port: int | None,
    browser: bool,
    data_dir: Path | None,
    device: str | None,
    codes: Path | None = None,
    **options: Any,
) -> None:
    """Serve the explorer of a run, or of codes that it made, until Ctrl-C."""
    require_extra("explore", "The live explorer")
    from vaescape.explore.server import application

    study = open_run(run, data_dir=data_dir, device=device)

    def prepare() -> Application:
        crowd = None if codes is None else _crowd(codes, study)
        typer.echo("Preparing the page …", err=True)
        return partial(application, Live(study, crowd, **options))

    _serve(study, host, port, browser, prepare)


def offer_film(study: Study) -> None:
    """Say how a page gets a film of the training, if the run kept snapshots for one."""
    count = len(kept(study.folder / FILM)) if study.folder and not study.space.discrete else 0
    if count > 1:
        text = f"The run kept {count} training snapshots: with --film {count} the page shows them."
        typer.echo(text, err=True)


def pair_of(
    runs: tuple[Path, Path], data_dir: Path | None, device: str | None, **options: Any
) -> Pair:
    """Return two finished runs side by side.

    Raises:
        OptionError: If one is a saved page, or their images differ.
    """
    if any(run.is_file() for run in runs):
        raise OptionError("Give two run folders: a saved page cannot be shown beside another.")
    first, second = (Study.load(run, data_dir=data_dir, device=device) for run in runs)
    return Pair(first, second, **options)


def serve_pair(pair: Pair, host: str, port: int | None, browser: bool) -> None:
    """Serve two runs side by side until Ctrl-C."""
    require_extra("explore", "The live explorer")
    from vaescape.explore.server import pair_application

    def prepare() -> Application:
        typer.echo("Preparing the pages …", err=True)
        return partial(pair_application, *pair.live())

    _serve(pair.studies[0], host, port, browser, prepare)


def _serve(
    study: Study, host: str, port: int | None, browser: bool, prepare: Callable[[], Application]
) -> None:
    from vaescape.explore.handover import handed_over
    from vaescape.explore.server import listen, serve

    assert study.folder is not None
    folder = study.folder.path
    with ExitStack() as stack:
        listening = stack.enter_context(listen(host, port))  # report a taken port at once

        def ready(address: str) -> None:
            typer.echo(f"{address}\nOnly people with this URL can open it. Ctrl-C stops.")
            if not browser:
                return
            file = stack.enter_context(handed_over(address, folder))
            if file is not None:
                webbrowser.open(file.resolve().as_uri())

        made = prepare()
        stop_if_requested()
        serve(made, listening, host=host, ready=ready)


def _crowd(folder: Path, study: Study) -> Crowd:
    codes = Codes.open(folder)
    return Crowd(pyramid(codes, study, lambda text: typer.echo(plain(text), err=True)), study)
