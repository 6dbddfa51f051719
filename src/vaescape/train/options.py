"""What a person can choose about training."""

import math
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaescape.components import construct, nearest, text_of
from vaescape.errors import OptionError
from vaescape.train import optimisers as optimisers  # registers them
from vaescape.train import rates as rates
from vaescape.train.changes import Changes
from vaescape.train.precision import resolved

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_SNAPSHOTS = 100
MOST_EPOCHS = 100_000
MOST_THREADS = 1024


@dataclass(frozen=True)
class TrainOptions:
    """How to train. Impossible values raise :class:`~vaescape.errors.OptionError`."""

    epochs: float = 20
    """How long, in passes over the training images; fractions are fine."""
    batch: int = 128
    """Images per step."""
    lr: float = 1e-3
    """Learning rate, in the optimiser's own units."""
    optimiser: str = "adam"
    """Optimiser, as a component text."""
    schedule: str = "constant"
    """Learning-rate schedule, as a component text."""
    average: float = 0
    """Decay per step, such as 0.999, of the moving average of the weights that the model is left
    with; 0: the weights themselves."""
    seed: int = 0
    """Seed of the initial weights, the order of the images and the noise of every step."""
    device: str = "auto"
    """Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:1, mps."""
    precision: str = "float32"
    """Arithmetic of the networks: float32, bfloat16, or auto: bfloat16 where the hardware
    multiplies it natively, else float32. Densities are float32 always."""
    threads: int | None = None
    """CPU threads; None leaves it to PyTorch: the cores of this process, or OMP_NUM_THREADS."""
    shards: int = 1
    """Logical shards of a batch: with torchrun, any number of processes that divides it gives the
    same weights to the bit."""
    checkpoint_seconds: float = 30
    """Time between checkpoints, in seconds; 0 saves after every step."""
    film: int = 0
    """Training snapshots to keep for the explorer's film, the first and the last step included."""
    changes: str = ""
    """Settings that change at steps of the training, e.g. ``"0 beta=1, 120 beta=4"``."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        must, epochs, seconds = self._must, self.epochs, self.checkpoint_seconds
        threads = 1 if self.threads is None else self.threads
        long = _finite(epochs) and 0 < epochs <= MOST_EPOCHS
        must("epochs", long, f"more than 0 and at most {MOST_EPOCHS:,}")
        must("batch", _whole(self.batch) and self.batch >= 1, "1 image or more")
        must("lr", _finite(self.lr) and self.lr > 0, "more than 0 and finite, e.g. 1e-3")
        must("average", 0 <= self.average < 1, "0, or a decay below 1, e.g. 0.999")
        must("seed", _whole(self.seed) and 0 <= self.seed < 2**63, "a whole number, 0 to 2⁶³ − 1")
        _require_name("precision", self.precision, PRECISIONS)
        _require_name("device", self.device, DEVICES, self.device.split(":")[0])
        device = re.fullmatch(r"auto|(cpu|cuda|mps)(:\d{1,4})?", self.device)
        must("device", device is not None, "a device such as cpu or cuda:1")
        few = _whole(threads) and 1 <= threads <= MOST_THREADS
        must("threads", few, f"1 or more, at most {MOST_THREADS:,}, or None")
        shards = _whole(self.shards) and 1 <= self.shards <= self.batch
        must("shards", shards, "1 or more, at most the images of a batch")
        must("checkpoint_seconds", not math.isnan(seconds) and seconds >= 0, "0 or more")
        film = _whole(self.film) and (self.film == 0 or 2 <= self.film <= MOST_SNAPSHOTS)
        must("film", film, f"0, or from 2 to {MOST_SNAPSHOTS} snapshots")
        object.__setattr__(self, "changes", str(Changes.parse(self.changes)))
        for kind in ("optimiser", "schedule"):
            object.__setattr__(self, kind, text_of(kind, getattr(self, kind)))
            construct(kind, getattr(self, kind))

    @property
    def constant_lr(self) -> float:
        """The rate of a training without a schedule: a third of the schedule's peak."""
        return self.lr / (3 if self.schedule != "constant" else 1)

    def _must(self, name: str, holds: bool, words: str) -> None:
        if not holds:
            raise OptionError(f"{name} must be {words}. Got {getattr(self, name)!r}.")

    def resolve_device(self) -> "torch.device":
        """Return the device to train on, with its number.

        Raises:
            OptionError: If this machine lacks it, or it cannot compute in the precision chosen.
        """
        import torch

        device = _best_device() if self.device == "auto" else torch.device(self.device)
        if device.type == "cuda":
            device = _numbered_cuda(device)
        elif device.type == "mps" and not torch.backends.mps.is_available():
            raise _no_device("mps", "PyTorch finds no Metal device here")
        if self.precision == "bfloat16" and not _has_bfloat16(device):
            raise OptionError(
                f"The device {device} cannot compute in bfloat16, which this precision requires. "
                "Choose precision float32 or another device."
            )
        return device

    def resolve_precision(self, device: "torch.device") -> str:
        """Return the arithmetic on a device: float32 or bfloat16."""
        return resolved(self.precision, device)

    def arithmetic(self, device: "torch.device") -> "torch.autocast":
        """Return the context in which networks compute in the precision of this training."""
        import torch

        bfloat16 = self.resolve_precision(device) == "bfloat16"
        return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


def _finite(value: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _whole(value: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require_name(name: str, value: str, names: tuple[str, ...], part: str | None = None) -> None:
    if (part or value) not in names:
        raise OptionError(
            f"There is no {name} {value!r}.{nearest(value, names)} "
            f"Choose one of: {', '.join(names)}."
        )


def _best_device() -> "torch.device":
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _numbered_cuda(device: "torch.device") -> "torch.device":
    import torch

    if not torch.cuda.is_available():
        raise _no_device(str(device), "PyTorch finds no CUDA device here")
    index = device.index
    if index is None:  # torchrun starts one process for each GPU
        own = int(os.environ.get("LOCAL_RANK", torch.cuda.current_device()))
        index = own % torch.cuda.device_count()
    if index >= torch.cuda.device_count():
        raise _no_device(
            str(device), f"this machine has {torch.cuda.device_count()}, counted from 0"
        )
    return torch.device("cuda", index)


def _no_device(name: str, why: str) -> OptionError:
    return OptionError(f"The device {name} was chosen, but {why}. Choose device auto or cpu.")


def _has_bfloat16(device: "torch.device") -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.amp.is_autocast_available(device.type)
