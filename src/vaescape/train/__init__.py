"""Training: one loss, one backward pass, one optimiser. It would train a classifier as well."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaescape.signals import stop_on_signals
    from vaescape.train.checkpoint import CheckpointFolder
    from vaescape.train.loop import Tick, train
    from vaescape.train.options import TrainOptions
    from vaescape.train.weights import load_weights, save_weights

_HOMES = {
    "CheckpointFolder": "train.checkpoint",
    "Tick": "train.loop",
    "TrainOptions": "train.options",
    "load_weights": "train.weights",
    "save_weights": "train.weights",
    "stop_on_signals": "signals",
    "train": "train.loop",
}
__all__ = [
    "CheckpointFolder",
    "Tick",
    "TrainOptions",
    "load_weights",
    "save_weights",
    "stop_on_signals",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import at the first use: the options of a training are read without loading torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"vaescape.{_HOMES[name]}"), name)
