"""The live page: a small server on this machine, for the person in front of it only.

Whatever may write to a port on this machine, other web pages above all, is kept out: the address
holds a random token; requests must name this very host, and no other site as their origin; no
header invites one. Bodies are bounded before they are read, pictures before they are decoded.
Nothing is looked up by path: blobs by their names, the rest is fixed. Connections that ask for
nothing are closed, the oldest first, so that they keep nobody out.
"""

import asyncio
import hmac
import ipaddress
import json
import math
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vaescape.errors import OptionError, VaescapeError
from vaescape.explore.answers import (
    CLOSED,
    answer,
    broken,
    content,
    expect,
    label_of,
    mistake,
    one_of,
    read_body,
    read_json,
    refusal,
    refused,
)  # fmt: skip
from vaescape.explore.connection import Connection
from vaescape.explore.crowd import Crowd
from vaescape.explore.live import Live
from vaescape.explore.page import policy

HOME = "127.0.0.1"
FIRST_PORT = 8765
MOST_PICTURE = 8 << 20
MOST_OPEN = 128
PAUSE = 1.0
"""Seconds between two looks at the training log."""
PICTURES = ("image/png", "image/jpeg", "image/webp")
FLOATS = "application/octet-stream"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
    "x-frame-options": "DENY",
}


class Guard:
    """Lets through what comes from the page itself, or from the person who holds its address.

    Args:
        app: What it guards.
        token: The first part of every path.
        hosts: ``name:port`` of this server, as a browser writes them.
        frames: Who may show its pages in a frame: "DENY", or "SAMEORIGIN".
    """

    def __init__(
        self, app: ASGIApp, token: str, hosts: frozenset[str], frames: str = "DENY"
    ) -> None:
        self.app, self.token, self.hosts = app, token, hosts
        self.headers = HEADERS | {"x-frame-options": frames}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        refused = self._refusal(scope)
        return await (refused or self.app)(scope, receive, marked)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        first, _, rest = scope["path"].partition("/")
        token = "" if first else rest.partition("/")[0]  # "*" and "host:443" have no path
        host = headers.getlist("host")
        if len(host) != 1 or host[0].lower() not in self.hosts:
            return refusal(421, "This server answers to its own address only.")
        own = {f"http://{name}" for name in self.hosts}
        if not set(headers.getlist("origin")) <= own:
            return refusal(403, "Another site asked; only the page itself may.")
        if not set(headers.getlist("sec-fetch-site")) <= {"same-origin", "none"} and not (
            # A browser that follows the link of the file that hands over the address.
            scope["method"] == "GET"
            and rest == f"{self.token}/"
            and headers.getlist("sec-fetch-dest") == ["document"]
            and headers.getlist("sec-fetch-mode") == ["navigate"]
        ):
            return refusal(403, "Another site asked; only the page itself may.")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return refusal(404, "There is nothing at this address.")
        return None


def application(live: Live, token: str, hosts: frozenset[str]) -> ASGIApp:
    """Return the server's application: the routes behind their guard."""
    return guarded(_of_run(live), token, hosts)


def pair_application(
    outer: str, lives: Sequence[Live], token: str, hosts: frozenset[str]
) -> ASGIApp:
    """Return the application of two runs side by side: below the outer page, each as it is alone.

    Args:
        outer: The page that holds theirs in frames.
        lives: The runs, at ``0/`` and ``1/``.
        token: The first part of every path.
        hosts: ``name:port`` of this server.
    """

    async def page(request: Request) -> Response:
        return HTMLResponse(outer, headers={"content-security-policy": policy(outer)})

    sides = [
        Mount(f"/{i}", routes=_of_run(live, ancestors="'self'")) for i, live in enumerate(lives)
    ]
    return guarded([Route("/", page), *sides], token, hosts, frames="SAMEORIGIN")


def _of_run(live: Live, ancestors: str = "'none'") -> list[Route]:
    """Return the routes of a run."""
    one_at_a_time, feed = asyncio.Lock(), Feed(live)

    async def work(task: Callable[..., Any], *given: Any) -> Any:
        async with one_at_a_time:
            return await run_in_threadpool(task, *given)

    async def page(request: Request) -> Response:
        await work(live.renew)
        headers = {"content-security-policy": policy(live.page, ancestors)}
        return HTMLResponse(live.page, headers=headers)

    async def blob(request: Request) -> Response:
        return one_of(live.blobs, request)

    async def original(request: Request) -> Response:
        found = live.original(request.path_params["index"])
        return refusal(404, "There is no such image.") if found is None else content(found)

    async def decode(request: Request) -> Response:
        return content(await work(live.decode, await read_json(request)))

    async def encode(request: Request) -> Response:
        expect(request, *PICTURES)
        label = label_of(request)
        return answer(await work(live.encode, await read_body(request, MOST_PICTURE), label))

    async def codes(request: Request) -> Response:
        expect(request, FLOATS)
        label = label_of(request)
        return content(await work(live.codes, await read_body(request, MOST_PICTURE), label))

    async def geodesic(request: Request) -> Response:
        return answer(await work(live.geodesic, await read_json(request)))

    async def regions(request: Request) -> Response:
        if request.method == "PUT":
            await work(live.keep_regions, await read_json(request))
        return answer(await work(live.regions))

    async def checkpoint(request: Request) -> Response:
        step, numbers = await work(live.checkpoint)
        made = content(numbers)
        made.headers["x-step"] = str(step)
        return made

    async def events(request: Request) -> Response:
        return StreamingResponse(_events(feed, request), media_type="text/event-stream")

    routes = [
        Route("/", page),
        Route("/blob/{name}", blob),
        Route("/original/{index:int}", original),
        Route("/decode", decode, methods=["POST"]),
        Route("/encode", encode, methods=["POST"]),
        Route("/codes", codes, methods=["POST"]),
        Route("/geodesic", geodesic, methods=["POST"]),
        Route("/regions", regions, methods=["GET", "PUT"]),
        Route("/checkpoint", checkpoint),
        Route("/events", events),
    ]
    return routes + (_of_all(live.crowd) if live.crowd else [])


def _of_all(crowd: Crowd) -> list[Route]:
    """Return the routes to all codes of a set."""

    async def tile(request: Request) -> Response:
        depth, i, j = (request.path_params[name] for name in ("depth", "i", "j"))
        return content(await run_in_threadpool(crowd.tile, depth, i, j))

    async def region(request: Request) -> Response:
        return answer(await run_in_threadpool(crowd.region, await read_json(request)))

    async def export(request: Request) -> Response:
        lines = await run_in_threadpool(crowd.export, await read_json(request))
        headers = {"content-security-policy": CLOSED}
        return StreamingResponse(lines, media_type="text/csv", headers=headers)

    async def image(request: Request) -> Response:
        return answer(await run_in_threadpool(crowd.image, await read_json(request)))

    return [
        Route("/tile/{depth:int}/{i:int}/{j:int}", tile),
        Route("/region", region, methods=["POST"]),
        Route("/export", export, methods=["POST"]),
        Route("/image", image, methods=["POST"]),
    ]


def guarded(
    routes: Sequence[BaseRoute], token: str, hosts: frozenset[str], *, frames: str = "DENY"
) -> ASGIApp:
    """Return routes behind their guard, below the token."""
    app = Starlette(
        routes=[Mount("/{token}", routes=routes)],  # which token, the guard has seen to
        exception_handlers={VaescapeError: mistake, HTTPException: refused, 500: broken},
    )
    return Guard(app, token, hosts, frames)


class Feed:
    """What is new of a training: looked at once for all who listen."""

    def __init__(self, live: Live) -> None:
        self.live, self.lock = live, asyncio.Lock()
        self.rows: list[dict[str, Any]] = []
        self.newest: int | None = None
        self.training, self.looked = True, -math.inf

    async def look(self) -> None:
        """Read the log and the checkpoints, unless that was done within ``PAUSE`` seconds."""
        async with self.lock:
            now = asyncio.get_running_loop().time()
            if now - self.looked < PAUSE:
                return
            self.training = self.live.folder.status == "training"
            after = self.rows[-1]["step"] if self.rows else -1
            self.rows += await run_in_threadpool(self.live.news, after)
            self.newest = self.live.newest()
            self.looked = now


async def _events(feed: Feed, request: Request) -> AsyncIterator[str]:
    """Yield each row of the training log, "checkpoint" for each new checkpoint, then "end"."""
    told, seen = 0, feed.live.step
    while not await request.is_disconnected():
        await feed.look()
        training, newest = feed.training, feed.newest
        for row in feed.rows[told:]:
            told += 1
            metrics = row.get("held_out")
            yield _event("tick", step=row["step"], epoch=row.get("epoch"), metrics=metrics)
        if newest != seen:
            seen = newest
            yield _event("checkpoint", step=newest)
        if not training:
            yield _event("end")
            return
        yield ": still training\n\n"
        await asyncio.sleep(PAUSE)


def _event(kind: str, **told: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(told, allow_nan=False)}\n\n"


# Serving -----------------------------------------------------------------------------------------


def listen(host: str = HOME, port: int | None = None) -> socket.socket:
    """Return a socket that listens on a port of this machine: the one asked for, or a free one.

    Raises:
        OptionError: If the host is no one address of this machine, or the port is taken.
    """
    if _everywhere(host):
        raise OptionError(
            f"Got the host {host!r}, any address at all. Give the one that browsers will use: only "
            "it is answered to."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in [FIRST_PORT, 0] if port is None else [port]:
        found = socket.socket(family, socket.SOCK_STREAM)
        with suppress(OSError, OverflowError, UnicodeError):
            found.bind((host, number))
            found.listen()
            return found
        found.close()
    raise OptionError(
        f"Nothing can listen on {host} port {port or FIRST_PORT}: the port is in use, or the host "
        "is not this machine. Leave out --port for a free one."
    )


def _everywhere(host: str) -> bool:
    """Return whether a host means every address of this machine, however it is spelt."""
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP) if host else []
    except (OSError, UnicodeError):
        return False  # to be refused where it is listened on
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    plain = [getattr(address, "ipv4_mapped", None) or address for address in addresses]
    return not host or any(address.is_unspecified for address in plain)


def names(host: str, port: int) -> frozenset[str]:
    """Return what a browser may call this server by."""
    plain = f"[{host}]" if ":" in host else host
    loopback = {HOME, "localhost"} if host in (HOME, "localhost") else set()
    return frozenset(f"{name}:{port}" for name in {plain} | loopback)


def settings(app: ASGIApp) -> uvicorn.Config:
    """Return how the application is served."""
    return uvicorn.Config(
        app,
        http=Connection,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_OPEN,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )


class Server(uvicorn.Server):
    """A server that says when it stops, so that streams can end by themselves."""

    stopping: Callable[[], None] = staticmethod(lambda: None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so, then stop."""
        self.stopping()
        await super().shutdown(sockets)


def serve(
    made: Callable[[str, frozenset[str]], ASGIApp],
    listening: socket.socket,
    *,
    host: str = HOME,
    ready: Callable[[str], None] = lambda address: None,
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Serve a page until Ctrl-C.

    Args:
        made: Takes the token and the names of this server to the application.
        listening: What ``listen`` gave.
        host: The name that it was asked for by.
        ready: Called with the address.
        stopping: Called once it is to end, while streams are still open.
    """
    number, token = listening.getsockname()[1], secrets.token_urlsafe(24)
    allowed = names(host, number)
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{number}/{token}/")
    server = Server(settings(made(token, allowed)))
    server.stopping = stopping
    server.run(sockets=[listening])
