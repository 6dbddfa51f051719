"""Evaluation and figures where the posterior, or the prior, is no diagonal Gaussian."""

import numpy as np
import pytest
import torch

from vaescape import Study, draw, evaluate
from vaescape.conditionals import Support
from vaescape.errors import ComponentError, OptionError
from vaescape.evaluation import elbo
from vaescape.evaluation.latents import aggregate_posterior
from vaescape.figures import drawable
from vaescape.generation import along
from vaescape.metrics.latents import mutual_information

SMALL = {"network": "conv(channels=[4], hidden=5)", "epochs": 0.3, "limit": 150, "batch": 50}
QUICK = {"bounds": ((5, 10),), "paths": 4}


def fitted(**parts) -> Study:
    return Study("first-look", **SMALL | parts).fit()


def assert_aggregate_posterior(found: dict[str, float], images: int) -> None:
    """The rate is the mutual information plus the KL to the prior; each within its bounds."""
    names = {"mean_kl", "mutual_information", "kl", "kl_error", "mmd2", "hole_fraction"}
    assert found.keys() == names
    assert found["mean_kl"] == pytest.approx(found["mutual_information"] + found["kl"], abs=1e-3)
    assert found["kl"] > -5 * found["kl_error"] - 0.01
    assert -0.2 < found["mutual_information"] < np.log(images) + 0.2
    assert 0 <= found["hole_fraction"] <= 1


def test_codes_on_a_sphere_are_measured_and_drawn_on_it():
    study = fitted(posterior="power-spherical", prior="uniform-sphere", latent=3)
    z = study.encode(study.test)
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(len(z)))
    torch.testing.assert_close(study.decode(5 * z[:2]), study.decode(z[:2]))
    test = evaluate(study, **QUICK)["test"]
    assert_aggregate_posterior(test["aggregate_posterior"], len(study.test))
    assert set(test["active_units"]) == {"by_variance"}
    assert "kl" in test
    assert "kl_per_dimension" not in test
    left_out = {"manifold", "manifold_map", "traversals", "kl"}
    assert not left_out & set(drawable(study))
    for name in ("map", "samples", "interpolations"):
        assert draw(study, name).axes
    with pytest.raises(OptionError, match="here they lie on the unit sphere"):
        draw(study, "traversals")
    evaluate(Study(study.configuration.baseline()).fit(), **QUICK)


@pytest.mark.parametrize("latent", [2, 3])
def test_codes_in_a_ball_are_measured_and_drawn_in_it(latent: int):
    study = fitted(posterior="wrapped-normal", latent=latent)
    assert study.configuration.parts.prior == "wrapped-normal"
    z = study.encode(study.test)
    assert (z.norm(dim=-1) < 1).all()
    direction = torch.nn.functional.normalize(z[:2], dim=-1)
    torch.testing.assert_close(study.decode(2 * direction), study.decode(9 * direction))
    test = evaluate(study, **QUICK)["test"]
    assert_aggregate_posterior(test["aggregate_posterior"], len(study.test))
    assert "kl" in test
    assert "kl_per_dimension" not in test
    assert not {"manifold", "manifold_map", "traversals", "kl"} & set(drawable(study))
    for name in ("map", "samples", "interpolations"):
        assert draw(study, name).axes
    for path in ("linear", "spherical"):
        walk = along(study.space, path, z)(direction[0], -z[1], torch.linspace(0, 1, 7))
        torch.testing.assert_close(Support.BALL.nearest(walk), walk, rtol=1e-4, atol=1e-5)
    with pytest.raises(OptionError, match="here they lie in the unit ball"):
        draw(study, "traversals")
    with pytest.raises(ComponentError, match="puts z in the unit ball"):
        evaluate(study, ais=2, **QUICK)
    with pytest.raises(ComponentError, match="'wrapped-normal' puts z in the unit ball"):
        study.fit_prior("mixture", epochs=1)
    assert (
        study.sample(3, prior=study.fit_prior("vamp(components=5)", epochs=1).name).isfinite().all()
    )


@pytest.mark.parametrize("posterior", ["full-rank", "iaf(hidden=8)", "bayes(points=64)"])
def test_what_asks_for_a_diagonal_gaussian_is_left_out(posterior: str):
    study = fitted(posterior=posterior)
    assert study.encode_with_variance(study.test)[1] is None
    metrics = evaluate(study, **QUICK)
    aggregate = metrics["test"]["aggregate_posterior"]
    linear = metrics["smoothness"]["paths"]["linear"]["different"]
    if study.space.posterior(study.test[:1]).scores_pairs:
        assert_aggregate_posterior(aggregate, len(study.test))
        assert 0 <= linear["support"]["estimate"] <= 1
        assert np.isfinite(linear["log_density"]["estimate"])
    else:
        assert posterior.startswith("iaf")
        assert aggregate.keys() == {"mmd2"}
        assert not {"support", "log_density"} & linear.keys()
    assert "kl" not in drawable(study)
    assert draw(study, "map").axes


@pytest.mark.parametrize("prior", ["vamp(components=7)", "flow(hidden=8)"])
def test_a_prior_without_quantiles_gets_an_even_grid(prior: str):
    study = fitted(prior=prior)
    test = evaluate(study, **QUICK)["test"]
    assert {"mean_kl", "hole_fraction", "mmd2"} <= set(test["aggregate_posterior"])
    assert draw(study, "manifold", cells=5).axes
    assert study.sample(3).shape == (3, *study.shape)


def test_training_images_are_scored_without_themselves():
    study = fitted(prior="exemplar")
    found = elbo(study, study.train)["kl"]
    q, p = study.space.posterior(study.train), study.model.prior()
    torch.manual_seed(0)
    z = q.sample()
    without = p.without(torch.arange(len(z)))
    expected = (q.log_prob(z) - without.log_prob(z)).mean().item()
    assert found == pytest.approx(expected, abs=1e-4)
    others = study.train[torch.arange(len(study.train))]  # the same images, as if they were others
    assert found > elbo(study, others)["kl"]


@pytest.mark.parametrize("prior", ["exemplar", "vamp(components=5)", "flow(hidden=8)", "class"])
def test_any_of_them_may_be_fitted_afterwards(prior: str):
    study = fitted()
    found = study.fit_prior(prior, epochs=1)
    assert study.sample(3, prior=found.name).shape == (3, *study.shape)
    if prior == "exemplar":  # no training image is near to itself, so none of them is cheap
        assert found.train > found.test - 1


def test_the_images_of_a_large_set_that_are_drawn_from_are_those_that_are_mixed(monkeypatch):
    """A draw whose own component is not in the mixture would make the information too large."""
    objective = "elbo(beta=0.1)"
    study = fitted(posterior="bayes(points=400)", objective=objective, epochs=4, lr=0.01)
    for module in ("evaluation.latents", "geometry.density"):
        monkeypatch.setattr(f"vaescape.{module}.IMAGES", 30, raising=False)
    aggregate = aggregate_posterior(study)
    assert aggregate is not None
    found = mutual_information(aggregate)
    few = study.some(study.test, 30)
    q = study.space.posterior(few)
    z = study.encode(few, draw=True)
    pairs = q.log_prob(z[:, None])
    expected = pairs.diagonal() - pairs.logsumexp(1) + np.log(30)
    assert found == pytest.approx(expected.mean().item(), abs=1e-3)
    assert 1 < found < np.log(30)
