"""PyTorch's default floating-point type."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def float32() -> Iterator[None]:
    """Make float32 PyTorch's default type meanwhile, whatever the caller has set."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
