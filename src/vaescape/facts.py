"""What a run knows: one record, from which each component receives what its constructor names."""

from __future__ import annotations  # so that a text can be read without loading torch

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor


@dataclass(frozen=True)
class Facts:
    """What a run knows before training, for the constructors that ask for it by name.

    A new fact is one more field or property.
    """

    shape: tuple[int, int, int]
    """(C, H, W) of the images."""
    latent_dim: int
    """D, dimensions of z; in a hierarchy, of its top layer."""
    images: int | None = None
    """How many there are to train on."""
    pixels: UInt8[Tensor, "N C H W"] | None = None
    """The training images as bytes; None where a trained model is rebuilt from its weights."""
    classes: int | None = None
    """Number of classes; None if there are no labels."""
    conditional: bool = False
    """Whether the model is conditioned on the class."""
    posterior: Any = None
    """q(z | x, c) as a module, for a prior."""

    @property
    def mean_image(self) -> Float[Tensor, "C H W"] | None:
        """Mean of the training images, pixels in [0, 1]; None without ``pixels``."""
        if self.pixels is None:
            return None
        import numpy as np
        import torch

        total = self.pixels.cpu().numpy().sum(0, dtype=np.int64)  # ten times as fast as torch's
        return (torch.from_numpy(total) / (255.0 * len(self.pixels))).float()

    @property
    def conditions(self) -> int:
        """E, entries of the condition c: 0 for a model that is not conditional."""
        return (self.classes or 0) if self.conditional else 0


FACTS = frozenset([*(field.name for field in fields(Facts)), "mean_image"])
"""The names that a constructor may ask for."""
