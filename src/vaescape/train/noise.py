"""PyTorch's global generators: which a step draws from, and how they are left as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def generators(device: torch.device) -> list[torch.Generator]:
    """Return PyTorch's global generators that a step on this device can draw from."""
    if device.type == "cuda":
        return [torch.default_generator, torch.cuda.default_generators[device.index]]
    if device.type == "mps":
        return [torch.default_generator, torch.mps._get_default_mps_generator()]
    return [torch.default_generator]


@contextmanager
def borrowed(sources: list[torch.Generator]) -> Iterator[None]:
    """Leave the state of global generators as it was, whatever is drawn inside."""
    states = [source.get_state() for source in sources]
    try:
        yield
    finally:
        for source, state in zip(sources, states, strict=True):
            source.set_state(state)
