"""Logical shards: the result depends on their number, not on how many processes share them."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo  # some losses load it, and it keeps the torch.randn that it finds then

import vaescape.build  # noqa: F401 — registers the members
from vaescape import Study
from vaescape.batch import Batch
from vaescape.catalogue import tiny
from vaescape.components import known
from vaescape.errors import OptionError
from vaescape.recipes import Parts
from vaescape.testing.case import small
from vaescape.train import TrainOptions, train
from vaescape.train.shards import Shards, packed, refuse_coupled, unpack
from vaescape.train.weights import digest, pack

CPU = torch.device("cpu")


def trained(**changes) -> str:
    small = {"limit": 128, "epochs": 2, "batch": 32, "seed": 3, "threads": 1}
    study = Study("first-look", **small, **{"precision": "float32"} | changes)
    return digest(pack(study.fit().model.state_dict(), {}))


def test_shards_are_disjoint_and_make_the_batch():
    x, label, rows = torch.rand(12, 1, 2, 2), torch.arange(12), torch.arange(12) + 40
    parts = list(Shards(3, 12, CPU).of(Batch(x, label, rows)))
    assert [k for k, _ in parts] == [0, 1, 2]
    assert torch.equal(torch.cat([part.x for _, part in parts]), x)
    assert torch.cat([part.rows for _, part in parts]).tolist() == rows.tolist()  # pyright: ignore
    assert all(len(part.label) == 4 for _, part in parts)  # pyright: ignore


def test_impossible_shards_are_refused_with_what_to_do():
    with pytest.raises(OptionError, match="128 images and 3 shards. Give --batch 126"):
        Shards(3, 128, CPU)
    with pytest.raises(OptionError, match="shards must be 1 or more, at most"):
        TrainOptions(shards=0)
    with pytest.raises(OptionError, match="Objective .dip.*compares the images of a batch"):
        trained(objective="dip-ii", shards=2)
    with pytest.raises(OptionError, match="is updated from each batch"):
        trained(posterior="vq(codes=8)", prior="uniform-codes", shards=2)


def gradients(parts: Parts, cuts: int, monkeypatch) -> torch.Tensor:
    """Return the gradient of a batch in so many shards, in float64, each image with its draws."""
    first = 0

    def rows_of_one_table(*shape, **kind) -> torch.Tensor:
        *draws, count, size = shape[0] if isinstance(shape[0], tuple) else shape
        generator = torch.Generator().manual_seed(1)
        table = torch.empty(*draws, 32, size, dtype=torch.float64).normal_(generator=generator)
        own = table[..., first : first + 32 // cuts, :].to(kind.get("dtype"))
        return torch.cat([own] * (count * cuts // 32), dim=-2)  # m2 repeats images for its classes

    model, objective = tiny(parts)
    both = torch.nn.ModuleDict({"model": model, "objective": objective}).double().train()
    parameters = [p for p in both.parameters() if p.requires_grad]
    torch.manual_seed(5)
    x = torch.rand(32, 1, 8, 8, dtype=torch.float64).mul(255).round() / 255
    if model.likelihood.head.measure == "probability of pixels that are 0 or 1":
        x = x.round()
    label = torch.arange(32) % 3
    shards, rows = Shards(cuts, 32, CPU), []
    monkeypatch.setattr(torch, "randn", rows_of_one_table)
    monkeypatch.setattr(torch, "randn_like", lambda z: rows_of_one_table(*z.shape, dtype=z.dtype))
    for k, part in shards.of(Batch(x, label)):
        first = k * 32 // cuts
        both.zero_grad()
        loss = objective(model, part, torch.tensor(0.5, dtype=torch.float64))
        loss.total.backward()
        rows.append(packed(parameters, loss))
    whole = unpack(shards.mean(rows), parameters, loss)  # pyright: ignore[reportPossiblyUnboundVariable]
    found = [p.grad.flatten() for p in parameters if p.grad is not None]
    return torch.cat([*found, whole.total.reshape(1)])


@pytest.mark.parametrize("name", sorted(known("objective")))
def test_shards_have_the_gradient_of_the_whole_batch_unless_it_is_coupled(name: str, monkeypatch):
    spec = small("objective", name)
    m2 = {"model": "m2", "conditional": True} if name == "m2" else {}
    try:
        parts = Parts(objective=spec, latent=4, network="mlp(hidden=8, layers=1)", **m2)
        model, objective = tiny(parts)
        refuse_coupled(torch.nn.ModuleDict({"model": model, "objective": objective}))
    except OptionError:
        return
    one, two = gradients(parts, 1, monkeypatch), gradients(parts, 2, monkeypatch)
    exact = 1e-7 if name == "m2" else 1e-10  # q(y | x) is float32
    torch.testing.assert_close(two, one, rtol=exact, atol=1e-12)


BAYES = {"posterior": "bayes(points=64)", "prior": "mixture(components=3)"}


def test_the_same_bits_for_one_two_and_four_processes(tmp_path: Path):
    """At four shards, with averaged weights too, and without an encoder."""
    script = tmp_path / "run.py"
    script.write_text(
        "import json, sys\n"
        "from vaescape import Study\n"
        "from vaescape.train.shards import connect\n"
        "from vaescape.train.weights import digest, pack\n"
        "name, more = sys.argv[1], json.loads(sys.argv[2])\n"
        "study = Study('first-look', limit=128, epochs=2, batch=32, seed=3, threads=1, shards=4,\n"
        "              **more)\n"
        "found = digest(pack(study.fit().model.state_dict(), {}))\n"
        "rank, world = connect()\n"
        "from pathlib import Path\n"
        "Path(f'{name}-{world}-{rank}').write_text(found)\n"
    )
    variants: list[tuple[dict[str, Any], tuple[int, ...]]] = [
        ({"average": 0.9, "precision": "float32"}, (1, 2, 4)),
        ({"average": 0.9, "precision": "bfloat16"}, (1, 2)),
        (BAYES | {"precision": "float32"}, (1, 2)),
    ]
    for number, (more, worlds) in enumerate(variants):
        found = {}
        for world in worlds:
            launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
            done = subprocess.run(
                [sys.executable, *launch, str(script), str(number), json.dumps(more)],
                cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-2000:]
            left = list(tmp_path.glob(f"{number}-{world}-*"))
            assert len(left) == world
            found[world] = {path.read_text() for path in left}
        assert len(set.union(*found.values())) == 1, found
        if more["precision"] == "float32":
            assert found[1] == {trained(shards=4, **more)}


def test_one_shard_is_training_as_ever_and_more_are_another_training():
    assert trained() == trained(shards=1)
    assert trained() != trained(shards=2)


def test_a_sharded_training_resumes_to_the_same_bits(tmp_path: Path):
    from vaescape.train import CheckpointFolder

    whole = trained(shards=4)
    study = Study(
        "first-look",
        limit=128,
        epochs=2,
        batch=32,
        seed=3,
        threads=1,
        shards=4,
        precision="float32",
    )
    study.configuration = replace(
        study.configuration, train=replace(study.configuration.train, checkpoint_seconds=0)
    )

    class Enough(Exception):
        pass

    def stop(step: int) -> None:
        if step == 5:
            raise Enough

    with pytest.raises(Enough):
        study.fit(checkpoints=CheckpointFolder(tmp_path), on_step=stop)
    study.fit(checkpoints=CheckpointFolder(tmp_path))
    assert digest(pack(study.model.state_dict(), {})) == whole


def test_the_metrics_of_a_tick_are_means_over_the_shards():
    parts = Parts(latent=2, network="mlp(hidden=8, layers=1)")
    model, objective = tiny(parts)
    from vaescape.catalogue import CLASSES, IMAGES, pictures
    from vaescape.data import Batches

    batches = Batches(pictures(parts), torch.arange(IMAGES) % CLASSES, batch=6, seed=0)
    options = TrainOptions(epochs=1, batch=6, threads=1, device="cpu", shards=2)
    (tick,) = train(model, objective, batches, options)
    loss = tick.metrics["reconstruction"] + tick.metrics["kl"]  # pyright: ignore
    assert tick.metrics["loss"] == pytest.approx(loss, rel=1e-5)
    assert sum(tick.metrics["kl_per_dimension"]) == pytest.approx(  # pyright: ignore
        tick.metrics["kl"], rel=1e-5
    )


def test_processes_end_in_order_without_being_told(tmp_path: Path):
    """An interpreter that ends while gloo's threads run is aborted, more often than not."""
    script = tmp_path / "run.py"
    script.write_text(
        "import torch\n"
        "import torch.distributed as dist\n"
        "from vaescape.train.shards import connect\n"
        "rank, world = connect()\n"
        "for _ in range(100):\n"
        "    dist.all_gather([torch.empty(9999) for _ in range(world)], torch.ones(9999))\n"
    )
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4", str(script)]
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, *launch], capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
