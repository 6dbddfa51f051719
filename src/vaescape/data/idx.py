"""Reading IDX, the format of MNIST's files, compressed or not.

Two zero bytes, a byte for the element type (8: unsigned byte), a byte for the number of dimensions,
each dimension as a big-endian 32-bit number, then the elements, the last dimension fastest (LeCun,
Cortes and Burges, "The MNIST database of handwritten digits").
"""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vaescape.errors import DataError

_GZIP = b"\x1f\x8b"
_REMEDY = "Replace the file by a fresh copy."


def read_idx(
    path: Path, sizes: tuple[int, ...], sha256: str | None = None
) -> UInt8[np.ndarray, "..."]:
    """Return the bytes of an IDX file as an array of the given sizes.

    Args:
        path: The file, gzip-compressed or not, whatever its suffix.
        sizes: The dimensions that it must have. No more than these are ever read, so a file that
            unpacks to gigabytes costs nothing.
        sha256: The digest of the uncompressed content, where it is known. Without it a changed
            pixel in an uncompressed file cannot be noticed.

    Raises:
        DataError: If the file is missing, damaged, or anything else than that.
    """
    head = _header(sizes)
    length = len(head) + math.prod(sizes)
    content = _content(path, cap=length + 1)
    if content[: len(head)] != head:
        raise DataError(f"{path}: expected {_words(sizes)}. Got {_told(content)}. {_REMEDY}")
    if len(content) < length:
        raise DataError(
            f"{path}: cut short. Expected {length:,} bytes, {_words(sizes)}. "
            f"Got {len(content):,} bytes. {_REMEDY}"
        )
    if len(content) > length:
        raise DataError(
            f"{path}: too long. Expected {length:,} bytes, {_words(sizes)}. Got more. {_REMEDY}"
        )
    if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(
            f"{path}: damaged, or another edition. Expected content of SHA-256 {sha256}. "
            f"Got {found}. {_REMEDY}"
        )
    return np.frombuffer(content, np.uint8, offset=len(head)).reshape(sizes)


def _header(sizes: tuple[int, ...]) -> bytes:
    return struct.pack(f">BBBB{len(sizes)}I", 0, 0, 8, len(sizes), *sizes)


def _content(path: Path, cap: int) -> bytes:
    """Return the uncompressed content, ``cap`` bytes of it at most."""
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == _GZIP
        with gzip.open(path) if compressed else open(path, "rb") as file:
            return file.read(cap)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file. Expected an IDX file here.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read or unpacked ({error}). {_REMEDY}") from error


def _words(sizes: tuple[int, ...]) -> str:
    return f"an IDX file of {' × '.join(f'{size:,}' for size in sizes)} unsigned bytes"


def _told(content: bytes) -> str:
    """Return what a file is instead, in words."""
    if not content:
        return "an empty file"
    if content.lstrip()[:1] == b"<":
        return f"a web page or the like, beginning {content.lstrip()[:20]!r}"
    if content[:2] != b"\0\0":
        return f"something else, beginning {content[:8]!r}"
    if len(content) < 4 or len(content) < 4 + 4 * content[3]:
        return f"a file that ends after {len(content)} bytes, within its header"
    if content[2] != 8:
        return f"elements of type 0x{content[2]:02x}"
    return _words(struct.unpack(f">{content[3]}I", content[4 : 4 + 4 * content[3]]))
