"""The benchmark of scale: its codes are codes, its trainings train, its tables say what was met."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import scale
from vaescape import Study
from vaescape.codes import Codes
from vaescape.explore.live import open_run
from vaescape.explore.pyramid import pyramid
from vaescape.explore.sections import plane


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "look"
    Study("first-look", limit=64, epochs=1, batch=32, threads=1).fit().save(folder)
    return folder


def test_synthetic_codes_are_codes_of_the_run(run, tmp_path, monkeypatch):
    monkeypatch.setattr(plane, "FIELD", 8)
    codes = Codes.open(scale.write_codes(tmp_path / "codes", run, scale.SHARD + 500))
    z, labels = codes.arrays()
    assert len(np.unique(z, axis=0)) == len(z) == scale.SHARD + 500
    assert (np.bincount(labels) > len(z) / 11).all()
    assert codes.ids(np.array([0, scale.SHARD])) == [
        "photos/00000000.png", f"photos/{scale.SHARD:08d}.png"
    ]  # fmt: skip
    built = scale.build(str(run), str(codes.path))
    assert all(value > 0 for value in built.values())
    assert built.keys() <= scale.MORE.keys()
    told: list[str] = []
    found = pyramid(codes, open_run(run), told.append)
    assert told == []
    assert found.counts(1)[1].sum() == len(z)


def test_a_rate_is_that_of_a_training_in_two_processes():
    assert scale._rate(2, steps=2, images=512, shards=2) > 0


def test_the_tables_say_what_was_met_and_what_stands_behind():
    values = {key: [goal.asked] for key, goal in scale.GOALS.items()}
    values |= {"two": [1.7], "open": [2.0, 2.9, 9.0], "tab": [601.0]}
    lines = scale.summary(scale.GOALS, values).splitlines()[2:]
    missed = [line.split(" | ")[0].strip("| ") for line in lines if line.endswith("no |")]
    assert missed == [scale.GOALS["two"].title, scale.GOALS["tab"].title]
    table = scale.details({key: [1234.4, 0.01234, 12.34] for key in scale.MORE})
    assert table.count("0.0123–1,234") == len(scale.MORE)
    assert scale._ratios([4.0, 9.0], [2.0, 3.0]) == [2.0, 3.0]
