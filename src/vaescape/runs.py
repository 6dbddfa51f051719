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
      film/                 training snapshots, if --film keeps some
      baseline/             a run folder of its own: the plain autoencoder of the same network

``run.json`` exists from the start to the end: a folder without it is not a run and is
never touched. Its ``status`` says how far the training came; which of the other files exist says
what was done since. It has the SHA-256 of every file that is read back; ``keep`` writes both.

Locks: ``.lock`` is held by a training, from its start to its end; the folder itself for a moment by
whoever changes ``run.json``. A killed process holds neither.
"""

import errno
import hashlib
import itertools
import json
import math
import os
import re
import secrets
import shlex
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vaescape import provenance
from vaescape import schema as schemas
from vaescape.components import nearest
from vaescape.errors import LostRunError, OptionError, RunError
from vaescape.files import (
    cannot_write,
    exchange,
    folder_lock,
    lock,
    sweep,
    sync_folder,
    unclaimed,
    write_atomic,
    write_json,
)
from vaescape.signals import Stopped

FORMAT = 2
"""1 had no digest of ``metrics.json``; it is read too."""
LONGEST_NAME = 241
"""Bytes of a run's name: with what is put around it while it is made, a file system's 255."""

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
ONNX = "onnx"
REGIONS = "regions.json"
LOCK = ".lock"
_CHOICE = "Give --overwrite to replace it, or --name for another."
_REMEDY = "Restore it from a copy, or train again with --overwrite."
_OWN = {
    *(RUN, LOG, METRICS, WEIGHTS, OBJECTIVE, LATENTS, ERRORS, REPORT, EXPLORER, REGIONS),
    *(FIGURES, CHECKPOINTS, BASELINE, PRIORS, FILM, ONNX, LOCK),
}


class RunFolder:
    """The folder of one run. ``folder / WEIGHTS`` is the path of one of its files."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._held: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    # Making and finding -----------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: str | Path,
        configuration: dict[str, Any],
        *,
        overwrite: bool = False,
        **fields: Any,
    ) -> "RunFolder":
        """Return a new run with status "training", its ``run.json`` written and durable.

        The folder is made beside its place and renamed into it, so it never exists by halves and a
        disk that cannot be written is found before any training. With ``overwrite`` it changes
        places with the old run, at once where the system can; files in that which belong to no run
        move to the new folder. If it is killed on the way, whoever next makes, opens or locks this
        run finishes that or takes it back.

        Args:
            path: Its folder.
            configuration: What rebuilds the run.
            overwrite: Whether to replace a run that is there.
            fields: Further fields of ``run.json`` from the start.

        Raises:
            RunError: If there is a run already, in use or not ``overwrite``; if something else is
                in the way; if it cannot be written.
            OptionError: If the name is too long.
        """
        folder = cls(path)
        _check_length(folder.path.name)
        with _writing(folder.path):
            settle(folder.path)
            old = _occupant(folder)
        if old is not None and not overwrite:
            with old.locked():
                raise RunError(f"{old._story()} {_CHOICE}")
        fresh = _sibling(folder.path, "new")
        try:
            with _writing(folder.path):
                fresh.mkdir(parents=True)
                with folder_lock(fresh):  # so that nobody sweeps it
                    write_json(fresh / RUN, _first_record(configuration) | fields)
                    _claim(fresh, folder.path) if old is None else _replace(old, fresh)
                sync_folder(folder.path.parent)
        finally:
            with suppress(OSError):
                if _bare(fresh):  # else it is the old run, which settle() sees to
                    shutil.rmtree(fresh)
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
            settle(folder.path)
        if not os.path.exists(folder.path):
            raise RunError(f"There is no run {folder}.{_left(folder.path) or _hint(folder.path)}")
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
        """The current content of ``run.json``.

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
        """One of "training" (or stopped), "diverged", "finished" (has weights)."""
        return self.record["status"]

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of ``metrics.json``.

        Raises:
            RunError: If the run was not evaluated yet, or the file is damaged.
        """
        if not (self / METRICS).exists():
            raise RunError(f"{self} was not evaluated yet: `vaescape evaluate {self._quoted()}`.")
        record = self.record
        if record["format"] == 1 and _digest_field(METRICS) not in record:
            return read_json(self / METRICS, schemas.METRICS)
        return _parsed(self.verify(METRICS), self / METRICS, schemas.METRICS)

    def update(self, **fields: Any) -> None:
        """Rewrite ``run.json`` with these fields set, whole or not at all.

        Read, changed and written under the folder's lock: no process undoes another's change.

        Raises:
            RunError: If it cannot be read or written, or the folder was moved or deleted.
        """
        with self._alone():
            self._write(self.record | fields)

    def keep(self, name: str, content: bytes | str) -> str:
        """Write one of the run's files with its SHA-256 on record; return that.

        Killed at any moment, the file is the old or the new and its digest is on record.

        Raises:
            RunError: If it cannot be written, or the folder was moved or deleted.
        """
        data = content.encode() if isinstance(content, str) else content
        digest, field = _sha256(data), _digest_field(name)
        with self._alone():
            record = self.record
            self._write(record | {field: [digest, *_digests(record, name)]})
            write_atomic(self / name, data)
            self._write(record | {field: digest})
        return digest

    def verify(self, name: str) -> bytes:
        """Return the bytes of one of the run's files, once they match the digest on record.

        Raises:
            RunError: If the file is missing or damaged, or has no digest on record.
        """
        data, recorded = _read(self / name), _digests(self.record, name)
        if not recorded:
            raise RunError(f"{self / RUN} has no digest of {name}. {_REMEDY}")
        if (found := _sha256(data)) not in recorded:
            raise RunError(
                f"{self / name} is damaged: its SHA-256 is {found} instead of {recorded[0]}. "
                f"{_REMEDY}"
            )
        return data

    def check(self) -> None:
        """See that the run is where it was when it was locked.

        Raises:
            LostRunError: If it was moved, deleted or replaced.
        """
        try:
            place = os.stat(self.path)
            there = (self / RUN).is_file()
        except OSError:
            place, there = None, False
        if not there or (self._held and place and (place.st_dev, place.st_ino) != self._held):
            raise LostRunError(
                f"{self} was moved, deleted or replaced while it was in use. Nothing more is "
                "written. If it was moved, `vaescape resume` goes on from its last checkpoint at "
                "its new place."
            )

    @contextmanager
    def resumable(self) -> Iterator[None]:
        """Add to a stop inside this block how to continue.

        Raises:
            LostRunError: Instead, if there is nothing left to go on with.
        """
        try:
            yield
        except Stopped as stopped:
            self.check()
            stopped.what_now = f"`vaescape resume {self._quoted()}` does what is left."
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder while ``run.json`` is read, changed and written."""
        if self._held:
            self.check()
        elif not (self / RUN).exists():
            _read(self / RUN)
        with _writing(self / RUN), folder_lock(self.path):
            self.check()  # it may have gone while we waited
            yield

    def _write(self, record: dict[str, Any]) -> None:
        write_json(self / RUN, _checked(record, self / RUN))

    # metrics.jsonl ----------------------------------------------------------------------------

    def append(self, row: dict[str, Any]) -> None:
        """Add one row to the log, in one write; ``row["step"]`` is its finished step.

        Durable on return. Numbers that are not finite become null, for JSON has none. A line that
        does not fit on the disk is taken back whole.

        Raises:
            RunError: If it cannot be written, or the folder was moved or deleted.
        """
        line = _line(row).encode()
        self.check()
        with _writing(self / LOG), open(self / LOG, "ab", buffering=0) as log:
            start = log.seek(0, os.SEEK_END)
            if log.write(line) != len(line):
                log.truncate(start)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(log.fileno())

    def history(self) -> list[dict[str, Any]]:
        """Return the rows of the log, the last written of each step.

        A power cut can leave half a last line, or one of NULs: it is passed over.

        Raises:
            RunError: If a line before the last is damaged.
        """
        whole = _read(self / LOG) if (self / LOG).exists() else b""
        *lines, rest = whole.rstrip(b"\0").split(b"\n")
        rows, last = {}, len(lines) if not rest else -1
        for number, line in enumerate(lines, start=1):
            try:
                row = _row(line, number, self / LOG)
            except RunError:
                if number == last:
                    break
                raise
            rows[row["step"]] = row
        return list(rows.values())

    def truncate_history(self, step: int) -> None:
        """Keep the rows up to and with this step, in whole lines: where a resumed run goes on."""
        kept = (_line(row) for row in self.history() if row["step"] <= step)
        write_atomic(self / LOG, "".join(kept))

    # One training at a time -------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for one training, and clear what killed ones left in and next to it.

        The lock dies with the process. Where the system or the file system has none, nothing is
        locked.

        Raises:
            RunError: If another process holds it, or the folder cannot be written.
        """
        with _writing(self / LOCK):
            handle = os.open(self / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        before = self._held
        try:
            self._seize(handle)
            place = os.stat(self.path)
            self._held = place.st_dev, place.st_ino
            self._sweep()
            yield
        finally:
            self._held = before
            os.close(handle)

    def _seize(self, handle: int) -> None:
        if not lock(handle, wait=False):
            holder = os.pread(handle, 20, 0).decode(errors="replace") or "just started"
            raise RunError(
                f"{self} is in use by another training (process {holder}). "
                "Wait for it or stop it, or train under another --name."
            )
        if sys.platform != "win32":
            with _writing(self / LOCK):
                os.ftruncate(handle, 0)
                os.pwrite(handle, str(os.getpid()).encode(), 0)

    def _sweep(self) -> None:
        settle(self.path)
        for folder in ("", *(entry for entry in _OWN if (self / entry).is_dir())):
            if folder != BASELINE:  # a run of its own, with a lock of its own
                sweep(self / folder)

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
    _check_length(name)
    return root / name


def _check_length(name: str) -> None:
    size = len(os.fsencode(name))
    if size > LONGEST_NAME:
        raise OptionError(
            f"The name of a run has at most {LONGEST_NAME} bytes, this one has {size}: "
            f"{name[:40]}…. Give a shorter --name."
        )


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


def read_json(path: Path, schema: Any = dict) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        RunError: If it is missing, unreadable, not JSON (with the position) or not as the schema
            says.
    """
    return _parsed(_read(path), path, schema)


def _parsed(content: bytes, path: Path, schema: Any = dict) -> dict[str, Any]:
    try:
        return schemas.parsed(content, schema)
    except ValueError as error:
        raise RunError(
            f"{path} is damaged: {error}. Restore it from a copy, or make it again."
        ) from error


def _checked(record: dict[str, Any], path: Path) -> dict[str, Any]:
    version = record.get("format")
    if type(version) is int and version > FORMAT:
        raise RunError(
            f"{path} was written by a later version: format {version}, this vaescape reads "
            f"{FORMAT}. Upgrade vaescape to open it."
        )
    wrong = schemas.wrong(record, schemas.RUN)
    if type(version) is not int or version < 1:
        wrong = schemas.Wrong("format", f"from 1 to {FORMAT}", version)
    if wrong:
        raise RunError(f"{path} is damaged: {wrong}. {_REMEDY}")
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
    """Put a fresh run in the place of an old one, which is then cleared away."""
    path = old.path
    with old.locked():
        if exchange(fresh, path):
            aside = fresh
            try:
                sync_folder(path.parent)
            except BaseException:
                exchange(fresh, path)
                raise
        else:
            aside = _sibling(path, "old")
            _swap(path, aside, fresh)
            sync_folder(path.parent)
        _clear(aside, path)


def _swap(path: Path, aside: Path, fresh: Path) -> None:
    path.rename(aside)
    try:
        fresh.rename(path)
    except BaseException:
        aside.rename(path)
        raise


def settle(path: Path) -> None:
    """Complete or revert what a killed process left next to a run.

    ``.NAME.xxxxxxxx.new`` is a run on its way here or, once it has changed places, the one that was
    replaced; ``.old`` is one that was moved aside where nothing can change places. If there is no
    run at the place, the one that was there comes back; else it goes.
    """
    for stray in sorted(_strays(path), key=lambda stray: stray.suffix, reverse=True):  # .old first
        with suppress(OSError), _abandoned(stray) as free:
            if not free:
                continue
            if (path / RUN).exists() or (stray.suffix == ".new" and _bare(stray)):
                _clear(stray, path)
            else:
                stray.rename(path)
                sync_folder(path.parent)
                warnings.warn(
                    f"{path} is back: a process that was killed while it replaced this run had "
                    f"left it as {stray.name}.",
                    stacklevel=3,
                )


def _strays(path: Path) -> list[Path]:
    own = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{8}\.(new|old)")
    with suppress(OSError):
        return [path.parent / name for name in os.listdir(path.parent) if own.fullmatch(name)]
    return []


def _left(path: Path) -> str:
    """Return what to say of strays that could not be settled."""
    for stray in _strays(path):
        if not _bare(stray):
            return (
                f" It is being replaced, or that was interrupted: what was there is in {stray}. "
                "Try again, or rename that folder by hand."
            )
    return ""


@contextmanager
def _abandoned(stray: Path) -> Iterator[bool]:
    """Tell whether no process works on a stray, and hold it meanwhile if so."""
    with unclaimed(stray) as free:
        if free and (stray / LOCK).exists():
            with unclaimed(stray / LOCK) as free:
                yield free
        else:
            yield free


def _bare(stray: Path) -> bool:
    """Return whether a run has nothing but a record that was just made."""
    return all(entry.name in (RUN, LOCK) or _is_part(entry) for entry in stray.iterdir())


def _clear(stray: Path, path: Path) -> None:
    """Remove a replaced run, once what is not a run's has moved to the one in its place."""
    for entry in stray.iterdir():
        if entry.name not in _OWN and not _is_part(entry):
            place = path / entry.name
            entry.rename(place if not place.exists() else _sibling(place, "old"))
    shutil.rmtree(stray)


def _is_part(entry: Path) -> bool:
    return entry.match(".*.part")


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{suffix}")


def _made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _hint(path: Path) -> str:
    """Return the run that may be meant, or the existing ones: next to it, or in ``runs/`` there."""
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
        return schemas.parsed(line, schemas.ROW)
    except ValueError as error:
        raise RunError(
            f"Line {number} of {path} is damaged: {error}. Remove that line, or restore the file."
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing. {_REMEDY}") from error
    except OSError as error:
        raise RunError(f"Could not read {path}: {error.strerror or error}.") from error


def _digest_field(name: str) -> str:
    return f"{Path(name).stem}_sha256"


def _digests(record: dict[str, Any], name: str) -> list[str]:
    """Return the digests on record of a file: two while it is being replaced."""
    found = record.get(_digest_field(name)) or []
    return [found] if isinstance(found, str) else list(found)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
