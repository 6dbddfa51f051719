"""Which processors multiply bfloat16 in hardware: elsewhere it is emulated, and slower."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

NATIVE_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Linux's names of the instructions: of Intel and AMD, and (the last) of ARM."""

FIRST_CUDA = (8, 0)
"""Compute capability of the first GPUs that multiply it natively: Ampere."""

FIRST_MACOS = 14
"""The first macOS whose Metal has bfloat16."""


def resolved(precision: str, device: "torch.device") -> str:
    """Return the arithmetic that ``auto`` stands for on a device; any other is itself."""
    if precision != "auto":
        return precision
    return "bfloat16" if native_bfloat16(device) else "float32"


def native_bfloat16(device: "torch.device") -> bool:
    """Return whether a device multiplies bfloat16 in hardware."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= FIRST_CUDA
    if device.type == "mps":
        return torch.backends.mps.is_macos_or_newer(FIRST_MACOS, 0)
    return device.type == "cpu" and not NATIVE_FLAGS.isdisjoint(processor_flags())


@cache
def processor_flags() -> frozenset[str]:
    """Return the names of the processor's instruction sets; empty if unknown."""
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "hw.optional.arm.FEAT_BF16"]
            told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
            return frozenset({"bf16"} if told.stdout.strip() == "1" else ())
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(lines[0].split()) if lines else frozenset()
