"""The quick evaluation costs about a tenth of the training, whatever it was, and says so."""

import pytest

from vaescape import Study, evaluate
from vaescape.errors import OptionError
from vaescape.evaluation.budget import budget


class Like:
    """As much of a study as the budget looks at."""

    def __init__(self, study: Study, epochs: float, train: int, test: int) -> None:
        self.__dict__.update(vars(study), train=range(train), test=range(test))
        self.configuration = study.configuration.with_changes(epochs=epochs)
        self.space, self.model, self.conditions = study.space, study.model, study.space.conditions
        self.discrete, self.latent, self.likelihood = (
            study.space.discrete,
            study.space.latent,
            study.space.likelihood,
        )


@pytest.fixture(scope="module")
def flat() -> Study:
    return Study("first-look", limit=64)


def test_the_usual_training_buys_all_images_and_most_draws(flat: Study):
    ((samples, images),), paths = budget(Like(flat, 20, 60_000, 10_000), "quick")  # pyright: ignore
    assert (samples, images) == (1800, None)
    assert paths == 300
    assert budget(flat, "full")[0] == ((5000, None),)


def test_a_short_training_buys_little_and_never_nothing():
    deep = Study("first-look", limit=64, latent=8)
    ((samples, images),), paths = budget(Like(deep, 2, 512, 88), "quick")  # pyright: ignore
    assert (samples, images) == (100, 50)
    assert paths == 20
    ((samples, images),), paths = budget(Like(deep, 20, 60_000, 10_000), "quick")  # pyright: ignore
    assert (samples, images) == (100, 1800)
    assert paths == 168


def test_what_was_measured_and_how_precisely_is_said():
    study = Study("first-look", limit=64, batch=16, epochs=1, network="mlp(hidden=8)").fit()
    quick = evaluate(study, measure="quick")
    assert quick["measure"] == "quick"
    (bound,) = quick["test"]["importance_weighted_bound"].values()
    assert 0 < bound["standard_error"] < 100
    with pytest.raises(OptionError, match="Choose measure quick or full"):
        evaluate(study, measure="fast")  # pyright: ignore
