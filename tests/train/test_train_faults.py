"""Damaged files, full disks, hostile bytes and losses that are not numbers."""

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from train_toys import (
    OPTIONS,
    ToyBatches,
    ToyLoss,
    ToyObjective,
    bits,
    child_full_disk,
    kill_at,
    run,
    start,
    toy_model,
)

from vaescape.batch import Batch
from vaescape.errors import CheckpointError, DivergedError, InterruptedRun, RunError
from vaescape.train import CheckpointFolder, train
from vaescape.train.options import TrainOptions
from vaescape.train.weights import pack, restore, unpack

WEIGHTS = Path("weights.safetensors")
EVERY_STEP = TrainOptions(**{**vars(OPTIONS), "checkpoint_seconds": 0})


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two whole checkpoints, of steps 5 and 6."""
    with pytest.raises(InterruptedRun):
        run(EVERY_STEP, CheckpointFolder(tmp_path), **kill_at(6))
    older, newer = sorted(tmp_path.iterdir())
    return older, newer


def falls_back(older: Path, newer: Path) -> None:
    damaged = newer.read_bytes()
    with pytest.warns(UserWarning, match="damaged.*older checkpoint is tried") as caught:
        saved = CheckpointFolder(newer.parent).load()
    assert len(caught) == 1
    assert saved is not None
    assert saved.path == older
    assert newer.read_bytes() == damaged


def test_truncated_anywhere_is_rejected_and_the_older_is_taken(two):
    older, newer = two
    content = newer.read_bytes()
    for length in (*range(20), *range(20, len(content), 97), len(content) - 1):
        newer.write_bytes(content[:length])
        falls_back(older, newer)


def test_a_flipped_bit_anywhere_is_rejected_and_the_older_is_taken(two):
    older, newer = two
    content = newer.read_bytes()
    for index in range(0, len(content), 61):
        flipped = bytearray(content)
        flipped[index] ^= 1 << (index % 8)
        newer.write_bytes(flipped)
        falls_back(older, newer)


def test_resuming_past_a_damaged_checkpoint_keeps_it_and_ends_with_the_same_bits(two):
    _, newer = two
    newer.write_bytes(newer.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="older checkpoint"):
        model, _ = run(EVERY_STEP, CheckpointFolder(newer.parent))
    assert bits(model) == bits(run()[0])
    assert newer.exists()
    assert len(list(newer.parent.iterdir())) == 3


def test_nothing_whole_is_an_error_and_never_a_silent_fresh_start(two):
    for path in two:
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(CheckpointError, match="None of the 2 checkpoints .* can be read"),
    ):
        CheckpointFolder(two[0].parent).load()


def test_an_empty_or_missing_folder_is_a_fresh_start(tmp_path):
    assert CheckpointFolder(tmp_path).load() is None
    assert CheckpointFolder(tmp_path / "not there").load() is None


def placed(folder: Path, content: bytes) -> Path:
    """Put bytes there under a name that vouches for them."""
    name = f"step-0000000099-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    (folder / name).write_bytes(content)
    return folder / name


def test_a_later_format_says_which_version_it_needs(two):
    header = {"format": 2, "reader": "9.1", "step": 99, "seconds": 1.0}
    placed(two[0].parent, pack({}, header | {"config": {}, "fingerprint": {}}))
    with pytest.raises(CheckpointError, match=r"needs vaescape version ≥ 9\.1.*Upgrade"):
        CheckpointFolder(two[0].parent).load()


class Hostile:
    def __reduce__(self):
        return exec, ("raise AssertionError('unpickled')",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Hostile()),
        b"",
        b"{}",
        (10**12).to_bytes(8, "little") + b"{}",
        pack({"x": torch.zeros(2)}, {"another": "program"}),
    ],
    ids=["pickle", "empty", "short", "huge-header", "foreign"],
)
def test_foreign_bytes_under_a_good_name_are_refused_never_unpickled(two, content):
    placed(two[0].parent, content)
    with pytest.warns(UserWarning, match="older checkpoint is tried"):
        saved = CheckpointFolder(two[0].parent).load()
    assert saved is not None
    assert saved.path == two[1]


def test_what_a_killed_writer_left_is_swept(two):
    stray = two[0].parent / ".step-0000000007-0.safetensors.abc.part"
    stray.write_bytes(b"half")
    CheckpointFolder(two[0].parent).load()
    assert not stray.exists()


def test_a_kill_during_the_save_leaves_the_previous_checkpoint(two, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        run(EVERY_STEP, CheckpointFolder(two[0].parent))
    saved = CheckpointFolder(two[0].parent).load()
    assert saved is not None
    assert saved.step == 6


def test_a_full_disk_is_reported_retried_and_survived(tmp_path):
    process, reports = start(child_full_disk, tmp_path, True)
    warned, end = reports.recv()
    process.join()
    assert end == "finished"
    assert len(warned) == 2
    assert all("Could not write" in text and "will try again" in text for text in warned)
    saved = CheckpointFolder(tmp_path).load()
    assert saved is not None
    assert saved.step == 12


def test_a_disk_that_stays_full_stops_the_run_and_keeps_the_old_checkpoint(tmp_path):
    process, reports = start(child_full_disk, tmp_path, False)
    warned, end = reports.recv()
    process.join()
    assert len(warned) == 2
    assert "Could not write" in end
    saved = CheckpointFolder(tmp_path).load()
    assert saved is not None
    assert saved.step == 4
    assert len(list(tmp_path.iterdir())) == 2


class Poison(ToyObjective):
    """A loss that is not a number at one step, or that has a gradient that is none."""

    def __init__(self, step: int, value: float = float("nan"), gradient: bool = False) -> None:
        super().__init__()
        self.bad, self.value, self.gradient, self.step = step, value, gradient, 0

    def forward(self, model: nn.Module, batch: Batch, t: Tensor) -> ToyLoss:
        loss = super().forward(model, batch, t)
        self.step += 1
        if self.step != self.bad:
            return loss
        if self.gradient:
            return ToyLoss(loss.total + (self.temperature * 0).sqrt(), loss.metrics)
        return ToyLoss(loss.total * self.value, loss.metrics)


def poisoned(objective: nn.Module, options: TrainOptions, folder: CheckpointFolder | None = None):
    return list(train(toy_model(), objective, ToyBatches(), options, checkpoints=folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("step", [1, 4, 6, 12])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(step, value):
    with pytest.raises(DivergedError, match=rf"step {step} of 12\. No state.*learning rate"):
        poisoned(Poison(step, value), OPTIONS)


def finite(folder: Path) -> bool:
    saved = CheckpointFolder(folder).load()
    assert saved is not None
    return all(bool(value.isfinite().all()) for value in saved.tensors.values())


def test_the_last_good_state_stays(tmp_path):
    with pytest.raises(DivergedError, match=r"at step 6 of 12\. The state of step 5 stays"):
        poisoned(Poison(6), EVERY_STEP, CheckpointFolder(tmp_path))
    assert finite(tmp_path)


@pytest.mark.parametrize("step", [6, 12])
def test_a_weight_that_is_not_finite_is_never_saved(tmp_path, step):
    last = rf"after step {step} of 12\. The state of step {step - 1} stays"
    with pytest.raises(DivergedError, match=last):
        poisoned(Poison(step, gradient=True), EVERY_STEP, CheckpointFolder(tmp_path))
    assert finite(tmp_path)


def test_a_last_step_that_spoils_the_weights_is_noticed_without_a_folder():
    with pytest.raises(DivergedError, match="A weight was not a finite number after step 12"):
        poisoned(Poison(12, gradient=True), OPTIONS)


def test_weights_come_back_with_their_metadata():
    model, _ = run()
    content = pack(model.state_dict(), {"net": "conv", "size": [2, 3]})
    other = toy_model()
    restore(content, other, WEIGHTS)
    assert bits(other) == bits(model)
    assert unpack(content, WEIGHTS)[1] == {"net": "conv", "size": [2, 3]}


def test_tied_weights_can_be_saved():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(2, 2)
            self.two = self.one

    restore(pack(Tied().state_dict(), {}), Tied(), WEIGHTS)


def test_damaged_weights_are_refused():
    content = pack(toy_model().state_dict(), {})
    for length in range(0, len(content), 61):
        with pytest.raises(RunError, match="damaged"):
            restore(content[:length], toy_model(), WEIGHTS)


def test_weights_of_another_model_are_refused_before_anything_is_copied():
    model = toy_model()
    before = bits(model)
    with pytest.raises(
        RunError, match=r"0\.bias has shape \(5,\) instead of \(4,\).*1\.bias is missing"
    ):
        restore(pack(nn.Sequential(nn.Conv2d(2, 5, 3)).state_dict(), {}), model, WEIGHTS)
    assert bits(model) == before


def test_a_pickle_is_no_weights_file():
    with pytest.raises(RunError, match="damaged or not written by vaescape"):
        restore(pickle.dumps(Hostile()), toy_model(), WEIGHTS)


def test_checkpoint_headers_are_json_with_the_chain_of_digests(two):
    older, newer = two
    content = newer.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["vaescape"])
    assert header["step"] == 6
    assert header["previous"] == hashlib.sha256(older.read_bytes()).hexdigest()
    assert {"torch", "device", "threads", "optimiser", "precision"} <= header["fingerprint"].keys()
