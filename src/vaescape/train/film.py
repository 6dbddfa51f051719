"""Training snapshots: the weights at some steps, in half precision, for the training film."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from vaescape.errors import RunError
from vaescape.files import write_atomic
from vaescape.train.weights import copy_into, pack, unpack

LARGEST = torch.finfo(torch.float16).max
_NAME = re.compile(r"step-(\d{10,})\.safetensors")


def snapshot_steps(count: int, steps: int) -> list[int]:
    """Return steps from 0 to the last, closer together early on, where most is learned.

    The i-th of ``count`` ≥ 2 lies at (i / (count − 1))³ of the way; those that fall on the same
    step are one.
    """
    return sorted({round(steps * (i / (count - 1)) ** 3) for i in range(count)})


class Film:
    """Keeps the snapshots of one training. It only reads, so the training does not change.

    Args:
        path: Their folder; made when first needed.
        count: How many; 0 keeps none.
        steps: Of the whole training.
        check: Called before each save; raises if the run is no longer there.
    """

    def __init__(
        self, path: Path, count: int, steps: int, check: Callable[[], None] | None = None
    ) -> None:
        self.check = check
        self.path, self.steps = path, frozenset(snapshot_steps(count, steps) if count else ())

    def keep(self, step: int, model: nn.Module) -> None:
        """Write a snapshot if one is due at this step.

        A file that cannot be written is named in a warning: a film is not worth a training.
        """
        if step not in self.steps:
            return
        if self.check:
            self.check()
        content = pack({k: half(v) for k, v in model.state_dict().items()}, {"step": step})
        try:
            path = self.path / f"step-{step:010d}.safetensors"
            write_atomic(path, content, parents=self.check is None)
        except RunError as error:
            if self.check:
                self.check()  # the run may have been moved since it was checked
            warnings.warn(f"{error} The film will lack this snapshot.", stacklevel=2)


def kept(path: Path) -> dict[int, Path]:
    """Return the snapshots in a folder, by step in ascending order."""
    found = ((_NAME.fullmatch(file.name), file) for file in path.glob("step-*"))
    return dict(sorted((int(match[1]), file) for match, file in found if match))


def rewind(model: nn.Module, snapshot: Path) -> None:
    """Load the weights of a snapshot into a model.

    Raises:
        RunError: If the file is damaged or of another model.
    """
    tensors, _ = unpack(snapshot.read_bytes(), snapshot)
    copy_into(model.state_dict(), tensors, snapshot)


def half(value: Tensor) -> Tensor:
    """Return numbers in half precision, those beyond its range at its ends; others as they are."""
    return value.clamp(-LARGEST, LARGEST).half() if value.is_floating_point() else value
