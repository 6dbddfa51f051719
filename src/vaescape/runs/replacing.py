"""How a run comes to its place, and what a process that was killed meanwhile leaves beside it.

A run is made as ``.NAME.xxxxxxxx.new`` and renamed. With one that is there it changes places at
once; where the system cannot do that, the old one is moved aside first. Either way the old one ends
as ``.NAME.xxxxxxxx.old``: if nothing is at the place it comes back, else it goes.
"""

import re
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from vaescape.errors import RunError
from vaescape.files import exchange, hold, sync_folder
from vaescape.runs.contents import LOCK, OWN, RUN

CHOICE = "Give --overwrite to replace it, or --name for another."


def occupied(path: Path) -> bool:
    """Return whether a run is at a place.

    Raises:
        RunError: If something else is.
    """
    if path.name in ("", ".."):
        raise RunError(f"A run needs a folder of its own, got {str(path)!r}. Give --name.")
    if path.is_symlink():
        raise RunError(f"{path} is a symbolic link: a run is not written through it. Give --name.")
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file, where a run needs a folder. Give --name for another.")
    if (path / RUN).is_file():
        return True
    if path.is_dir() and any(path.iterdir()):
        raise RunError(
            f"{path} exists and is not a run: it is left alone. Give --name for another."
        )
    return False


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a fresh folder beside a place, held so that nobody clears it; gone if it stays."""
    fresh = _sibling(path, "new")
    try:
        fresh.mkdir(parents=True)
        with hold(fresh):
            yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def claim(path: Path, fresh: Path) -> None:
    """Put a fresh run in its place.

    Raises:
        RunError: If another process was faster.
    """
    with suppress(OSError):
        path.rmdir()  # if empty: not every system renames onto a folder
    try:
        fresh.rename(path)
    except OSError as error:
        if path.exists():
            raise RunError(f"Another process has just made {path}. {CHOICE}") from error
        raise
    sync_folder(path.parent)


def replace(path: Path, fresh: Path) -> None:
    """Put a fresh run in the place of one that the caller has locked; that is cleared away."""
    aside = _sibling(path, "old")
    exchanged = exchange(fresh, path)
    try:
        (fresh if exchanged else path).rename(aside)
    except BaseException:
        if exchanged:
            exchange(fresh, path)
        raise
    try:
        if not exchanged:
            fresh.rename(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            path.rename(fresh)
        aside.rename(path)
        raise
    _clear(aside, path)


def settle(path: Path) -> None:
    """Complete or revert what a killed process left next to a run."""
    for stray in _strays(path):
        with suppress(OSError), ExitStack() as held:
            locks = [stray, *[stray / LOCK] * (stray / LOCK).exists()]
            if not all(held.enter_context(hold(each, wait=False)) for each in locks):
                continue
            if stray.suffix == ".new" or (path / RUN).exists():
                _clear(stray, path)
            else:
                stray.rename(path)
                sync_folder(path.parent)
                warnings.warn(
                    f"{path} is back: a process that was killed while it replaced this run had "
                    f"left it as {stray.name}.",
                    stacklevel=3,
                )


def left(path: Path) -> str:
    """Return what to say of a run that could not be settled."""
    for stray in _strays(path):
        if stray.suffix == ".old":
            return (
                f" It is being replaced, or that was interrupted: what was there is in {stray}. "
                "Try again, or rename that folder by hand."
            )
    return ""


def _strays(path: Path) -> list[Path]:
    own = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{8}\.(new|old)")
    with suppress(OSError):
        return [stray for stray in path.parent.iterdir() if own.fullmatch(stray.name)]
    return []


def _clear(stray: Path, path: Path) -> None:
    """Remove a replaced run, once what is not a run's has moved to the one in its place."""
    for entry in stray.iterdir():
        if entry.name not in OWN and not entry.match(".*.part"):
            place = path / entry.name
            entry.rename(place if not place.exists() else _sibling(place, "old"))
    shutil.rmtree(stray)


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{suffix}")
