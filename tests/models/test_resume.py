"""Every kind of model, stopped and resumed, ends with the bits of one that never was."""

import pytest
import torch

from vaescape import Study
from vaescape.train import CheckpointFolder

SMALL = {"network": "mlp(hidden=6)", "epochs": 2, "limit": 60, "batch": 20, "threads": 1}
KINDS = {
    "conditional": {"conditional": True},
    "dynamic": {"binarise": "dynamic", "likelihood": "bernoulli"},
    "ladder": {"model": "ladder(levels=3, width=5)"},
    "lattice": {"posterior": "lattice(cells=16)"},
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
