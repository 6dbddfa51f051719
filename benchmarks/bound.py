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
from vaescape.report.tables import ONLY_MEANS
from vaescape.study import Study

OWN = 1_000
"""So many images are given draws of their own."""


def measure(
    *, samples: int, images: int, chunk: int, peer_images: int, threads: int, out: Path = RESULTS
) -> None:
    """Time the bound on the first test images, and pythae's on a few of them."""
    torch.set_num_threads(threads)
    study = Study("swift", device="cpu").fit()
    few = min(images, OWN)
    ours = {
        "vaescape, neighbouring images share samples": timed(study, samples, images, chunk),
        "vaescape, the same of fewer images": timed(study, samples, few, chunk),
        "vaescape, separate samples for each image": timed(study, samples, few, chunk, pool=1),
    }
    rows = [_row(who, samples, found) for who, found in ours.items()]
    numbers: dict[str, Any] = {"samples": samples, **ours}
    ratio = ""
    if peer_images:
        answer = ask_script("pythae_bound.py", "pythae", threads, samples=samples,
                            images=peer_images)  # fmt: skip
        numbers["pythae"] = answer
        who = "pythae `get_nll`, the same decoder, untrained"
        rows.append(_row(who, samples, answer | {"images": peer_images}))
        theirs = answer["seconds"] / peer_images
        each = [found["seconds"] / found["images"] for found in ours.values()]
        times = ", ".join(f"{theirs / seconds:.0f}" for seconds in each)
        ratio = f"\n\nPer image and sample, in the table's order: {times} times pythae's speed."
    rates = {name: _rate(act, len(study.test)) for name, act in _acts(study).items()}
    numbers["images_per_second"] = rates
    speeds = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    head = ["who", "images × samples", "s", "ns each", "nats", "effective samples"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = (
        f"{conditions(threads)}\n{table(head, rows)}{ratio}\n\n{ONLY_MEANS} "
        f"Peak memory: {peak:,.0f} MB. "
        f"Images per second, float32, medians of 5: {speeds}."
    )
    leave("bound", "The importance-weighted bound", text, numbers, out)


def timed(study: Study, samples: int, images: int, chunk: int, **how: Any) -> dict[str, Any]:
    """Return the bound and its seconds, after a small one that is not timed."""
    importance_bound(study, 100, images=100, chunk=chunk, **how)
    start = time.perf_counter()
    found = importance_bound(study, samples, images=images, chunk=chunk, **how)
    return found | {"seconds": time.perf_counter() - start}


def _row(who: str, samples: int, found: dict[str, Any]) -> list[str]:
    images = found["images"]
    nanoseconds = found["seconds"] / (images * samples) * 1e9
    nats = f"{found['nats']:.2f}" if "nats" in found else "–"
    effective = f"{found['effective_samples']:,.0f}" if "nats" in found else "–"
    return [who, f"{images:,} × {samples:,}", f"{found['seconds']:.1f}", f"{nanoseconds:,.1f}",
            nats, effective]  # fmt: skip


def _acts(study: Study) -> dict[str, Callable[[], Any]]:
    images = study.test[torch.arange(len(study.test))]  # the split's codes are remembered
    z = study.encode(images)
    return {
        "encode": lambda: study.encode(images),
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
