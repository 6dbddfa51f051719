"""Files that are whole or not there at all; folders that change places; locks."""

import csv
import ctypes
import errno
import fcntl
import glob
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vaescape.errors import RunError

_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


def write_atomic(path: Path, content: bytes | str, *, parents: bool = True) -> Path:
    """Write a file so that a reader, or a power cut, sees the old content or the new, never a part.

    Temporary file in the same folder, fsync, rename, fsync of the folder. The mode follows the
    umask. What a killed writer of the same file left is removed.

    Args:
        path: The file. Its folder is made if need be.
        content: Its bytes, or text.
        parents: Whether to make the folders above its folder too: not in a run, which may have been
            moved.

    Raises:
        RunError: If it cannot be written (disk full, no permission); the old file is untouched.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        path.parent.mkdir(parents=parents, exist_ok=True)
        sweep(path.parent, path.name)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                lock(handle)  # so that nobody sweeps it
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(name, 0o666 & ~_umask())
                os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    return path


def write_json(path: Path, value: Any) -> Path:
    """Write a value as indented JSON, whole or not at all. NaN and infinity are refused."""
    return write_atomic(path, as_json(value))


def as_json(value: Any) -> str:
    """Return a value as indented JSON. NaN and infinity raise a ValueError."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def npz(arrays: Mapping[str, Any], *, compressed: bool = True) -> bytes:
    """Return the bytes of a NumPy archive of arrays, by name."""
    import numpy as np

    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(columns: Mapping[str, Sequence[Any]], *, names: bool = True) -> str:
    """Return columns as CSV. A text that a spreadsheet would run as a formula begins with '.

    Args:
        columns: By their names, all of one length.
        names: Whether the names are the first line.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if names:
        writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(
            [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
             for cell in row]
        )  # fmt: skip
    return text.getvalue()


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files (of one file, or all) that killed writers left in a folder."""
    pattern = ".*.part" if name is None else f".{glob.escape(name)}.*.part"
    for stray in folder.glob(pattern):
        with suppress(OSError), hold(stray, wait=False) as free:
            if free:
                stray.unlink(missing_ok=True)


def exchange(one: Path, other: Path) -> bool:
    """Let two paths change places at once; False if the system or the file system cannot.

    Linux has ``renameat2`` for it, macOS ``renamex_np``.

    Raises:
        OSError: If they cannot be renamed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        at_current, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        code = library.renameat2(at_current, names[0], at_current, names[1], swap)
    elif sys.platform == "darwin" and hasattr(library, "renamex_np"):
        code = library.renamex_np(*names, 2)  # RENAME_SWAP
    else:
        return False
    if code == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))


def lock(handle: int, wait: bool = True) -> bool:
    """Lock an open file or folder for this handle alone; False if another holds it.

    The lock dies with the process. Where the file system has none, nothing is locked.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def hold(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a file or folder meanwhile; tell False if another does and is not waited for.

    Raises:
        OSError: If there is none.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        yield lock(handle, wait)
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of an error inside what could not be written, why, and what to do.

    Raises:
        RunError: In the place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"Could not write {path}: {error.strerror or error}. What was there before is "
            "untouched. Free some space or choose another folder, then go on from where it stopped."
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
