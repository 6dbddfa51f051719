"""What composition costs: recipe ``paper`` beside the same model written by hand."""

import importlib.util
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from benchmarks.page import RESULTS, ROOT, conditions, leave, spread, table
from vaescape.build import build
from vaescape.data import Batches
from vaescape.recipes import configuration
from vaescape.train import TrainOptions, train

EXAMPLE = ROOT / "examples" / "vae_in_one_file.py"
BATCH = 128


def measure(*, rounds: int, steps: int, threads: int, out: Path = RESULTS) -> None:
    """Time blocks of so many training steps of either, in turn, and leave ``composition.md``."""
    torch.set_num_threads(threads)
    pixels = torch.randint(0, 256, (steps * BATCH, 1, 28, 28), dtype=torch.uint8)
    trainings = {"composed": composed(pixels, rounds + 1, threads), "by hand": by_hand(pixels)}
    for training in trainings.values():
        next(training)  # warm-up
    ms: dict[str, list[float]] = {name: [] for name in trainings}
    for number in range(rounds):
        for name in trainings if number % 2 == 0 else reversed(trainings):
            start = time.perf_counter()
            next(trainings[name])
            ms[name].append((time.perf_counter() - start) / steps * 1e3)
    ratios = [ours / plain for ours, plain in zip(*ms.values(), strict=True)]
    rows = [[name, f"{statistics.median(t):.2f}", spread(t, ".2f")] for name, t in ms.items()]
    text = (
        f"{conditions(threads)}\nRecipe `paper` through the training loop of the package, and "
        "`examples/vae_in_one_file.py`, which does not import it: the same layers and loss (a "
        f"test holds their gradients equal), fused Adam, batches of {BATCH} by index from bytes, "
        f"channels last. Blocks of {steps} steps in one process, in turn, {rounds} rounds after "
        f"one of warm-up.\n\n{table(['step', 'ms, median', 'spread'], rows)}\n\n"
        f"Composed over by hand, median of the rounds' ratios: **{statistics.median(ratios):.3f}** "
        f"({spread(ratios, '.3f')}). The aim is 1.05 at most."
    )
    leave("composition", "What composition costs", text, {"ms": ms, "ratios": ratios}, out)


def composed(pixels: Tensor, epochs: int, threads: int) -> Iterator[object]:
    """Return the package's training: one pass over the images each time it is asked."""
    parts = configuration("paper").parts
    model, objective = build(parts, shape=(1, 28, 28))
    options = TrainOptions(epochs=epochs, batch=BATCH, device="cpu", threads=threads)
    labels = torch.zeros(len(pixels), dtype=torch.int64)
    batches = Batches(pixels, labels, batch=BATCH, seed=0, channels_last=True)
    return train(model, objective, batches, options)


def by_hand(pixels: Tensor) -> Iterator[float]:
    """Yield the mean loss of one pass over the images each time it is asked."""
    one_file = example()
    nets = [
        net.to(memory_format=torch.channels_last)
        for net in (one_file.Encoder(), one_file.Decoder())
    ]
    parameters = [p for net in nets for p in net.parameters()]
    adam = torch.optim.Adam(parameters, lr=1e-3, eps=1e-7, fused=True)
    while True:
        total = torch.zeros(())
        for rows in torch.randperm(len(pixels)).split(BATCH):
            x = pixels.index_select(0, rows).contiguous(memory_format=torch.channels_last) / 255
            adam.zero_grad()
            nats = one_file.loss(*nets, x)
            nats.backward()
            adam.step()
            total += nats.detach()
        yield total.item() * BATCH / len(pixels)


def example() -> ModuleType:
    """Return the one-file example as a module."""
    spec = importlib.util.spec_from_file_location("vae_in_one_file", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
