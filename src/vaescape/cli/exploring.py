"""The explorer from the command line: in a file, or live."""

import webbrowser
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import typer

from vaescape.cli import plain
from vaescape.codes import Codes
from vaescape.explore import page
from vaescape.explore.crowd import Crowd
from vaescape.explore.live import Live, open_run
from vaescape.explore.pyramid import pyramid
from vaescape.extras import require_extra
from vaescape.signals import stop_if_requested
from vaescape.study import Study


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
    from vaescape.explore.handover import handed_over
    from vaescape.explore.server import application, listen, serve

    study = open_run(run, data_dir=data_dir, device=device)

    with ExitStack() as stack:
        listening = stack.enter_context(listen(host, port))  # report a taken port at once

        def ready(address: str) -> None:
            typer.echo(f"{address}\nOnly people with this URL can open it. Ctrl-C stops.")
            if not browser:
                return
            file = stack.enter_context(handed_over(address, live.folder.path))
            if file is not None:
                webbrowser.open(file.resolve().as_uri())

        crowd = None if codes is None else _crowd(codes, study)
        typer.echo("Preparing the page …", err=True)
        live = Live(study, crowd, **options)
        stop_if_requested()
        serve(partial(application, live), listening, host=host, ready=ready)


def _crowd(folder: Path, study: Study) -> Crowd:
    codes = Codes.open(folder)
    return Crowd(pyramid(codes, study, lambda text: typer.echo(plain(text), err=True)), study)
