"""Images in hand go into a study, and what fit() made goes into a run folder and back."""

import numpy as np
import pytest
import torch

from vaescape import Study, evaluate
from vaescape.errors import DataError, OptionError, RunError
from vaescape.runs import RunFolder

SMALL = {"epochs": 1, "batch": 8, "network": "mlp(hidden=8)", "threads": 1}


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 12, 10), dtype=np.uint8)


@pytest.mark.parametrize("how", ["data", "read"])
def test_a_study_takes_arrays_with_and_without_labels(how: str):
    x, y = images(), np.array(["cat", "dog"])[np.arange(40) % 2]
    one = Study("first-look", **{how: x}, **SMALL)
    assert one.shape == (1, 12, 10)
    assert len(one.classes) == 1
    two = Study("first-look", **{how: (x, y)}, **SMALL)
    assert tuple(two.classes) == ("cat", "dog")
    assert len(two.train) + len(two.test) == 40
    floats = Study("first-look", **{how: x / 255}, **SMALL)
    assert torch.equal(floats.train.pixels, one.train.pixels)


def test_what_fit_made_is_saved_and_loaded_to_the_same_bits(tmp_path):
    study = Study("first-look", data=images(), **SMALL)
    with pytest.raises(OptionError, match="Call fit\\(\\) first"):
        study.save(tmp_path / "mine")
    folder = study.fit().save(tmp_path / "mine")
    assert folder.status == "finished"
    assert RunFolder.open(tmp_path / "mine").history()[-1]["step"] == study.last_tick.step  # pyright: ignore
    again = Study.load(tmp_path / "mine", data=images())
    z = study.encode(study.test)
    assert torch.equal(again.encode(again.test), z)
    assert torch.equal(again.sample(3, seed=1), study.sample(3, seed=1))
    assert evaluate(again, bounds=((2, 4),), paths=2)["test"]["images"] == len(study.test)
    with pytest.raises(RunError, match="mine"):
        study.save(tmp_path / "mine")
    study.save(tmp_path / "mine", overwrite=True)


def test_a_run_on_images_in_memory_asks_for_them(tmp_path):
    Study("first-look", data=images(), **SMALL).fit().save(tmp_path / "mine")
    decoder_only = Study.load(tmp_path / "mine")
    assert decoder_only.sample(2).shape == (2, 1, 12, 10)
    with pytest.raises(DataError, match=r"Study.load\(run, data=images\)"):
        decoder_only.test  # noqa: B018
    with pytest.raises(DataError, match="other images or labels than"):
        Study.load(tmp_path / "mine", data=images()[::-1].copy()).test  # noqa: B018


def test_codes_may_be_numpy_arrays_everywhere():
    study = Study("first-look", limit=64, **SMALL)
    z = study.encode(study.test)
    n = z.numpy()
    assert torch.equal(study.decode(n[:2]), study.decode(z[:2]))
    assert torch.equal(study.interpolate(n[0], n[1]), study.interpolate(z[0], z[1]))
    assert torch.equal(study.traverse(0, center=n[0]), study.traverse(0, center=z[0]))
    assert torch.equal(study.metric(n[:2]), study.metric(z[:2]))
    assert torch.equal(study.space.prior_log_density(n[:2]), study.space.prior_log_density(z[:2]))
