"""Recipes and configurations."""

import pytest

from vaescape.errors import ComponentError, OptionError, RunError
from vaescape.recipes import RECIPES, Configuration, configuration, summary


@pytest.mark.parametrize("name", RECIPES)
def test_a_configuration_survives_the_run_folder(name: str):
    made = configuration(name)
    assert Configuration.from_dict(made.to_dict()) == made
    assert made.recipe == name
    assert summary(name).endswith(".")


def test_the_default_is_the_study():
    paper = configuration("paper")
    assert (paper.train.epochs, paper.train.batch, paper.train.lr) == (20, 128, 1e-3)
    assert (paper.data, paper.parts.latent, paper.validation) == ("fashion-mnist", 2, 0)
    assert paper == Configuration()


def test_changes_find_their_home():
    changed = configuration("paper", beta=4, latent=8, epochs=1, data="shapes", seed=3)
    assert changed.parts.objective == "elbo(beta=4)"
    assert (changed.parts.latent, changed.train.epochs, changed.train.seed) == (8, 1, 3)
    assert changed.data == "shapes"


def test_beta_keeps_the_other_arguments_of_the_objective():
    changed = configuration("paper", objective="elbo(warmup=0.5, beta=2)", beta=3)
    assert changed.parts.objective == "elbo(warmup=0.5, beta=3)"


def test_the_baseline_differs_in_noise_and_kl_only():
    paper = configuration("paper", epochs=2, latent=5)
    base = paper.baseline()
    assert base.parts.network == paper.parts.network
    assert base.parts.latent == 5
    assert base.train == paper.train
    assert (base.parts.posterior, base.parts.objective) == ("point", "elbo(beta=0)")


def test_unknown_names_are_told_the_nearest():
    with pytest.raises(ComponentError, match="no recipe named 'papper'. Did you mean 'paper'"):
        configuration("papper")
    with pytest.raises(OptionError, match="no option 'latents'. Did you mean 'latent'"):
        configuration("paper", latents=3)


def test_a_damaged_record_is_refused():
    record = configuration("paper").to_dict()
    del record["parts"]
    with pytest.raises(RunError, match="damaged"):
        Configuration.from_dict(record)
    with pytest.raises(RunError, match="damaged"):
        Configuration.from_dict(configuration("paper").to_dict() | {"colour": 1})
