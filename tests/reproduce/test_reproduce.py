"""Reproductions: each from start to page, in small; and that they follow what was published."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vaescape.components import construct, known
from vaescape.errors import ComponentError, RunError
from vaescape.reproduce import Made, Reproduction, aevb, bits, conditional, exemplar, reproduce
from vaescape.study import Study
from vaescape.train import TrainOptions

SMALL = {
    "data": "shapes(images=240, size=12)",
    "epochs": 1,
    "limit": 60,
    "batch": 20,
    "threads": 1,
    "checkpoint_seconds": 1e9,
}


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as a test needs."""
    monkeypatch.setattr(exemplar, "SAMPLES", 20)
    monkeypatch.setattr(bits, "SAMPLES", 5)
    monkeypatch.setattr(bits, "IMAGES", 10)
    monkeypatch.setattr(conditional, "SAMPLES", 40)
    monkeypatch.setattr(aevb, "LATENT", (2, 3))


def made_in(root: Path, name: str, **changes: Any) -> Path:
    held = {"validation": 60} if name == "exemplar" else {}
    return reproduce(name, root=root, data_dir=None, **SMALL | held | changes)


def member(name: str) -> Reproduction:
    return construct("reproduction", name)


@pytest.mark.parametrize("name", known("reproduction"))
def test_one_call_trains_measures_draws_and_leaves_a_page(name: str, tmp_path: Path):
    page = made_in(tmp_path, name)
    text, place = page.read_text(), tmp_path / f"reproduce-{name}"
    assert page == place / f"{name}.md"
    assert text.startswith(f"# {member(name).title}\n")
    for model in member(name).models():
        assert (place / model / "weights.safetensors").exists()
        assert f"| {model} | " in text
    linked = re.findall(r"\]\(([^)]+\.png)\)", text)
    assert sorted(linked) == sorted(path.name for path in place.glob("*.png"))
    assert "nan" not in text
    assert "torch" in text


def test_what_is_there_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = made_in(tmp_path, "conditional")
    before = page.read_bytes()
    page.unlink()
    monkeypatch.setattr(conditional.Classes, "measure", None)
    monkeypatch.setattr(Study, "fit", None)
    assert made_in(tmp_path, "conditional").read_bytes() == before


def test_a_training_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(Study, "fit", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            made_in(tmp_path, "conditional")
    assert made_in(tmp_path, "conditional").exists()


def test_a_folder_of_other_settings_is_refused(tmp_path: Path):
    made_in(tmp_path, "conditional")
    with pytest.raises(RunError, match="other settings"):
        made_in(tmp_path, "conditional", seed=1)


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(ComponentError, match=r"'exemplars'. Did you mean 'exemplar'"):
        reproduce("exemplars")


def test_the_exemplar_table_keeps_to_the_protocol(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    assert exemplar.SAMPLES == 5000
    for c in member("exemplar").models().values():
        assert (c.data, c.validation, c.binarise, c.limit) == (
            "fashion-mnist",
            10_000,
            "dynamic",
            None,
        )
        p = c.parts
        assert (p.likelihood, p.latent, p.posterior) == ("bernoulli", 40, "gaussian")
        assert c.train.epochs <= 2000


def test_aevb_has_the_papers_network_and_optimiser():
    for c in member("aevb").models().values():
        assert (c.parts.network, c.train.batch) == ("mlp", 100)  # one tanh layer of 500
        assert c.train.optimiser.startswith("adagrad(decay=1.667e-05")  # N(0, 1), 60,000 images


def test_the_bound_is_drawn_against_samples_on_a_logarithmic_axis():
    curves = {
        2: [(60_000.0, -300.0, -310.0), (120_000.0, -280.0, -290.0)],
        20: [(60_000.0, -290.0, -295.0)],
    }
    figure = aevb.bounds(curves)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["D = 2", "D = 20"]
    first = figure.axes[0]
    assert first.get_xscale() == "log"
    assert first.xaxis.get_major_formatter()(100_000) == "100k"
    assert "nats" in first.get_ylabel()
    lines = {str(line.get_label()): line.get_data() for line in first.get_lines()}
    np.testing.assert_array_equal(lines["training"], [[60_000, 120_000], [-300, -280]])
    np.testing.assert_array_equal(lines["test"][1], [-310, -290])
    low, high = first.get_ylim()
    assert low < -310
    assert high > -280


def test_bits_of_the_published_nats():
    """3.28 bits per dimension are 1,782.4 nats per image of 784 pixels."""
    study = Study("first-look")
    numbers = {
        "test": {"negative_elbo": 1782.4},
        "first": {"negative_elbo": 1782.4},
        "images": 10_000,
        "importance_weighted_bound": {"nats": 1777.0, "images": 1000},
    }
    table = member("bits").table({"ladder": Made(study, numbers)})
    assert "| **ours, ELBO** | **3.280** | all 10,000 test images |" in table
    assert "3.270 | first 1,000 test images" in table


def test_the_classifier_learns_real_images_and_only_the_training_ones():
    study = Study("first-look", data="shapes(images=1200, size=16)")
    options = TrainOptions(epochs=40, batch=40, lr=3e-3, device="cpu", threads=1)
    judge = conditional.classifier(study, options)
    right = judge(study.test.floats().numpy()) == study.test.labels.numpy()
    assert right.mean() > 0.7
    torch.manual_seed(1)
    again = conditional.classifier(study, options)
    assert (again(study.test.floats().numpy()) == judge(study.test.floats().numpy())).all()


def test_a_third_of_what_the_classifier_sees_is_sharp_a_third_blurred_and_a_third_twice():
    x = torch.zeros(3000, 1, 5, 5)
    x[:, 0, 2, 2] = 1
    middle = conditional.blurred(x)[:, 0, 2, 2]
    # one blur spreads a point evenly over 9 pixels; two leave 9 of 81 shares in the middle, too
    sharp = middle == 1
    corner = conditional.blurred(x)[:, 0, 0, 0] > 0  # two blurs reach it, one does not
    assert sharp.float().mean() == pytest.approx(1 / 3, abs=0.05)
    assert corner.float().mean() == pytest.approx(1 / 3, abs=0.05)
    torch.testing.assert_close(middle[~sharp], torch.full_like(middle[~sharp], 1 / 9))


def test_variety_is_the_mean_distance_within_classes():
    """Two classes, evenly: the three of one are 0, 3 and 3 apart, the two of the other 4."""
    images, labels = torch.zeros(5, 1, 2, 2), torch.tensor([0, 1, 0, 1, 0])
    images[4, 0, 0, 0], images[1] = 3, 2
    assert conditional.variety(images, labels) == pytest.approx((2 + 4) / 2)
