"""Losses that trace into one graph."""

from typing import Any

import torch
from torch import Tensor

from vaescape.batch import Batch
from vaescape.catalogue import CLASSES, pictures, tiny
from vaescape.recipes import Parts


def traces(parts: Parts) -> None:
    """Check that the loss compiles into one graph with the numbers of the eager one.

    Value, gradients and buffers, at the same seed, at two shares of training.

    Raises:
        AssertionError: If the numbers differ.
        torch._dynamo.exc.Unsupported: If there would be several graphs; it says where they part.
    """
    torch._dynamo.reset()
    model, objective = tiny(parts)
    both = torch.nn.ModuleList([model, objective])
    start = {name: value.clone() for name, value in both.state_dict().items()}
    x, label, rows = pictures(parts)[:4] / 255, torch.arange(4) % CLASSES, torch.arange(4)

    def loss(x: Tensor, t: Tensor) -> Tensor:
        return objective(model, Batch(x, label, rows), t).total

    def step(loss: Any, t: Tensor) -> tuple[Tensor, ...]:
        both.load_state_dict(start)
        torch.manual_seed(0)
        total = loss(x, t)
        gradients = torch.autograd.grad(total, list(both.parameters()))
        return total, *gradients, *(buffer.clone() for buffer in both.buffers())

    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    for t in (torch.tensor(0.1), torch.tensor(0.9)):
        torch.testing.assert_close(step(compiled, t), step(loss, t), rtol=1e-6, atol=1e-6)
