"""The film that a page carries: the snapshots chosen, where images lay, and the decoder then."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from vaescape.cli import exploring
from vaescape.errors import OptionError
from vaescape.explore.blobs import Blob
from vaescape.explore.sections import film
from vaescape.explore.view import View
from vaescape.latent_space import LatentSpace
from vaescape.pipeline import start, train
from vaescape.recipes import configuration
from vaescape.runs import FILM
from vaescape.study import Study
from vaescape.train.film import kept, rewind

SMALL = {"network": "conv(channels=[4, 8], hidden=8)", "limit": 100, "batch": 20, "epochs": 2,
         "threads": 1}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of ten steps that kept five snapshots: 0, 0.16 → none, 1, 4, 10."""
    folder, study = start(
        configuration("first-look", film=5, **SMALL), root=tmp_path_factory.mktemp("runs")
    )
    train(folder, study)
    return folder


@pytest.fixture(scope="module")
def study(run):
    return Study.load(run)


class Filmed(NamedTuple):
    about: dict[str, Any]
    blobs: dict[str, Blob]


def filmed(study: Study, count: int) -> Filmed:
    entries, blobs = film.film(View(study, film=count))
    return Filmed(entries["film"], blobs)


def places(found) -> np.ndarray:
    blob = found.blobs["film_points"]
    low, high = np.array(blob.about["scale"]).T
    whole = np.frombuffer(blob.content, "<u2").reshape(blob.about["shape"])
    return low + whole / 65535 * (high - low)


def test_the_film_is_the_run_at_its_snapshots(run, study):
    found = filmed(study, 5)
    assert [each["step"] for each in found.about["snapshots"]] == [*kept(run / FILM)]
    assert found.about["snapshots"][-1]["epoch"] == 2.0
    assert (found.about["first"], found.about["count"]) == (100, 100)
    then = Study.load(run)
    for at, path in enumerate(list(kept(run / FILM).values())[:-1]):
        rewind(then.model, path)
        np.testing.assert_allclose(places(found)[at], then.encode(then.test).numpy(), atol=1e-3)


def test_the_study_is_as_before(study):
    before = study.decode(torch.zeros(1, 2))
    filmed(study, 3)
    assert torch.equal(study.decode(torch.zeros(1, 2)), before)


def test_fewer_snapshots_are_spread_over_all(run, study):
    steps = [each["step"] for each in filmed(study, 3).about["snapshots"]]
    assert steps == [0, list(kept(run / FILM))[-2], 10]


def test_many_dimensions_lie_on_the_pages_plane():
    axes = torch.linalg.qr(torch.randn(3, 2, generator=torch.Generator().manual_seed(0)))[0]
    mean = torch.tensor([1.0, 2.0, 3.0])
    view = SimpleNamespace(principal=(mean, axes))
    found = View.flat(view, (mean + axes[:, 0] * 2)[None])  # pyright: ignore
    torch.testing.assert_close(found, torch.tensor([[2.0, 0.0]]), rtol=0, atol=1e-6)


def test_a_run_without_snapshots_is_told_what_to_do(study, tmp_path):
    folder, _ = start(study.configuration.with_changes(film=0), root=tmp_path)
    bare = Study.load(study.folder)
    bare.folder = folder
    with pytest.raises(OptionError, match="--film 20"):
        filmed(bare, 20)
    with pytest.raises(OptionError, match="2 snapshots"):
        filmed(study, 1)


def test_who_saves_a_page_without_the_film_is_told_of_it(run, study, tmp_path, capsys):
    exploring.offer_film(study)
    assert f"--film {len(kept(run / FILM))} " in capsys.readouterr().err
    bare = Study.load(study.folder)
    bare.folder, _ = start(study.configuration.with_changes(film=0), root=tmp_path)
    exploring.offer_film(bare)
    assert capsys.readouterr().err == ""


def test_discrete_codes_have_no_film(study, monkeypatch):
    monkeypatch.setattr(LatentSpace, "discrete", True)
    with pytest.raises(OptionError, match="discrete"):
        filmed(study, 5)


def test_too_much_for_a_page_says_how_much_fits(study, monkeypatch):
    whole = filmed(study, 5).blobs
    snapshots = whole["film_points"].about["shape"][0]
    each = sum(len(whole[name].content) for name in ("film_points", "film_weights")) // snapshots
    monkeypatch.setattr(film, "MOST_BYTES", 2 * each)
    with pytest.raises(OptionError, match=r"--film 3 at most"):
        filmed(study, 5)
    filmed(study, 3)
    monkeypatch.setattr(film, "MOST_BYTES", 10)
    with pytest.raises(OptionError, match=r"Leave out --film"):
        filmed(study, 5)
