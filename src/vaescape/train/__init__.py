"""Training: one loss, one backward pass, one optimiser. It would train a classifier as well."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaescape.train.checkpoint import CheckpointFolder as CheckpointFolder
    from vaescape.train.loop import Tick as Tick
    from vaescape.train.loop import train as train
    from vaescape.train.options import TrainOptions as TrainOptions

_HOMES = {
    "CheckpointFolder": "checkpoint",
    "Tick": "loop",
    "TrainOptions": "options",
    "train": "loop",
}


def __getattr__(name: str) -> Any:
    """Import at the first use: the options of a training are read without loading torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
