"""Which arithmetic trains a recipe faster: what decides whether ``auto`` is its default."""

import statistics
from pathlib import Path
from typing import Any

from benchmarks.page import RESULTS, conditions, leave, spread, table
from vaescape.recipes import configuration
from vaescape.study import Study

STEPS = 60
"""Training steps that are timed."""


def measure(recipes: list[str], *, rounds: int, threads: int, out: Path = RESULTS) -> None:
    """Time so many training steps of recipes in either precision, in turn; leave a page."""
    found: dict[str, dict[str, list[float]]] = {}
    for recipe in recipes:
        ms: dict[str, list[float]] = {"float32": [], "bfloat16": []}
        for number in range(rounds + 1):
            for precision in ms if number % 2 == 0 else reversed(ms):
                seconds = _trained(recipe, precision, threads)
                if number:  # the first is warm-up
                    ms[precision].append(seconds / STEPS * 1e3)
        found[recipe] = ms
    rows = []
    for recipe, ms in found.items():
        ratios = [slow / fast for slow, fast in zip(*ms.values(), strict=True)]
        times = [f"{statistics.median(t):.2f} ({spread(t, '.2f')})" for t in ms.values()]
        told = f"{statistics.median(ratios):.2f} ({spread(ratios, '.2f')})"
        rows.append([f"`{recipe}`", *times, told, configuration(recipe).train.precision])
    head = ["recipe", "float32, ms a step", "bfloat16, ms a step", "float32 ÷ bfloat16", "default"]
    text = (
        f"{conditions(threads)}\n{STEPS} training steps, both in turn, {rounds} rounds after "
        f"one of warm-up: medians, and the least and the most. On a processor without bfloat16 "
        f"instructions `auto` is float32.\n\n{table(head, rows)}"
    )
    leave("precision", "Which precision trains faster", text, found, out)


def _trained(recipe: str, precision: str, threads: int) -> float:
    made = configuration(recipe, precision=precision, threads=threads, device="cpu")
    batch = made.train.batch
    images = min(
        STEPS * batch, 2048 if made.data.startswith("shapes") else 60_000 - made.validation
    )
    epochs = STEPS * batch / images
    study = Study(made.with_changes(limit=images, epochs=epochs))
    ticks: list[Any] = []
    study.fit(on_tick=ticks.append)
    return ticks[-1].seconds
