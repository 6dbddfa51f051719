"""Defaults that nobody chose adapt to a small set, and say so; a user's choice is refused."""

import warnings

import numpy as np
import pytest

from vaescape import Study, pipeline
from vaescape.errors import OptionError
from vaescape.recipes import Configuration, configuration


def small(tmp_path, n: int, classes: int = 1) -> str:
    x = np.random.default_rng(0).integers(0, 256, (n, 8, 8), np.uint8)
    np.savez(tmp_path / "set.npz", images=x, labels=np.arange(n) % classes)
    return f"npz(path={str(tmp_path / 'set.npz')!r})"


def test_the_batch_shrinks_to_the_set(tmp_path):
    chosen = configuration("paper", data=small(tmp_path, 16), network="mlp(hidden=4)", epochs=1)
    with pytest.warns(UserWarning, match="14 training images .* batch 128: batch is 14 now"):
        folder, study = pipeline.start(chosen, root=tmp_path)
    assert study.configuration.train.batch == folder.configuration["train"]["batch"] == 14
    pipeline.train(folder, study)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is recorded fits
        again = Study.load(folder)
        assert len(again.train) == 14
    assert again.configuration == study.configuration


def test_a_choice_is_refused(tmp_path):
    data = small(tmp_path, 16, 2)
    for recipe, choice, told in [
        ("paper", {"batch": 128}, "batch must be between 1 and 14.* Got 128"),
        ("m2", {"labelled": 1000, "batch": 4}, "labelled must be between 1 and 14 .* Got 1000"),
        ("paper", {"validation": 14, "batch": 4}, "validation must be between 0 and 13"),
    ]:  # fmt: skip
        with pytest.raises(OptionError, match=told):
            pipeline.start(
                configuration(recipe, data=data, network="mlp(hidden=4)", **choice), root=tmp_path
            )
    assert not [one for one in tmp_path.iterdir() if one.is_dir()]


def test_labels_and_validation_shrink_too(tmp_path):
    data = small(tmp_path, 60, 3)
    study = Study("m2", data=data, network="mlp(hidden=4)", latent=2)
    with pytest.warns(UserWarning, match="labelled is 25 now"):
        labels = study.training_labels
    assert (labels >= 0).sum() == study.configuration.labelled == 25
    study = Study("exemplar/vae", data=data)
    with pytest.warns(UserWarning, match="validation is 8 now"):
        validation = study.splits.validation
    assert validation is not None
    assert (len(study.train), len(validation)) == (43, 8)


def test_the_limit_counts(tmp_path):
    study = Study("first-look", limit=20, network="mlp(hidden=4)", epochs=1)
    with pytest.warns(UserWarning, match="20 training images .* batch is 20 now"):
        study.fit()
    assert study.configuration.train.batch == 20


@pytest.mark.parametrize("recipe", ["paper", "m2", "exemplar/vae"])
def test_nothing_changes_for_a_set_that_is_large_enough(recipe):
    made = configuration(recipe)
    for name in ("validation", "labelled", "batch"):
        assert made.adapted(name, 50_000) is made


def test_what_was_chosen_is_not_recorded():
    made = configuration("paper", batch=3)
    assert "chosen" not in made.to_dict()
    assert Configuration.from_dict(made.to_dict()) == made


@pytest.mark.parametrize(("n", "classes"), [(7, 1), (12, 1), (20, 5), (9, 3)])
def test_every_small_set_has_test_images(tmp_path, n, classes):
    study = Study("paper", data=small(tmp_path, n, classes))
    assert len(study.test) >= 1
    assert len(study.train) + len(study.test) == n
