"""Batches as a pure function of (seed, step)."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from vaescape.batch import Batch
from vaescape.data.values import unit
from vaescape.errors import OptionError
from vaescape.randomness import step_seed


class Batches:
    """A set that lives on the device as bytes, in an order fixed by (seed, step) alone.

    Each epoch's order is a permutation drawn from (seed, epoch). The epochs follow one another in
    one endless stream and step s takes the positions s·batch … (s + 1)·batch − 1 of it. So every
    batch is full, every image comes exactly once per epoch, and a run resumes at any step with
    nothing to restore.

    Args:
        pixels: The images, as bytes.
        labels: Their classes.
        batch: Images per step.
        seed: Zero or more.
        device: Where the set lives and the batches appear.
        channels_last: Give the batches in memory with the channels innermost.
        binarise: Draw every pixel of a batch black or white, anew at every step.

    Raises:
        OptionError: If the batch is larger than the set, or a number is impossible.
    """

    def __init__(
        self,
        pixels: UInt8[Tensor, "N C H W"],
        labels: Int[Tensor, " N"],
        *,
        batch: int,
        seed: int,
        device: torch.device | str = "cpu",
        channels_last: bool = False,
        binarise: bool = False,
    ) -> None:
        if not 1 <= batch <= len(pixels):
            raise OptionError(
                f"The batch must be between 1 and {len(pixels)}, the size of the training set. "
                f"Got {batch}."
            )
        if seed < 0:
            raise OptionError(f"The seed must be zero or more. Got {seed}.")
        self.pixels, self.labels = pixels.to(device), labels.to(device)
        self.batch, self.seed, self.binarise = batch, seed, binarise
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._order = lru_cache(maxsize=2)(self._draw)

    def __len__(self) -> int:
        """Images in the set, which are the images of an epoch."""
        return len(self.pixels)

    def at(self, step: int) -> Batch:
        """Return the batch of a step, counted from zero."""
        rows = self.rows(step)
        # index_select copies rows several times faster than indexing does.
        x = unit(self.pixels.index_select(0, rows)).contiguous(memory_format=self._format)
        if self.binarise:
            x = torch.bernoulli(x, generator=self._noise(step))
        return Batch(x, self.labels.index_select(0, rows), rows)

    def rows(self, step: int) -> Int[Tensor, " batch"]:
        """Return which images a step takes."""
        epoch, start = divmod(step * self.batch, len(self))
        rows = self._order(epoch)[start : start + self.batch]
        if len(rows) == self.batch:
            return rows
        return torch.cat([rows, self._order(epoch + 1)[: self.batch - len(rows)]])

    def _noise(self, step: int) -> torch.Generator:
        """Return the source of a step's black and white, apart from the model's own noise."""
        apart = self.seed ^ (1 << 62)
        return torch.Generator(self.pixels.device).manual_seed(step_seed(apart, step))

    def _draw(self, epoch: int) -> Int[Tensor, " N"]:
        (state,) = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state))
        return torch.randperm(len(self), generator=generator).to(self.pixels.device)
