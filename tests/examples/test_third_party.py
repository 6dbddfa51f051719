"""A third party's components go through laws, a whole run and an export, the package unchanged."""

import json
import sys
from pathlib import Path

import pytest
import torch

import vaescape
from vaescape import Study
from vaescape.explore import page
from vaescape.export import export
from vaescape.testing import laws_of

sys.path.insert(0, str(Path(__file__).parent))

import third_party

SMALL = {"network": "mlp(hidden=12)", "batch": 20, "epochs": 3, "threads": 1}
THEIRS = {
    "a score": {"likelihood": third_party.Charbonnier},
    "an analytic KL": {"posterior": third_party.LaplacePosterior},
    "an inference": {"posterior": third_party.LinearPosterior},
    "a geometry": {"posterior": third_party.AnglesPosterior},
    "a standard normal": {"prior": third_party.White},
    "an objective": {"objective": third_party.Squared},
    "a hierarchy": {"model": third_party.PairOf},
    "an optimiser": {"optimiser": third_party.Momentum(momentum=0.2), "lr": 1e-4},
    "a network": {"network": third_party.Plain(hidden=10)},
}
LAWFUL = [
    (kind, component)
    for each in THEIRS.values()
    for kind, component in each.items()
    if kind not in ("lr", "optimiser")
] + [("data", third_party.Stripes)]


@pytest.mark.parametrize(("kind", "component"), LAWFUL, ids=lambda v: getattr(v, "__name__", ""))
def test_it_keeps_the_laws(kind: str, component):
    laws_of(kind, component)


def test_a_prior_over_their_own_space_keeps_the_laws():
    laws_of("prior", third_party.UniformTorus, posterior=third_party.AnglesPosterior)


@pytest.mark.parametrize("what", THEIRS)
def test_it_goes_through_a_whole_run(what: str, tmp_path: Path):
    study = vaescape.run(
        "first-look", data=third_party.Stripes, root=tmp_path, name="run", **(SMALL | THEIRS[what])
    )
    folder = study.folder
    assert folder is not None
    metrics = json.loads((folder / "metrics.json").read_text())
    assert all(abs(value) < 1e6 for value in metrics["test"].values() if type(value) is float)
    assert "negative_elbo" in metrics["test"]
    term = study.space.likelihood.quantity
    report = (folder / "report.html").read_text()
    assert term.name in metrics["test"]
    assert term.title in report.lower() or term.title in report
    assert {path.stem for path in (folder / "figures").glob("*.png")} >= {"reconstructions"}
    again = Study.load(folder)
    x = again.test
    assert torch.equal(again.encode(x), study.encode(x))
    assert page.check(folder / "explorer.html")["data"]["classes"] == list(study.classes)
    made = export(again, tmp_path / "onnx")
    assert {each.name for each in made} >= {"encoder", "decoder"}
