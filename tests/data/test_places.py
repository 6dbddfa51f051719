"""A run finds its data again, notices other data, and --data-dir has an effect or is refused."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from vaescape import Study, pipeline
from vaescape.cli.pictures import gathered
from vaescape.data import opened
from vaescape.errors import ComponentError, DataError, OptionError, RunError
from vaescape.files import write_json
from vaescape.recipes import configuration
from vaescape.runs import RUN, RunFolder, read_json

SMALL = {"network": "mlp(hidden=4)", "epochs": 1, "batch": 8, "threads": 1}


def images(seed: int, background: int = 0, n: int = 40) -> np.ndarray:
    x = np.full((n, 12, 12), background, np.uint8)
    draw = np.random.default_rng(seed)
    x[:, 3:9, 3:9] = draw.integers(0, 256, (n, 6, 6))
    return x


def write(kind: str, root, seed: int, background: int = 0) -> str:
    root.mkdir(parents=True, exist_ok=True)
    x = images(seed, background)
    if kind == "npz":
        np.savez(root / "set.npz", images=x, labels=np.arange(40) % 2)
        return "npz(path='set.npz')"
    for n, image in enumerate(x):
        (root / "set" / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / "set" / "ab"[n % 2] / f"{n:02}.png")
    return "folder(path='set', size=12)"


@pytest.fixture(params=["npz", "folder"])
def made(request, tmp_path, monkeypatch):
    """A run in here/runs, of here/set; and another set of the same name in elsewhere."""
    here = tmp_path / "here"
    text = write(request.param, here, 0)
    write(request.param, tmp_path / "elsewhere", 1)
    monkeypatch.chdir(here)
    folder, study = pipeline.start(configuration("paper", data=text, **SMALL), name="one")
    pipeline.train(folder, study)
    return here / "runs" / "one"


def test_a_run_finds_its_data_from_anywhere(made, tmp_path, monkeypatch):
    before = Study.load(made).train.pixels
    assert read_json(made / RUN)["data_root"] == "../.."
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert (Study.load(made).train.pixels == before).all()


def test_a_run_that_moved_with_its_data_finds_them(made, tmp_path, monkeypatch):
    before = Study.load(made).train.pixels
    shutil.move(tmp_path / "here", tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert (Study.load(tmp_path / "moved/runs/one").train.pixels == before).all()


def test_other_data_of_the_same_name_are_refused(made, tmp_path, monkeypatch):
    shutil.move(made, tmp_path / "elsewhere" / "one")
    monkeypatch.chdir(tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "here")
    study = Study.load("one")
    assert study.decode(torch.zeros(1, 2)).shape == (1, 1, 12, 12)  # needs no data
    for read in (lambda: study.test, lambda: study.train, lambda: gathered(study, ["0"], None)):
        with pytest.raises(DataError, match="other images or labels than one was trained on"):
            read()


def test_data_dir_says_where(made, tmp_path, monkeypatch):
    before = Study.load(made).train.pixels
    shutil.move(tmp_path / "here", tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved" / "runs")
    shutil.move(tmp_path / "moved" / "runs" / "one", "two")
    found = Study.load("two", data_dir=tmp_path / "moved")
    assert (found.train.pixels == before).all()
    with pytest.raises(DataError, match="other images or labels"):
        Study.load("two", data_dir=tmp_path / "elsewhere").train  # noqa: B018
    with pytest.raises(DataError, match="in this data folder. Got nothing of that name"):
        Study.load("two", data_dir=tmp_path / "none").train  # noqa: B018


def test_data_dir_is_refused_where_it_means_nothing(tmp_path):
    with pytest.raises(OptionError, match="'shapes' reads no files, so --data-dir"):
        opened("shapes", data_dir=tmp_path)


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_a_path_is_enough(tmp_path, monkeypatch, kind):
    text = write(kind, tmp_path, 0)
    monkeypatch.chdir(tmp_path)
    path = "set.npz" if kind == "npz" else "set"
    assert opened(path).digest() == opened(text.replace(", size=12", "")).digest()
    assert opened(path, data_dir=tmp_path).digest() == opened(path).digest()
    with pytest.raises(
        ComponentError, match="There is no data set, no folder and no .npz file named 'sett'"
    ):
        opened("sett")


@pytest.mark.parametrize("background", [0, 255])
def test_the_preparation_is_recorded_and_used_everywhere(tmp_path, monkeypatch, background):
    """The same picture, from the command line, Python and the live server."""
    from vaescape.explore.live import Live

    monkeypatch.chdir(tmp_path)
    text = write("npz", tmp_path, 0, background)
    folder, study = pipeline.start(configuration("paper", data=text, **SMALL), name="one")
    pipeline.train(folder, study)
    expected = "dark" if background == 0 else "bright"
    assert read_json(folder / RUN)["preparation"]["background"] == expected
    Image.new("L", (24, 24), 255).save("white.png")
    tone = 0 if background == 0 else 255
    (tmp_path / "set.npz").unlink()  # what is recorded needs no data
    study = Study.load(folder)
    _, found, _, done = gathered(study, ["white.png"], None)
    assert found.unique().tolist() == [tone]
    assert ("inverted" in (done[0] or "")) == (background == 0)
    assert study.preparation.picture("white.png")[0].unique().tolist() == [tone]
    live = Live.__new__(Live)
    live.study = study
    answer = live.encode((tmp_path / "white.png").read_bytes())
    assert set(answer["pixels"]) == {tone}
    assert answer["mean"] == pytest.approx(study.encode(found)[0].tolist(), abs=1e-5)


def test_a_damaged_preparation_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, study = pipeline.start(
        configuration("paper", data=write("npz", tmp_path, 0), **SMALL), name="one"
    )
    pipeline.train(folder, study)
    record = read_json(folder / RUN)
    write_json(folder / RUN, record | {"preparation": {"shape": "big"}})
    with pytest.raises(RunError, match="preparation of pictures is damaged"):
        Study.load(RunFolder(folder.path)).preparation  # noqa: B018
