"""Training: one loss, one backward pass, one optimiser. It would train a classifier as well."""

from vaescape.signals import stop_on_signals
from vaescape.train.checkpoint import CheckpointFolder
from vaescape.train.loop import Tick, train
from vaescape.train.options import TrainOptions
from vaescape.train.weights import load_weights, save_weights

__all__ = [
    "CheckpointFolder",
    "Tick",
    "TrainOptions",
    "load_weights",
    "save_weights",
    "stop_on_signals",
    "train",
]
