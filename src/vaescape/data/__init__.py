"""Data sets: bytes and labels in two splits, and the batches drawn from them."""

from vaescape.components import import_members
from vaescape.data.base import Data, Images, Split, Splits, some_labels, splits
from vaescape.data.batches import Batches
from vaescape.data.binarise import binarised
from vaescape.data.opening import opened
from vaescape.data.preparation import Preparation
from vaescape.data.values import pixels, unit

import_members(__name__, __path__)

__all__ = [
    "Batches",
    "Data",
    "Images",
    "Preparation",
    "Split",
    "Splits",
    "binarised",
    "opened",
    "pixels",
    "some_labels",
    "splits",
    "unit",
]
