"""Getting files from public mirrors, whole or not at all."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vaescape.errors import DataError
from vaescape.files import sweep, write_atomic
from vaescape.progress import bar

_ROUNDS = 3
_CHUNK = 1 << 16


def cache_folder() -> Path:
    """Return where downloads are kept: ``$VAESCAPE_CACHE``, or the system's cache folder."""
    import pooch

    return Path(os.environ.get("VAESCAPE_CACHE") or pooch.os_cache("vaescape")).expanduser()


def fetch(
    file: str,
    mirrors: Sequence[str],
    folder: Path,
    *,
    check: Callable[[Path], object],
    cap: int,
    timeout: tuple[float, float] = (5.0, 30.0),
    pause: float = 1.0,
) -> Path:
    """Return the path of a file in the cache, downloaded from the first mirror that gives it right.

    The mirrors are asked in order, three rounds. A transfer that broke off goes on where it
    stopped, at the next mirror or the next time, if the server can. Nothing enters the cache under
    its own name before ``check`` has passed. Of two processes one downloads and the other waits.

    Args:
        file: The name, appended to each mirror's address.
        mirrors: Addresses that end in a slash.
        folder: The folder of the cache.
        check: Raises a :class:`DataError` if a file is not what it should be.
        cap: The most bytes that are ever taken.
        timeout: Seconds to connect, and seconds without a byte.
        pause: Seconds between rounds.

    Raises:
        DataError: If no mirror gave it, with the reason of each.
    """
    path, part = folder / file, folder / f"{file}.partial"
    with _alone(folder):
        if _passes(path, check):
            return path
        reasons = {}
        for turn, mirror in enumerate([*mirrors] * _ROUNDS):
            time.sleep(pause if turn and turn % len(mirrors) == 0 else 0)
            try:
                _receive(mirror + file, part, cap, timeout)
                _approve(part, check)
            except (OSError, DataError) as error:  # every error of requests is an OSError
                reasons[mirror] = _in_words(error)
                if part.exists() and not part.stat().st_size:
                    part.unlink()
            else:
                write_atomic(path, part.read_bytes())
                part.unlink()
                return path
    told = "".join(f"\n    {mirror}{file}: {reason}" for mirror, reason in reasons.items())
    raise DataError(f"No mirror gave {file}:{told}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it goes with its owner, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115
    except OSError as error:
        raise DataError(
            f"The cache folder {folder} cannot be written: {error.strerror}. Set VAESCAPE_CACHE to "
            "one that can."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep(folder)
        yield


def _passes(path: Path, check: Callable[[Path], object]) -> bool:
    try:
        check(path)
    except DataError:
        return False
    return True


def _approve(part: Path, check: Callable[[Path], object]) -> None:
    """Raise what the check raises, and leave nothing of the wrong bytes to go on from."""
    try:
        check(part)
    except DataError:
        part.unlink(missing_ok=True)
        raise


def _receive(url: str, part: Path, cap: int, timeout: tuple[float, float]) -> None:
    """Write the rest of what an address serves after what is there already."""
    import requests

    headers = {"Accept-Encoding": "identity", "User-Agent": "vaescape"}
    begun = part.stat().st_size if part.exists() else 0
    if begun:
        headers["Range"] = f"bytes={begun}-"
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        goes_on = answer.status_code == 206  # partial content
        if not goes_on:
            part.unlink(missing_ok=True)
        answer.raise_for_status()
        size = begun if goes_on else 0
        shown = bar(desc=part.stem, total=cap, unit="B")
        with open(part, "ab" if goes_on else "wb") as output, shown:
            for chunk in answer.iter_content(_CHUNK):
                size += len(chunk)
                if size > cap:
                    output.truncate(0)
                    raise DataError(f"it sends more than the {cap:,} bytes that the file can have.")
                output.write(chunk)
                shown.update(len(chunk))


def _in_words(error: Exception) -> str:
    from requests import ConnectionError, HTTPError, Timeout

    if isinstance(error, HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}."
    if isinstance(error, ConnectionError | Timeout):
        return "it cannot be reached, or fell silent."
    return str(error)
