"""Models that are told the class: exact where the truth is known, refused where it has no sense."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from known_classes import TrueModel
from torch.distributions import Independent, MixtureSameFamily, Normal

from vaescape import Study, draw, evaluate
from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import known
from vaescape.errors import ComponentError, OptionError
from vaescape.evaluation import importance_bound
from vaescape.generation import draw_codes
from vaescape.metrics.agreement import class_agreement, classifier
from vaescape.recipes import Parts, configuration

SHAPE = (1, 8, 8)
SMALL = Parts(network="mlp(hidden=12)", latent=3, conditional=True)
QUICK = {"network": "conv(channels=[4], hidden=5)", "epochs": 0.3, "limit": 200}


@pytest.fixture(scope="module")
def study() -> Study:
    return Study("first-look", conditional=True, **QUICK).fit()


def test_the_log_weights_have_the_conditional_evidence_as_their_mean():
    truth = TrueModel()
    model = truth.vae()
    label = torch.arange(9) % 3
    torch.manual_seed(0)
    x = model.sample(9, label).sample()
    e = model.evidence(x, label, samples=20_000)
    exact = truth.evidence(x, label)
    estimate = e.log_weight().logsumexp(0) - math.log(20_000)
    torch.testing.assert_close(estimate, exact, rtol=0, atol=0.03)
    assert (exact - (e.log_likelihood().mean(0) - e.kl()) > 0).all()
    wrong = truth.evidence(x, (label + 1) % 3)
    assert (estimate - wrong).abs().max() > 1


@pytest.mark.parametrize("network", known("network"))
def test_every_network_has_room_for_the_class(network: str):
    model, objective = build(replace(SMALL, network=network), shape=(2, 9, 6), classes=4)
    batch = Batch(torch.rand(5, 2, 9, 6), torch.tensor([0, 1, 2, 3, 0]))
    objective(model, batch, torch.tensor(1.0)).total.backward()
    assert all(p.grad is not None for p in model.parameters())
    z = torch.zeros(2, 3)
    a, b = model.decode((z,), torch.tensor([0, 1])).mean
    assert not torch.equal(a, b)


def test_the_prior_is_told_the_class_in_the_kl_and_in_drawing():
    model, _ = build(replace(SMALL, prior="known_classes:Shifted"), shape=SHAPE, classes=3)
    label = torch.tensor([0, 1, 2, 2])
    latent = model.infer(torch.rand(4, *SHAPE), label)[0]
    exact = torch.distributions.kl_divergence(
        Normal(latent.q.mean, latent.q.variance.sqrt()), Normal(5.0 * label[:, None], 1.0)
    )
    torch.testing.assert_close(latent.kl(), exact.sum(-1))


def test_codes_and_density_of_a_study_follow_the_classes_prior():
    made = Study("first-look", conditional=True, prior="known_classes:Shifted", **QUICK)
    z = draw_codes(made.space, 4000)
    assert (z.unflatten(0, (-1, 4)).mean((0, 2)) - torch.tensor([0.0, 5, 10, 15])).abs().max() < 0.2
    means = 5.0 * torch.arange(4)[:, None].expand(4, 2)
    mixture = MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(4)), Independent(Normal(means, 1.0), 1)
    )
    torch.testing.assert_close(made.space.prior_log_density(z), mixture.log_prob(z))
    assert made.space.prior("heart").mean.tolist() == [[15.0, 15.0]]


def test_labels_come_along_with_images_and_must_be_said_for_pictures(study: Study):
    images = study.test[:6]
    z = study.encode(images)
    assert torch.equal(z, study.encode(images.pixels, images.labels))
    assert not torch.equal(z, study.encode(images.pixels, (images.labels + 1) % 4))
    with pytest.raises(OptionError, match=r"conditional on classes. Say which: square, ellipse"):
        study.encode(images.pixels)
    with pytest.raises(OptionError, match="Say which"):
        study.decode(z)
    with pytest.raises(OptionError, match=r"Expected one class, or 6 of them. Got 2"):
        study.decode(z, [0, 1])
    assert torch.allclose(
        study.reconstruct(images), study.decode(study.space.places(images)), atol=1e-6
    )


def test_samples_are_of_the_class_asked_for_or_of_all_in_turn(study: Study):
    hearts = study.sample(4, "Heart", seed=1)
    assert torch.equal(hearts, study.sample(4, 3, seed=1))
    assert torch.equal(hearts, study.sample(4, ["heart"] * 4, seed=1))
    assert torch.equal(study.sample(8, seed=1), study.sample(8, torch.arange(8) % 4, seed=1))
    assert not torch.equal(hearts, study.sample(4, "square", seed=1))
    with pytest.raises(OptionError, match="no class 'hart'. Did you mean 'heart'"):
        study.sample(4, "hart")


def test_a_path_stays_in_a_class_or_moves_between_two(study: Study):
    a, b = study.test[0], study.test[1]
    labels = [int(a.labels), int(b.labels)]
    between = study.interpolate(a.pixels[0], b.pixels[0], labels, steps=5)
    places = study.space.places(study.test[:2])
    assert torch.allclose(between, study.interpolate(places[0], places[1], steps=5), atol=1e-6)
    assert torch.allclose(between[[0, -1]], study.reconstruct(study.test[:2]), atol=1e-6)
    z = places[:, :2]
    kept = study.interpolate(z[0], z[1], "heart", steps=5, path="spherical")
    assert torch.allclose(kept[0], study.decode(z[0], "heart"), atol=1e-6)


def test_a_class_is_refused_by_a_model_that_ignores_it():
    plain = Study("first-look", **QUICK)
    with pytest.raises(OptionError, match="is not conditioned on the class.*--conditional"):
        plain.sample(2, "heart")
    with pytest.raises(OptionError, match=r"needs images of two classes or more. Got 1"):
        build(SMALL, shape=SHAPE, classes=1)
    model, _ = build(SMALL, shape=SHAPE, classes=3)
    with pytest.raises(ComponentError, match="Give it the labels"):
        model.encode(torch.rand(2, *SHAPE))


def test_everything_after_training_works_for_a_conditional_model(study: Study):
    base = Study(study.configuration.baseline()).fit()
    found = evaluate(study, bounds=((20, 30),), paths=12, baseline=base)
    agreement = found["class_agreement"]
    assert agreement["by_class"].keys() == {"square", "ellipse", "triangle", "heart"}
    assert 0 <= agreement["low"] <= agreement["estimate"] <= agreement["high"] <= 1
    assert 0 <= agreement["classifier_accuracy"] <= 1
    assert draw(study, "classes").axes
    assert draw(study, "regions").axes


def test_the_bound_is_that_of_the_images_own_classes():
    """Under a prior whose classes lie far apart, other classes would cost hundreds of nats."""
    made = Study("first-look", conditional=True, prior="known_classes:Shifted", **QUICK)
    bound = importance_bound(made, 1, images=100)["nats"]
    test = made.test[:100]
    torch.manual_seed(0)
    right, wrong = (
        -made.model.evidence(test.floats(), label, samples=50).log_weight().mean().item()
        for label in (test.labels, torch.zeros_like(test.labels))
    )
    assert bound == pytest.approx(right, abs=6)
    assert abs(right - wrong) > 50


def test_agreement_is_one_on_what_is_asked_for_and_none_on_what_is_not():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    images = rng.random((300, 1, 4, 4)) * 0.3 + labels[:, None, None, None] / 3
    judge = classifier(images, labels, epochs=60)
    right = class_agreement(judge, images, labels, "abc")
    assert right["estimate"] == 1
    assert right["by_class"] == {"a": 1, "b": 1, "c": 1}
    assert class_agreement(judge, images, (labels + 1) % 3, "abc")["estimate"] == 0


def test_the_recipe_is_the_study_told_the_class():
    made = configuration("conditional")
    assert made.parts == replace(configuration("paper").parts, conditional=True)
    assert made.baseline().parts.conditional
