"""Bodies and answers of the servers: bounded before they are read, checked, and JSON or bytes."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from vaescape import schema
from vaescape.errors import OptionError
from vaescape.explore.blobs import Blob

MOST_JSON = 1 << 20
PATIENCE = 20.0
"""Seconds in which a body must have come."""
CLOSED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def expect(request: Request, *types: str) -> None:
    """Refuse other types: those that a form can send need no permission of the browser."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in types:
        raise HTTPException(415, f"Expected {' or '.join(types)}.")


async def read_body(request: Request, most: int) -> bytes:
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


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object of a body."""
    expect(request, "application/json")
    body = await read_body(request, MOST_JSON)
    try:
        return schema.parsed(body)
    except ValueError as error:
        raise HTTPException(400, f"Expected a JSON object: {error}.") from error


def label_of(request: Request) -> int:
    """Return the class that the address names, 0 unless told."""
    label = request.query_params.get("class", "0")
    if not label.isascii() or not label.isdigit() or len(label) > 6:
        raise OptionError("class must be a number.")
    return int(label)


def content(made: bytes, media_type: str | None = None) -> Response:
    """Return bytes."""
    headers = {"content-security-policy": CLOSED}
    return Response(made, media_type=media_type or "application/octet-stream", headers=headers)


def one_of(blobs: Mapping[str, Blob], request: Request) -> Response:
    """Return the blob that the address names."""
    found = blobs.get(request.path_params["name"])
    if found is None:
        return refusal(404, "There is no such blob.")
    return content(found.content, found.about.get("type"))


def answer(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return JSONResponse(value, status, {"content-security-policy": CLOSED})


def refusal(status: int, sentence: str) -> Response:
    """Return why there is no answer."""
    return answer({"error": sentence}, status)


async def mistake(request: Request, error: Exception) -> Response:
    """Answer a mistake of the person."""
    return refusal(400, str(error))


async def refused(request: Request, error: Exception) -> Response:
    """Answer a request that is refused."""
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail)


async def broken(request: Request, error: Exception) -> Response:
    """Answer where something of ours went wrong."""
    return refusal(500, "Something went wrong here; the terminal says what.")
