"""What stands between recipe ``paper`` and the floor: every layer alone, forward and backward."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import ways
from benchmarks.floor import registers
from benchmarks.growth import one
from benchmarks.page import RESULTS, conditions, leave, table
from vaescape.study import Study

TIMES = 60
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def measure(*, batch: int = 128, threads: int, out: Path = RESULTS) -> None:
    """Time the layers on what they see in training, and leave ``layers.md``."""
    torch.set_num_threads(threads)
    core = registers()
    found = {name: _layers(dtype, batch) for name, dtype in PRECISIONS.items()}
    steps = {name: one(10_000, 2, 28, batch, threads, precision=name)["ms"] for name in PRECISIONS}
    parts = [
        _section(name, rows, steps[name], core and core[name] * threads)
        for name, rows in found.items()
    ]
    others = _ways(batch)
    parts += [
        f"## {title}\n\n" + table(["way", "forward, ms", "backward, ms"],
                                  [[name, f"{a:.2f}", f"{b:.2f}"] for name, a, b in rows])
        for title, rows in others.items()
    ]  # fmt: skip
    text = (
        f"{conditions(threads)}\nRecipe `paper`, a batch of {batch}; medians of {TIMES}, each "
        "layer alone and warm. The rest of a step: activations, the loss, the draw of z, the "
        "optimiser, and what layers cost more when they find their operands out of the cache.\n\n"
        + "\n\n".join(parts)
    )
    numbers = {"layers": found, "step_ms": steps, "ways": others}
    leave("layers", "A training step, layer by layer", text, numbers, out)


def _ways(batch: int) -> dict[str, list[tuple[str, float, float]]]:
    """Return what other ways to compute the decoder take, in float32 where nothing else is said."""
    net = Study("paper", device="cpu").model.likelihood.net.to(memory_format=torch.channels_last)
    z = torch.randn(batch, 2)
    *before, last, _ = net
    x = nn.Sequential(*before)(z).detach().requires_grad_()
    largest, y = net[5], net[:5](z).detach()
    return {
        "The last layer in other ways, float32": ways.last_layer(last, x),
        "The decoder in other ways, float32": ways.decoder(net, z),
        "The bias of `likelihood.net.5`": ways.biases(largest, y),
    }


def _section(name: str, rows: list[dict[str, Any]], step: float, peak: float | None) -> str:
    def row(title: str, layer: dict[str, float]) -> list[str]:
        ms = layer["forward_ms"] + layer["backward_ms"]
        speed = layer["mflop"] / ms
        return [title, f"{layer['mflop']:.0f}", f"{layer['forward_ms']:.2f}",
                f"{layer['backward_ms']:.2f}", f"{ms / step:.0%}", f"{speed:.0f}",
                f"{speed / peak:.0%}" if peak else "–"]  # fmt: skip

    keys = ("mflop", "forward_ms", "backward_ms")
    total = {key: sum(layer[key] for layer in rows) for key in keys}
    rest = step - total["forward_ms"] - total["backward_ms"]
    head = ["layer", "MFLOP", "forward, ms", "backward, ms", "of the step", "GFLOP/s", "of peak"]
    lines = [
        *(row(layer["layer"], layer) for layer in rows),
        row("**all layers**", total),
        ["the rest", "–", "–", "–", f"{rest / step:.0%}", "–", "–"],
        ["**the step**", f"{total['mflop']:.0f}", "–", f"{step:.1f} in all", "100%",
         f"{total['mflop'] / step:.0f}", f"{total['mflop'] / step / peak:.0%}" if peak else "–"],
    ]  # fmt: skip
    return f"## {name}\n\n{table(head, lines)}"


def _layers(dtype: torch.dtype, batch: int) -> list[dict[str, Any]]:
    """Return each layer's work and time on the activations of a real batch."""
    study = Study("paper", device="cpu")
    model = study.model.to(memory_format=torch.channels_last)
    seen: list[tuple[str, nn.Module, Tensor]] = []
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    hooks = [
        layer.register_forward_hook(
            lambda layer, given, _, name=name: seen.append((name, layer, given[0].detach()))
        )
        for name, layer in model.named_modules()
        if isinstance(layer, kinds)
    ]
    x = study.train[:batch].floats().to(memory_format=torch.channels_last)
    with torch.no_grad():
        model.evidence(x)
    for hook in hooks:
        hook.remove()
    return [
        _layer(name, layer.to(dtype), x.to(dtype), is_first=i == 0)
        for i, (name, layer, x) in enumerate(seen)
    ]


def _layer(name: str, layer: nn.Module, x: Tensor, *, is_first: bool) -> dict[str, Any]:
    x.requires_grad_(not is_first)
    y = layer(x)
    g = torch.randn_like(y)
    wanted = [p for p in (x, *layer.parameters()) if p.requires_grad]
    backward = _median(lambda: torch.autograd.grad(y, wanted, g, retain_graph=True))
    weight = layer.get_parameter("weight")
    places = (x if isinstance(layer, nn.ConvTranspose2d) else y).shape[2:].numel()
    shapes = f"`{name}` {tuple(x.shape[1:])} → {tuple(y.shape[1:])}"
    return {
        "layer": shapes,
        "mflop": 2 * weight.numel() * len(x) * places * (2 if is_first else 3) / 1e6,
        "forward_ms": _median(lambda: layer(x)),
        "backward_ms": backward,
    }


def _median(act: Callable[[], Any]) -> float:
    """Return milliseconds."""
    seconds = []
    for _ in range(TIMES + 5):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[5:]) * 1e3
