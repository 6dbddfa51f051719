"""What the page carries: arrays and files as bytes, with what is needed to read them back.

Arrays are little-endian and compressed with gzip, the first bytes of all numbers before the second;
pictures are as they are. Sizes and checksums are of what gzip gives back.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num


@dataclass(frozen=True)
class Blob:
    """Some bytes and how to read them."""

    content: bytes
    """Unpacked."""
    about: dict[str, Any]
    """``dtype``, ``shape``, ``scale`` or ``type``, as the manifest has them."""
    compress: bool = True
    ready: bytes | None = None
    """The compressed bytes, where somebody has them already."""
    planes: int = 1
    """Bytes of a number: the first of all numbers are compressed together, then the second."""

    @cached_property
    def laid(self) -> bytes:
        """What is compressed, or all of what travels."""
        if self.planes == 1 or not self.compress:
            return self.content
        whole = len(self.content) // self.planes * self.planes
        numbers = np.frombuffer(self.content[:whole], np.uint8).reshape(-1, self.planes)
        return numbers.T.tobytes() + self.content[whole:]

    @cached_property
    def packed(self) -> bytes:
        """The bytes that travel."""
        if not self.compress:
            return self.content
        return self.ready or _gzip(self.laid)

    def without(self, runs: Sequence[tuple[int, int, int]]) -> "Blob":
        """Return this without runs of bytes that another blob has: places here, there, lengths."""
        starts = [0, *(at + length for at, _, length in runs)]
        ends = [*(at for at, _, _ in runs), len(self.content)]
        rest = b"".join(self.content[i:j] for i, j in zip(starts, ends, strict=True))
        return replace(
            self, content=rest, about=self.about | {"shared": [list(run) for run in runs]}
        )

    def entry(self) -> dict[str, Any]:
        """Return the blob's line in the manifest."""
        return {
            "codec": "gzip" if self.compress else "raw",
            **({"planes": self.planes} if self.compress and self.planes > 1 else {}),
            **self.about,
            "bytes": len(self.laid),
            "crc32": zlib.crc32(self.laid),
        }


def _gzip(content: bytes) -> bytes:
    """Compress as well as zlib can, which ``gzip.compress`` does not ask of it."""
    made = zlib.compressobj(9, zlib.DEFLATED, 31, 9)
    return made.compress(content) + made.flush()


def quantised(values: Float[np.ndarray, "N D"], kind: str) -> Blob:
    """Return whole steps between the least and the greatest value of each column.

    value = low + q / steps · (high − low), with 65535 steps ("u16") or 255 ("u8").
    """
    dtype = {"u8": np.uint8, "u16": np.dtype("<u2")}[kind]
    steps = np.iinfo(dtype).max
    low, high = values.min(0).astype(np.float64), values.max(0).astype(np.float64)
    span = np.where(high > low, high - low, 1.0)
    whole = np.rint((values - low) / span * steps).astype(dtype)
    scale = np.stack([low, high], 1).tolist()
    about = {"dtype": kind, "shape": list(values.shape), "scale": scale}
    return Blob(whole.tobytes(), about, planes=whole.itemsize)


def alike(values: Float[np.ndarray, "..."], kind: str) -> Blob:
    """Return steps as :func:`quantised` does, between the least and the greatest of all values."""
    made = quantised(values.reshape(-1, 1), kind)
    return replace(made, about=made.about | {"shape": list(values.shape)})


def array(values: Num[np.ndarray, "..."], kind: str) -> Blob:
    """Return an array as "u8", "u16", "u32", "f16" or "f32"; "f32" where "f16" is too small."""
    if kind == "f16" and np.abs(values).max(initial=0) > np.finfo(np.float16).max:
        kind = "f32"
    code = {"u8": "u1", "u16": "<u2", "u32": "<u4", "f16": "<f2", "f32": "<f4"}[kind]
    made = np.ascontiguousarray(values, dtype=np.dtype(code))
    about = {"dtype": kind, "shape": list(values.shape), "scale": None}
    return Blob(made.tobytes(), about, planes=made.itemsize)


def labels(values: Int[np.ndarray, " N"], classes: int) -> Blob:
    """Return class numbers, in bytes where they fit."""
    return array(values, "u8" if classes <= 256 else "u16")


def file(
    content: bytes,
    media_type: str,
    *,
    compress: bool = False,
    ready: bytes | None = None,
    planes: int = 1,
) -> Blob:
    """Return a whole file of a type such as "image/webp"."""
    about = {"dtype": "file", "shape": [len(content)], "scale": None, "type": media_type}
    return Blob(content, about, compress or ready is not None, ready, planes)
