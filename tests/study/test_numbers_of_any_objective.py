"""What is evaluated is the model: the objective that trained it changes no number."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from vaescape import Study, components, draw, evaluate, pipeline
from vaescape.cli import tables
from vaescape.conditionals import Likelihood, Measure
from vaescape.distributions import PseudoBernoulli
from vaescape.evaluation import elbo
from vaescape.explore.sections.about import _figures
from vaescape.models.evidence import Evidence
from vaescape.objectives import EvidenceObjective, Loss
from vaescape.quantities import Quantity, quantities_of
from vaescape.recipes import configuration
from vaescape.report import build_report
from vaescape.report.comparison import comparison
from vaescape.runs import METRICS

SMALL: dict[str, Any] = {"network": "conv(channels=[4], hidden=5)", "limit": 160, "threads": 1}
QUICK: dict[str, Any] = {"bounds": ((20, 30),), "paths": 12}


class Blunt(EvidenceObjective, name="test-blunt"):
    """The ELBO of an objective that reports nothing but a number of its own."""

    def loss(self, e: Evidence, t: Any) -> Loss:
        """Return the negative ELBO."""
        return Loss(-e.log_weight().mean(), {"bluntness": torch.tensor(3.0)})


class Silent(EvidenceObjective, name="test-silent"):
    """The ELBO of an objective that reports nothing."""

    def loss(self, e: Evidence, t: Any) -> Loss:
        """Return the negative ELBO."""
        return Loss(-e.log_weight().mean())


class Halved(PseudoBernoulli):
    """Half the cross-entropy."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the score."""
        return super().log_prob(value) / 2


class OwnScore(Likelihood, name="test-own-score"):
    """A score that is no density and brings a quantity of its own."""

    measure = Measure.NONE
    quantity = Quantity("half_entropy", "half entropy", "half nats", "lower", headline=True)

    def channels(self, size: int) -> int:
        """Return one logit per image channel."""
        return size

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> Halved:
        """Return the scores."""
        return Halved(raw)


OWN = [(one.kind, one.name, one) for one in (Blunt, Silent, OwnScore)]
for kind, name, _ in OWN:  # other tests go through all that is registered
    components._registry[kind].pop(name)


@pytest.fixture(autouse=True, scope="module")
def registered():
    for kind, name, one in OWN:
        components._registry[kind][name] = one
    yield
    for kind, name, _ in OWN:
        components._registry[kind].pop(name)


@pytest.fixture(scope="module")
def plain() -> Study:
    return Study("first-look", **SMALL, epochs=2).fit()


@pytest.mark.parametrize(
    "objective",
    ["iwae(samples=20)", "vae-gan", "elbo(beta=4)", "geco", "beta-tc", "test-blunt", "test-silent"],
)
def test_the_evaluation_is_that_of_the_elbo_for_the_same_weights(plain: Study, objective: str):
    other = Study("first-look", **SMALL, objective=objective)
    other.model.load_state_dict(plain.model.state_dict())
    found, expected = (evaluate(study, **QUICK) for study in (other, plain))
    assert found["test"] == expected["test"]
    assert found["train"] == expected["train"]
    assert found["captures"] == expected["captures"]


def test_of_several_draws_every_draw_counts_once(plain: Study):
    """Against the mean of the terms of each draw, the KL exact."""
    images = plain.test[:40]
    found = elbo(plain, images, draws=6, seed=3)
    torch.manual_seed(3)
    with torch.no_grad():
        q = plain.space.posterior(images)
        z = q.rsample(torch.Size((6,)))  # pyright: ignore
        score = -plain.model.decode((z,)).log_prob(images.floats())
        kl = 0.5 * (q.mean**2 + q.variance - q.variance.log() - 1).sum(-1)
    assert found["images"] == 40
    assert found["cross_entropy"] == pytest.approx(score.mean().item(), rel=1e-6)
    assert found["negative_elbo"] == pytest.approx((score.mean() + kl.mean()).item(), rel=1e-6)


def test_drawing_leaves_the_random_state_of_the_caller(plain: Study):
    torch.manual_seed(5)
    elbo(plain, plain.test, seed=1)
    found = torch.rand(())
    torch.manual_seed(5)
    assert torch.equal(found, torch.rand(()))


@pytest.mark.parametrize("objective", ["test-blunt", "test-silent"])
def test_an_objective_with_metrics_of_its_own_goes_through_a_whole_run(
    tmp_path: Path, objective: str
):
    wanted = configuration("first-look", **SMALL, objective=objective, epochs=3, latent=3)
    folder, study = pipeline.start(wanted, root=tmp_path, name="run", data_dir=None)
    pipeline.train(folder, study)
    row = folder.history()[-1]
    assert row["held_out"]["loss"] == study.score(study.held_out[1])["loss"]
    assert row["held_out"].get("bluntness") == (3.0 if objective == "test-blunt" else None)
    metrics = evaluate(study, **QUICK)
    assert metrics["test"]["negative_elbo"] == elbo(study, study.test)["negative_elbo"]
    assert draw(study, "curves").axes
    assert draw(study, "kl").axes


def test_a_quantity_of_ones_own_is_printed_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    wanted = configuration("first-look", **SMALL, likelihood="test-own-score", epochs=3)
    folder, study = pipeline.start(wanted, root=tmp_path, name="run", data_dir=None)
    pipeline.train(folder, study)
    metrics = evaluate(study, **QUICK)
    test = metrics["test"]
    assert test["negative_elbo"] == pytest.approx(test["half_entropy"] + test["kl"])
    assert quantities_of(metrics)["half_entropy"] == OwnScore.quantity
    folder.keep(METRICS, json.dumps(metrics).encode())
    value = f"{test['half_entropy']:.1f}"
    tables.print_metrics(metrics)
    printed = capsys.readouterr().out
    assert "half entropy" in printed
    assert value in printed
    page = build_report({}, metrics, folder.history(), {})
    assert "half entropy" in page
    assert "With half entropy on grey pixels these are bounds on a sum" in page
    expected = {"name": "half entropy", "value": test["half_entropy"], "unit": "half nats"}
    assert expected in _figures(study)
    rows = comparison([folder])
    assert rows[str(folder)]["half_entropy"] == test["half_entropy"]
    titles = {axes.get_title(loc="left") for axes in draw(study, "curves").axes}
    assert "Half entropy" in titles
