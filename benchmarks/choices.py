"""Settings of `swift` and `atlas`, compared on validation images."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.integration import integrate
from benchmarks.page import RESULTS, command, commit, conditions, leave, table
from vaescape.evaluation import elbo
from vaescape.recipes import configuration
from vaescape.study import Study

VALIDATION = 10_000
INTEGRATED = "integrated at"
"""Of a change: how many points integrate the likelihood in training, in place of the posterior."""
LAYERS = {
    "network": "fourier(decoder_widths=[512, 512, 512], features=64, scale=2.0, activation='gelu')",
    "epochs": 20,
    "batch": 256,
    "lr": 8e-3,
}
"""What `atlas` had before feature grids."""
CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    "swift": {
        posterior: {"posterior": posterior}
        for posterior in (
            f"bayes(points=2304, training_points={points}, refresh_interval=4)"
            for points in (256, 400, 576, 900)
        )
    },
    "atlas": {
        "feature grids, 9,216 points in training": {},
        "feature grids, 2,304 points in training": {
            "posterior": "bayes(points=36864, training_points=2304, refresh_interval=8)"
        },
        "feature grids, integrated at 1,024 points (Correia et al. 2023)": {INTEGRATED: 1024},
        "three layers of 512, 2,304 of 9,216 points in training": LAYERS
        | {"posterior": "bayes(points=9216, training_points=2304, refresh_interval=8)"},
        "three layers of 512, 9,216 points in training": LAYERS
        | {"posterior": "bayes(points=9216, refresh_interval=32)"},
    },
}
"""For each recipe, what is compared, and how each differs from the recipe."""


def measure(*, seeds: dict[str, int], threads: int, out: Path = RESULTS) -> None:
    """Train each choice at seeds 0, 1, … and leave ``choices.md`` after each seed.

    What was trained before stays, so that a stopped command goes on.
    """
    before = out / "choices.json"
    found: list[dict[str, Any]] = json.loads(before.read_text()) if before.exists() else []
    made = {"commit": commit(), "command": command()}
    for recipe, count in seeds.items():
        for seed in range(count):
            done = {(run["setting"], run["seed"]) for run in found}
            for setting in CHOICES[recipe]:
                if (setting, seed) not in done:
                    found.append(trained(recipe, setting, seed, threads) | made)
            leave("choices", "Settings chosen on validation images", _text(found, threads), found,
                  out)  # fmt: skip


def trained(recipe: str, setting: str, seed: int, threads: int) -> dict[str, Any]:
    """Return what one training reached on the validation images and on the test images."""
    changes = {"seed": seed, "validation": VALIDATION, "threads": threads}
    changes |= CHOICES[recipe][setting]
    points = changes.pop(INTEGRATED, None)
    study = Study(configuration(recipe, device="cpu", **changes))
    start = time.process_time()
    if points:
        integrate(study, points)
    else:
        study.fit()
    seconds = time.process_time() - start
    assert study.splits.validation is not None
    nats = {
        name: elbo(study, images)["negative_elbo"]
        for name, images in (("validation", study.splits.validation), ("test", study.test))
    }
    precision = study.configuration.resolved().train.precision
    print(f"{recipe}, {setting}, seed {seed}: {nats['validation']:.2f} nats", flush=True)
    return {"recipe": recipe, "setting": setting, "seed": seed, "cpu_seconds": seconds,
            "precision": precision, **nats}  # fmt: skip


def own(recipe: str) -> str:
    """Return which of the choices a recipe has."""
    is_so = configuration(recipe)
    return next(
        setting
        for setting, changes in CHOICES[recipe].items()
        if INTEGRATED not in changes and configuration(recipe, **changes) == is_so
    )


def _text(found: list[dict[str, Any]], threads: int) -> str:
    rows, chosen = [], []
    for recipe in dict.fromkeys(run["recipe"] for run in found):
        of_recipe = [run for run in found if run["recipe"] == recipe]
        for setting in dict.fromkeys(run["setting"] for run in of_recipe):
            runs = [run for run in of_recipe if run["setting"] == setting]
            rows.append([
                f"`{recipe}`", setting, len(runs), _spread(runs, "validation"),
                f"{np.mean([run['cpu_seconds'] for run in runs]):.1f}", runs[0]["precision"],
                ", ".join(dict.fromkeys(run["commit"] for run in runs)),
            ])  # fmt: skip
        runs = [run for run in of_recipe if run["setting"] == own(recipe)]
        chosen.append(
            f"`{recipe}` has {own(recipe)}: on the test images {_spread(runs, 'test')} nats."
        )
    head = ["recipe", "setting", "seeds", "validation negative ELBO, nats", "CPU s", "precision",
            "commit"]  # fmt: skip
    return (
        f"{conditions(threads)}\n"
        f"Trained on the first 50,000 training images, measured on the last {VALIDATION:,}, one "
        "draw of z each; mean ± standard deviation over seeds. CPU seconds are those of the "
        f"training, all threads together.\n\n{table(head, rows)}\n\n" + " ".join(chosen)
    )


def _spread(runs: list[dict[str, Any]], split: str) -> str:
    values = [run[split] for run in runs]
    deviation = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{deviation}" if values else "–"
