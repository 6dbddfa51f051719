"""The benchmark of the page measures what it says it does."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import explorer, scale


def test_a_visit_measures_everything(browser, saved, study):
    found = explorer.visit(browser, saved, 24)
    assert found["images"] == len(study.train) + len(study.test)
    assert 0 < found["points"] <= found["ready"]
    assert found.keys() | {"size", "save"} == explorer.GOALS.keys() | {"images"}
    assert all(value > 0 for value in found.values())
    assert found["decode"] < 1000 * found["ready"]


def test_each_visit_is_told_in_a_line():
    told = explorer.briefly({"images": 1200.0, "points": 0.41, "decode": 0.9})
    assert told == "points 0.41 s, decode 0.9 ms"


def test_the_summary_says_what_was_met():
    values = {key: [goal.asked] for key, goal in explorer.GOALS.items()}
    values |= {"pan": [29.0], "points": [0.4, 0.6, 9.0]}
    lines = explorer.summary(explorer.GOALS, values).splitlines()[2:]
    met = {line.split(" | ")[0].strip("| "): line.endswith("yes |") for line in lines}
    assert [title for title, yes in met.items() if not yes] == [
        explorer.GOALS["points"].title, explorer.GOALS["pan"].title,
    ]  # fmt: skip


def test_percentiles_are_values_that_were_seen():
    assert explorer.percentile([float(i) for i in range(1, 101)], 95) == pytest.approx(95)
    assert explorer.percentile([3.0], 95) == 3.0


def test_a_visit_to_many_codes_measures_everything(browser, run, tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "DRAGS", 2)
    codes = scale.write_codes(tmp_path / "codes", run, 20_000)
    built = scale.build(str(run), str(codes))
    with scale.served(run, codes, 1) as server:
        found = scale.visit(browser, *server)
    assert all(value > 0 for value in found.values())
    trained = {name for name in scale.MORE if name.endswith("_rate")}
    ratios = {"two", "eight", "packed", "encode"}
    assert found.keys() | built.keys() | trained | ratios == scale.GOALS.keys() | scale.MORE.keys()
