"""The training log: one row of JSON a line."""

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

from vaescape import schema as schemas
from vaescape.errors import RunError
from vaescape.files import write_atomic, writing
from vaescape.runs.contents import read


def append(path: Path, row: dict[str, Any]) -> None:
    """Add one row, in one write, durable on return; one that does not fit is taken back whole.

    Numbers that are not finite become null, for JSON has none.

    Raises:
        RunError: If it cannot be written.
    """
    line = _line(row).encode()
    with writing(path), open(path, "ab", buffering=0) as log:
        start = log.seek(0, os.SEEK_END)
        if log.write(line) != len(line):
            log.truncate(start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(log.fileno())


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows, the last written of each step.

    A power cut can leave half a last line, or one of NULs: it is passed over.

    Raises:
        RunError: If a line before the last is damaged.
    """
    whole = read(path) if path.exists() else b""
    *lines, rest = whole.rstrip(b"\0").split(b"\n")
    found = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = schemas.parsed(line, schemas.ROW)
        except ValueError as error:
            if number == len(lines) and not rest:
                break
            raise RunError(
                f"Line {number} of {path} is damaged: {error}. Remove that line, or restore the "
                "file."
            ) from error
        found[row["step"]] = row
    return list(found.values())


def truncate(path: Path, step: int) -> None:
    """Keep the rows up to and with this step, in whole lines: where a resumed run goes on."""
    write_atomic(path, "".join(_line(row) for row in rows(path) if row["step"] <= step))


def _line(row: dict[str, Any]) -> str:
    if type(row.get("step")) is not int:
        raise ValueError(f"a row of the log needs an integer 'step', got {row.get('step')!r}")
    return json.dumps(_finite(row), ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
