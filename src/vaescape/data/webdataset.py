"""Tars of pictures as WebDataset has them."""

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vaescape.data.archives import Archives, Row
from vaescape.data.pictures import SUFFIXES, Entry
from vaescape.errors import DataError

_PARTS = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)")
"""The key of a sample and which part of it a file is: the name after its first dot."""


class WebDataset(Archives, name="webdataset"):
    """Your own tars as WebDataset has them: ``000001.jpg`` with ``000001.cls`` beside it.

    The class is a whole number or a name in ``.cls``, or ``label`` in ``.json``; without any of
    these there is one class. Words in the names of the tars say the split: ``train-00000.tar``.
    Meant for `vaescape pack`; read without it, all pictures are in memory.

    Args:
        path: The folder of the tars, or a single one. They are not compressed.
        usual: As of all sets of pictures.
    """

    ends = (".tar",)

    def rows(self, file: Path) -> Iterator[Row]:
        """Yield the samples of a tar that have a picture."""
        samples: dict[str, dict[str, tarfile.TarInfo]] = {}
        try:
            with tarfile.open(file, "r:") as archive:
                for one in archive:
                    if one.offset_data + one.size > file.stat().st_size:
                        raise ValueError("it ends too soon")
                    if one.isfile() and (named := _PARTS.fullmatch(one.name)):
                        samples.setdefault(named[1], {})[named[2].lower()] = one
            with open(file, "rb") as opened:
                for key, parts in samples.items():
                    pictures = [one for end, one in parts.items() if f".{end}" in SUFFIXES]
                    if pictures:
                        place = pictures[0].offset_data, pictures[0].size
                        yield Row(key, _label(opened, parts), place)
                    else:
                        self.left_out["without a picture"] += 1
        except (tarfile.TarError, OSError, ValueError) as error:
            raise DataError(
                f"{file}: not a plain tar, or damaged ({error}). Decompress it, or write it anew."
            ) from error

    def content(self, entry: Entry) -> bytes:
        """Return a member of a tar."""
        with open(entry.file, "rb") as opened:
            return _bytes(opened, *entry.place)


def _bytes(opened: IO[bytes], start: int, size: int) -> bytes:
    opened.seek(start)
    return opened.read(size)


def _label(opened: IO[bytes], parts: dict[str, tarfile.TarInfo]) -> int | str | None:
    """Return a class by its number or name."""
    texts = {
        end: _bytes(opened, parts[end].offset_data, parts[end].size).decode().strip()
        for end in ("cls", "json")
        if end in parts
    }
    if "cls" in texts:
        return int(texts["cls"]) if texts["cls"].isdecimal() else texts["cls"]
    told = json.loads(texts.get("json", "null"))
    label = told.get("label") if isinstance(told, dict) else None
    return label if type(label) in (int, str) else None
