"""Moments of a training: which they are, that they are whole, and that nobody notices them."""

import itertools
import warnings

import pytest
import torch

from vaescape.errors import OptionError, RunError
from vaescape.pipeline import start, train
from vaescape.recipes import configuration
from vaescape.runs import FILM, WEIGHTS
from vaescape.train import TrainOptions
from vaescape.train.film import Film, kept, rewind, snapshot_steps

SMALL = {"network": "conv(channels=[4, 8], hidden=8)", "limit": 100, "batch": 20, "epochs": 2,
         "threads": 1}  # fmt: skip


def test_snapshots_begin_before_the_first_step_and_end_with_the_last():
    assert snapshot_steps(2, 9375) == [0, 9375]
    found = snapshot_steps(20, 9375)
    assert (found[0], found[-1], len(found)) == (0, 9375, 20)
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert gaps == sorted(gaps)
    assert snapshot_steps(20, 3) == [0, 1, 2, 3]


@pytest.mark.parametrize("film", [1, -1, 101, 2.5, True])
def test_impossible_films_are_refused(film):
    with pytest.raises(OptionError, match="film"):
        TrainOptions(film=film)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A run that kept snapshots, and its twin that kept none."""
    root = tmp_path_factory.mktemp("runs")
    found = []
    for count in (4, 0):
        folder, study = start(configuration("first-look", film=count, **SMALL), root=root)
        train(folder, study)
        found.append((folder, study))
    return found


def test_keeping_snapshots_changes_no_bit_of_the_training(filmed):
    (folder, _), (twin, _) = filmed
    assert (folder / WEIGHTS).read_bytes() == (twin / WEIGHTS).read_bytes()
    assert list(kept(folder / FILM)) == snapshot_steps(4, 10)
    assert not (twin / FILM).exists()


def test_a_snapshot_is_the_model_as_it_was(filmed):
    folder, study = filmed[0]
    fresh = start(study.configuration, root=folder.path.parent, name="fresh")[1]
    expected = fresh.decode(torch.zeros(1, 2))
    found = kept(folder / FILM)
    rewind(study.model, found[10])
    last = study.decode(torch.zeros(1, 2))
    rewind(study.model, found[0])
    torch.testing.assert_close(study.decode(torch.zeros(1, 2)), expected, atol=2e-3, rtol=0)
    assert (last - expected).abs().max() > 0.01


def test_a_damaged_snapshot_is_told(filmed, tmp_path):
    folder, study = filmed[0]
    path = tmp_path / "step-0000000000.safetensors"
    path.write_bytes(kept(folder / FILM)[0].read_bytes()[:-100])
    with pytest.raises(RunError, match="damaged"):
        rewind(study.model, path)


def test_a_snapshot_that_cannot_be_written_stops_nothing(filmed, tmp_path):
    (tmp_path / "film").write_text("in the way")
    film = Film(tmp_path / "film", 2, 10)
    with pytest.warns(UserWarning, match="the film will lack|The film will lack"):
        film.keep(0, filmed[0][1].model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        film.keep(3, filmed[0][1].model)


def test_the_baseline_keeps_none():
    assert configuration("paper", film=20).baseline().train.film == 0
