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

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaescape import provenance
from vaescape import schema as schemas
from vaescape.errors import LostRunError, RunError
from vaescape.files import hold, lock, sweep, write_atomic, write_json, writing
from vaescape.runs import log, replacing
from vaescape.runs.contents import (
    BASELINE,
    LOCK,
    LOG,
    METRICS,
    OWN,
    REMEDY,
    RUN,
    parsed,
    read,
    read_json,
    sha256,
)
from vaescape.runs.naming import check_length, hint
from vaescape.signals import Stopped

FORMAT = 2
"""1 had no digest of ``metrics.json``; it is read too."""


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

        The folder is made beside its place and renamed into it (``runs.replacing``), so it never
        exists by halves and a disk that cannot be written is found before any training. With
        ``overwrite``, files of the old run that belong to no run move to the new folder. If it is
        killed on the way, whoever next makes, opens or locks this run finishes that or takes it
        back.

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
        check_length(folder.path.name)
        with writing(folder.path):
            replacing.settle(folder.path)
            occupied = replacing.occupied(folder.path)
        if occupied and not overwrite:
            with folder.locked():
                raise RunError(f"{folder._story()} {replacing.CHOICE}")
        with writing(folder.path), replacing.beside(folder.path) as fresh:
            write_json(fresh / RUN, _first_record(configuration) | fields)
            if occupied:
                with folder.locked():
                    replacing.replace(folder.path, fresh)
            else:
                replacing.claim(folder.path, fresh)
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
            replacing.settle(folder.path)
        if not os.path.exists(folder.path):
            why = replacing.left(folder.path) or hint(folder.path)
            raise RunError(f"There is no run {folder}.{why}")
        if not (folder / RUN).is_file():
            raise RunError(f"{folder} is not a run: it has no {RUN}.{hint(folder.path)}")
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
        return parsed(self.verify(METRICS), self / METRICS, schemas.METRICS)

    def update(self, **fields: Any) -> None:
        """Rewrite ``run.json`` with these fields set, whole or not at all.

        Read, changed and written under the folder's lock: no process undoes another's change.

        Raises:
            RunError: If it cannot be read or written, or the folder was moved or deleted.
        """
        with self._alone():
            write_json(self / RUN, _checked(self.record | fields, self / RUN))

    def keep(self, name: str, content: bytes | str) -> str:
        """Write one of the run's files with its SHA-256 on record; return that.

        Killed at any moment, the file is the old or the new and its digest is on record.

        Raises:
            RunError: If it cannot be written, or the folder was moved or deleted.
        """
        data = content.encode() if isinstance(content, str) else content
        digest, field = sha256(data), _digest_field(name)
        with self._alone():
            record = self.record
            write_json(self / RUN, record | {field: [digest, *_digests(record, name)]})
            write_atomic(self / name, data)
            write_json(self / RUN, record | {field: digest})
        return digest

    def verify(self, name: str) -> bytes:
        """Return the bytes of one of the run's files, once they match the digest on record.

        Raises:
            RunError: If the file is missing or damaged, or has no digest on record.
        """
        data, recorded = read(self / name), _digests(self.record, name)
        if not recorded:
            raise RunError(f"{self / RUN} has no digest of {name}. {REMEDY}")
        if (found := sha256(data)) not in recorded:
            raise RunError(
                f"{self / name} is damaged: its SHA-256 is {found} instead of {recorded[0]}. "
                f"{REMEDY}"
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
            read(self / RUN)
        with writing(self / RUN), hold(self.path):
            self.check()  # it may have gone while we waited
            yield

    # metrics.jsonl ----------------------------------------------------------------------------

    def append(self, row: dict[str, Any]) -> None:
        """Add one row to the log, durable on return; ``row["step"]`` is its finished step.

        Raises:
            RunError: If it cannot be written, or the folder was moved or deleted.
        """
        self.check()
        log.append(self / LOG, row)

    def history(self) -> list[dict[str, Any]]:
        """Return the rows of the log, the last written of each step.

        Raises:
            RunError: If a line before the last is damaged.
        """
        return log.rows(self / LOG)

    def truncate_history(self, step: int) -> None:
        """Keep the rows up to and with this step: where a resumed run goes on."""
        log.truncate(self / LOG, step)

    # One training at a time -------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for one training, and clear what killed ones left in and next to it.

        The lock dies with the process. Where the file system has none, nothing is locked.

        Raises:
            RunError: If another process holds it, or the folder cannot be written.
        """
        with writing(self / LOCK):
            handle = os.open(self / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        before = self._held
        try:
            self._seize(handle)
            place = os.stat(self.path)
            self._held = place.st_dev, place.st_ino
            replacing.settle(self.path)
            for name in ("", *OWN - {BASELINE}):  # the baseline has a lock of its own
                if (self / name).is_dir():
                    sweep(self / name)
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
        with writing(self / LOCK):
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
        raise RunError(f"{path} is damaged: {wrong}. {REMEDY}")
    return record


def _first_record(configuration: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "status": "training",
        "configuration": configuration,
        "provenance": provenance.record(),
    }


def _digest_field(name: str) -> str:
    return f"{Path(name).with_suffix('').as_posix()}_sha256"


def _digests(record: dict[str, Any], name: str) -> list[str]:
    """Return the digests on record of a file: two while it is being replaced."""
    before = record.get("priors", {}).get(Path(name).stem, {})  # of priors, in earlier versions
    found = record.get(_digest_field(name)) or before.get("sha256") or []
    return [found] if isinstance(found, str) else list(found)
