"""``vaescape run``: what it says, and what it leaves."""

import fcntl
import hashlib
import json
import os
import re
import struct
import sys
import termios
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from cli_tools import SMALL, Home, assert_mistake, ended, started, tell
from PIL import Image
from safetensors.numpy import load_file

import vaescape
from vaescape import Study
from vaescape.evaluation import code_errors
from vaescape.explore import view

IMAGES = 60
FIGURES = [
    "interpolation_grid",
    "interpolations",
    "manifold",
    "manifold_map",
    "map",
    "reconstructions",
    "regions",
    "samples",
    "traversals",
    "variances",
]


def read(home: Home, name: str):
    return json.loads((home.run / name).read_text())


def test_it_is_quiet_when_nobody_watches(home: Home):
    assert home.told.err == ""
    assert "\r" not in home.told.out
    assert "\x1b" not in home.told.out
    assert home.told.out.splitlines()[0] == (
        "runs/look: recipe first-look, 60 images of Shapes, 2 epochs, seed 0, on cpu"
    )
    done = [line for line in home.told.out.splitlines() if " of 7: " in line]
    assert [re.sub(r"[\d.]+ s\b", "t", line) for line in done] == [
        "1 of 7: trained in t, test loss "
        f"{read(home, 'metrics.json')['test']['negative_elbo']:.2f} nats per image, t",
        "2 of 7: a first report and explorer, in runs/look, t",
        "3 of 7: trained the plain autoencoder, t",
        "4 of 7: measured: runs/look/metrics.json, t",
        "5 of 7: 11 figures: runs/look/figures, t",
        "6 of 7: the report: runs/look/report.html, t",
        "7 of 7: the explorer, to open in a browser: runs/look/explorer.html, t",
    ]


def test_nothing_but_the_run_is_left(home: Home):
    assert [p.name for p in home.path.iterdir()] == ["runs"]
    assert [p.name for p in (home.path / "runs").iterdir()] == ["look"]
    assert {p.name for p in home.run.iterdir()} == {
        ".lock",
        "baseline",
        "checkpoints",
        "errors.safetensors",
        "explorer.html",
        "figures",
        "latents.safetensors",
        "metrics.json",
        "metrics.jsonl",
        "report.html",
        "run.json",
        "weights.safetensors",
    }
    assert not list(home.path.rglob("*.part"))


def test_run_json_rebuilds_the_run_and_says_where_it_comes_from(home: Home):
    record = read(home, "run.json")
    assert record["status"] == "finished"
    assert record["shape"] == [1, 28, 28]
    assert record["classes"] == ["square", "ellipse", "triangle", "heart"]
    c = record["configuration"]
    assert c["recipe"] == "first-look"
    assert c["parts"]["network"] == "conv(channels=[4, 8], hidden=8)"
    assert (c["train"]["seed"], c["train"]["epochs"], c["limit"]) == (0, 2, IMAGES)
    made = record["provenance"]
    assert {"torch", "numpy", "vaescape"} <= made["versions"].keys()
    assert {"git", "machine", "date"} <= made.keys()
    assert made["command"].startswith("vaescape run first-look --limit 60")


@pytest.mark.parametrize("run", ["", "baseline/"])
@pytest.mark.parametrize("name", ["weights", "latents"])
def test_tensors_match_their_digests(home: Home, run: str, name: str):
    content = (home.run / run / f"{name}.safetensors").read_bytes()
    recorded = read(home, f"{run}run.json")[f"{name}_sha256"]
    assert hashlib.sha256(content).hexdigest() == recorded


def test_latents_have_their_shapes(home: Home):
    found = load_file(home.run / "latents.safetensors")
    assert {name: array.shape for name, array in found.items()} == {
        f"{split}.{name}": shape
        for split in ("train", "test")
        for name, shape in (
            ("mean", (IMAGES, 2)),
            ("log_var", (IMAGES, 2)),
            ("label", (IMAGES,)),
        )
    }


def test_the_explorer_takes_the_errors_that_the_evaluation_kept(home: Home, monkeypatch):
    study = Study.load(home.run)
    measured = torch.cat([code_errors(study, part) for part in (study.train, study.test)])
    monkeypatch.setattr(view, "code_errors", None)
    np.testing.assert_allclose(view.reconstruction_errors(study), measured)


def test_metrics_have_plain_names_units_and_add_up(home: Home):
    metrics = read(home, "metrics.json")
    for split in ("test", "train"):
        found = metrics[split]
        assert found["images"] == IMAGES
        assert found["negative_elbo"] == pytest.approx(found["cross_entropy"] + found["kl"])
        assert found["kl"] == pytest.approx(sum(found["kl_per_dimension"]), rel=1e-5)
    rows = metrics["quantities"]
    assert {rows[name]["unit"] for name in ("negative_elbo", "cross_entropy", "kl")} == {"nats"}
    assert 0 < metrics["test"]["mse"] < 1
    assert metrics["training"]["seconds"] > 0
    assert metrics["training"]["steps"] == 6
    assert set(metrics["test"]["importance_weighted_bound"]) == {"5000"}
    assert "plain autoencoder" in metrics["smoothness"]["paths"]


def test_the_log_has_a_row_for_each_epoch(home: Home):
    rows = [json.loads(line) for line in (home.run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6]
    assert {"loss", "cross_entropy", "kl", "kl_per_dimension"} <= rows[0]["held_out"].keys()
    assert rows[-1]["held_out_split"] == "test"
    assert rows[-1]["held_out"]["loss"] == pytest.approx(
        read(home, "metrics.json")["test"]["negative_elbo"]
    )


def test_figures_open(home: Home):
    folder = home.run / "figures"
    assert {p.name for p in folder.iterdir()} == {
        "animation.gif",
        *(f"{name}.{ending}" for name in FIGURES for ending in ("png", "svg")),
    }
    for path in folder.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.load()
            assert min(image.size) > 200
    with Image.open(folder / "animation.gif") as film:
        assert film.is_animated  # type: ignore[attr-defined]


def test_the_report_needs_no_network(home: Home):
    page = (home.run / "report.html").read_text()
    assert len(page) > 100_000
    links = re.findall(r"""(?:src|href|action|poster)\s*=\s*["']?([^"'\s>]+)""", page)
    links += re.findall(r"""url\(\s*["']?([^"')]+)""", page)
    assert links
    others = {link for link in links if not link.startswith(("#", "data:"))}
    assert others == {"explorer.html"}  # for a person to follow
    assert not re.search(r"<link\b|<script\b[^>]*\bsrc|@import|\bfetch\(|XMLHttpRequest", page)


def test_the_same_training_elsewhere_gives_the_same_bits(home: Home, tmp_path):
    again = ended(
        started(
            *("train", "first-look", *SMALL, "--name", "look"),
            command=(sys.executable, "-m", "vaescape"),
            cwd=tmp_path,
        )
    )
    assert (again.code, again.err) == (0, "")
    other = Home(tmp_path, again)
    for name in ("weights.safetensors", "latents.safetensors"):
        assert (other.run / name).read_bytes() == (home.run / name).read_bytes()


def test_a_name_is_found_for_each_run(elsewhere):
    for name in ("first-look", "first-look-2"):
        told = tell("train", "first-look", *SMALL, "--epochs", "0.1")
        assert told.code == 0, told.err
        assert f"runs/{name}: recipe first-look" in told.out
        assert (elsewhere / "runs" / name / "weights.safetensors").exists()


def test_a_plain_autoencoder_is_not_compared_with_itself(elsewhere):
    told = tell("run", "autoencoder", "--data", "shapes", *SMALL, "--baseline")
    assert_mistake(told, "'point'", "Leave out --baseline")
    assert list(elsewhere.iterdir()) == []


def numbers(value, path: str = ""):
    """Yield every number of nested objects and lists, by where it is."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(each, f"{path}/{key}")
    elif isinstance(value, int | float):
        yield path, value


def test_the_whole_of_the_command_is_one_function(home: Home, elsewhere):
    said: list[str] = []
    network = "conv(channels=[4, 8], hidden=8)"
    study = vaescape.run(
        *("first-look",), name="x", limit=60, batch=20, epochs=2, network=network, threads=1,
        tell=said.append,
    )  # fmt: skip
    assert study.folder is not None
    assert "6 of 6: the explorer" in said[-1]
    assert "plain autoencoder" not in study.folder.metrics["smoothness"]["paths"]
    for split in ("test", "train"):  # as many digits as sums on other threads have in common
        theirs = dict(numbers(read(home, "metrics.json")[split]))
        assert dict(numbers(study.folder.metrics[split])) == pytest.approx(theirs, rel=1e-5)
    names = {path.name for path in study.folder.path.iterdir()}
    assert names == {path.name for path in home.run.iterdir()} - {"baseline"}
    assert study.sample(2).shape == (2, 1, 28, 28)


def test_train_leaves_no_more_than_a_training(elsewhere):
    assert tell("train", "first-look", *SMALL, "--name", "short", "--root", "here").code == 0
    names = {path.name for path in (elsewhere / "here" / "short").iterdir()}
    assert names == {
        ".lock",
        "checkpoints",
        "latents.safetensors",
        "metrics.jsonl",
        "run.json",
        "weights.safetensors",
    }


def test_options_reach_the_configuration(elsewhere):
    told = tell(
        *("run", "aevb", "--latent", "8", "--beta", "4", "--seed", "3", "--lr", "0.1"),
        *("--batch", "7", "--epochs", "1.5", "--checkpoint-seconds", "0", "--threads", "2"),
        *("--likelihood", "continuous-bernoulli", "--validation", "5", "--data", "shapes"),
        "--dry-run",
    )
    c = json.loads(told.out)
    assert c["recipe"] == "aevb"
    assert c["parts"] == {
        "network": "mlp",
        "posterior": "gaussian",
        "likelihood": "continuous-bernoulli",
        "prior": "normal",
        "objective": "elbo(beta=4.0)",
        "latent": 8,
        "model": "vae",
        "conditional": False,
    }
    assert c["train"] == {
        "epochs": 1.5,
        "batch": 7,
        "lr": 0.1,
        "optimiser": "adagrad",
        "schedule": "constant",
        "average": 0,
        "seed": 3,
        "device": "auto",
        "precision": "float32",
        "threads": 2,
        "shards": 1,
        "checkpoint_seconds": 0,
        "film": 0,
        "changes": "",
    }
    assert (c["data"], c["validation"]) == ("shapes", 5)
    assert list(elsewhere.iterdir()) == []


def test_a_validation_split_is_watched_instead_of_the_test_images(elsewhere):
    told = tell("train", "first-look", *SMALL, "--validation", "50", "--name", "v")
    assert "validation loss" in told.out
    rows = (elsewhere / "runs" / "v" / "metrics.jsonl").read_text().splitlines()
    assert {json.loads(row)["held_out_split"] for row in rows} == {"validation"}


def test_a_terminal_gets_a_bar_with_rate_and_time_left(tmp_path):
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    command = ("train", "first-look", *SMALL, "--epochs", "10000")
    process = started(*command, cwd=tmp_path, stderr=follower)
    os.close(follower)
    bar = rb"training.*\d+ %.*\d+/600,000.*images.*, .*images/s.*\d:\d\d:\d\d"
    shown = b""
    try:
        while len(shown) < 20_000 and not re.search(bar, shown):
            shown += os.read(leader, 1000)
    finally:
        process.kill()
        ended(process)
        os.close(leader)
    assert re.search(bar, shown), shown
