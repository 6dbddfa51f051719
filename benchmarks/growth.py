"""How time and memory of recipe ``paper`` grow, one measurement in a process of its own each."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.page import RESULTS, conditions, leave, table

START = {"images": 10_000, "latent": 2, "size": 28, "batch": 128}
SWEEPS = {
    "images": (1_000, 10_000, 100_000, 1_000_000),
    "latent": (2, 8, 32, 128, 512),
    "size": (28, 56, 84, 128),
    "batch": (32, 128, 512, 2048),
    "epochs": (1, 2, 4, 8),
}
STEPS = 30


def measure(*, threads: int, out: Path = RESULTS) -> None:
    """Vary the data, the model and the training, one at a time; leave ``growth.md``."""
    found = {name: [_apart(START | {name: value}, threads) for value in values]
             for name, values in SWEEPS.items()}  # fmt: skip
    parts = [
        f"## {name}\n\n"
        + table(
            [name, "ms/step", "images/s", "peak MB"],
            [[f"{row[name]:,}", f"{row['ms']:.1f}", f"{row['rate']:,.0f}", f"{row['peak_mb']:,.0f}"]
             for row in rows],
        )
        for name, rows in found.items()
    ]  # fmt: skip
    text = (
        f"{conditions(threads)}\nRecipe `paper` on random bytes, {STEPS} steps after 10 of "
        f"warm-up, or whole epochs; what does not vary: {_told(START)}. The peak is that of the "
        "whole process, the data included.\n\n" + "\n\n".join(parts)
    )
    leave("growth", "How time and memory grow", text, found, out)


def _told(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} {size:,}" for name, size in sizes.items())


def _apart(sizes: dict[str, int], threads: int) -> dict[str, Any]:
    request = json.dumps(sizes | {"threads": threads})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", request],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    print(done.stdout.strip(), flush=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def one(
    images: int,
    latent: int,
    size: int,
    batch: int,
    threads: int,
    epochs: float | None = None,
    precision: str = "float32",
    shards: int = 1,
    packed: str = "",
    steps: int = STEPS,
) -> dict[str, Any]:
    """Return milliseconds per step, images per second and the peak memory of some training.

    Of a few steps, unless the epochs are given; on random bytes, or on the packed set in a folder.
    """
    import torch

    from vaescape.build import build
    from vaescape.data import Batches
    from vaescape.data.packed import Packed
    from vaescape.recipes import Parts
    from vaescape.train import TrainOptions, train

    batch = min(batch, images)
    epochs = epochs or (steps + 10) * batch / images
    options = TrainOptions(
        epochs=epochs, batch=batch, threads=threads, device="cpu", precision=precision,
        shards=shards,
    )  # fmt: skip
    pixels = torch.randint(0, 256, (images, 1, size, size), dtype=torch.uint8)
    labels = torch.zeros(images, dtype=torch.int64)
    if packed:
        pixels = Packed(packed).load("train").pixels
    model, objective = build(Parts(latent=latent), shape=(1, size, size))
    batches = Batches(pixels, labels, batch=batch, seed=0, channels_last=True)
    marks: dict[int, float] = {}

    def every(step: int, steps: int) -> None:
        marks[step] = time.perf_counter()

    for _ in train(model, objective, batches, options, every=every):
        pass
    last = max(marks)
    seconds = (marks[last] - marks[10]) / (last - 10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"images": images, "latent": latent, "size": size, "batch": batch,
            "epochs": epochs, "ms": seconds * 1e3, "rate": batch / seconds,
            "peak_mb": peak}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(one(**json.loads(sys.argv[1]))))
