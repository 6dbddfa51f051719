"""Black and white images: each pixel drawn, white with the probability of its brightness."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from vaescape.components import nearest
from vaescape.data.base import Images, Splits
from vaescape.errors import OptionError

WAYS = ("none", "dynamic", "fixed")
SEED = 777
"""Of the draws that are made once, as in the Exemplar VAE's protocol (Norouzi et al., 2020)."""


def binarised(splits: Splits, way: str) -> Splits:
    """Return splits in black and white; ``none`` leaves them grey.

    Validation images, then test images, then training images are drawn once from NumPy's legacy
    generator with seed 777. With ``dynamic``, training draws anew from ``splits.grey`` at every
    step, and the training images drawn here are those that are measured.

    Raises:
        OptionError: For another way.
    """
    if way not in WAYS:
        raise OptionError(
            f"There is no way to binarise {way!r}.{nearest(way, WAYS)} Choose: {', '.join(WAYS)}."
        )
    if way == "none":
        return splits
    draw = np.random.RandomState(SEED)
    validation = None if splits.validation is None else _drawn(splits.validation, draw)
    test, train = _drawn(splits.test, draw), _drawn(splits.train, draw)
    grey = splits.train if way == "dynamic" else None
    return replace(splits, train=train, validation=validation, test=test, grey=grey)


def _drawn(images: Images, draw: np.random.RandomState) -> Images:
    white = draw.binomial(1, images.floats().numpy())
    return replace(images, pixels=as_bytes(torch.from_numpy(white)))


def as_bytes(white: Tensor) -> UInt8[Tensor, "*S"]:
    """Return 0 and 255 for black and white."""
    return white.to(torch.uint8) * 255
