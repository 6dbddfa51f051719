"""Logical shards of a batch, shared by any number of processes: same bits, however many there are.

A step's batch is cut into S shards. Each has noise of its own, a function of (seed, step, shard),
and gradients of its own; these are gathered and summed in the order of the shards by every process.
S is part of the configuration, the number W of processes is not (EasyScale; Li et al. 2023).
"""

import atexit
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from vaescape.batch import Batch
from vaescape.components import Component
from vaescape.errors import OptionError, RunError
from vaescape.signals import stop_if_requested

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
        self.rank, self.world = connect() if count > 1 else (0, 1)
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
        with company():
            dist.all_reduce(found, dist.ReduceOp.MAX)
            return int(found)

    def _gathered(self, own: Tensor) -> Tensor:
        every = [torch.empty_like(own) for _ in range(self.world)]
        with company():
            dist.all_gather(every, own)
            return torch.cat(every)


def connect() -> tuple[int, int]:
    """Return the rank of this process and the number W of processes, as torchrun started them."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1
    rank = int(os.environ["RANK"])
    if not dist.is_initialized():
        gpus = torch.cuda.is_available()
        store = meeting_place()
        store = PrefixStore(_attempt(store, rank, world), store)
        with company():
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if gpus else "gloo",
                store=store, rank=rank, world_size=world, timeout=PATIENCE,
            )  # fmt: skip
        atexit.register(let_go)
    return rank, world


@cache
def meeting_place() -> Store:
    """Return where processes of a launch leave notes; torchrun keeps it when it restarts them."""
    store, _, _ = next(rendezvous("env://", timeout=PATIENCE))
    return store


def _attempt(store: Store, rank: int, world: int) -> str:
    """Return a name on which the processes that are alive agree.

    What killed ones left in the store is still there, and torchrun's own count of restarts is not
    the same on all machines.
    """
    own = uuid4().hex
    if rank == 0:
        store.set("attempt", own)
        others = [_awaited(store, f"{own}/{other}") for other in range(1, world)]
        store.set(f"{own}/all", " ".join(others))
        return own
    while True:
        attempt = _awaited(store, "attempt")
        store.set(f"{attempt}/{rank}", own)
        if store.check([f"{attempt}/all"]) and own in store.get(f"{attempt}/all").decode():
            return attempt
        stop_if_requested()
        time.sleep(0.02)


def _awaited(store: Store, key: str) -> str:
    while not store.check([key]):
        stop_if_requested()
        time.sleep(0.02)
    return store.get(key).decode()


@contextmanager
def company() -> Iterator[None]:
    """Say it in a sentence when another process is gone.

    Raises:
        RunError: Instead of what the backend raises.
    """
    try:
        yield
    except RuntimeError as error:
        raise RunError(
            "Another process of this run has ended. Unless torchrun starts all of them again "
            "(--max-restarts), `vaescape resume` goes on from the last checkpoint."
        ) from error


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


@contextmanager
def unchanged_buffers(parts: nn.Module) -> Iterator[None]:
    """Refuse state besides weights that a shard's forward pass changes: each would its own.

    Raises:
        OptionError: With the name of the buffer.
    """
    before = _versions(parts)
    yield
    changed = [name for name, now in _versions(parts).items() if before.get(name) != now]
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
