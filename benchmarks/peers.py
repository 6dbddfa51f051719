"""The same model and training in every library: images per second, in interleaved rounds."""

import statistics
from pathlib import Path

from benchmarks.contest import CONTESTANTS, CutOff, arena, ask, same_model
from benchmarks.floor import MFLOP_PER_IMAGE, products, registers
from benchmarks.page import RESULTS, conditions, leave, spread, table


def measure(
    names: list[str], *, rounds: int, images: int, threads: int, out: Path = RESULTS
) -> None:
    """Time parts of ``images`` images, all contestants in turn, and leave ``peers.md``."""
    with arena() as folder:
        checks = same_model(names, folder, threads)
        rates: dict[str, list[float]] = {name: [] for name in names}
        peaks = dict.fromkeys(names, 0.0)
        core, gemm = registers(), products(threads)
        cut: dict[str, str] = {}
        for number in range(rounds):
            for name in names if number % 2 == 0 else reversed(names):
                if name in cut:
                    continue
                limit = patience(rates, images)
                try:
                    answer = ask(
                        name, folder, threads, "train", images=images, parts=1, limit=limit
                    )
                except CutOff as error:
                    cut[name] = str(error)
                    print(f"round {number + 1}: {name} {error}", flush=True)
                    continue
                rates[name].append(images / answer["seconds"][0])
                peaks[name] = max(peaks[name], answer["peak_mb"])
                print(f"round {number + 1}: {name} {rates[name][-1]:.0f} images/s", flush=True)
    rates = {name: found for name, found in rates.items() if name not in cut}
    peak = core["float32"] * threads if core else None
    floor = peak * 1e3 / MFLOP_PER_IMAGE if peak else None
    rows = [
        [
            CONTESTANTS[name].title,
            f"{statistics.median(found):,.0f}",
            spread(found, ",.0f"),
            f"{60_000 / statistics.median(found):.1f}",
            f"{statistics.median(found) / floor:.0%}" if floor else "–",
            *(_ratio(rates[ours], found) for ours in ("ours", "ours-bf16") if ours in rates),
            f"{peaks[name]:,.0f}",
        ]
        for name, found in rates.items()
    ]
    width = 6 + sum(name in rates for name in ("ours", "ours-bf16"))
    rows += [[CONTESTANTS[name].title, why, *["–"] * (width - 1)] for name, why in cut.items()]
    ours = [f"{CONTESTANTS[n].title} ÷ it" for n in ("ours", "ours-bf16") if n in rates]
    head = ["who", "images/s, median", "spread", "s/epoch", "of the floor", *ours, "peak MB"]
    versions = {k: v for check in checks.values() for k, v in check["versions"].items()}
    text = (
        f"{conditions(threads, versions)}\n"
        f"Recipe `paper`, {rounds} rounds of {images:,} images each after {20} steps of warm-up on "
        "noise, contestants in turn, every part in a process of its own. Every contestant has "
        f"{checks['ours']['parameters']:,} parameters and, at our weights, the loss of ours within "
        "1e-4. Ratios are medians of the rounds' ratios.\n\n"
        f"{table(head, rows)}\n\n{_floor(core, gemm, threads, floor)}"
    )
    numbers = {"images_per_second": rates, "peak_mb": peaks, "check": checks,
               "registers_per_core": core, "products": gemm}  # fmt: skip
    leave("peers", "The study's training beside other libraries", text, numbers, out)


PATIENCE = 6
"""A contestant that takes so many times as long as the slowest other is cut off, …"""
AT_LEAST = 120.0
"""… but not before so many seconds."""


def patience(rates: dict[str, list[float]], images: int) -> float | None:
    """Return after how many seconds a contestant is cut off; None before any has finished."""
    slowest = [images / rate for found in rates.values() for rate in found]
    return max(AT_LEAST, PATIENCE * max(slowest)) if slowest else None


def _ratio(ours: list[float], theirs: list[float]) -> str:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):.2f} ({spread(ratios, '.2f')})"


def _floor(
    core: dict[str, float] | None, gemm: dict[str, float], threads: int, floor: float | None
) -> str:
    rows = [
        [kind, f"{core[kind]:.0f}" if core else "–", f"{core[kind] * threads:.0f}" if core else "–",
         f"{gemm[kind]:.0f}"]
        for kind in gemm
    ]  # fmt: skip
    head = ["GFLOP/s", "one core, registers only", f"{threads} cores", "PyTorch's products, 2048²"]
    told = f"{floor:,.0f} images/s" if floor else "not measured: there is no C compiler"
    return (
        f"The floor: {MFLOP_PER_IMAGE} MFLOP an image at the float32 register peak, {told}.\n\n"
        + table(head, rows)
    )
