"""Evaluation of recipe ``swift``: its importance-weighted bound beside pythae's, and throughput."""

import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.contest import ask_script
from benchmarks.page import RESULTS, conditions, leave, table
from vaescape.evaluation import importance_bound
from vaescape.study import Study


def measure(
    *, samples: int, images: int, chunk: int, peer_images: int, threads: int, out: Path = RESULTS
) -> None:
    """Time the bound on the first test images, and pythae's on a few of them."""
    torch.set_num_threads(threads)
    study = Study("swift", device="cpu").fit()
    importance_bound(study, 100, images=100, chunk=chunk)
    start = time.perf_counter()
    found = importance_bound(study, samples, images=images, chunk=chunk)
    seconds = time.perf_counter() - start
    each = seconds / (images * samples)
    pairs, nats = f"{images:,} × {samples:,}", f"{found['nats']:.2f}"
    rows = [["vaescape, `swift`", pairs, f"{seconds:.1f}", f"{each * 1e9:.1f}", nats]]
    numbers = {"ours": {"seconds": seconds, "images": images, "samples": samples, **found}}
    ratio = ""
    if peer_images:
        answer = ask_script("pythae_bound.py", "pythae", threads, samples=samples,
                            images=peer_images)  # fmt: skip
        numbers["pythae"] = answer
        theirs = answer["seconds"] / (peer_images * samples)
        rows.append(["pythae `get_nll`, the same sizes, untrained", f"{peer_images} × {samples:,}",
                     f"{answer['seconds']:.1f}", f"{theirs * 1e9:.1f}", "–"])  # fmt: skip
        ratio = f"\n\nPer image and sample: {theirs / each:.0f} × pythae's speed."
    rates = {name: _rate(act, len(study.test)) for name, act in _acts(study).items()}
    numbers["images_per_second"] = rates
    speeds = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    head = ["who", "images × samples", "s", "ns each", "nats"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = (
        f"{conditions(threads)}\n{table(head, rows)}{ratio}\n\nPeak memory: {peak:,.0f} MB. "
        f"Images per second, float32, medians of 5: {speeds}."
    )
    leave("bound", "The importance-weighted bound", text, numbers, out)


def _acts(study: Study) -> dict[str, Callable[[], Any]]:
    z = study.encode(study.test)
    return {
        "encode": lambda: study.encode(study.test),
        "decode": lambda: study.decode(z),
        "sample": lambda: study.sample(len(z)),
    }


def _rate(act: Callable[[], Any], images: int) -> float:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    return images / statistics.median(seconds)
