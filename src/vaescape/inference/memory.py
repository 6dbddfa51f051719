"""What follows from a model's weights alone, kept while they stay the same."""

from collections.abc import Callable, Hashable
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class WhileUnchanged:
    """Keeps what was made of a module's weights until one of them is another number.

    They are compared with a copy, which takes a moment beside what is kept: PyTorch's count of a
    tensor's changes misses those by fused optimisers and through ``.data``. Where a graph is
    captured nothing is kept, for the graph will have other weights.
    """

    def __init__(self) -> None:
        self.weights: list[Tensor] = []
        self.kept: dict[Hashable, object] = {}

    @torch.no_grad()
    def recall(self, module: nn.Module, what: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` gives, or what it gave for these weights and the same ``what``."""
        if torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore
            return make()
        weights = [*module.parameters(), *module.buffers()]
        if not _same(weights, self.weights):
            self.weights = [weight.clone() for weight in weights]
            self.kept.clear()
        key = (what, module.training)
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]  # pyright: ignore[reportReturnType]


def _same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(
        a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)
        for a, b in zip(ours, theirs, strict=True)
    )
