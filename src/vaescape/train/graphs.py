"""A training step as one CUDA graph: one launch where there were some hundred."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from vaescape.batch import Batch

WARM_UP = 3
"""Ordinary steps before one is captured: they choose kernels and allocate memory."""

WAITED = "called a synchronizing CUDA operation"
"""PyTorch's error when the host waits for the device."""


class Replayed:
    """What is to be done with a batch: recorded once, from then on replayed with other batches.

    It may change tensors in place and draw from the device's generators, whose seed every replay
    reads anew. What waits for the device cannot be recorded: such work is done as it is, always.

    Args:
        work: On CUDA; every call of this object does it once.
        device: Where.
    """

    def __init__(self, work: Callable[[Batch], None], device: torch.device) -> None:
        self.work, self.stream = work, torch.cuda.Stream(device)
        self.calls, self.waits = 0, False
        self.graph: torch.cuda.CUDAGraph | None = None
        self.batch: Batch | None = None

    def __call__(self, batch: Batch) -> None:
        """Do the work."""
        self.calls += 1
        if self.calls <= WARM_UP:
            self._warm_up(batch)
        elif self.waits:
            self.work(batch)
        else:
            self._replay(batch)

    def _warm_up(self, batch: Batch) -> None:
        """Do it on a stream of its own, as recording requires, and note whether it ever waits."""
        usual = torch.cuda.current_stream()
        self.stream.wait_stream(usual)
        with torch.cuda.stream(self.stream), _waits() as waits:
            self.work(batch)
        usual.wait_stream(self.stream)
        self.waits = any(WAITED in str(warning.message) for warning in waits)

    def _replay(self, batch: Batch) -> None:
        if self.graph is None or self.batch is None:
            self.graph = torch.cuda.CUDAGraph()
            self.batch = Batch._make(None if part is None else part.clone() for part in batch)
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.work(self.batch)
        for ours, theirs in zip(self.batch, batch, strict=True):
            if ours is not None and theirs is not None:
                ours.copy_(theirs)
        self.graph.replay()


@contextmanager
def _waits() -> Iterator[list[warnings.WarningMessage]]:
    """Give a list of warnings, one for each time that the host waits for the device among them."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(before)
