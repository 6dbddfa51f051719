"""The live page: a small server on this machine, for the person in front of it only.

Whatever may write to a port on this machine, other web pages above all, is kept out: the address
holds a random token; requests must name this very host, and no other site as their origin; no
header invites one. Bodies are bounded before they are read, pictures before they are decoded.
Nothing is looked up by path: blobs by their names, the rest is fixed.
"""

import asyncio
import hmac
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vaescape.errors import OptionError, VaescapeError
from vaescape.explore.live import Live

HOME = "127.0.0.1"
FIRST_PORT = 8765
MOST_JSON = 1 << 20
MOST_PICTURE = 8 << 20
PATIENCE = 20.0
"""Seconds in which a body must have come."""
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
CLOSED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class Guard:
    """Lets through what comes from the page itself, or from the person who holds its address.

    Args:
        app: What it guards.
        token: The first part of every path.
        hosts: ``name:port`` of this server, as a browser writes them.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        return await (refusal or self.app)(scope, receive, marked)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.getlist("host")
        if len(host) != 1 or host[0].lower() not in self.hosts:
            return _error(421, "This server answers to its own address only.")
        own = {f"http://{name}" for name in self.hosts}
        if not set(headers.getlist("origin")) <= own:
            return _error(403, "Another site asked; only the page itself may.")
        if not set(headers.getlist("sec-fetch-site")) <= {"same-origin", "none"}:
            return _error(403, "Another site asked; only the page itself may.")
        given = scope["path"].split("/")[1].encode()
        if not hmac.compare_digest(given, self.token.encode()):
            return _error(404, "There is nothing at this address.")
        return None


def application(live: Live, token: str, hosts: frozenset[str]) -> ASGIApp:
    """Return the server's application: the routes behind their guard."""
    one_at_a_time = asyncio.Lock()

    async def work(task: Callable[..., Any], *given: Any) -> Any:
        async with one_at_a_time:
            return await run_in_threadpool(task, *given)

    async def page(request: Request) -> Response:
        await work(live.renew)
        return HTMLResponse(live.page)

    async def blob(request: Request) -> Response:
        found = live.blobs.get(request.path_params["name"])
        if found is None:
            return _error(404, "There is no such blob.")
        return _bytes(found.content, found.about.get("type"))

    async def original(request: Request) -> Response:
        found = live.original(request.path_params["index"])
        return _error(404, "There is no such image.") if found is None else _bytes(found)

    async def decode(request: Request) -> Response:
        return _bytes(await work(live.decode, await _json(request)))

    async def encode(request: Request) -> Response:
        _expect(request, *PICTURES)
        label = _label(request)
        return _answer(await work(live.encode, await _body(request, MOST_PICTURE), label))

    async def codes(request: Request) -> Response:
        _expect(request, FLOATS)
        label = _label(request)
        return _bytes(await work(live.codes, await _body(request, MOST_PICTURE), label))

    async def geodesic(request: Request) -> Response:
        return _answer(await work(live.geodesic, await _json(request)))

    async def regions(request: Request) -> Response:
        if request.method == "PUT":
            await work(live.keep_regions, await _json(request))
        return _answer(await work(live.regions))

    async def moment(request: Request) -> Response:
        step, content = await work(live.moment)
        answer = _bytes(content)
        answer.headers["x-step"] = str(step)
        return answer

    async def events(request: Request) -> Response:
        return StreamingResponse(_events(live, request), media_type="text/event-stream")

    routes = [
        Route("/", page),
        Route("/blob/{name}", blob),
        Route("/original/{index:int}", original),
        Route("/decode", decode, methods=["POST"]),
        Route("/encode", encode, methods=["POST"]),
        Route("/codes", codes, methods=["POST"]),
        Route("/geodesic", geodesic, methods=["POST"]),
        Route("/regions", regions, methods=["GET", "PUT"]),
        Route("/moment", moment),
        Route("/events", events),
    ]
    app = Starlette(
        routes=[Mount("/{token}", routes=routes)],  # which token, the guard has seen to
        exception_handlers={VaescapeError: _mistake, HTTPException: _refused, 500: _broken},
    )
    return Guard(app, token, hosts)


async def _events(live: Live, request: Request, pause: float = 1.0) -> AsyncIterator[str]:
    """Yield each new row of the training log, "moment" for each new checkpoint, then "end"."""
    step, seen = -1, live.step
    while not await request.is_disconnected():
        training = live.folder.status == "training"
        for row in await run_in_threadpool(live.news, step):
            step = row["step"]
            yield _event("tick", step=step, epoch=row.get("epoch"), metrics=row.get("held_out"))
        if (found := live.newest()) != seen:
            seen = found
            yield _event("moment", step=found)
        if not training:
            yield _event("end")
            return
        yield ": still training\n\n"
        await asyncio.sleep(pause)


def _event(kind: str, **told: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(told, allow_nan=False)}\n\n"


# Bodies and answers ------------------------------------------------------------------------------


def _expect(request: Request, *types: str) -> None:
    """Refuse other types: those that a form can send need no permission of the browser."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in types:
        raise HTTPException(415, f"Expected {' or '.join(types)}.")


async def _body(request: Request, most: int) -> bytes:
    """Return the body, never more of it than allowed, nor later."""
    try:
        async with asyncio.timeout(PATIENCE):
            body = bytearray()
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise HTTPException(413, f"Expected at most {most >> 20} MiB.")
            return bytes(body)
    except TimeoutError as error:
        raise HTTPException(408, "The request took too long to arrive.") from error


async def _json(request: Request) -> dict[str, Any]:
    _expect(request, "application/json")
    body = await _body(request, MOST_JSON)
    try:
        value = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "Expected JSON.") from error
    if not isinstance(value, dict):
        raise HTTPException(400, "Expected a JSON object.")
    return value


def _label(request: Request) -> int:
    """Return the class that the address names, 0 unless told."""
    label = request.query_params.get("class", "0")
    if not label.isascii() or not label.isdigit() or len(label) > 6:
        raise OptionError("class must be a number.")
    return int(label)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _bytes(content: bytes, media_type: str | None = None) -> Response:
    headers = {"content-security-policy": CLOSED}
    return Response(content, media_type=media_type or "application/octet-stream", headers=headers)


def _answer(value: Any, status: int = 200) -> Response:
    return JSONResponse(value, status, {"content-security-policy": CLOSED})


def _error(status: int, sentence: str) -> Response:
    return _answer({"error": sentence}, status)


async def _mistake(request: Request, error: Exception) -> Response:
    return _error(400, str(error))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail)


async def _broken(request: Request, error: Exception) -> Response:
    return _error(500, "Something went wrong here; the terminal says what.")


# Serving -----------------------------------------------------------------------------------------


def listen(host: str = HOME, port: int | None = None) -> socket.socket:
    """Return a socket that listens on a port of this machine: the one asked for, or a free one.

    Raises:
        OptionError: If the host is no one address of this machine, or the port is taken.
    """
    if host in ("", "0.0.0.0", "::"):
        raise OptionError(
            f"Got the host {host!r}, any address at all. Give the one that browsers will use: only "
            "it is answered to."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in [FIRST_PORT, 0] if port is None else [port]:
        found = socket.socket(family, socket.SOCK_STREAM)
        with suppress(OSError, OverflowError):
            found.bind((host, number))
            found.listen()
            return found
        found.close()
    raise OptionError(
        f"Nothing can listen on {host} port {port or FIRST_PORT}: the port is in use, or the host "
        "is not this machine. Leave out --port for a free one."
    )


def names(host: str, port: int) -> frozenset[str]:
    """Return what a browser may call this server by."""
    plain = f"[{host}]" if ":" in host else host
    loopback = {HOME, "localhost"} if host in (HOME, "localhost") else set()
    return frozenset(f"{name}:{port}" for name in {plain} | loopback)


def serve(
    live: Live,
    listening: socket.socket,
    *,
    host: str = HOME,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve a page until Ctrl-C.

    Args:
        live: What is behind the page.
        listening: What ``listen`` gave.
        host: The name that it was asked for by.
        ready: Called with the address.
    """
    number, token = listening.getsockname()[1], secrets.token_urlsafe(24)
    allowed = names(host, number)
    config = uvicorn.Config(
        application(live, token, allowed),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=64,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{number}/{token}/")
    uvicorn.Server(config).run(sockets=[listening])
