"""The floor that every contestant is set against: what this machine's arithmetic could do."""

import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.page import instructions

SOURCE = Path(__file__).parent / "floor.c"
MFLOP_PER_IMAGE = 39.85
"""A training step of recipe ``paper``: 19,926,336 multiply-adds per image, forward, gradient of
the data (not of the first layer's) and gradient of the weights."""


def registers(target: str = "native") -> dict[str, float] | None:
    """Return GFLOP/s of one core that never leaves its registers; None without a C compiler.

    Args:
        target: The processor to compile for, as ``-march`` takes it.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "floor")
        flags = ["-O3", f"-march={target}", "-ffp-contract=fast"]
        subprocess.run([compiler, *flags, "-o", program, str(SOURCE)], check=True)
        found = [subprocess.run([program], capture_output=True, text=True, check=True).stdout
                 for _ in range(3)]  # fmt: skip
    best = [max(float(line.split()[i]) for line in found) for i in (0, 1)]
    return {"float32": best[0], "bfloat16": best[1]}


def products(threads: int, size: int = 2048, times: int = 7) -> dict[str, float]:
    """Return GFLOP/s of square matrix products in PyTorch, medians.

    bfloat16 only where the processor multiplies it: elsewhere a product takes fifty times as long.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = {}
    kinds = {"float32": torch.float32}
    if {"avx512_bf16", "amx_bf16", "bf16"} & set(instructions()):
        kinds["bfloat16"] = torch.bfloat16
    for name, dtype in kinds.items():
        a, b = torch.randn(2, size, size).to(dtype)
        a @ b
        seconds = []
        for _ in range(times):
            start = time.perf_counter()
            a @ b
            seconds.append(time.perf_counter() - start)
        found[name] = 2 * size**3 / statistics.median(seconds) / 1e9
    torch.set_num_threads(before)
    return found
