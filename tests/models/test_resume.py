"""Every kind of model, stopped and resumed, ends with the bits of one that never was."""

import pytest
import torch

from vaescape import Study, pipeline
from vaescape.errors import RunError
from vaescape.recipes import configuration
from vaescape.train import CheckpointFolder

SMALL = {"network": "mlp(hidden=6)", "epochs": 2, "limit": 60, "batch": 20, "threads": 1}
KINDS = {
    "conditional": {"conditional": True},
    "dynamic": {"binarise": "dynamic", "likelihood": "bernoulli"},
    "ladder": {"model": "ladder(levels=3, width=5)"},
    "bayes": {"posterior": "bayes(points=16)"},
    "m2": {"model": "m2", "objective": "m2", "conditional": True, "labelled": 8},
    "resnet": {"network": "resnet(channels=[2, 4], attention=14)"},
}


class Stop(Exception):
    pass


def stop(tick) -> None:
    raise Stop


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_resumed_to_the_same_bits(changes: dict, tmp_path):
    options = {**SMALL, **changes, "checkpoint_seconds": 0}
    whole = Study("first-look", **options).fit().model.state_dict()
    folder = CheckpointFolder(tmp_path / "checkpoints", {"test": True})
    with pytest.raises(Stop):
        Study("first-look", **options).fit(checkpoints=folder, on_tick=stop)
    resumed = Study("first-look", **options).fit(checkpoints=folder).model.state_dict()
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("objective", ["geco(rate=0.01)", "factor(hidden=5)", "elbo"])
def test_a_run_keeps_what_its_objective_learned(objective: str, tmp_path):
    made = configuration("first-look", **SMALL, objective=objective)
    folder, study = pipeline.start(made, root=tmp_path, name="run")
    pipeline.train(folder, study)
    start, learned = Study(made).objective.state_dict(), study.objective.state_dict()
    assert all(not torch.equal(start[name], value) for name, value in learned.items())
    again = Study.load(folder)
    assert all(torch.equal(again.objective.state_dict()[name], learned[name]) for name in learned)
    assert again.score(again.test) == study.score(study.test)
    kept = folder / "objective.safetensors"
    assert kept.exists() == bool(learned)
    if learned:
        kept.write_bytes(kept.read_bytes()[:-1] + b"!")
        with pytest.raises(RunError, match="objective.safetensors is damaged: its SHA-256 is"):
            Study.load(folder)
