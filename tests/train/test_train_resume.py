"""Stopped anywhere and resumed, a run ends with the bits of one that never stopped."""

import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train_toys import (
    LONG,
    OPTIONS,
    ToyBatches,
    ToyObjective,
    bits,
    child_run,
    kill_at,
    run,
    start,
    toy_model,
)

from vaescape import signals
from vaescape.components import construct
from vaescape.errors import CheckpointError, InterruptedRun, RunError
from vaescape.progress import track
from vaescape.signals import stop_on_signals
from vaescape.train import CheckpointFolder, train
from vaescape.train.checkpoint import Checkpoint
from vaescape.train.optimisers import restore_state, state_of
from vaescape.train.weights import pack, restore


@pytest.fixture(scope="module")
def undisturbed():
    return run()


def interrupted(folder: Path, step: int, number: int = signal.SIGTERM) -> InterruptedRun:
    with pytest.raises(InterruptedRun) as caught:
        run(OPTIONS, CheckpointFolder(folder), **kill_at(step, number))
    return caught.value


@pytest.mark.parametrize("step", range(1, 13))
def test_resumed_after_any_step_is_the_same_run(tmp_path, undisturbed, step):
    interrupted(tmp_path, step)
    model, ticks = run(OPTIONS, CheckpointFolder(tmp_path))
    whole, all_ticks = undisturbed
    assert bits(model) == bits(whole)
    owed = [tick for tick in all_ticks if tick.step >= step]
    assert [(t.step, t.metrics) for t in ticks] == [(t.step, t.metrics) for t in owed]


@pytest.mark.parametrize("optimiser", ["adagrad", "adam(beta1=0.5)"])
def test_holds_for_every_optimiser(tmp_path, optimiser):
    options = replace(OPTIONS, optimiser=optimiser)
    whole, _ = run(options)
    with pytest.raises(InterruptedRun):
        run(options, CheckpointFolder(tmp_path), **kill_at(6))
    resumed, _ = run(options, CheckpointFolder(tmp_path))
    assert bits(resumed) == bits(whole)


def forget(saved: Checkpoint, what: str) -> Checkpoint:
    if what == "step":
        return replace(saved, step=saved.step - 1)
    blank = {name: torch.zeros_like(v) for name, v in saved.tensors.items() if what in name}
    assert blank, f"nothing in the checkpoint is called {what}"
    return replace(saved, tensors=saved.tensors | blank)


@pytest.mark.parametrize(
    "what",
    [
        "model.0.weight",
        "model.1.running_mean",
        "model.1.num_batches_tracked",
        "objective.temperature",
        ".exp_avg",
        ".exp_avg_sq",
        ".step",
        "sums.loss",
        "sums.hits",
        "sums.per_class",
        "step",
    ],
)
def test_every_part_of_a_checkpoint_matters(tmp_path, undisturbed, monkeypatch, what):
    whole, ticks = undisturbed
    interrupted(tmp_path, 6)
    load = CheckpointFolder.load
    monkeypatch.setattr(CheckpointFolder, "load", lambda folder: forget(load(folder), what))  # type: ignore[arg-type]
    model, resumed = run(OPTIONS, CheckpointFolder(tmp_path))
    same = bits(model) == bits(whole)
    same_log = [t.metrics for t in resumed] == [t.metrics for t in ticks[1:]]
    assert not (same and same_log)


def test_a_finished_run_gives_its_last_tick_again(tmp_path, undisturbed):
    run(OPTIONS, CheckpointFolder(tmp_path))
    model, ticks = run(OPTIONS, CheckpointFolder(tmp_path))
    assert [tick.metrics for tick in ticks] == [undisturbed[1][-1].metrics]
    assert ticks[0].final
    assert bits(model) == bits(undisturbed[0])


def test_seconds_of_earlier_sittings_are_added(tmp_path):
    interrupted(tmp_path, 6)
    saved = CheckpointFolder(tmp_path).load()
    assert saved is not None
    _, ticks = run(OPTIONS, CheckpointFolder(tmp_path))
    assert ticks[0].seconds > saved.seconds > 0


def test_an_optimiser_takes_back_its_memory_but_keeps_its_own_settings():
    layer = torch.nn.Conv2d(2, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    first, second = (
        construct("optimiser", spec).build(layer.parameters(), lr)
        for spec, lr in (("adam", 0.01), ("adam(beta1=0.5)", 0.5))
    )
    layer(torch.rand(1, 2, 5, 5)).sum().backward()
    first.step()
    saved = {name: value.clone() for name, value in state_of(first).items()}
    restore_state(second, {name: value.contiguous() for name, value in saved.items()})
    assert {name.split(".")[1] for name in saved} == {"step", "exp_avg", "exp_avg_sq"}
    assert all(torch.equal(value, saved[name]) for name, value in state_of(second).items())
    assert second.param_groups[0]["lr"] == 0.5
    assert second.param_groups[0]["betas"] == (0.5, 0.999)
    assert second.param_groups[0]["eps"] == 1e-7
    assert second.state[layer.weight]["exp_avg"].stride() == layer.weight.stride()


def test_loading_keeps_the_parameters_that_others_hold(tmp_path):
    interrupted(tmp_path, 6)
    model = toy_model()
    held = dict(model.named_parameters())
    list(
        train(model, ToyObjective(), ToyBatches(), OPTIONS, checkpoints=CheckpointFolder(tmp_path))
    )
    assert all(held[name] is parameter for name, parameter in model.named_parameters())


def test_another_machine_resumes_and_says_that_bits_may_differ(tmp_path, monkeypatch):
    interrupted(tmp_path, 6)
    with pytest.warns(UserWarning, match="step 6, not bit-exact: threads 1→2"):
        train(
            toy_model(),
            ToyObjective(),
            ToyBatches(),
            replace(OPTIONS, threads=2),
            checkpoints=CheckpointFolder(tmp_path),
        )


def test_another_configuration_is_refused_with_the_fields_that_differ(tmp_path):
    first = CheckpointFolder(tmp_path, {"lr": 1e-3, "net": "conv", "size": (2, 3)})
    with pytest.raises(InterruptedRun):
        run(OPTIONS, first, **kill_at(2))
    CheckpointFolder(tmp_path, {"lr": 1e-3, "net": "conv", "size": (2, 3)}).load()
    second = CheckpointFolder(tmp_path, {"lr": 2e-3, "size": (2, 3), "net": "conv", "beta": 4})
    with pytest.raises(CheckpointError, match=r"configuration: lr 0\.001→0\.002, beta none→4\. "):
        second.load()


def test_another_model_is_refused(tmp_path):
    interrupted(tmp_path, 2)
    small = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 3))
    with pytest.raises(RunError, match="does not fit this model: model"):
        train(small, ToyObjective(), ToyBatches(), OPTIONS, checkpoints=CheckpointFolder(tmp_path))


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in folder.iterdir())


def test_the_newest_two_stay(tmp_path):
    options = replace(OPTIONS, checkpoint_seconds=0)
    with pytest.raises(InterruptedRun):
        run(options, CheckpointFolder(tmp_path), **kill_at(6))
    assert steps_in(tmp_path) == [5, 6]
    run(options, CheckpointFolder(tmp_path))
    assert steps_in(tmp_path) == [11, 12]


def test_equal_states_are_equal_bytes_and_a_chain_of_digests(tmp_path):
    interrupted(tmp_path, 6)
    one, two = CheckpointFolder(tmp_path).load(), CheckpointFolder(tmp_path).load()
    assert one is not None
    assert two is not None
    backwards = dict(reversed(two.tensors.items()))
    assert pack(one.tensors, {"a": 1, "b": 2}) == pack(backwards, {"a": 1, "b": 2})


def test_order_is_read_from_names_not_clocks(tmp_path):
    run(replace(OPTIONS, checkpoint_seconds=0), CheckpointFolder(tmp_path))
    for path in tmp_path.glob("step-0000000012*"):
        os.utime(path, (0, 0))
    saved = CheckpointFolder(tmp_path).load()
    assert saved is not None
    assert saved.step == 12


@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGTERM, 75, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")]
)
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, number, code, name):
    before = signal.getsignal(number)
    error = interrupted(tmp_path, 6, number)
    assert error.exit_code == code
    assert f"Stopped by {name}. 6 of 12 steps are done and saved in {tmp_path}" in str(error)
    assert "Resume the run" in str(error)
    assert signal.getsignal(number) == before


def test_another_configuration_is_refused_with_what_differs_only(tmp_path):
    config = {"recipe": "x", "parts": {"latent": 2, "prior": "normal"}, "train": {"lr": 0.1}}
    run(OPTIONS, CheckpointFolder(tmp_path, config))
    other = {"recipe": "x", "parts": {"latent": 3, "prior": "normal"}, "train": {"lr": 0.1}}
    with pytest.raises(CheckpointError, match=r"configuration: parts\.latent 2→3\. Resume"):
        CheckpointFolder(tmp_path, other).load()


def test_a_signal_without_a_folder_says_that_nothing_was_saved():
    with pytest.raises(InterruptedRun, match="6 of 12 steps are done; nothing was saved"):
        run(OPTIONS, **kill_at(6))


def test_a_signal_between_ticks_is_obeyed_inside_stop_on_signals(tmp_path):
    ticks = train(
        toy_model(),
        ToyObjective(),
        ToyBatches(),
        OPTIONS,
        checkpoints=CheckpointFolder(tmp_path),
    )
    with stop_on_signals() as stop:
        next(ticks)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
        with pytest.raises(InterruptedRun, match="4 of 12 steps"):
            next(ticks)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_gets_what_it_would_have_got_without_us(tmp_path, monkeypatch, number):
    monkeypatch.setattr(signals, "ECHO", 0)

    def leave(number: int, frame: object) -> None:
        raise SystemExit(number)

    def impatient(done: int, steps: int) -> None:
        if done == 6:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)

    folder, before = CheckpointFolder(tmp_path), signal.signal(number, leave)
    try:
        with pytest.raises(SystemExit, match=str(int(number))):
            run(replace(OPTIONS, checkpoint_seconds=0), folder, every=impatient)
    finally:
        signal.signal(number, before)
    saved = CheckpointFolder(tmp_path).load()
    assert saved is not None
    assert saved.step == 5


class Signalling:
    """Python drops what is raised here."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_inside_del_is_not_lost(tmp_path):
    with stop_on_signals() as stop:
        thing = Signalling()
        del thing
        assert stop.signal == signal.SIGTERM
        numbers = iter(track("numbers")(range(9)))
        with pytest.raises(signals.Stopped, match="Stopped by SIGTERM"):
            next(numbers)


def test_a_second_signal_ends_a_command_that_reaches_no_safe_point():
    code = """
import signal, sys, time
from vaescape import cli, signals
signals.ECHO = 0
from vaescape.cli import common
from vaescape.cli.app import app
@app.command()
def hang():
    print("hangs", flush=True)
    while True: time.sleep(0.01)
sys.argv = ["vaescape", "hang"]
cli.main()
"""
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(number)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
            process.send_signal(number)
            assert process.wait(30) == -number


def test_the_echo_of_a_signal_is_no_second_one(tmp_path):
    def echoed(done: int, steps: int) -> None:
        if done == 6:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRun, match="6 of 12 steps are done and saved"):
        run(OPTIONS, CheckpointFolder(tmp_path), every=echoed)


def test_other_threads_train_without_handlers(undisturbed):
    done = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: done.append(run()))
    thread.start()
    thread.join()
    assert bits(done[0][0]) == bits(undisturbed[0])
    assert signal.getsignal(signal.SIGTERM) == before


def test_kill_9_at_ten_random_moments_ends_with_the_same_bits(tmp_path):
    whole, _ = run(replace(LONG, checkpoint_seconds=1e9))
    dice = random.Random(4)
    kills = 0
    final = None
    while final is None:
        process, reports = start(child_run, tmp_path)
        patience = dice.randrange(1, 6) if kills < 10 else 10**9
        try:
            while patience and not isinstance(final := reports.recv(), str):
                patience, final = patience - 1, None
        except EOFError:
            final = None
        if final is None:
            threading.Event().wait(dice.random() * 0.01)
            process.kill()
            kills += 1
        process.join()
    assert kills == 10
    model = toy_model()
    weights = tmp_path / "weights.safetensors"
    restore(weights.read_bytes(), model, weights)
    assert bits(model) == bits(whole)


def test_sigterm_to_a_process_saves_the_step_and_exits_with_75(tmp_path):
    process, reports = start(child_run, tmp_path)
    seen = [reports.recv() for _ in range(6)]
    process.terminate()
    message = seen[-1]
    while not isinstance(message, str):
        seen.append(message)
        message = reports.recv()
    process.join()
    assert process.exitcode == 75
    saved = CheckpointFolder(tmp_path / "checkpoints").load()
    assert saved is not None
    assert saved.step == seen[-1]


def test_resuming_warns_of_nothing_on_the_same_machine(tmp_path):
    interrupted(tmp_path, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(OPTIONS, CheckpointFolder(tmp_path))


def test_a_signal_between_ticks_leaves_a_state_that_resumes(tmp_path, undisturbed):
    ticks = train(
        toy_model(), ToyObjective(), ToyBatches(), OPTIONS, checkpoints=CheckpointFolder(tmp_path)
    )
    with stop_on_signals():
        next(ticks)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(InterruptedRun):
            next(ticks)
    model, again = run(OPTIONS, CheckpointFolder(tmp_path))
    assert bits(model) == bits(undisturbed[0])
    assert [t.metrics for t in again] == [t.metrics for t in undisturbed[1]]


@pytest.mark.parametrize("step", [4, 12])
def test_a_signal_while_an_epoch_is_saved_is_not_lost(tmp_path, monkeypatch, step):
    save = CheckpointFolder.save

    def signalled(folder: CheckpointFolder, at: int, *rest):
        if at == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return save(folder, at, *rest)

    monkeypatch.setattr(CheckpointFolder, "save", signalled)
    with pytest.raises(InterruptedRun, match=f"{step} of 12 steps are done and saved"):
        run(replace(OPTIONS, checkpoint_seconds=0), CheckpointFolder(tmp_path))
