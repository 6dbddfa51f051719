"""Settings of `swift` and `atlas`, compared on validation images."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.page import RESULTS, command, commit, conditions, leave, table
from vaescape.evaluation import elbo
from vaescape.recipes import configuration
from vaescape.study import Study

VALIDATION = 10_000
CHOICES = {
    "swift": [
        f"bayes(points=2304, training_points={points}, refresh_interval=4)"
        for points in (256, 400, 576, 900)
    ],
    "atlas": [
        "bayes(points=9216, training_points=2304, refresh_interval=8)",
        "bayes(points=9216, refresh_interval=32)",
    ],
}


def measure(*, seeds: dict[str, int], threads: int, out: Path = RESULTS) -> None:
    """Train each choice at seeds 0, 1, … and leave ``choices.md`` after each seed.

    What was trained before stays, so that a stopped command goes on.
    """
    before = out / "choices.json"
    found: list[dict[str, Any]] = json.loads(before.read_text()) if before.exists() else []
    made = {"commit": commit(), "command": command()}
    for recipe, count in seeds.items():
        for seed in range(count):
            done = {(run["posterior"], run["seed"]) for run in found}
            for posterior in CHOICES[recipe]:
                if (posterior, seed) not in done:
                    found.append(trained(recipe, posterior, seed, threads) | made)
            leave("choices", "Settings chosen on validation images", _text(found, threads), found,
                  out)  # fmt: skip


def trained(recipe: str, posterior: str, seed: int, threads: int) -> dict[str, Any]:
    """Return what one training reached on the validation images and on the test images."""
    changes = {"posterior": posterior, "seed": seed, "validation": VALIDATION, "threads": threads}
    study = Study(configuration(recipe, device="cpu", **changes))
    start = time.process_time()
    study.fit()
    seconds = time.process_time() - start
    assert study.splits.validation is not None
    nats = {
        name: elbo(study, images)["negative_elbo"]
        for name, images in (("validation", study.splits.validation), ("test", study.test))
    }
    precision = study.configuration.resolved().train.precision
    print(f"{recipe}, {posterior}, seed {seed}: {nats['validation']:.2f} nats", flush=True)
    return {"recipe": recipe, "posterior": posterior, "seed": seed, "cpu_seconds": seconds,
            "precision": precision, **nats}  # fmt: skip


def _text(found: list[dict[str, Any]], threads: int) -> str:
    rows, chosen = [], []
    for recipe in dict.fromkeys(run["recipe"] for run in found):
        of_recipe = [run for run in found if run["recipe"] == recipe]
        means = {}
        for posterior in dict.fromkeys(run["posterior"] for run in of_recipe):
            runs = [run for run in of_recipe if run["posterior"] == posterior]
            means[posterior] = np.mean([run["validation"] for run in runs])
            rows.append([
                f"`{recipe}`", f"`{posterior}`", len(runs), _spread(runs, "validation"),
                f"{np.mean([run['cpu_seconds'] for run in runs]):.1f}", runs[0]["precision"],
                ", ".join(dict.fromkeys(run["commit"] for run in runs)),
            ])  # fmt: skip
        own = configuration(recipe).parts.posterior
        runs = [run for run in of_recipe if run["posterior"] == own]
        chosen.append(
            f"`{recipe}` has `{own}`, which on the test images gives {_spread(runs, 'test')} nats."
        )
    head = ["recipe", "posterior", "seeds", "validation negative ELBO, nats", "CPU s", "precision",
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
