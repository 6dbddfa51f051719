"""Time to quality, by airbench's rules: warm-up untimed, evaluation off the clock, many seeds."""

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.contest import arena, ask
from benchmarks.page import RESULTS, command, commit, conditions, leave, spread, table
from vaescape.data import Images
from vaescape.evaluation import elbo
from vaescape.recipes import configuration
from vaescape.study import Study

TARGETS = {"swift": 262.9, "atlas": 240.0}
"""Nats: what the mean negative ELBO on the test images has to be below."""


CHOSEN = (
    "Settings of both recipes are compared on validation images, five seeds each, in "
    "[choices](choices.md): those of `atlas` are the best there, those of `swift` within a "
    "standard deviation of the best."
)


def measure(*, seeds: dict[str, int], keras_epochs: int, threads: int, out: Path = RESULTS) -> None:
    """Train every recipe at seeds 0, 1, …, and Keras once, and leave ``quality.md``.

    What is not trained now stays as it was measured before, with its commit and command.
    """
    before, made = out / "quality.json", {"commit": commit(), "command": command()}
    found: dict[str, list[dict[str, Any]]] = (
        json.loads(before.read_text()) if before.exists() else {}
    )
    for recipe, count in seeds.items():
        warm_up(recipe, threads)
        runs = [trained(recipe, seed, threads) for seed in range(count)]
        found[recipe] = [run | made for run in runs]
    if keras_epochs:
        with arena() as folder:
            answer = ask("keras", folder, threads, "train", images=60_000, parts=keras_epochs,
                         watch=True)  # fmt: skip
        curve = list(zip(np.cumsum(answer["seconds"]).tolist(), answer["loss"], strict=True))
        found["keras"] = [{"seconds": curve[-1][0], "negative_elbo": curve[-1][1], "curve": curve,
                           "versions": answer["versions"]} | made]  # fmt: skip
    leave("quality", "Time to quality", _text(found, threads), found, out)


def warm_up(recipe: str, threads: int) -> None:
    """Train a recipe for twenty steps on noise, so that nothing is done for the first time."""
    study = Study(configuration(recipe, threads=threads, device="cpu"))
    made = study.configuration.train
    rng = torch.Generator().manual_seed(0)
    count = 20 * made.batch
    noise = torch.randint(0, 256, (count, 1, 28, 28), generator=rng, dtype=torch.uint8)
    images = Images(noise, torch.zeros(count, dtype=torch.int64))
    study.__dict__["splits"] = study.splits.__class__(images, None, images, (), "noise")
    study.configuration = study.configuration.with_changes(epochs=1)
    study.fit()


def trained(recipe: str, seed: int, threads: int) -> dict[str, Any]:
    """Return the seconds that one training took and what it reached on the test set.

    ``seconds`` are the training loop's; ``with_set_up`` adds the mean image, the starting weights
    and the check of the images. Both start with the images in memory, as bytes, and evaluation is
    in neither.
    """
    study = Study(configuration(recipe, seed=seed, threads=threads, device="cpu"))
    study.train, study.test  # noqa: B018 — reads them
    curve: list[tuple[float, float]] = []
    off = 0.0

    def watch(tick: Any) -> None:
        nonlocal off
        now = time.perf_counter()
        curve.append((tick.seconds, elbo(study, study.test)["negative_elbo"]))
        off += time.perf_counter() - now

    start = time.perf_counter()
    study.fit(on_tick=watch)
    whole = time.perf_counter() - start - off
    seconds, loss = curve[-1]
    print(f"{recipe}, seed {seed}: {loss:.2f} nats, {seconds:.2f} s, {whole:.2f} s", flush=True)
    return {"seed": seed, "seconds": seconds, "with_set_up": whole, "negative_elbo": loss,
            "curve": curve}  # fmt: skip


def below(values: list[float], target: float) -> float:
    """Return the one-sided p-value of "the mean is below the target" (Student's t)."""
    if len(values) < 2:
        return math.nan
    return float(stats.ttest_1samp(values, target, alternative="less").pvalue)


def _text(found: dict[str, list[dict[str, Any]]], threads: int) -> str:
    peer = found.get("keras", [{}])[0]
    keras = peer.get("seconds")
    rows = []
    for name, runs in found.items():
        losses, seconds = ([run[key] for run in runs] for key in ("negative_elbo", "seconds"))
        target = TARGETS.get(name)
        told = f"{target}, p = {below(losses, target):.1g}" if target and len(runs) > 1 else "–"
        deviation = f" ± {np.std(losses, ddof=1):.2f}" if len(runs) > 1 else ""
        rows.append([
            "Keras on TensorFlow, the study's recipe" if name == "keras" else f"`{name}`",
            len(runs), f"{np.mean(losses):.2f}{deviation}", spread(losses, ".2f"),
            f"{np.mean(seconds):.2f}", spread(seconds, ".2f"),
            f"{np.mean([run['with_set_up'] for run in runs]):.2f}" if "seed" in runs[0] else "–",
            f"{keras / np.mean(seconds):.1f}" if keras else "–", told, runs[0]["commit"],
        ])  # fmt: skip
    rows.append(["`paper` on one GPU, 20 epochs", *["–"] * 3, "not measured", *["–"] * 5])
    head = ["recipe", "seeds", "test negative ELBO, nats", "spread", "training, s", "spread",
            "with set-up, s", "Keras' time ÷ it", "mean below", "commit"]  # fmt: skip
    made = dict.fromkeys((runs[0]["commit"], runs[0]["command"]) for runs in found.values())
    commands = "\n".join(f"Commit {at}: `{by}`." for at, by in made)
    return (
        f"{conditions(threads, peer.get('versions'))}\n"
        "Test images: 10,000, one draw of z each, the KL in closed form or, without an encoder, of "
        "that draw. Warm-up on noise is not timed, nor is evaluation; images start in memory as "
        "bytes. p: one-sided t-test. Rows with another commit were measured at that commit, "
        "in a separate run.\n\n"
        f"{table(head, rows)}\n\n{commands}\n\n{CHOSEN}"
    )
