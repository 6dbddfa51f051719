"""Files that are whole or not there at all."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from vaescape.errors import RunError


def write_atomic(path: Path, content: bytes | str) -> Path:
    """Write a file so that a reader, or a power cut, sees the old content or the new, never a part.

    Temporary file in the same folder, fsync, rename, fsync of the folder. The mode follows the
    umask.

    Raises:
        RunError: If it cannot be written (disk full, no permission); the old file is untouched.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise
    sync_folder(path.parent)
    return path


def write_json(path: Path, value: Any) -> Path:
    """Write a value as indented JSON, whole or not at all. NaN and infinity are refused."""
    return write_atomic(
        path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )


def sweep(folder: Path) -> None:
    """Remove the temporary files that a killed writer left behind."""
    for stray in folder.glob(".*.part"):
        stray.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> RunError:
    """Return the error that says what could not be written, why, and what to do."""
    return RunError(
        f"Could not write {path}: {error.strerror or error}. What was there before is untouched. "
        "Free some space or choose another folder, then go on from where it stopped."
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; Windows cannot open folders and needs no such thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
