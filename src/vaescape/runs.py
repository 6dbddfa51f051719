"""A run folder: what one training leaves, readable with nothing but a JSON reader.

::

    runs/paper/
      run.json              configuration, provenance, status, digests
      metrics.jsonl         one line per logged step, while it trains
      metrics.json          the evaluation
      weights.safetensors   latents.safetensors   errors.safetensors (of each decoded code)
      objective.safetensors what an objective learned besides: a critic, a multiplier
      report.html   explorer.html
      figures/   checkpoints/
      priors/               priors that were fitted afterwards
      film/                 moments of the training, if --film keeps some
      baseline/             a run folder of its own: the plain autoencoder of the same network

``run.json`` is there from the first moment to the last: a folder without it is not a run and is
never touched. Its ``status`` says how far the training came; which of the other files exist says
what was done since.
"""

import errno
import hashlib
import itertools
import json
import math
import os
import reprlib
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vaescape import provenance
from vaescape.components import nearest
from vaescape.errors import RunError
from vaescape.files import cannot_write, sweep, sync_folder, write_atomic, write_json

if sys.platform != "win32":
    import fcntl

FORMAT = 1
STATUSES = ("training", "diverged", "finished")

RUN = "run.json"
LOG = "metrics.jsonl"
METRICS = "metrics.json"
WEIGHTS = "weights.safetensors"
LATENTS = "latents.safetensors"
OBJECTIVE = "objective.safetensors"
ERRORS = "errors.safetensors"
REPORT = "report.html"
EXPLORER = "explorer.html"
FIGURES = "figures"
CHECKPOINTS = "checkpoints"
BASELINE = "baseline"
PRIORS = "priors"
FILM = "film"
REGIONS = "regions.json"
LOCK = ".lock"
_CHOICE = "Give --overwrite to replace it, or --name for another."
_REMEDY = "Restore it from a copy, or train again with --overwrite."
_OWN = {
    *(RUN, LOG, METRICS, WEIGHTS, OBJECTIVE, LATENTS, ERRORS, REPORT, EXPLORER, REGIONS),
    *(FIGURES, CHECKPOINTS, BASELINE, PRIORS, FILM, LOCK),
}


class RunFolder:
    """The folder of one run. ``folder / WEIGHTS`` is the path of one of its files."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    # Making and finding -----------------------------------------------------------------------

    @classmethod
    def create(
        cls, path: str | Path, configuration: dict[str, Any], *, overwrite: bool = False
    ) -> "RunFolder":
        """Return a new run with status "training", its ``run.json`` written and durable.

        The folder is made beside its place and renamed into it, so it never exists by halves and a
        disk that cannot be written is found before any training. With ``overwrite`` the old run
        gives way only then; files in it that belong to no run move to the new folder.

        Raises:
            RunError: If there is a run already, in use or not ``overwrite``; if something else is
                in the way; if it cannot be written.
        """
        folder = cls(path)
        with _writing(folder.path):
            old = _occupant(folder)
        if old is not None and not overwrite:
            with old.locked():
                raise RunError(f"{old._story()} {_CHOICE}")
        fresh = _sibling(folder.path, "new")
        try:
            with _writing(folder.path):
                fresh.mkdir(parents=True)
                write_json(fresh / RUN, _first_record(configuration))
                _claim(fresh, folder.path) if old is None else _replace(old, fresh)
                sync_folder(folder.path.parent)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return folder

    @classmethod
    def open(cls, path: str | Path, finished: bool = False) -> "RunFolder":
        """Return an existing run whose ``run.json`` reads well.

        Args:
            path: Its folder.
            finished: Whether its training must have ended and left weights.

        Raises:
            RunError: If it is missing, not a run, damaged, of a later format or unfinished.
        """
        folder = cls(path)
        if not os.path.exists(folder.path):  # unlike Path.exists, false for impossible names too
            raise RunError(f"There is no run {folder}.{_hint(folder.path)}")
        if not (folder / RUN).is_file():
            raise RunError(f"{folder} is not a run: it has no {RUN}.{_hint(folder.path)}")
        if folder.record["status"] != "finished" and finished:
            raise RunError(folder._story())
        return folder

    @property
    def baseline(self) -> "RunFolder":
        """The nested run of the plain autoencoder; it may not exist yet."""
        return RunFolder(self / BASELINE)

    # run.json ---------------------------------------------------------------------------------

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` says now.

        Raises:
            RunError: If it is damaged or of a later format.
        """
        return _checked(read_json(self / RUN), self / RUN)

    @property
    def configuration(self) -> dict[str, Any]:
        """What rebuilds the run, as it was given to ``create``."""
        return self.record["configuration"]

    @property
    def status(self) -> str:
        """One of ``STATUSES``: "training" (or stopped), "diverged", "finished" (has weights)."""
        return self.record["status"]

    @property
    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` says.

        Raises:
            RunError: If the run was not evaluated yet, or the file is damaged.
        """
        if not (self / METRICS).exists():
            raise RunError(f"{self} was not evaluated yet: `vaescape evaluate {self._quoted()}`.")
        return read_json(self / METRICS)

    def update(self, **fields: Any) -> None:
        """Rewrite ``run.json`` with these fields set, whole or not at all."""
        write_json(self / RUN, _checked(self.record | fields, self / RUN))

    def record_digest(self, name: str) -> str:
        """Return the SHA-256 of one of the run's files, having put it on record in ``run.json``."""
        digest = _sha256(_read(self / name))
        self.update(**{_digest_field(name): digest})
        return digest

    def verify(self, name: str) -> bytes:
        """Return the bytes of one of the run's files, once they match the digest on record.

        Raises:
            RunError: If the file is missing or damaged, or has no digest on record.
        """
        data, recorded = _read(self / name), self.record.get(_digest_field(name))
        if recorded is None:
            raise RunError(f"{self / RUN} has no digest of {name}. {_REMEDY}")
        if (found := _sha256(data)) != recorded:
            raise RunError(
                f"{self / name} is damaged: its SHA-256 is {found} instead of {recorded}. {_REMEDY}"
            )
        return data

    # metrics.jsonl ----------------------------------------------------------------------------

    def append(self, row: dict[str, Any]) -> None:
        """Add one row to the log, in one write; ``row["step"]`` is its finished step.

        Numbers that are not finite become null, for JSON has none. A line that does not fit on the
        disk is taken back whole.

        Raises:
            RunError: If it cannot be written.
        """
        line = _line(row).encode()
        with _writing(self / LOG), open(self / LOG, "ab", buffering=0) as log:
            start = log.seek(0, os.SEEK_END)
            if log.write(line) != len(line):
                log.truncate(start)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def history(self) -> list[dict[str, Any]]:
        """Return the rows of the log, the last written of each step, without a last line cut short.

        Raises:
            RunError: If a line before the last is damaged.
        """
        lines = _read(self / LOG).split(b"\n")[:-1] if (self / LOG).exists() else []
        rows = (_row(line, number, self / LOG) for number, line in enumerate(lines, start=1))
        return list({row["step"]: row for row in rows}.values())

    def truncate_history(self, step: int) -> None:
        """Keep the rows up to and with this step, in whole lines: where a resumed run goes on."""
        kept = (_line(row) for row in self.history() if row["step"] <= step)
        write_atomic(self / LOG, "".join(kept))

    # One training at a time -------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one training; the temporary files of killed ones are swept.

        The lock dies with the process. Where the system or the file system has none, nothing is
        locked.

        Raises:
            RunError: If another process holds it, or the folder cannot be written.
        """
        with _writing(self / LOCK):
            handle = os.open(self / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._seize(handle)
            for folder in (self.path, self / CHECKPOINTS, self / FILM):
                sweep(folder)
            yield
        finally:
            os.close(handle)

    def _seize(self, handle: int) -> None:
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode(errors="replace") or "just started"
            raise RunError(
                f"{self} is in use by another training (process {holder}). "
                "Wait for it or stop it, or train under another --name."
            ) from error
        except OSError:
            return
        with _writing(self / LOCK):
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)

    # Sentences --------------------------------------------------------------------------------

    def _story(self) -> str:
        status = self.status
        if status == "finished":
            return f"{self} is finished."
        rows = self.history()
        reached = f"step {rows[-1]['step'] if rows else 0}"
        if status == "diverged":
            return f"{self} diverged after {reached}: try a smaller learning rate or another seed."
        return f"{self} stopped at {reached}: `vaescape resume {self._quoted()}` goes on."

    def _quoted(self) -> str:
        return shlex.quote(str(self))


def prior_file(name: str) -> str:
    """Return where in a run folder the weights of a fitted prior are."""
    return f"{PRIORS}/{name}.safetensors"


def free_name(root: Path, stem: str) -> Path:
    """Return the first free one of ``root/stem``, ``root/stem-2``, …, made as an empty folder.

    Two processes never get the same.

    Raises:
        RunError: If it cannot be made.
    """
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    with _writing(root / stem):
        root.mkdir(parents=True, exist_ok=True)
        return next(path for name in names if _made(path := root / name))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        RunError: If it is missing, unreadable, not JSON (with the position) or not an object.
    """
    try:
        return _object(_read(path))
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path} is damaged: {error}. Restore it from a copy, or make it again."
        ) from error


def _object(text: bytes) -> dict[str, Any]:
    value = json.loads(text.decode(), parse_constant=_no_constant)
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {type(value).__name__}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _checked(record: dict[str, Any], path: Path) -> dict[str, Any]:
    version = record.get("format")
    if type(version) is int and version > FORMAT:
        raise RunError(
            f"{path} was written by a later version: format {version}, this vaescape reads "
            f"{FORMAT}. Upgrade vaescape to open it."
        )
    expected = {
        "format": (version == FORMAT and type(version) is int, str(FORMAT)),
        "status": (record.get("status") in STATUSES, f"one of {', '.join(STATUSES)}"),
        "configuration": (isinstance(record.get("configuration"), dict), "an object"),
        "provenance": (isinstance(record.get("provenance"), dict), "an object"),
    }
    for field, (right, wanted) in expected.items():
        if not right:
            raise RunError(
                f"{path} is damaged: {field!r} must be {wanted}, "
                f"got {reprlib.repr(record.get(field))}. {_REMEDY}"
            )
    return record


def _first_record(configuration: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "status": "training",
        "configuration": configuration,
        "provenance": provenance.record(),
    }


def _occupant(folder: RunFolder) -> RunFolder | None:
    """Return the run at this place, or None where one can be made; anything else is refused."""
    path = folder.path
    if path.name in ("", ".."):
        raise RunError(f"A run needs a folder of its own, got {str(path)!r}. Give --name.")
    if path.is_symlink():
        raise RunError(f"{path} is a symbolic link: a run is not written through it. Give --name.")
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file, where a run needs a folder. Give --name for another.")
    if (path / RUN).is_file():
        return folder
    if path.is_dir() and any(path.iterdir()):
        raise RunError(
            f"{path} exists and is not a run: it is left alone. Give --name for another."
        )
    return None


def _claim(fresh: Path, path: Path) -> None:
    with suppress(OSError):
        path.rmdir()  # if empty: not every system renames onto a folder
    try:
        fresh.rename(path)
    except OSError as error:
        if path.exists():
            raise RunError(f"Another process has just made {path}. {_CHOICE}") from error
        raise


def _replace(old: RunFolder, fresh: Path) -> None:
    path, aside = old.path, _sibling(old.path, "old")
    with old.locked():
        _swap(path, aside, fresh)
    for entry in aside.iterdir():
        if entry.name not in _OWN and not entry.match(".*.part"):
            entry.rename(path / entry.name)
    shutil.rmtree(aside)


def _swap(path: Path, aside: Path, fresh: Path) -> None:
    path.rename(aside)
    try:
        fresh.rename(path)
    except BaseException:
        aside.rename(path)
        raise


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{suffix}")


def _made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _hint(path: Path) -> str:
    """Return the run that may be meant, or those there are: beside it, or in ``runs/`` there."""
    home = path.parent
    found = [run for beside in ("", "runs/") for run in sorted(home.glob(f"{beside}[!.]*/{RUN}"))]
    runs = [run.parent.relative_to(home).as_posix() for run in found]
    some = ", ".join(runs[:8]) + (", …" if len(runs) > 8 else "")
    return (
        nearest(path.name, runs) or f" Runs in {home}: {some or 'none; `vaescape run` makes one'}."
    )


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


def _row(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        row = _object(line)
        if type(row.get("step")) is not int:
            raise ValueError("it has no integer 'step'")
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"Line {number} of {path} is damaged: {error}. Remove that line, or restore the file."
        ) from error
    return row


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing. {_REMEDY}") from error
    except OSError as error:
        raise RunError(f"Could not read {path}: {error.strerror or error}.") from error


def _digest_field(name: str) -> str:
    return f"{Path(name).stem}_sha256"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
