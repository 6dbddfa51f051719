"""Names of runs: which are possible, which are free, and which may be meant."""

import itertools
import os
from pathlib import Path

from vaescape.components import nearest
from vaescape.errors import OptionError
from vaescape.files import writing
from vaescape.runs.contents import RUN

LONGEST = 241
"""Bytes of a run's name: with what is put around it while it is made, a file system's 255."""


def run_path(root: Path, name: str) -> Path:
    """Return where the run of this name is, once the name is one.

    Raises:
        OptionError: If it would lead out of ``root``, is hidden, too long or cannot be a folder.
    """
    if name in ("", ".", "..") or name != Path(name).name or "\\" in name or not name.isprintable():
        raise OptionError(
            f"--name is the name of one folder in --root, without slashes. Got {name!r}. "
            "Give --root for another place."
        )
    if name.startswith("."):
        raise OptionError(f"--name must not begin with a dot: such folders are hidden. Got {name}.")
    check_length(name)
    return root / name


def check_length(name: str) -> None:
    """Refuse a name that no file system takes.

    Raises:
        OptionError: If it is too long.
    """
    size = len(os.fsencode(name))
    if size > LONGEST:
        raise OptionError(
            f"The name of a run has at most {LONGEST} bytes, this one has {size}: {name[:40]}…. "
            "Give a shorter --name."
        )


def free_name(root: Path, stem: str) -> Path:
    """Return the first free one of ``root/stem``, ``root/stem-2``, …, made as an empty folder.

    Two processes never get the same.

    Raises:
        RunError: If it cannot be made.
    """
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    with writing(root / stem):
        root.mkdir(parents=True, exist_ok=True)
        return next(path for name in names if _made(path := root / name))


def _made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def hint(path: Path) -> str:
    """Return the run that may be meant, or the existing ones: next to it, or in ``runs/`` there."""
    home = path.parent
    found = [run for beside in ("", "runs/") for run in sorted(home.glob(f"{beside}[!.]*/{RUN}"))]
    runs = [run.parent.relative_to(home).as_posix() for run in found]
    some = ", ".join(runs[:8]) + (", …" if len(runs) > 8 else "")
    return (
        nearest(path.name, runs) or f" Runs in {home}: {some or 'none; `vaescape run` makes one'}."
    )
