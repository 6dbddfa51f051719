"""Checkpoints: one file with all that a run needs to go on to the same bits.

``step-<number>-<start of its SHA-256>.safetensors``: a file proves itself whole, and the newest is
known by its name, never by a clock. It holds no generator's state, because noise and order are
functions of (seed, step).
"""

import json
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaescape import schema
from vaescape.errors import CheckpointError, RunError
from vaescape.files import sweep, write_atomic
from vaescape.train.options import TrainOptions
from vaescape.train.weights import digest, pack, unpack

FORMAT = 1
READER = "0.1.0"
"""The first version of vaescape that reads this format."""
_NAME = re.compile(r"step-(\d{10,})-([0-9a-f]{16})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """A training that has finished ``step`` steps in ``seconds``."""

    step: int
    seconds: float
    tensors: dict[str, Tensor]
    fingerprint: dict[str, Any]
    path: Path


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        path: The folder; made when first needed.
        config: What defines the run, as JSON-able values, the digest of the data among them: a
            checkpoint of another configuration is refused.
        keep: How many of the newest to keep.
        check: Called before each save; raises :class:`~vaescape.errors.LostRunError` if the run is
            no longer there.
    """

    def __init__(
        self,
        path: Path,
        config: Mapping[str, Any] | None = None,
        *,
        keep: int = 2,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.check = check
        self.config = json.loads(json.dumps(config or {}))
        self.keep = keep
        self._known: list[Path] = []
        self._previous: str | None = None

    @property
    def newest_step(self) -> int | None:
        """The step of the newest checkpoint saved or loaded here; None before there is one."""
        return _step_of(self._known[-1]) if self._known else None

    def save(
        self,
        step: int,
        seconds: float,
        tensors: Mapping[str, Tensor],
        fingerprint: Mapping[str, Any],
    ) -> Path:
        """Write a checkpoint, durable on return, then remove those that are too many.

        Raises:
            RunError: If it cannot be written; the older checkpoints are untouched.
            LostRunError: If the run's folder was moved or deleted.
        """
        if self.check:
            self.check()
        content = pack(
            tensors,
            {
                "format": FORMAT,
                "reader": READER,
                "step": step,
                "seconds": seconds,
                "config": self.config,
                "fingerprint": dict(fingerprint),
                "previous": self._previous,
            },
        )
        whole = digest(content)
        path = self.path / f"step-{step:010d}-{whole[:16]}.safetensors"
        try:
            write_atomic(path, content, parents=self.check is None)
        except RunError:
            if self.check:
                self.check()  # the run may have been moved since it was checked
            raise
        self._previous = whole
        self._known = [*(known for known in self._known if known != path), path]
        self._rotate()
        return path

    def load(self) -> Checkpoint | None:
        """Return the newest whole checkpoint, or None if there is none at all.

        Damaged ones are named in a warning and left where they are.

        Raises:
            CheckpointError: If all are damaged, or the newest whole one is of another configuration
                or of a later format.
        """
        sweep(self.path)
        candidates = _files(self.path)
        for index in reversed(range(len(candidates))):
            try:
                found, header, whole = _read(candidates[index])
            except RunError as error:
                warnings.warn(f"{error} An older checkpoint is tried instead.", stacklevel=2)
                continue
            self._check(header, found.path)
            self._known, self._previous = candidates[: index + 1], whole
            return found
        if candidates:
            raise CheckpointError(
                f"None of the {len(candidates)} checkpoints in {self.path} can be read. Restore "
                "one from a copy, or remove the folder to train from the beginning."
            )
        return None

    def _check(self, header: Mapping[str, Any], path: Path) -> None:
        if header["format"] > FORMAT:
            raise CheckpointError(
                f"{path} has format {header['format']}: it needs vaescape version ≥ "
                f"{header['reader']}. Upgrade vaescape to resume this run."
            )
        changes = differences(header["config"], self.config)
        if changes:
            raise CheckpointError(
                f"{path} belongs to another configuration: {changes}. Resume with the run's own "
                "configuration, or start a new run."
            )

    def _rotate(self) -> None:
        """Remove the oldest; damaged files are not among the known and stay."""
        surplus, self._known = self._known[: -self.keep], self._known[-self.keep :]
        for path in surplus:
            path.unlink(missing_ok=True)


def newest(folder: Path) -> int | None:
    """Return the step of the newest checkpoint in a folder, by its name; None if there is none."""
    return max(map(_step_of, _files(folder)), default=None)


def peek(folder: Path) -> Checkpoint | None:
    """Return the newest whole checkpoint of a training that may be running, touching nothing.

    Damaged files, and those that the training takes away meanwhile, are passed over.
    """
    for path in reversed(_files(folder)):
        with suppress(RunError):
            return _read(path)[0]
    return None


def fingerprint(options: TrainOptions, device: torch.device, threads: int) -> dict[str, Any]:
    """Return everything besides the configuration that the bits of a training depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "torch": torch.__version__,
        "device": name,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": threads,
        "optimiser": options.optimiser,
        "precision": options.resolve_precision(device),
        "matmul": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the fields that differ, as ``threads 1→2, train.lr 0.001→0.002``; empty if none."""
    before, now = _flat(before), _flat(now)
    names = [*before, *(name for name in now if name not in before)]
    return ", ".join(
        f"{name} {before.get(name, 'none')}→{now.get(name, 'none')}"
        for name in names
        if before.get(name) != now.get(name)
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by names with dots."""
    found = {}
    for name, value in values.items():
        inner = isinstance(value, Mapping) and value
        found |= _flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return found


def _files(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the oldest first."""
    return sorted(path for path in folder.glob("step-*") if _NAME.fullmatch(path.name))


def _step_of(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def _read(path: Path) -> tuple[Checkpoint, dict[str, Any], str]:
    """Return a checkpoint whose bytes hash to its name, its header and its SHA-256."""
    match = _NAME.fullmatch(path.name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"The checkpoint {path} could not be read: {error.strerror}.") from error
    whole = digest(content)
    if match is None or whole[:16] != match[2]:
        raise RunError(f"The checkpoint {path} is damaged: its bytes do not hash to its name.")
    tensors, header = unpack(content, path)
    if wrong := schema.wrong(header, schema.CHECKPOINT):
        raise RunError(f"{path} is no checkpoint of vaescape: {wrong}.")
    found = Checkpoint(header["step"], header["seconds"], tensors, header["fingerprint"], path)
    return found, header, whole
