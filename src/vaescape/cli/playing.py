"""The command play: train while you watch."""

import os
import webbrowser
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from vaescape.cli.common import app, say
from vaescape.cli.settings import DataDir, Root, configures

if TYPE_CHECKING:
    from vaescape.recipes import Configuration


@app.command(epilog="Examples: vaescape play · vaescape play --beta 4 · vaescape play swift --data "
             "'folder(path=\"photos\")'")  # fmt: skip
@configures("swift")
def play(
    chosen: "Configuration", data_dir: DataDir = None, root: Root = Path("runs"),
    host: Annotated[str, Option(help="Address to listen on. Default: this machine only.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int | None, Option(help="Port. Default: a free one.")] = None,
    browser: Annotated[bool, Option(help="Open the browser.")] = True,
) -> None:  # fmt: skip
    """Train while you watch: turn β and other knobs in the browser, and keep what you like."""
    from vaescape.extras import require_extra

    require_extra("explore", "vaescape play")
    from vaescape.explore.handover import handed_over
    from vaescape.explore.server import listen, serve
    from vaescape.play.server import Stage, application

    threads = chosen.train.threads or max(1, (os.cpu_count() or 2) - 1)
    recipe = chosen.with_changes(threads=threads).resolved()
    with ExitStack() as stack:
        listening = stack.enter_context(listen(host, port))  # report a taken port at once
        say("Preparing the page …")
        stage = Stage(recipe, data_dir, root)
        stack.callback(stage.close)
        stage.wait()
        say(f"Images: {stage.images}")

        def ready(address: str) -> None:
            say(f"{address}\nOnly people with this URL can open it. Ctrl-C ends the training; Keep "
                f"on the page writes a run into {root}.")  # fmt: skip
            if browser:
                file = stack.enter_context(handed_over(address, Path.cwd()))
                webbrowser.open(file.resolve().as_uri() if file else address)

        serve(partial(application, stage), listening, host=host, ready=ready, stopping=stage.end)
