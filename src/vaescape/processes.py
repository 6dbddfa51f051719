"""A run on several processes of torchrun: the first owns the run folder, the others train along."""

import itertools
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import Tensor

from vaescape.errors import OptionError, RunError
from vaescape.recipes import Configuration
from vaescape.runs import CHECKPOINTS, RUN, RunFolder
from vaescape.study import Study
from vaescape.train import CheckpointFolder
from vaescape.train.shards import company, connect, let_go, meeting_place

_runs = itertools.count()


def several() -> bool:
    """Return whether torchrun started more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first() -> bool:
    """Return whether this process owns the run: it alone writes, evaluates, draws and prints."""
    return not several() or int(os.environ.get("RANK", "0")) == 0


def check(configuration: Configuration, baseline: bool) -> None:
    """Refuse what several processes cannot do together.

    Raises:
        OptionError: For fewer shards than processes, or a baseline.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and configuration.train.shards % world:
        raise OptionError(
            f"{world} processes share the shards of a batch, and there "
            f"{'is' if configuration.train.shards == 1 else 'are'} {configuration.train.shards}. "
            f"Give --shards {world}, or another multiple of {world}."
        )
    if world > 1 and baseline:
        raise OptionError("A baseline is trained on one process. Leave out --baseline or torchrun.")


def launch() -> str | None:
    """Return what marks the next run of this launch of torchrun, also when it restarts us.

    None without torchrun.
    """
    if not dist.is_torchelastic_launched():
        return None
    mark = meeting_place().compare_set("launch", "", uuid4().hex).decode()
    return f"{mark} {next(_runs)}"


def begun(root: Path, mark: str) -> RunFolder | None:
    """Return the run of that mark: torchrun has started the processes again."""
    for path in root.glob(f"[!.]*/{RUN}"):
        folder = RunFolder(path.parent)
        with suppress(RunError):
            if folder.record.get("launch") == mark:
                return folder
    return None


def announce(folder: RunFolder) -> None:
    """Tell the other processes which run it is."""
    connect()
    path = str(folder.path.resolve()).encode()
    text = torch.zeros(4096, dtype=torch.uint8)
    text[: len(path)] = torch.frombuffer(bytearray(path), dtype=torch.uint8)
    with company():
        dist.broadcast(text, 0)


def follow(data_dir: str | Path | None) -> Study:
    """Train along with the first process, writing nothing; return the study when it has ended."""
    connect()
    text = torch.zeros(4096, dtype=torch.uint8)
    with company():
        dist.broadcast(text, 0)
    folder = RunFolder.open(Path(bytes(text.tolist()).rstrip(b"\0").decode()))
    if folder.status == "finished":
        return Study.load(folder, data_dir=data_dir)
    study = Study.of(folder, data_dir=data_dir)
    config = folder.configuration | {"data_sha256": study.data.digest()}
    study.fit(checkpoints=_ReadOnly(folder / CHECKPOINTS, config))
    part()
    return study


def part() -> None:
    """Let go of the other processes, when all have ended their training."""
    if several():
        with company():
            dist.all_reduce(torch.zeros(1))
        let_go()


class _ReadOnly(CheckpointFolder):
    """Checkpoints that another process writes."""

    def save(
        self,
        step: int,
        seconds: float,
        tensors: Mapping[str, Tensor],
        fingerprint: Mapping[str, Any],
    ) -> Path:
        """Write nothing."""
        return self.path
