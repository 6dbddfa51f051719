"""Parquet files, and datasets that Hugging Face `datasets` saved to disk."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from vaescape.data.archives import Archives, Row
from vaescape.data.pictures import IMAGE_KEYS, LABEL_KEYS, Entry
from vaescape.errors import DataError
from vaescape.extras import require_extra

_ENCODED = re.compile(r"(large_)?binary|struct<.*bytes: (large_)?binary")


class Parquet(Archives, name="parquet"):
    """Your own Parquet files, or the folder that Hugging Face's ``save_to_disk`` wrote.

    A column of encoded pictures (bytes, or the ``Image`` of ``datasets``), and maybe one of classes
    and one called ``id``. Words in the paths of the files say the split: ``test/data-00000.arrow``,
    ``train-00000-of-00002.parquet``. Needs the extra ``parquet``. Meant for `vaescape pack`; read
    without it, all pictures are in memory.

    Args:
        path: The folder of the files, or a single one.
        image: The column of pictures; by default ``image``, ``img`` or another usual name.
        label: The column of classes; by default ``label``, ``labels`` or another usual name.
        usual: As of all sets of pictures.
    """

    ends = (".parquet", ".arrow")

    def __init__(
        self, path: str, *, image: str | None = None, label: str | None = None, **usual: Any
    ) -> None:
        require_extra("parquet", "A set in Parquet or Arrow files")
        self.image, self.label = image, label
        super().__init__(path, **usual)

    def rows(self, file: Path) -> Iterator[Row]:
        """Yield the rows of a file."""
        if file.name.startswith("cache-"):  # what ``datasets`` computed later
            return
        schema, counts = _facts(file)
        types = {one.name: str(one.type) for one in schema}
        self.image = self.image or next((key for key in IMAGE_KEYS if key in types), None)
        self.label = self.label or next((key for key in LABEL_KEYS if key in types), None)
        kind = types.get(self.image or "", "")
        if not _ENCODED.match(kind) or (self.label is not None and self.label not in types):
            raise DataError(
                f"{file}: expected a column of encoded pictures (bytes, or the Image of datasets) "
                "and one of classes. Got "
                f"{', '.join(f'{name}: {one}' for name, one in types.items())}. Name them with "
                "image=… and label=…."
            )
        assert self.image is not None
        self.names = self.names or _class_names(schema, self.label)
        for group, count in enumerate(counts):
            names: Sequence[Any] = [None] * count
            if "id" in types:
                names = _column(file, group, "id").to_pylist()
            elif "path: " in kind:
                names = _column(file, group, self.image, "path").to_pylist()
            labels: Sequence[Any] = [None] * count
            if self.label is not None:
                labels = _column(file, group, self.label).to_pylist()
            for row, (name, label) in enumerate(zip(names, labels, strict=True)):
                called = f"{file.name}/{group}/{row}" if name is None else str(name)
                yield Row(called, label, (group, row))

    def content(self, entry: Entry) -> bytes | Path:
        """Return a picture of a row, or the file that the row names."""
        group, row = entry.place
        found = _pictures(entry.file, group, self.image)[row].as_py()
        if not isinstance(found, dict):
            return found or b""
        return found["bytes"] or (entry.file.parent / found["path"] if found["path"] else b"")


def _facts(file: Path) -> tuple[Any, list[int]]:
    """Return the schema of a file, and how many rows each of its groups has."""
    from pyarrow import parquet  # pyright: ignore[reportMissingImports]

    with _reading(file):
        if file.suffix == ".arrow":
            return _mapped(file).schema, [_mapped(file).num_rows]
        opened = parquet.ParquetFile(file)
        groups = range(opened.num_row_groups)
        return opened.schema_arrow, [opened.metadata.row_group(n).num_rows for n in groups]


def _column(file: Path, group: int, name: str, field: str = "") -> Any:
    """Return a column of a group of rows, or a field of it, without reading the others."""
    from pyarrow import compute, parquet  # pyright: ignore[reportMissingImports]

    with _reading(file):
        if file.suffix == ".arrow":
            found = _mapped(file)[name]
        else:
            inside = f"{name}.{field}" if field else name
            found = parquet.ParquetFile(file).read_row_group(group, columns=[inside])[name]
        if not field:
            return found
        return compute.struct_field(found, field)  # pyright: ignore[reportAttributeAccessIssue]


_pictures = lru_cache(maxsize=1)(_column)
"""The pictures of the group that was asked for last."""


@lru_cache(maxsize=1)
def _mapped(file: Path) -> Any:
    import pyarrow  # pyright: ignore[reportMissingImports]

    with pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))) as stream:
        return stream.read_all()


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    import pyarrow  # pyright: ignore[reportMissingImports]

    try:
        yield
    except (pyarrow.ArrowException, OSError, KeyError) as error:
        raise DataError(f"{file}: damaged ({error}). Write it anew.") from error


def _class_names(schema: Any, label: str | None) -> list[str] | None:
    """Return what ``datasets`` says of the labels 0, 1, … of a column."""
    told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = told.get("info", {}).get("features", {})
    return features.get(label, {}).get("names")
