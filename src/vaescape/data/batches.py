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

WHOLE = 1 << 22
"""Images of which an epoch's order is one permutation: it takes 8 bytes each."""
RESIDENT = 8 << 30
"""Bytes of images that are kept on the device."""


class Batches:
    """A set that lives on the device as bytes, in an order fixed by (seed, step) alone.

    Each epoch's order is a permutation drawn from (seed, epoch). The epochs follow one another in
    one endless stream and step s takes the positions s·batch … (s + 1)·batch − 1 of it. So every
    batch is full, every image comes exactly once per epoch, and a run resumes at any step with
    nothing to restore.

    Above ``WHOLE`` images an epoch's order is drawn in two steps, so that it needs little memory:
    blocks of consecutive images are permuted, and then the images within each window of blocks.

    Args:
        pixels: The images, as bytes. More than ``RESIDENT`` bytes stay where they are; only the
            batches move to the device.
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
        self.device = torch.device(device)
        home = self.device if pixels.nbytes <= RESIDENT else pixels.device
        self.pixels, self.labels = pixels.to(home), labels.to(home)
        self.batch, self.seed, self.binarise = batch, seed, binarise
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._order = lru_cache(maxsize=2)(self._draw)

    def __len__(self) -> int:
        """Images in the set, which are the images of an epoch."""
        return len(self.pixels)

    def at(self, step: int) -> Batch:
        """Return the batch of a step, counted from zero."""
        rows = self.rows(step).to(self.pixels.device)
        # index_select copies rows several times faster than indexing does.
        drawn = self.pixels.index_select(0, rows).to(self.device)
        x = unit(drawn).contiguous(memory_format=self._format)
        if self.binarise:
            x = torch.bernoulli(x, generator=self._noise(step))
        label = self.labels.index_select(0, rows).to(self.device)
        return Batch(x, label, rows.to(self.device))

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
        return torch.Generator(self.device).manual_seed(step_seed(apart, step))

    def _draw(self, epoch: int) -> "Int[Tensor, ' N'] | Blocks":
        (state,) = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)
        if len(self) > WHOLE:
            return Blocks(len(self), int(state))
        generator = torch.Generator().manual_seed(int(state))
        return torch.randperm(len(self), generator=generator).to(self.pixels.device)


class Blocks:
    """A permutation of many images that is never whole in memory, a function of a seed.

    Blocks of images are permuted; each window of the permuted blocks has its images permuted.

    Args:
        count: Images.
        seed: Of the permutation.
        block: Images of a block.
        window: Blocks of a window.
    """

    def __init__(self, count: int, seed: int, block: int = 1 << 10, window: int = 1 << 8) -> None:
        self.count, self.seed, self.block = count, seed, block
        generator = torch.Generator().manual_seed(seed)
        blocks = torch.randperm(-(-count // block), generator=generator)
        self.windows = blocks.split(window)
        sizes = [int((self.count - part * block).clamp_max(block).sum()) for part in self.windows]
        self.ends = np.cumsum(sizes)
        self._of = lru_cache(maxsize=2)(self._draw)

    def __getitem__(self, places: slice) -> Int[Tensor, " n"]:
        """Return the images at consecutive places."""
        start, stop, _ = places.indices(self.count)
        found = [torch.empty(0, dtype=torch.int64)]
        while start < stop:
            number = int(np.searchsorted(self.ends, start, side="right"))
            first = int(self.ends[number - 1]) if number else 0
            found.append(self._of(number)[start - first : stop - first])
            start += len(found[-1])
        return torch.cat(found)

    def _draw(self, number: int) -> Int[Tensor, " n"]:
        """Return the images of a window, in their order."""
        images = (self.windows[number][:, None] * self.block + torch.arange(self.block)).flatten()
        images = images[images < self.count]
        generator = torch.Generator().manual_seed(step_seed(self.seed % 2**63, number))
        return images[torch.randperm(len(images), generator=generator)]
