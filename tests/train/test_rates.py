"""Learning-rate schedules against their closed forms, and what they do to a training."""

from dataclasses import replace

import pytest
import torch
from train_toys import OPTIONS, bits, kill_at, run

from vaescape.components import construct, known
from vaescape.errors import ComponentError, InterruptedRun
from vaescape.train import CheckpointFolder, TrainOptions
from vaescape.train.optimisers import uncompiled

MIDDLES = (torch.arange(1000).double() + 0.5) / 1000


def factors(text: str) -> torch.Tensor:
    schedule = construct("schedule", text)
    return torch.tensor([schedule(t) for t in MIDDLES.tolist()])


def test_the_default_is_constant():
    assert TrainOptions().schedule == "constant"
    assert factors("constant").unique().tolist() == [1.0]


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 0.99])
def test_one_cycle_is_a_line_up_and_a_line_down(warmup: float):
    found = factors(f"one-cycle(warmup={warmup})").double()
    corners = torch.tensor([0.0, warmup, 1.0]).double()
    up, down = MIDDLES / max(warmup, 1e-12), (1 - MIDDLES) / (1 - warmup)
    torch.testing.assert_close(
        found, torch.where(corners[1] > MIDDLES, up, down), rtol=1e-6, atol=0
    )
    assert found.mean() == pytest.approx(0.5, abs=1e-3)
    assert found.argmax() == pytest.approx(1000 * warmup, abs=1)


@pytest.mark.parametrize("name", known("schedule"))
def test_every_schedule_leaves_a_rate_that_learns_at_every_step(name: str):
    found = factors(name)
    assert ((found > 0) & (found <= 1)).all()


def test_every_step_has_its_rate(monkeypatch):
    rates = []
    adam = uncompiled(torch.optim.Adam)
    step = adam.step  # pyright: ignore
    monkeypatch.setattr(adam, "step", lambda s: (rates.append(s.param_groups[0]["lr"]), step(s))[1])
    run(replace(OPTIONS, schedule="one-cycle(warmup=0.25)"))
    schedule = construct("schedule", "one-cycle(warmup=0.25)")
    assert rates == [OPTIONS.lr * schedule((k + 0.5) / 12) for k in range(12)]


@pytest.mark.parametrize("step", [1, 5, 11])
def test_holds_under_a_schedule(tmp_path, step: int):
    options = replace(OPTIONS, schedule="one-cycle")
    whole, _ = run(options)
    with pytest.raises(InterruptedRun):
        run(options, CheckpointFolder(tmp_path), **kill_at(step))
    model, _ = run(options, CheckpointFolder(tmp_path))
    assert bits(model) == bits(whole)


def test_impossible_schedules_are_refused():
    with pytest.raises(ComponentError, match="warmup must be a share of training"):
        TrainOptions(schedule="one-cycle(warmup=1)")
    with pytest.raises(ComponentError, match="Did you mean 'one-cycle'"):
        TrainOptions(schedule="onecycle")
