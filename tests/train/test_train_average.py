"""The moving average of the weights: what it is, where it shows, and that it resumes."""

import signal
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from train_toys import OPTIONS, ToyBatches, ToyObjective, bits, kill_at, run, toy_model

from vaescape.batch import Batch
from vaescape.catalogue import pictures, tiny
from vaescape.data import Batches
from vaescape.errors import InterruptedRun, OptionError
from vaescape.recipes import Parts
from vaescape.train import CheckpointFolder, TrainOptions, train

DECAY = 0.8
AVERAGED = replace(OPTIONS, average=DECAY)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().double().cpu().clone() for name, p in module.named_parameters()}


def by_hand(seen: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean over steps, each weighing DECAY times the one after it."""
    share = torch.tensor([DECAY ** (len(seen) - s) for s in range(1, len(seen) + 1)]).double()
    share /= share.sum()
    stacked = {name: torch.stack([each[name] for each in seen], -1) for name in seen[0]}
    return {name: (value * share).sum(-1) for name, value in stacked.items()}


def test_between_ticks_the_model_has_the_average_of_the_weights_after_each_step():
    model, seen = toy_model(), []
    every = lambda *_: seen.append(weights(model))  # noqa: E731
    for tick in train(model, ToyObjective(), ToyBatches(), AVERAGED, every=every):
        assert len(seen) == tick.step
        torch.testing.assert_close(weights(model), by_hand(seen), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(weights(model)["0.weight"], seen[-1]["0.weight"], atol=1e-4)


def test_the_training_itself_and_the_objective_are_what_they_are_without():
    found = []
    for options in (OPTIONS, AVERAGED):
        model, objective, seen = toy_model(), ToyObjective(), []
        every = lambda *_, m=model, s=seen: s.append(bits(m))  # noqa: E731
        ticks = list(train(model, objective, ToyBatches(), options, every=every))
        found.append((seen, bits(objective), [tick.metrics for tick in ticks]))
    assert found[0] == found[1]


def test_without_it_a_checkpoint_has_nothing_of_it(tmp_path):
    run(OPTIONS, CheckpointFolder(tmp_path))
    saved = CheckpointFolder(tmp_path).load()
    assert saved is not None
    assert not [name for name in saved.tensors if name.startswith("average")]


@pytest.mark.parametrize("step", range(1, 13))
def test_resumed_after_any_step_it_is_the_same(tmp_path, step):
    whole, all_ticks = run(AVERAGED)
    with pytest.raises(InterruptedRun):
        run(AVERAGED, CheckpointFolder(tmp_path), **kill_at(step, signal.SIGTERM))
    model, ticks = run(AVERAGED, CheckpointFolder(tmp_path))
    assert bits(model) == bits(whole) != bits(run(OPTIONS)[0])
    owed = [tick.metrics for tick in all_ticks if tick.step >= step]
    assert [tick.metrics for tick in ticks] == owed


def test_in_use_exemplars_are_encoded_by_the_average():
    parts = Parts(prior="exemplar(components=4)", latent=3, network="mlp(hidden=8)")
    model, objective = tiny(parts)
    batches = Batches(pictures(parts), torch.zeros(12, dtype=torch.long), batch=6, seed=0)
    options = TrainOptions(epochs=3, batch=6, threads=1, device="cpu", lr=0.01, average=0.9)
    list(train(model, objective, batches, options))
    prior = model.prior
    assert prior.exemplars is not None
    with torch.no_grad():
        codes = model.encode(prior.exemplars / 255)[0]
    torch.testing.assert_close(prior.centres, codes)


def test_scores_latents_and_the_live_page_are_those_of_the_average(tmp_path):
    from vaescape import Study, pipeline
    from vaescape.explore.live import open_run
    from vaescape.recipes import configuration

    small = {"limit": 100, "epochs": 2, "batch": 50, "network": "mlp(hidden=4)", "latent": 2}
    chosen = configuration("first-look", **small, average=0.9, threads=1)
    folder, study = pipeline.start(chosen, root=tmp_path)
    pipeline.train(folder, study)
    assert bits(Study.load(folder).model) == bits(study.model)
    folder.update(status="training")
    assert bits(open_run(folder.path).model) == bits(study.model)
    plain = Study("first-look", **small, threads=1).fit()  # pyright: ignore[reportArgumentType]
    assert bits(plain.model) != bits(study.model)
    row = folder.history()[-1]["held_out"]
    assert row["loss"] == study.score(study.test)["loss"]


@pytest.mark.parametrize("average", [1, -0.1, float("nan")])
def test_an_impossible_decay_is_refused(average):
    with pytest.raises(OptionError, match="average must be 0, or a decay below 1"):
        TrainOptions(average=average)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_averages_steps_that_are_replayed():
    class Quiet(ToyObjective):
        def forward(self, model: nn.Module, batch: Batch, t: Tensor):
            loss = super().forward(model, batch, t)
            return replace(loss, metrics={})

    options, seen = replace(AVERAGED, device="cuda", epochs=5), []
    model = toy_model()
    every = lambda *_: seen.append(weights(model))  # noqa: E731
    list(train(model, Quiet(), ToyBatches(device="cuda"), options, every=every))
    torch.testing.assert_close(weights(model), by_hand(seen), rtol=1e-5, atol=1e-6)
