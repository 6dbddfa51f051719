"""Names and texts that are not ours are printed as they are, and command no terminal."""

import json
from dataclasses import replace

import pytest
from cli_tools import assert_mistake, tell

from vaescape.cli import plain
from vaescape.cli.tables import print_metrics
from vaescape.recipes import configuration
from vaescape.report.tables import ONLY_MEANS
from vaescape.runs import RunFolder

RED = "\x1b[31mred\x9b0m\u202e"


@pytest.mark.parametrize("name", ["[b]", "[bold red]", "a[link=x]b", ":smile:"])
def test_a_name_is_no_markup(elsewhere, name):
    c = configuration("first-look")
    folder = RunFolder.create(elsewhere / name, replace(c, data=f"[bold]{RED}").to_dict())
    told = tell("show", str(folder))
    assert told.code == 0
    assert "".join(name.split()) in "".join(told.out.split())  # a long path is wrapped
    assert "[bold]\\x1b[31mred\\x9b0m\\u202e" in told.out.replace("\n", "")
    assert "\x1b" not in told.out


def test_what_closes_nothing_is_no_error(elsewhere):
    RunFolder.create(elsewhere / "[" / "b]", configuration("first-look").to_dict())
    told = tell("show", "[/b]")
    assert told.code == 0
    assert "[/b]" in told.out
    assert_mistake(tell("show", "[/c]"), "There is no run [/c].")


def test_an_error_shows_what_it_quotes(elsewhere):
    folder = RunFolder.create(elsewhere / "x", configuration("first-look").to_dict())
    record = folder.record
    record["configuration"]["train"]["device"] = RED
    (folder / "run.json").write_text(json.dumps(record))
    told = tell("resume", "x")
    assert told.code == 2
    assert "\x1b" not in told.err
    assert "\x9b" not in told.err


def test_what_is_printable_stays():
    text = "β\u00a0= 4\u2009·\u200d σ²\tx\n"
    assert plain(text) == text


METRICS = {
    "test": {
        "images": 10_000,
        "negative_elbo": 261.234,
        "mse": 0.02,
        "importance_weighted_bound": {
            "5000": {"images": 10_000, "nats": 253.405, "pool": {"smallest": 78, "largest": 79}}
        },
        "annealed_importance_sampling": {
            "images": 100,
            "nats": 253.4,
            "importance_weighted_bound": {"images": 100, "nats": 253.5, "samples": 1000},
        },
    },
    "captures": {"linear_probe_accuracy": {"estimate": 0.9, "low": 0.8934, "high": 0.9061}},
    "samples": {"sets": {"samples": {"precision": 0.5}, "training images": {"precision": 0.75}}},
    "smoothness": {
        "paths": {"plain autoencoder": {"different": {"length_ratio": {"estimate": 1.5}}}}
    },
}


def test_no_number_of_the_table_takes_two_lines_of_80(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    print_metrics(METRICS)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "importance-weighted bound, 5000 samples 253.4 nats, 10,000 images" in lines
    assert "annealed importance sampling 253.4 nats, 100 images" in lines
    assert "MSE 0.0200 squared pixels, white is 1" in lines
    assert "linear probe accuracy 0.900 95 % interval 0.893 to 0.906" in lines
    assert "length over chord, plain autoencoder 1.50 different class" in lines
    assert lines[-1] == ONLY_MEANS
    assert len(lines) == 2 + 11 + 2  # title and heading, numbers, a sentence
