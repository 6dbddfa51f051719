"""The server of ``vaescape play``: a page, commands to the training, and its frames as a stream."""

import asyncio
import queue
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from vaescape import schema
from vaescape.errors import OptionError
from vaescape.explore.answers import answer, content, one_of, read_json, refusal
from vaescape.explore.blobs import Blob
from vaescape.explore.page import policy
from vaescape.explore.server import guarded
from vaescape.play import training
from vaescape.play.keep import keep
from vaescape.recipes import Configuration
from vaescape.signals import stop_if_requested

COMMAND = {
    "running?": bool,
    "slow?": bool,
    "steps?": (1,),
    "again?": bool,
    "knobs?": {...: float},
}
"""What a page may say: play or pause, slow motion, one step, start again, turn knobs."""
LONGEST_NAME = 200
WAIT = 60.0
"""Seconds in which the training must say where it stands."""


class Newest:
    """The newest frame, for any number of pages: a slow one misses frames, and nobody waits."""

    def __init__(self) -> None:
        self.number, self.frame, self.ended = 0, b"", False
        self.waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def put(self, frame: bytes | None) -> None:
        """Take a frame, from any thread; None: there will be no more."""
        self.frame, self.ended = frame or self.frame, frame is None
        self.number += 1
        for loop, event in list(self.waiting):
            loop.call_soon_threadsafe(event.set)

    async def after(self, seen: int) -> tuple[int, bytes | None]:
        """Return the newest frame and its number as soon as it is another; None: none will come."""
        mine = (asyncio.get_running_loop(), asyncio.Event())
        self.waiting.add(mine)
        try:
            if self.number == seen:
                await mine[1].wait()
        finally:
            self.waiting.discard(mine)
        return self.number, None if self.ended else self.frame


class Stage:
    """The training process, as the server sees it.

    Args:
        recipe: What is trained.
        data_dir: Folder with the files of the data set.
        root: The folder of all runs, for those that are kept.
    """

    def __init__(self, recipe: Configuration, data_dir: Path | None, root: Path) -> None:
        self.data_dir, self.root, self.newest = data_dir, root, Newest()
        self.page, self.blobs = "", dict[str, Blob]()
        self.images, self.notes = "", list[str]()  # what they are, and what to know of the set
        self.networks: dict[str, bytes] = {}
        self.opened, self.failure = threading.Event(), ""
        self.states: queue.Queue[tuple[dict[str, Any] | None, str]] = queue.Queue()
        self.watchers, self.lock = 0, threading.Lock()
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        given = (theirs, recipe.to_dict(), data_dir)
        self.process = context.Process(target=training.main, args=given, daemon=True)
        self.process.start()
        theirs.close()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        """Take what the training says, as long as it says something."""
        try:
            while True:
                kind, *said = self.pipe.recv()
                if kind == "page":
                    self.page, self.blobs = said
                    self.opened.set()
                elif kind == "images":
                    self.images = said[0]
                elif kind == "note":
                    self.notes.append(said[0])
                elif kind == "network":
                    self.networks[said[0]] = said[1]
                elif kind == "frame":
                    self.newest.put(said[0])
                elif kind == "state":
                    self.states.put((said[0], said[1]))
                else:
                    self.failure = said[0]
        except (EOFError, OSError):
            self.newest.put(None)
            self.states.put((None, ""))
            self.opened.set()

    def wait(self) -> None:
        """Wait for the page, and pass on what the user should know of the data.

        Raises:
            VaescapeError: If there will be none.
        """
        while not self.opened.wait(0.1):
            stop_if_requested()
        if not self.page:
            raise OptionError(self.failure or "The training process ended before it began.")
        for note in self.notes:
            warnings.warn(note, stacklevel=2)

    def say(self, **command: Any) -> None:
        """Give the training a command; one that has ended hears nothing."""
        with self.lock:
            try:
                self.pipe.send(command)
            except OSError as error:
                raise OptionError("The training process has ended. Start it again.") from error

    def watch(self, more: int) -> None:
        """Count a page that watches, or one that no longer does."""
        self.watchers += more
        if not self.newest.ended:
            self.say(watchers=self.watchers)

    def keep(self, name: str | None) -> dict[str, Any]:
        """Write the run folder that leads to the present state; return where it is.

        Raises:
            VaescapeError: If nothing is trained yet, or it cannot be written.
        """
        while not self.states.empty():  # an answer that came too late for somebody before
            self.states.get()
        self.say(keep=True)
        try:
            run, expected = self.states.get(timeout=WAIT)
        except queue.Empty as error:
            raise OptionError("The training does not answer. Try again in a moment.") from error
        if run is None:
            raise OptionError("There is nothing to keep yet: take a step first.")
        return keep(run, expected, root=self.root, name=name, data_dir=self.data_dir)

    def end(self) -> None:
        """Let the streams of frames end."""
        self.newest.put(None)

    def close(self) -> None:
        """End the training."""
        with suppress(OptionError):
            self.say(gone=True)
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.listener.join()
        self.pipe.close()


def application(stage: Stage, token: str, hosts: frozenset[str]) -> ASGIApp:
    """Return the server's application: the routes behind the guard of the live page."""
    keeping = asyncio.Lock()

    async def page(request: Request) -> Response:
        return HTMLResponse(stage.page, headers={"content-security-policy": policy(stage.page)})

    async def blob(request: Request) -> Response:
        return one_of(stage.blobs, request)

    async def network(request: Request) -> Response:
        found = stage.networks.get(request.path_params["name"])
        return refusal(404, "There is no such network.") if found is None else content(found)

    async def frames(request: Request) -> Response:
        return StreamingResponse(_frames(stage), media_type="application/octet-stream")

    async def command(request: Request) -> Response:
        given = await read_json(request)
        known = {name.removesuffix("?") for name in COMMAND}
        wrong = schema.wrong(given, COMMAND)
        if wrong or set(given) - known:
            raise OptionError(f"{wrong or 'Unknown commands'}. Known: {', '.join(sorted(known))}.")
        stage.say(**given)
        return answer({})

    async def kept(request: Request) -> Response:
        name = (await read_json(request)).get("name")
        if name is not None and not (isinstance(name, str) and len(name) <= LONGEST_NAME):
            raise OptionError("A name is a short text.")
        async with keeping:
            return answer(await run_in_threadpool(stage.keep, name or None))

    routes = [
        Route("/", page),
        Route("/blob/{name}", blob),
        Route("/network/{name}", network),
        Route("/frames", frames),
        Route("/command", command, methods=["POST"]),
        Route("/keep", kept, methods=["POST"]),
    ]
    return guarded(routes, token, hosts)


async def _frames(stage: Stage) -> AsyncIterator[bytes]:
    """Yield the newest frame whenever the page has taken the last one."""
    stage.watch(1)
    try:
        seen = 0
        while True:
            seen, frame = await stage.newest.after(seen)
            if frame is None:
                return
            yield frame
    finally:
        stage.watch(-1)
