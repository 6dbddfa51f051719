"""How the address of a live page reaches the browser without standing in its list of arguments.

Everybody on a machine can read the arguments of its programs. So the browser opens a
file, which only its owner can read and which leads on to the address.
"""

import html
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

REDIRECT = """<!doctype html><meta charset="utf-8">
<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url={address}">
<title>vaescape</title><a href="{address}">The explorer</a>
"""


@contextmanager
def handed_over(address: str, folder: Path) -> Iterator[Path | None]:
    """Give a file of mode 600 that leads to an address, removed in the end; None: none is possible.

    Args:
        address: With the token in it.
        folder: The run: browsers in a sandbox cannot read the temporary folder, nor hidden ones.
    """
    path = folder / f"open-{secrets.token_hex(8)}.html"
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        yield None
        return
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(REDIRECT.format(address=html.escape(address)))
        yield path
    finally:
        with suppress(OSError):
            path.unlink()
