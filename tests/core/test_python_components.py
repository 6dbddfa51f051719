"""Components given in Python: as a text, a class or an instance."""

import pytest
import torch
from torch import Tensor, nn

from vaescape import Study
from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import find, text_of
from vaescape.errors import ComponentError
from vaescape.nets.mlp import MLP
from vaescape.objectives import EvidenceObjective, Loss, Objective
from vaescape.priors.mixture import MixturePrior
from vaescape.priors.normal import StandardNormal
from vaescape.recipes import Configuration, Parts, configuration

SHAPE = (1, 6, 6)
HERE = __name__


class Shifted(StandardNormal):
    """A prior of somebody's own, without a name."""

    def __init__(self, latent_dim: int, by: float | Tensor = 1.0) -> None:
        super().__init__(latent_dim)
        self.origin += by


class JustAScalar(EvidenceObjective):
    """The negative ELBO as a plain tensor."""

    def loss(self, e, t) -> Tensor:
        return -e.log_likelihood().mean() + e.kl().mean()


class NoMetrics(Objective):
    """The same, from the model and the batch."""

    def forward(self, model, batch, t) -> Loss:
        e = model.evidence(batch.x, batch.label)
        return Loss(-e.log_likelihood().mean() + e.kl().mean(), {})


class OfImages(EvidenceObjective):
    """Not a scalar."""

    def loss(self, e, t) -> Tensor:
        return -e.log_likelihood()


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        ("prior", "vamp(components=3)", "vamp(components=3)"),
        ("prior", StandardNormal, "normal"),
        ("prior", Shifted, f"{HERE}:Shifted"),
        ("prior", Shifted(2, by=0.5), f"{HERE}:Shifted(by=0.5)"),
        ("prior", MixturePrior(latent_dim=2, components=4), "mixture(components=4)"),
        ("network", MLP(hidden=7), "mlp(hidden=7)"),
    ],
)
def test_a_text_a_class_and_an_instance_are_recorded_as_a_text(kind, given, text):
    assert text_of(kind, given) == text
    assert getattr(Parts(**{kind: given}), kind) == text
    assert getattr(configuration("paper", **{kind: given}).parts, kind) == text


def test_the_arguments_of_an_instance_reach_the_model():
    model, _ = build(configuration("paper", prior=Shifted(2, by=0.5)).parts, shape=SHAPE)
    assert torch.equal(model.prior().mean, torch.full((2,), 0.5))


def local() -> type:
    class Local(StandardNormal):
        """Nobody finds it again."""

    return Local


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("network", nn.Linear(3, 4), r"Expected a network.*Got Linear.*docs/adding\.md"),
        ("prior", 3, "Expected a prior: a text.*Got 3"),
        ("prior", MLP, "Expected a prior.*MLP"),
        ("prior", local(), "defined inside something else.*top level"),
        ("prior", Shifted(2, by=torch.ones(())), "no text can record: .*tensor"),
    ],
)
def test_what_is_no_component_is_refused_at_once(kind, given, message):
    with pytest.raises(ComponentError, match=message):
        Study("first-look", **{kind: given})


@pytest.mark.parametrize("objective", [JustAScalar, NoMetrics])
def test_an_objective_may_return_a_scalar_and_report_nothing(objective):
    elbo, scalar = (
        build(Parts(network="mlp(hidden=5)", objective=o), shape=SHAPE) for o in ("elbo", objective)
    )
    x, now = torch.rand(4, *SHAPE), torch.tensor(1.0)
    totals = []
    for model, made in (elbo, scalar):
        torch.manual_seed(0)
        totals.append(made(model, Batch(x), now).total.item())
    assert totals[0] == pytest.approx(totals[1], rel=0.1)  # one KL is of the draw
    assert made(model, Batch(x), now).metrics == {}
    study = Study("first-look", objective=objective, epochs=1, limit=40, batch=20)
    assert study.fit().encode(study.test).shape == (40, 2)


def test_a_loss_of_images_is_refused_in_a_sentence():
    made = configuration("paper", network="mlp(hidden=5)", objective=OfImages)
    model, objective = build(made.parts, shape=SHAPE)
    with pytest.raises(ComponentError, match=r"must return a scalar tensor.*Got \(1, 4\)"):
        objective(model, Batch(torch.rand(4, *SHAPE)), torch.tensor(1.0))


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("objective", "miwae", "iwae(samples=10, groups=5)"),
        ("objective", "ciwae(samples=7)", "iwae(beta=0.5, samples=7)"),
        ("objective", "piwae(groups=2)", "iwae(samples=10, groups=2, estimator='piwae')"),
        ("objective", "iwae-stl", "iwae(estimator='stl')"),
        ("objective", "iwae-dreg(samples=3)", "iwae(estimator='dreg', samples=3)"),
        ("objective", "dip-i", "dip(kind='i')"),
        ("objective", "dip-ii(diagonal=2)", "dip(kind='ii', diagonal=2)"),
        ("likelihood", "gaussian-learned(sigma=0.2)", "gaussian(scale='learned', sigma=0.2)"),
        ("likelihood", "laplace-learned(scale=0.2)", "laplace(learned=True, scale=0.2)"),
        ("likelihood", "gaussian-pixel", "gaussian(scale='pixel')"),
        ("likelihood", "gaussian-optimal", "gaussian(scale='optimal')"),
    ],
)
def test_a_name_of_an_earlier_version_is_read_as_the_one_of_today(kind, old, new):
    assert getattr(Parts(**{kind: old}), kind) == new
    recorded = configuration("paper").to_dict()
    recorded["parts"][kind] = old
    assert getattr(Configuration.from_dict(recorded).parts, kind) == new
    with pytest.raises(ComponentError, match="is now "):
        find(kind, old.partition("(")[0])
