"""A server of ours on this machine, for tests that ask it."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import uvicorn
from starlette.types import ASGIApp

from vaescape.explore import server

TOKEN = "secret"
T = TypeVar("T")


def alone(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine does, in a thread of its own: an open browser has a loop in ours."""
    with ThreadPoolExecutor(1) as own:
        return own.submit(asyncio.run, work).result()


@contextmanager
def served(application: Callable[[str, frozenset[str]], ASGIApp]) -> Iterator[str]:
    """Yield the address of an application, made of a token and the server's names."""
    listening = server.listen(port=0)
    port = listening.getsockname()[1]
    settings = server.settings(application(TOKEN, server.names("127.0.0.1", port)))
    settings.log_level = "critical"
    settings.configure_logging()
    running = uvicorn.Server(settings)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}/{TOKEN}/"
    finally:
        running.should_exit = True
        thread.join(20)
        listening.close()
