"""The loop: learns, ticks, keeps its bits to itself, and never waits for the device."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from train_toys import OPTIONS, ToyBatches, ToyLoss, ToyObjective, bits, run, toy_model

from vaescape.batch import Batch
from vaescape.errors import ComponentError, OptionError
from vaescape.randomness import step_seed
from vaescape.train import TrainOptions, loop, train
from vaescape.train.allocator import M_MMAP_THRESHOLD, keep_pages
from vaescape.train.graphs import Replayed
from vaescape.train.loop import tick_steps


class Recorder(ToyObjective):
    """Remembers what each step was given."""

    def __init__(self) -> None:
        super().__init__()
        self.t: list[Tensor] = []
        self.modes: list[bool] = []
        self.losses: list[Tensor] = []
        self.dtypes: set[torch.dtype] = set()

    def forward(self, model: nn.Module, batch: Batch, t: Tensor) -> ToyLoss:
        self.t.append(t.clone())
        self.modes.append(model.training and self.training)
        self.dtypes.add(model(batch.x).dtype)
        loss = super().forward(model, batch, t)
        self.losses.append(loss.total.detach())
        return loss


def test_memorises_a_small_set():
    _, ticks = run(replace(OPTIONS, epochs=40))
    assert ticks[-1].metrics["loss"] < 0.2 < 0.8 < ticks[0].metrics["loss"]  # type: ignore[operator]
    assert ticks[-1].metrics["hits"] > 0.9  # type: ignore[operator]


@pytest.mark.parametrize(
    ("epochs", "images", "batch", "ends"),
    [
        (3, 30, 8, [4, 8, 12]),
        (2, 32, 8, [4, 8]),
        (2.5, 32, 8, [4, 8, 10]),
        (0.3, 1000, 10, [30]),
        (1.1, 1000, 10, [100, 110]),
        (0.001, 30, 8, [1]),
        (1, 60_000, 128, [469]),
        (20, 60_000, 128, [-(-e * 60_000 // 128) for e in range(1, 21)]),
    ],
)
def test_ticks_come_when_an_epoch_of_images_is_complete(epochs, images, batch, ends):
    assert tick_steps(epochs, images, batch) == ends


def test_a_tick_tells_how_training_stands():
    _, ticks = run(replace(OPTIONS, epochs=2.5))
    assert [tick.step for tick in ticks] == [4, 8, 10]
    assert [tick.images for tick in ticks] == [32, 64, 80]
    assert [tick.epoch for tick in ticks] == pytest.approx([32 / 30, 64 / 30, 80 / 30])
    assert [tick.final for tick in ticks] == [False, False, True]
    assert {tick.steps for tick in ticks} == {10}
    assert 0 < ticks[0].seconds < ticks[1].seconds < ticks[2].seconds


def test_metrics_are_means_over_the_steps_of_the_tick():
    objective = Recorder()
    ticks = list(train(toy_model(), objective, ToyBatches(), OPTIONS))
    for tick, first in zip(ticks, (0, 4, 8), strict=True):
        mean = torch.stack(objective.losses[first : tick.step]).double().mean().item()
        assert tick.metrics["loss"] == pytest.approx(mean, rel=1e-6)
        assert isinstance(tick.metrics["per_class"], list)
        assert len(tick.metrics["per_class"]) == 3
        assert "finite" not in tick.metrics


@pytest.mark.parametrize(("epochs", "batch"), [(3, 8), (1, 7), (0.1, 30), (7.3, 9)])
def test_the_last_step_reaches_the_end_of_every_schedule(epochs, batch):
    objective = Recorder()
    options = replace(OPTIONS, epochs=epochs, batch=batch)
    last = list(train(toy_model(), objective, ToyBatches(batch), options))[-1]
    assert objective.t[-1].item() == 1.0
    assert all(isinstance(t, Tensor) and t.dim() == 0 for t in objective.t)
    expected = [(step + 1) / last.steps for step in range(last.steps)]
    assert [t.item() for t in objective.t] == pytest.approx(expected)


def test_same_seed_same_bits_and_another_seed_others():
    torch.manual_seed(1)
    first, ticks = run()
    torch.manual_seed(2)
    second, again = run()
    other, _ = run(replace(OPTIONS, seed=6))
    assert bits(first) == bits(second) != bits(other)
    assert [tick.metrics for tick in ticks] == [tick.metrics for tick in again]


def test_what_the_consumer_does_between_ticks_changes_nothing():
    undisturbed, _ = run()
    model = toy_model()
    for _ in train(model, ToyObjective(), ToyBatches(), OPTIONS):
        assert not model.training
        torch.manual_seed(int(time.time()))
        torch.randn(100)
        model(torch.rand(5, 2, 6, 6))
        model.train()
    assert bits(model) == bits(undisturbed)


def test_the_users_random_numbers_and_threads_are_left_alone():
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    ticks = train(toy_model(), ToyObjective(), ToyBatches(), replace(OPTIONS, threads=threads + 1))
    next(ticks)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    torch.randn(3)
    drawn = torch.get_rng_state()
    ticks.close()
    assert torch.equal(torch.get_rng_state(), drawn)


def test_the_users_random_numbers_are_left_alone_by_an_error():
    class Broken(ToyObjective):
        def forward(self, model: nn.Module, batch: Batch, t: Tensor) -> ToyLoss:
            torch.randn(3)
            raise ZeroDivisionError

    model, before, threads = toy_model(), torch.get_rng_state(), torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        next(train(model, Broken(), ToyBatches(), replace(OPTIONS, threads=threads + 1)))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not model.training


def test_model_and_objective_train_inside_and_evaluate_outside():
    model, objective = toy_model(), Recorder()
    for _ in train(model, objective, ToyBatches(), OPTIONS):
        assert not model.training
        assert not objective.training
    assert all(objective.modes)


def test_the_consumers_time_is_not_training_time():
    seconds = []
    for tick in train(toy_model(), ToyObjective(), ToyBatches(), OPTIONS):
        began = time.process_time()
        while time.process_time() - began < 0.3:
            pass
        seconds.append(tick.seconds)
    assert seconds[-1] - seconds[0] < 0.5


class Syncs(TorchDispatchMode):
    """Counts what would wait for a GPU: values read by the host, inside kernels' callers too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.count = 0
        for name in ("tolist", "numpy", "cpu", "__array__"):
            monkeypatch.setattr(Tensor, name, self._counted(getattr(Tensor, name)))

    def _counted(self, method):
        def counted(*args, **kwargs):
            self.count += 1
            return method(*args, **kwargs)

        return counted

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


class Lean(ToyObjective):
    """The toy's loss without picking by a mask, which has to know how many there are."""

    def forward(self, model: nn.Module, batch: Batch, t: Tensor) -> ToyLoss:
        assert batch.label is not None
        logits = model(batch.x + torch.randn_like(batch.x)) * self.temperature
        total = nn.functional.cross_entropy(logits, batch.label)
        return ToyLoss(total, {"spread": logits.std(0), "t": t})


class Nosy(Lean):
    def forward(self, model: nn.Module, batch: Batch, t: Tensor) -> ToyLoss:
        loss = super().forward(model, batch, t)
        assert loss.total > 0
        return loss


@pytest.mark.parametrize("optimiser", ["adam", "adagrad"])
@pytest.mark.parametrize(("objective", "waits"), [(Lean(), False), (Nosy(), True)])
def test_no_host_sync_between_ticks(monkeypatch, optimiser, objective, waits):
    counts: list[int] = []
    options = replace(OPTIONS, optimiser=optimiser)
    with Syncs(monkeypatch) as syncs:
        every = lambda step, steps: counts.append(syncs.count)  # noqa: E731
        list(train(toy_model(), objective, ToyBatches(), options, every=every))
    epochs = [counts[0:4], counts[4:8], counts[8:12]]
    assert any(len(set(epoch)) > 1 for epoch in epochs) == waits
    assert counts[4] > counts[3], "the tick itself reads the sums"


def test_bfloat16_is_applied_to_the_networks():
    objective = Recorder()
    options = replace(OPTIONS, precision="bfloat16")
    model = toy_model()
    ticks = list(train(model, objective, ToyBatches(), options))
    reference, exact = run()
    assert objective.dtypes == {torch.bfloat16}
    assert all(value.dtype == torch.float32 for value in model.parameters())
    assert bits(model) != bits(reference)
    assert ticks[0].metrics["loss"] == pytest.approx(exact[0].metrics["loss"], rel=0.2)


def test_a_precision_that_cannot_be_applied_is_refused(monkeypatch):
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda device: False)
    with pytest.raises(OptionError, match="cannot compute in bfloat16.*precision float32"):
        train(toy_model(), ToyObjective(), ToyBatches(), replace(OPTIONS, precision="bfloat16"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"epochs": 0}, "epochs must be more than 0 and at most 100,000. Got 0"),
        ({"epochs": float("inf")}, "epochs must be"),
        ({"epochs": 100_001}, "at most 100,000. Got 100001"),
        ({"batch": 0}, "batch must be 1 image or more. Got 0"),
        ({"batch": 12.5}, "batch must be"),
        ({"lr": -1e-3}, "lr must be more than 0"),
        ({"lr": float("nan")}, "lr must be"),
        ({"seed": -1}, "seed must be"),
        ({"threads": 0}, "threads must be"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds must be"),
        ({"precision": "bfloat"}, "no precision 'bfloat'. Did you mean 'bfloat16'"),
        ({"device": "cuba"}, "no device 'cuba'. Did you mean 'cuda'"),
        ({"device": "cuda:x"}, "device must be"),
    ],
)
def test_impossible_options_are_refused_in_a_sentence(option, message):
    with pytest.raises(OptionError, match=message):
        TrainOptions(**option)


def test_a_misspelt_optimiser_is_refused_with_the_nearest_name():
    with pytest.raises(ComponentError, match="Did you mean 'adam'"):
        TrainOptions(optimiser="adan")
    with pytest.raises(ComponentError, match="beta1 must be"):
        TrainOptions(optimiser="adam(beta1=1.5)")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(OptionError, match="no CUDA device here. Choose device auto or cpu"):
        TrainOptions(device="cuda").resolve_device()


def test_auto_is_a_device_of_this_machine():
    assert TrainOptions().resolve_device().type in ("cpu", "cuda", "mps")


def test_no_two_steps_of_a_run_share_their_noise():
    steps = 20_000
    lower = {step_seed(0, step) % 2**32 for step in range(steps)}
    assert len(lower) == steps
    assert not lower & {step_seed(1, step) % 2**32 for step in range(100)}
    assert 0 <= step_seed(2**70, 2**40) < 2**64


def test_noise_is_a_function_of_seed_and_step_alone():
    draws: dict[int, list[Tensor]] = {}

    class Drawing(Lean):
        def forward(self, model: nn.Module, batch: Batch, t: Tensor) -> ToyLoss:
            draws.setdefault(round(t.item() * 12), []).append(torch.randn(4))
            return super().forward(model, batch, t)

    for lr in (0.01, 0.5):
        list(train(toy_model(), Drawing(), ToyBatches(), replace(OPTIONS, lr=lr)))
    assert all(torch.equal(first, second) for first, second in draws.values())
    assert len({tuple(first.tolist()) for first, _ in draws.values()}) == 12


def test_training_does_not_load_the_compiler():
    """It takes longer to load than swift takes to train."""
    code = (
        "import sys, train_toys; train_toys.run(); train_toys.run(train_toys.ADAGRAD);"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    here = Path(__file__).parent
    assert subprocess.run([sys.executable, "-c", code], cwd=here, check=False).returncode == 0


def test_convolutions_run_in_the_faster_memory_layout():
    model, _ = run()
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[index]


@pytest.mark.skipif(not hasattr(os, "confstr"), reason="not a Unix")
def test_glibc_keeps_pages_and_elsewhere_nothing_happens(monkeypatch):
    assert keep_pages() == ("glibc" in (os.confstr("CS_GNU_LIBC_VERSION") or ""))
    monkeypatch.setattr("ctypes.CDLL", lambda name: (_ for _ in ()).throw(OSError))
    assert keep_pages.__wrapped__() is False


@pytest.mark.parametrize("most", [2**31 - 1, 32 * 2**20, 0])
def test_an_older_glibc_keeps_pages_up_to_what_it_takes(monkeypatch, most: int):
    set_to: dict[int, int] = {}

    def mallopt(name: int, value: int) -> int:
        if name == M_MMAP_THRESHOLD and value > most:
            return 0
        return int(bool(set_to.setdefault(name, value)))

    monkeypatch.setattr("ctypes.CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert keep_pages.__wrapped__() is (most > 0)
    assert set_to.get(M_MMAP_THRESHOLD, 0) == most
    assert len(set_to) == (3 if most else 0)  # alone, the others would slow training down


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_without_a_sync_and_with_the_same_bits():
    def step(done: int, steps: int) -> None:
        torch.cuda.set_sync_debug_mode("default" if done % 4 == 0 else "error")

    def trained() -> bytes:
        model, batches = toy_model(), ToyBatches(device="cuda")
        list(train(model, Lean(), batches, replace(OPTIONS, device="cuda"), every=step))
        return bits(model.cpu())

    assert trained() == trained()


def test_on_a_cpu_no_step_is_replayed(monkeypatch):
    monkeypatch.setattr(loop, "Replayed", None)
    _, ticks = run(OPTIONS)
    assert ticks[-1].final


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
def test_cuda_replays_a_step_to_what_it_would_be(monkeypatch, schedule):
    """Its noise, rate and sums are those of steps that were not captured."""
    found = []
    options = replace(OPTIONS, device="cuda", epochs=5, schedule=schedule)
    for replayed in (Replayed, lambda work, device: work):
        monkeypatch.setattr(loop, "Replayed", replayed)
        model, batches = toy_model(), ToyBatches(device="cuda")
        ticks = list(train(model, Lean(), batches, options))
        found.append((bits(model), [tick.metrics["loss"] for tick in ticks]))
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_work_that_waits_is_done_as_it_is():
    total = torch.zeros((), device="cuda")

    def work(batch: Batch) -> None:
        total.add_(batch.x.sum().item())

    replayed = Replayed(work, torch.device("cuda"))
    for step in range(6):
        replayed(Batch(torch.full((2,), float(step), device="cuda")))
    assert replayed.graph is None
    assert total.item() == 2 * sum(range(6))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_work_that_never_waits_is_replayed_with_the_batch_it_is_given():
    total = torch.zeros((), device="cuda")

    def work(batch: Batch) -> None:
        total.add_(batch.x.sum())

    replayed = Replayed(work, torch.device("cuda"))
    for step in range(6):
        replayed(Batch(torch.full((2,), float(step), device="cuda")))
    assert replayed.graph is not None
    assert total.item() == 2 * sum(range(6))
