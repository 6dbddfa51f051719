"""Logical shards of a batch, shared by any number of processes: same bits, however many there are.

A step's batch is cut into S shards. Each has noise of its own, a function of (seed, step, shard),
and gradients of its own; these are gathered and summed in the order of the shards by every process.
S is part of the configuration, the number W of processes is not (EasyScale; Li et al. 2023).
"""

import atexit
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vaescape.batch import Batch
from vaescape.components import Component
from vaescape.errors import OptionError

AT_ONCE = 1 << 22
"""Numbers of each shard that are gathered at once: S times as many are in memory."""

PATIENCE = timedelta(hours=24)
"""How long a process waits for another: one of them evaluates while the others wait."""


class Shards:
    """The shards of this process, and the sum over those of all.

    Args:
        count: S.
        batch: Images per step, a multiple of S.
        device: Where gradients are.

    Raises:
        OptionError: If S does not divide the batch, or W does not divide S.
    """

    def __init__(self, count: int, batch: int, device: torch.device) -> None:
        self.count, self.device = count, device
        self.rank, self.world = connect(device) if count > 1 else (0, 1)
        if batch % count:
            raise OptionError(
                f"The batch must be a multiple of the shards. Got {batch} images and {count} "
                f"shards. Give --batch {batch // count * count or count}."
            )
        if count % self.world:
            raise OptionError(
                f"The shards must be a multiple of the processes. Got {count} shards and "
                f"{self.world} processes. Give --shards {-(-count // self.world) * self.world}."
            )
        each = count // self.world
        self.mine = range(self.rank * each, (self.rank + 1) * each)

    def of(self, batch: Batch) -> Iterator[tuple[int, Batch]]:
        """Yield the number and the images of each shard of this process."""
        size = len(batch.x) // self.count
        for k in self.mine:
            rows = slice(k * size, (k + 1) * size)
            yield k, Batch._make(None if part is None else part[rows] for part in batch)

    def mean(self, rows: Sequence[Tensor]) -> Tensor:
        """Return the mean over the rows of all shards, summed in the order of the shards.

        Args:
            rows: A vector for each shard of this process.
        """
        own = torch.stack(list(rows))
        if self.world == 1:
            return _in_order(own) / self.count
        parts = [self._gathered(part.contiguous()) for part in own.split(AT_ONCE, dim=1)]
        return torch.cat([_in_order(part) for part in parts]) / self.count

    def agree(self, number: int) -> int:
        """Return the largest number of all processes: a signal to one of them stops all."""
        if self.world == 1:
            return number
        found = torch.tensor(number, device=self.device)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def _gathered(self, own: Tensor) -> Tensor:
        every = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(every, own)
        return torch.cat(every)


def connect(device: torch.device | None = None) -> tuple[int, int]:
    """Return the rank of this process and the number W of processes, as torchrun started them."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1
    if not dist.is_initialized():
        cuda = device is not None and device.type == "cuda"
        dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
        atexit.register(let_go)
    return dist.get_rank(), world


def let_go() -> None:
    """End the connection to the other processes.

    An interpreter that ends with its threads still running is aborted by the C++ runtime.
    """
    if dist.is_initialized():
        dist.destroy_process_group()


def refuse_coupled(parts: nn.Module) -> None:
    """Refuse parts whose loss is no mean over images.

    Raises:
        OptionError: With the component that compares the images of a batch with each other.
    """
    for module in parts.modules():
        if isinstance(module, Component) and module.couples_batch:
            raise OptionError(
                f"{module.kind.capitalize()} {module.spec or module.name!r} compares the images of "
                "a batch with each other, so a batch cannot be cut into shards. Leave out "
                "--shards, or choose another."
            )


class Buffers:
    """State of components besides weights, which shards would change independently.

    Args:
        parts: Whose buffers are watched.
    """

    def __init__(self, parts: nn.Module) -> None:
        self.parts, self.before = parts, _versions(parts)

    def refuse_changes(self) -> None:
        """Refuse a buffer that the forward pass of a shard has changed.

        Raises:
            OptionError: With its name.
        """
        now = _versions(self.parts)
        changed = [name for name, version in now.items() if self.before.get(name) != version]
        if changed:
            raise OptionError(
                f"{changed[0]} is updated from each batch, so a batch cannot be cut into shards. "
                "Leave out --shards, or choose a component that keeps no running averages."
            )


def _versions(parts: nn.Module) -> dict[str, tuple[int, int]]:
    return {name: (id(value), value._version) for name, value in parts.named_buffers()}


def packed(parameters: Sequence[nn.Parameter], loss: Any) -> Tensor:
    """Return gradients, loss and metrics of a shard as one vector."""
    values = [p.grad for p in parameters if p.grad is not None]
    told = [loss.total.detach(), *(value.detach() for value in loss.metrics.values())]
    like = values[0] if values else loss.total
    return torch.cat([value.reshape(-1).to(like) for value in [*values, *told]])


def unpack(mean: Tensor, parameters: Sequence[nn.Parameter], loss: Any) -> Any:
    """Put a mean of packed vectors into the gradients; return the loss of the whole batch.

    Args:
        mean: Over all shards.
        parameters: With gradients, of any shard.
        loss: Of any shard: its metrics say what the vector's end is.
    """
    values = [p.grad for p in parameters if p.grad is not None]
    told = {"": loss.total} | loss.metrics
    parts = mean.split([value.numel() for value in [*values, *told.values()]])
    for value, part in zip(values, parts, strict=False):
        value.copy_(part.view(value.shape))
    found = {
        name: part.view(value.shape).to(value)
        for (name, value), part in zip(told.items(), parts[len(values) :], strict=True)
    }
    return type(loss)(found.pop(""), found)


def _in_order(rows: Tensor) -> Tensor:
    total = rows[0].clone()
    for row in rows[1:]:
        total += row
    return total
