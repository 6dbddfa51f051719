"""Labels partly missing: the bound is the sum over the classes, exact where the truth is known."""

import math
from dataclasses import replace

import pytest
import torch
from known_classes import TrueModel
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from vaescape import Study, evaluate
from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct
from vaescape.data import some_labels
from vaescape.errors import ComponentError, OptionError
from vaescape.models import VAE
from vaescape.recipes import Parts, configuration

SHAPE = (1, 8, 8)
SMALL = Parts(model="m2", objective="m2", network="mlp(hidden=6)", latent=3, conditional=True)
NOW = torch.tensor(1.0)
QUICK = {
    "model": "m2", "objective": "m2", "conditional": True, "labelled": 40,
    "network": "conv(channels=[4], hidden=5)", "epochs": 0.5, "limit": 200,
}  # fmt: skip


@pytest.fixture(scope="module")
def study() -> Study:
    return Study("first-look", **QUICK).fit()


class Informed(VAE):
    """The true model, with the true p(y | x)."""

    truth: TrueModel

    def classify(self, x):
        joint = [self.truth.evidence(x, torch.full((len(x),), y)) for y in range(3)]
        return torch.stack(joint, -1).log_softmax(-1)


def informed() -> tuple[Informed, TrueModel]:
    truth = TrueModel()
    made = truth.vae(width=1.0)
    model = Informed(made.posterior, made.likelihood, made.prior, made.embed)
    model.truth = truth
    return model, truth


def test_with_exact_posteriors_the_unlabelled_bound_is_the_evidence():
    """−U(x) = log Σ_y p(x | y) / 3, and −L(x, y) = log p(x | y) / 3."""
    model, truth = informed()
    objective = construct("objective", "m2(samples=20000, alpha=0)")
    label = torch.tensor([0, 1, 2, 1])
    torch.manual_seed(0)
    x = model.sample(4, label).sample()
    each = torch.stack([truth.evidence(x, torch.full((4,), y)) for y in range(3)]) - math.log(3)
    found = objective(model, Batch(x, torch.full((4,), -1)), NOW).total
    assert found.item() == pytest.approx(-each.logsumexp(0).mean().item(), abs=0.03)
    told = objective(model, Batch(x, label), NOW).total
    assert told.item() == pytest.approx(-each[label, torch.arange(4)].mean().item(), abs=0.03)


def test_the_bound_is_the_brute_force_sum_over_the_classes():
    model, objective = build(SMALL, shape=SHAPE, classes=3)
    x, label = torch.rand(4, *SHAPE).round(), torch.tensor([-1, 2, -1, 0])
    torch.manual_seed(5)
    loss = objective(model, Batch(x, label), NOW)
    torch.manual_seed(5)
    noise = torch.randn(1, 12, 3).unflatten(1, (3, 4))[0]
    cost = torch.zeros(3, 4)
    for y in range(3):
        of_y = torch.full((4,), y)
        q = model.posterior(x, model.condition(of_y))
        z = q.mean + q.variance.sqrt() * noise[y]
        log_p = Bernoulli(probs=model.decode((z,), of_y).mean).log_prob(x).sum((1, 2, 3))
        kl = kl_divergence(Normal(q.mean, q.variance.sqrt()), Normal(0.0, 1.0)).sum(-1)
        cost[y] = kl - log_p + math.log(3)
    q_y = Categorical(logits=model.classifier(x))
    unlabelled = (q_y.probs.T * cost).sum(0) - q_y.entropy()
    exact = torch.stack([unlabelled[0], cost[2, 1], unlabelled[2], cost[0, 3]])
    torch.testing.assert_close(loss.metrics["bound"], exact.mean())
    missed = -q_y.logits[[1, 3], [2, 0]].mean()
    torch.testing.assert_close(loss.total, exact.mean() + 50 * missed)


def test_without_any_labels_nothing_is_told():
    model, objective = build(SMALL, shape=SHAPE, classes=3)
    x = torch.rand(4, *SHAPE)
    torch.manual_seed(0)
    none = objective(model, Batch(x), NOW).total
    torch.manual_seed(0)
    assert torch.equal(none, objective(model, Batch(x, torch.full((4,), -1)), NOW).total)
    none.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_labels_are_kept_evenly_over_the_classes():
    labels = torch.tensor([0, 0, 0, 1, 2, 1, 2, 0])
    assert some_labels(labels, 3).tolist() == [0, -1, -1, 1, 2, -1, -1, -1]
    assert some_labels(labels, 5).tolist() == [0, 0, -1, 1, 2, 1, -1, -1]
    assert torch.equal(some_labels(labels, 8), labels)
    with pytest.raises(OptionError, match="between 1 and 8 images. Got 9"):
        some_labels(labels, 9)


def test_training_sees_the_labels_that_are_kept_and_no_others(study: Study):
    told = study.training_labels
    assert (told >= 0).sum() == 40
    assert told[told >= 0].bincount().tolist() == [10, 10, 10, 10]
    assert torch.equal(told[told >= 0], study.train.labels[told >= 0])


def test_classes_are_inferred_where_nobody_says_them(study: Study):
    images = study.test[:6]
    probabilities = study.space.classify(images.pixels)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(6))
    inferred = probabilities.argmax(-1)
    z = study.encode(images.pixels)
    assert torch.equal(z, study.encode(images.pixels, inferred))
    assert study.reconstruct(images.pixels).shape == (6, *study.shape)


def test_everything_after_training_works_and_the_accuracy_is_that_of_the_classifier(study: Study):
    base = Study(study.configuration.baseline()).fit()
    found = evaluate(study, bounds=((10, 20),), paths=12, baseline=base)
    right = study.space.classify(study.test).argmax(-1) == study.test.labels
    assert found["test"]["accuracy"] == pytest.approx(right.double().mean().item())
    told = found["test"]["negative_elbo"]
    assert found["test"]["negative_elbo_without_labels"] < told + 100
    assert "class_agreement" in found


def test_the_commitment_of_a_codebook_is_that_of_the_class_told():
    parts = replace(SMALL, posterior="vq(codes=4)", prior="uniform-codes")
    model, objective = build(parts, shape=SHAPE, classes=3)
    x, label = torch.rand(5, *SHAPE), torch.tensor([0, 2, 1, 1, 0])
    loss = objective(model.eval(), Batch(x, label), NOW)
    asked = model.posterior(x, model.condition(label)).penalty.mean()
    torch.testing.assert_close(loss.metrics["penalty"], asked)
    assert loss.total > loss.metrics["bound"] + asked


def test_what_has_no_meaning_is_refused():
    for parts in (Parts(objective="m2"), Parts(model="m2")):
        with pytest.raises(
            ComponentError, match=r"q\(y \| x\), which .*Use (model|objective) 'm2'"
        ):
            build(parts, shape=SHAPE, classes=3)
    with pytest.raises(ComponentError, match="Add --conditional"):
        build(Parts(model="m2", objective="m2"), shape=SHAPE, classes=3)
    plain = Study("first-look", labelled=10, limit=100)
    with pytest.raises(OptionError, match="cannot do with 10 labels"):
        plain.fit()
    with pytest.raises(ComponentError, match="does not infer classes"):
        plain.space.classify(plain.test)


def test_the_recipe_holds_back_most_labels():
    assert configuration("m2").labelled == 1000
    assert configuration("m2").baseline().labelled is None
