"""A small classifier with everything that can go wrong in a resume, and processes to run it in."""

import multiprocessing
import os
import signal
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vaescape.batch import Batch
from vaescape.train import CheckpointFolder, Tick, TrainOptions, train
from vaescape.train.weights import pack

CLASSES = 3
OPTIONS = TrainOptions(epochs=3, batch=8, lr=0.01, seed=5, device="cpu", threads=1)
ADAGRAD = replace(OPTIONS, optimiser="adagrad")


@dataclass(frozen=True)
class ToyLoss:
    total: Tensor
    metrics: dict[str, Tensor]


class ToyBatches:
    """30 small pictures whose class shows, in an order that is a function of (seed, epoch)."""

    def __init__(
        self, batch: int = 8, images: int = 30, seed: int = 5, device: str = "cpu"
    ) -> None:
        source = torch.Generator().manual_seed(1)
        self.label = torch.arange(images) % CLASSES
        self.x = torch.rand(images, 2, 6, 6, generator=source) + self.label[:, None, None, None]
        self.x, self.label = self.x.to(device), self.label.to(device)
        self.batch, self.seed, self.device = batch, seed, device

    def __len__(self) -> int:
        return len(self.x)

    def at(self, step: int) -> Batch:
        epoch, part = divmod(step * self.batch, len(self))
        source = torch.Generator().manual_seed(1000 * self.seed + epoch)
        order = torch.randperm(len(self), generator=source).repeat(2)
        chosen = order[part : part + self.batch].to(self.device)
        return Batch(self.x[chosen], self.label[chosen])


class ToyObjective(nn.Module):
    """Cross-entropy at a learnt temperature, of a noisy picture."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))
        self.seen: list[tuple[float, bool]] = []

    def forward(self, model: nn.Module, batch: Batch, t: Tensor) -> ToyLoss:
        assert batch.label is not None
        logits = model(batch.x + 0.1 * torch.randn_like(batch.x)) * self.temperature
        each = nn.functional.cross_entropy(logits.float(), batch.label, reduction="none")
        hits = (logits.argmax(1) == batch.label).float()
        per_class = torch.stack([hits[batch.label == c].sum() for c in range(CLASSES)])
        return ToyLoss(each.mean(), {"hits": hits.mean(), "per_class": per_class, "t": t})


def toy_model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(2, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(64, CLASSES),
        )


def run(
    options: TrainOptions = OPTIONS, folder: CheckpointFolder | None = None, **more: Any
) -> tuple[nn.Module, list[Tick]]:
    """Train the toy to the end and return it with its ticks."""
    model, batches = toy_model(), ToyBatches(options.batch)
    return model, list(train(model, ToyObjective(), batches, options, checkpoints=folder, **more))


def bits(module: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in module.state_dict().values())


def kill_at(step: int, number: int = signal.SIGTERM) -> dict[str, Any]:
    """Return the argument of ``train`` that sends a signal after a step."""

    def every(done: int, steps: int) -> None:
        if done == step:
            os.kill(os.getpid(), number)

    return {"every": every}


LONG = TrainOptions(
    epochs=16, batch=8, lr=0.01, seed=5, device="cpu", threads=1, checkpoint_seconds=0
)


def child_run(folder: Path, reports: Connection) -> None:
    """Train in a process that saves after every step, tells its steps and writes the weights."""
    from vaescape.errors import VaescapeError

    torch.set_num_threads(1)
    model = toy_model()
    objective, batches = ToyObjective(), ToyBatches(LONG.batch)
    every = lambda done, steps: reports.send(done)  # noqa: E731
    try:
        saved = CheckpointFolder(folder / "checkpoints")
        for _ in train(model, objective, batches, LONG, checkpoints=saved, every=every):
            pass
    except VaescapeError as error:
        reports.send(str(error))
        raise SystemExit(error.exit_code) from error
    (folder / "weights.safetensors").write_bytes(pack(model.state_dict(), {}))
    reports.send("trained")


def child_full_disk(folder: Path, reports: Connection, recovers: bool) -> None:
    """Train while files may not grow beyond 500 bytes from step 5 on, for two saves or for good."""
    import resource
    import warnings

    from vaescape.errors import RunError

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def every(done: int, steps: int) -> None:
        full = done >= 5 and not (recovers and done >= 7)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, limit[1]) if full else limit)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            options = TrainOptions(**{**vars(OPTIONS), "checkpoint_seconds": 0})
            _, ticks = run(options, CheckpointFolder(folder), every=every)
            end = "finished" if ticks[-1].final else "unfinished"
        except RunError as error:
            end = str(error)
    reports.send(([str(warning.message) for warning in caught], end))


def start(target: Any, *arguments: Any) -> tuple[Any, Connection]:
    """Return a fresh process, forked from a warm server, and the pipe that it reports through."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "vaescape.train"])
    reports, theirs = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*arguments[:1], theirs, *arguments[1:]))
    process.start()
    theirs.close()
    return process, reports
