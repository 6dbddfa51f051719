"""Tensors in files: safetensors with a JSON header, checked by SHA-256, never unpickled."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as pack_tensors
from torch import Tensor, nn

from vaescape import schema
from vaescape.errors import RunError

HEADER = "vaescape"


def restore(content: bytes, model: nn.Module, path: Path) -> None:
    """Copy weights, the bytes of a file, into a model.

    Raises:
        RunError: If they are damaged, of another model, or not finite.
    """
    tensors, _ = unpack(content, path)
    names = {name for name, _ in model.named_parameters()}
    bad = [n for n in tensors if n in names and not bool(tensors[n].isfinite().all())]
    if bad:
        raise RunError(
            f"{path} holds numbers that are not finite (NaN or infinity), first in {bad[0]}: the "
            "model gives no result. Take the file from a copy, or train again."
        )
    copy_into(model.state_dict(), tensors, path)


def digest(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    """Return tensors and JSON-able metadata as the bytes of one safetensors file.

    The metadata are one text, for safetensors writes several in no fixed order: equal content gives
    equal bytes.
    """
    copies = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    return pack_tensors(copies, {HEADER: json.dumps(metadata, allow_nan=False)})


def unpack(content: bytes, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the metadata of :func:`pack`.

    Raises:
        RunError: If the bytes are anything else; ``path`` is named.
    """
    try:
        tensors = parse_tensors(content)
        size = int.from_bytes(content[:8], "little")
        header = schema.parsed(content[8 : 8 + size], {"__metadata__": {HEADER: str}})
        metadata = schema.parsed(header["__metadata__"][HEADER].encode())
    except (SafetensorError, ValueError) as error:
        raise RunError(
            f"{path} is damaged or not written by vaescape. Take it from a copy, or train again."
        ) from error
    return tensors, metadata


def copy_into(live: Mapping[str, Tensor], saved: Mapping[str, Tensor], path: Path) -> None:
    """Copy saved tensors into living ones of the same names and shapes.

    Raises:
        RunError: If names or shapes differ, before anything is copied.
    """
    check_shapes({name: tuple(value.shape) for name, value in live.items()}, saved, path)
    with torch.no_grad():
        for name, value in live.items():
            value.copy_(saved[name])


def check_shapes(
    expected: Mapping[str, tuple[int, ...]], saved: Mapping[str, Tensor], path: Path
) -> None:
    """Refuse saved tensors of other names or shapes than expected.

    Raises:
        RunError: With the first five differences.
    """
    wrong = [f"{name} is missing" for name in expected.keys() - saved.keys()]
    wrong += [f"{name} is not part of it" for name in saved.keys() - expected.keys()]
    wrong += [
        f"{name} has shape {tuple(saved[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if name in saved and tuple(saved[name].shape) != shape
    ]
    if wrong:
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise RunError(
            f"{path} does not fit this model: {'; '.join(sorted(wrong)[:5])}{more}. "
            "Build the model with the run's own configuration."
        )
