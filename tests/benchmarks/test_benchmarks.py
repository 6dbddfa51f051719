"""What the benchmarks say must be right: the contestants' model, the tables, the test of a mean."""

import json
import math
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vaescape import Study
from vaescape.evaluation import elbo
from vaescape.recipes import configuration

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    choices,
    contest,
    environments,
    floor,
    integration,
    layers,
    page,
    peers,
    quality,
)


@pytest.fixture
def contestants(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "contestants"))
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))


def test_the_plain_loop_has_our_model_and_our_loss(contestants):
    from ours import Ours  # pyright: ignore[reportMissingImports]
    from torch_loop import Loop  # pyright: ignore[reportMissingImports]

    weights = {
        str(i): p.detach().numpy().copy() for i, p in enumerate(Study("paper").model.parameters())
    }
    weights["6"][2:], weights["7"][2:] = 0, -60
    x = np.random.default_rng(0).integers(0, 256, (20, 28, 28)) / np.float32(255)
    ours, loop = Ours(), Loop()
    assert ours.parameters() == loop.parameters() == 134_165
    for contestant in (ours, loop):
        contestant.load(weights)
    assert ours.loss(x) == pytest.approx(loop.loss(x), rel=1e-5)


def test_peers_that_need_nothing_run_here():
    assert environments.python("ours") == environments.python("loop") == sys.executable
    assert environments.environment(3)["OMP_NUM_THREADS"] == "3"


def test_the_p_value_is_that_of_a_one_sided_t_test():
    values = [262.0, 262.4, 261.8, 262.6]
    t = (np.mean(values) - 262.9) / (np.std(values, ddof=1) / 2)
    tail = 0.5 * (1 - _student(float(abs(t))))
    assert quality.below(values, 262.9) == pytest.approx(tail, rel=1e-6)
    assert quality.below(values, 262.0) > 0.5
    assert math.isnan(quality.below([262.0], 262.9))


def test_what_is_not_trained_again_stays_with_its_commit(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quality, "warm_up", lambda recipe, threads: None)
    monkeypatch.setattr(quality, "commit", lambda: "bbb")
    run = {"seconds": 2.0, "with_set_up": 2.5, "negative_elbo": 260.0, "curve": [[2.0, 260.0]]}
    monkeypatch.setattr(
        quality,
        "trained",
        lambda _, seed, threads: run | {"seed": seed, "negative_elbo": 260.0 + seed},
    )
    before = {
        "keras": [
            run | {"seconds": 800.0, "commit": "aaa", "command": "x y", "versions": {"keras": "3"}}
        ]
    }
    before["keras"][0].pop("with_set_up")
    (tmp_path / "quality.json").write_text(json.dumps(before))
    quality.measure(seeds={"swift": 2}, keras_epochs=0, threads=1, out=tmp_path)
    rows = (tmp_path / "quality.md").read_text().splitlines()
    keras, swift = (next(r for r in rows if r.startswith(f"| {n}")) for n in ("Keras", "`swift`"))
    assert keras.endswith("| aaa |")
    assert swift.endswith("| bbb |")
    assert "| 400.0 |" in swift
    assert "Commit aaa: `x y`." in rows


def test_choices_are_compared_on_validation_images_and_a_stopped_command_goes_on(
    tmp_path, monkeypatch, capsys
):
    """The mean over seeds for each choice; what was trained before is not trained again."""
    trained = []

    def fake(recipe, setting, seed, threads):
        trained.append((setting, seed))
        nats = CHOSEN.index(setting) + 2.0 * seed
        return {"recipe": recipe, "setting": setting, "seed": seed, "cpu_seconds": 1.0,
                "precision": "float32", "validation": nats, "test": nats + 50}  # fmt: skip

    monkeypatch.setattr(choices, "trained", fake)
    choices.measure(seeds={"swift": 1}, threads=1, out=tmp_path)
    choices.measure(seeds={"swift": 2}, threads=1, out=tmp_path)
    assert trained == [(one, seed) for seed in (0, 1) for one in CHOSEN]
    text = (tmp_path / "choices.md").read_text()
    for n, one in enumerate(CHOSEN):
        assert f"| `swift` | {one} | 2 | {n + 1:.2f} ± 1.41 |" in text
    own = configuration("swift").parts.posterior
    assert f"`swift` has {own}: on the test images {CHOSEN.index(own) + 51:.2f} ± 1.41" in text


CHOSEN = list(choices.CHOICES["swift"])


def test_the_recipes_have_one_of_the_choices():
    assert all(choices.own(recipe) in of for recipe, of in choices.CHOICES.items())


def test_a_decoder_trained_by_integration_explains_the_images_better():
    """By the exact posterior, as every other decoder."""
    study = Study("swift", data="shapes", limit=200, epochs=20, batch=40, threads=1)
    before = elbo(study, study.test)["negative_elbo"]
    integration.integrate(study, 64)
    assert elbo(study, study.test)["negative_elbo"] < before - 5


def _student(t: float) -> float:
    """The mass within ±t of Student's t with three degrees of freedom, in closed form."""
    angle = math.atan(t / math.sqrt(3))
    return 2 / math.pi * (angle + math.sin(angle) * math.cos(angle))


def test_ratios_are_taken_round_by_round():
    assert peers._ratio([200.0, 300.0, 90.0], [100.0, 100.0, 100.0]) == "2.00 (0.90–3.00)"


def test_composition_is_timed_beside_the_same_model_by_hand(tmp_path, capsys):
    from benchmarks import composition

    composition.measure(rounds=2, steps=2, threads=torch.get_num_threads(), out=tmp_path)
    found = json.loads((tmp_path / "composition.json").read_text())
    assert {name: len(times) for name, times in found["ms"].items()} == {
        "composed": 2,
        "by hand": 2,
    }
    assert found["ratios"] == [a / b for a, b in zip(*found["ms"].values(), strict=True)]
    assert "| composed |" in (tmp_path / "composition.md").read_text()


def test_what_is_written_by_hand_learns_the_same():
    """One pass over images: the mean losses of both agree, from other weights and noise."""
    from benchmarks import composition

    torch.manual_seed(0)
    pixels = torch.randint(0, 60, (20 * 128, 1, 28, 28), dtype=torch.uint8)
    (tick,) = composition.composed(pixels, 1, torch.get_num_threads())
    assert next(composition.by_hand(pixels)) == pytest.approx(
        tick.metrics["loss"],  # pyright: ignore
        rel=0.05,
    )


def test_a_page_says_how_to_get_it_again(tmp_path, capsys):
    page.leave("speed", "Speed", page.conditions(2) + page.table(["a"], [[1]]), {"a": 1}, tmp_path)
    text = (tmp_path / "speed.md").read_text()
    assert text.startswith("# Speed\n")
    assert "python -m benchmarks" in text
    assert "| a |\n| --- |\n| 1 |" in text
    assert torch.__version__ in text
    assert json.loads((tmp_path / "speed.json").read_text()) == {"a": 1}


def test_the_chart_draws_lines_and_points(tmp_path):
    from benchmarks import chart

    runs = {
        "swift": [{"curve": [[0.9, 262.0]]}, {"curve": [[1.0, 262.3]]}],
        "keras": [{"curve": [[20.0, 290.0], [40.0, 280.0]]}],
    }
    (tmp_path / "quality.json").write_text(json.dumps(runs))
    figure = chart.draw(tmp_path / "quality.json")
    assert [line.get_marker() for line in figure.axes[0].lines] == ["o", "o", "None"]
    assert {text.get_text() for text in figure.axes[0].texts} == {
        "vaescape swift", "the study in Keras on TensorFlow",
    }  # fmt: skip


def test_the_layers_are_the_work_that_the_floor_counts(monkeypatch):
    monkeypatch.setattr(layers, "TIMES", 1)
    found = layers._layers(torch.float32, batch=2)
    assert sum(layer["mflop"] for layer in found) / 2 == pytest.approx(
        floor.MFLOP_PER_IMAGE, rel=1e-3
    )


def test_longer_training_takes_no_more_memory(tmp_path, monkeypatch, capsys):
    from benchmarks import growth

    monkeypatch.setattr(growth, "START", growth.START | {"images": 1_536})
    monkeypatch.setattr(growth, "SWEEPS", {"epochs": (1, 3)})
    growth.measure(threads=1, out=tmp_path)
    once, thrice = json.loads((tmp_path / "growth.json").read_text())["epochs"]
    assert (once["epochs"], thrice["epochs"]) == (1, 3)
    assert thrice["peak_mb"] == pytest.approx(once["peak_mb"], rel=0.05)
    assert "\n| epochs | ms/step |" in (tmp_path / "growth.md").read_text()


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: the table says so")
@pytest.mark.parametrize("target", ["x86-64", "x86-64-v3", "x86-64-v4", "native"])
def test_the_floor_compiles_for_every_width_of_vectors(tmp_path, target: str):
    if target != "native" and platform.machine() != "x86_64":
        target = "native"
    source = floor.SOURCE.read_text().replace("40000000", "1000")
    (tmp_path / "floor.c").write_text(source)
    flags = ["-O3", f"-march={target}", "-ffp-contract=fast", "-Werror", "-Wall"]
    subprocess.run(["cc", *flags, "-o", "floor", "floor.c"], cwd=tmp_path, check=True)


def test_a_contestant_that_takes_far_longer_is_cut_off(tmp_path, monkeypatch):
    assert peers.patience({"ours": [], "loop": []}, 60_000) is None
    assert peers.patience({"ours": [1000.0], "loop": [100.0]}, 60_000) == 6 * 600
    assert peers.patience({"ours": [60_000.0]}, 60_000) == peers.AT_LEAST
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(contest, "SCRIPTS", tmp_path)
    with pytest.raises(contest.CutOff, match="cut off after 1 s"):
        contest.ask_script("slow.py", "ours", 1, limit=1.0)
