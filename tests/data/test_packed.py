"""A packed set has the images of its source, to the bit, and needs no memory for them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vaescape import Study
from vaescape.data import Batches, Data, opened
from vaescape.data.batches import Blocks
from vaescape.data.packed import MANIFEST, Packed
from vaescape.data.packing import DRAFTS, pack
from vaescape.errors import DataError, OptionError

from vaescape.train.weights import digest, pack as weights_of  # isort: skip


def packed(data: Data, out: Path, **how) -> Packed:
    return Packed(str(pack(data, out, source="here", workers=1, **how)))


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of two sizes in three classes, one of them with two levels of names."""
    draw = np.random.default_rng(3)
    for label, count in (("a", 9), ("b", 14), ("c", 11)):
        for n in range(count):
            values = draw.integers(0, 256, (12, 9 + n % 2)).astype(np.uint8)
            save(tmp_path / "photos" / label / f"{n:03}.png", values)
    return tmp_path / "photos"


def equal(one: Data, other: Data) -> None:
    for split in ("train", "test"):
        ours, theirs = one.load(split), other.load(split)
        assert torch.equal(ours.pixels, theirs.pixels)
        assert torch.equal(ours.labels, theirs.labels)
    assert one.classes == other.classes
    assert one.preparation == other.preparation
    assert one.digest() == other.digest()


def test_a_folder_is_packed_as_it_is_read(photos: Path, tmp_path: Path):
    source = opened(f"folder(path={str(photos)!r}, size=16)")
    made = packed(source, tmp_path / "out")
    equal(made, source)
    assert not (tmp_path / "out" / DRAFTS).exists()
    assert isinstance(opened(str(tmp_path / "out")), Packed)
    names = [*made.ids("train", slice(0, 3)), *made.ids("test", slice(0, 2))]
    assert names == ["a/000.png", "a/001.png", "a/002.png", "a/006.png", "b/006.png"]
    again = Image.open(photos / "b" / "006.png").convert("L").size
    assert again == (9, 12)


@pytest.mark.filterwarnings("ignore:.*becomes")
@pytest.mark.parametrize("kind", ["16 bits", "transparent", "masks", "validation"])
def test_what_is_decided_for_a_whole_set_is_decided_when_packed(kind: str, tmp_path: Path):
    draw, root = np.random.default_rng(1), tmp_path / "photos"
    for n in range(12):
        place = root / ("val" if n % 3 == 0 else "train" if n % 3 == 1 else "test") / "a"
        values = draw.integers(0, 3000, (8, 8)).astype(np.uint16) // (1 + n)
        if kind == "transparent":
            white = np.full((8, 8, 4), 255, np.uint8)
            white[..., 3] = draw.integers(0, 256, (8, 8))
            values = white // (1 + (n == 5))  # one grey ink among white ones
        elif kind == "masks":
            values = draw.integers(0, 2, (8, 8)).astype(np.uint8)
        elif kind == "validation":
            values = (values // 16).astype(np.uint8)
        save((place if kind == "validation" else root / "ab"[n % 2]) / f"{n}.png", values)
    source = opened(f"folder(path={str(root)!r}, size=8)")
    made = packed(source, tmp_path / "out")
    equal(made, source)
    if kind == "validation":
        assert made.validation is not None
        assert source.validation is not None
        assert torch.equal(made.validation.pixels, source.validation.pixels)


def test_arrays_are_packed_with_their_factors_in_shards(tmp_path: Path):
    source = opened("shapes")
    made = packed(source, tmp_path / "out", shard=1000)
    equal(made, source)
    assert made.factors == source.factors
    assert torch.equal(made.load("train").factors, source.load("train").factors)  # pyright: ignore
    shards = [one for one in made.shards() if one.split == "train"]
    rows = [n for one in shards for n in range(one.rows.start, one.rows.stop)]
    assert rows == [*range(len(source.load("train")))]
    assert shards[1].name == "train-00001"
    assert made.ids("test", slice(4, 6)).tolist() == ["test/4", "test/5"]


def test_training_on_a_packed_set_gives_the_bits_of_training_on_its_source(
    photos: Path, tmp_path: Path
):
    data = f"folder(path={str(photos)!r}, size=16)"
    packed(opened(data), tmp_path / "out")

    def trained(data: str) -> str:
        study = Study("first-look", data=data, epochs=3, batch=8, threads=1, precision="float32")
        return digest(weights_of(study.fit().model.state_dict(), {}))

    assert trained(str(tmp_path / "out")) == trained(data)


def test_a_run_on_the_source_is_opened_with_the_packed_set(photos: Path, tmp_path: Path):
    data = f"folder(path={str(photos)!r}, size=16)"
    made = packed(opened(data), tmp_path / "out")
    run = Study("first-look", data=data, epochs=1, batch=8, threads=1).fit().save(tmp_path / "run")
    study = Study.load(run, data=made)
    assert torch.equal(study.encode(study.test), Study.load(run).encode(study.test.pixels))


def test_a_damaged_shard_is_named_and_the_others_stay_usable(tmp_path: Path):
    made = packed(opened("shapes"), tmp_path / "out", shard=1000)
    with open(tmp_path / "out" / "train.npy", "r+b") as file:
        file.seek(128 + 1500 * 28 * 28)
        file.write(b"\xff\x00\xff")
    with pytest.raises(DataError, match=r"train.npy is damaged: it shard train-00001 \(images 1,0"):
        Packed(str(tmp_path / "out")).digest()
    for shard in made.shards():
        if shard.name != "train-00001":
            made.verify(shard)


def test_missing_and_shortened_files_are_named(tmp_path: Path):
    packed(opened("shapes"), tmp_path / "out", shard=1000)
    path = tmp_path / "out" / "train.npy"
    count = len(opened("shapes").load("train"))
    os.truncate(path, 128 + (count - 1200) * 784)
    lost = [f"train-{n:05}" for n in range((count - 1200) // 1000, -(-count // 1000))]
    with pytest.raises(DataError, match=f"train.npy.*cut short: {', '.join(lost)} are missing"):
        Packed(str(tmp_path / "out")).load("train")
    path.unlink()
    with pytest.raises(DataError, match=r"train.npy is damaged: it is missing. Restore it"):
        Packed(str(tmp_path / "out")).load("train")
    manifest = tmp_path / "out" / MANIFEST
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(told | {"format": 99}))
    with pytest.raises(DataError, match="later version: format 99"):
        Packed(str(tmp_path / "out"))
    manifest.write_text(json.dumps(told | {"shard": 0}))
    with pytest.raises(DataError, match=r"packed.json is damaged: its sizes do not fit"):
        Packed(str(tmp_path / "out"))
    with pytest.raises(DataError, match="expected a packed set with packed.json. Got none"):
        Packed(str(tmp_path))


def test_a_full_folder_and_another_set_are_refused(photos: Path, tmp_path: Path):
    with pytest.raises(OptionError, match="is not empty"):
        pack(opened("shapes"), photos, source="shapes")
    pack(opened("shapes"), tmp_path / "out", source="shapes")
    with pytest.raises(OptionError, match="a packed set of something else"):
        pack(opened("shapes"), tmp_path / "out", source="others")


def test_packing_goes_on_after_a_kill_and_leaves_the_same_files(
    photos: Path, tmp_path: Path, monkeypatch
):
    """Real processes: `vaescape pack` with two workers, killed when its first draft is there."""
    script = tmp_path / "pack.py"
    script.write_text(
        "from vaescape.data import packing\n"
        "packing.PICTURES = 4\n"
        "if __name__ == '__main__':\n"
        "    from vaescape.cli import main\n"
        "    main()\n"
    )
    command = [sys.executable, str(script), "pack", str(photos), str(tmp_path / "out")]
    process = subprocess.Popen([*command, "--workers", "2"], start_new_session=True)
    drafts = tmp_path / "out" / DRAFTS
    while not list(drafts.glob("first-*")) and process.poll() is None:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    monkeypatch.setattr("vaescape.data.packing.PICTURES", 4)
    left = {path.name: path.read_bytes() for path in drafts.glob("first-*")}
    assert left or (tmp_path / "out" / MANIFEST).exists()
    for name in ("out", "whole"):
        pack(opened(str(photos)), tmp_path / name, source=str(photos), workers=1)
    ours, theirs = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("out", "whole")
    )
    assert ours == theirs
    assert set(ours) == {MANIFEST} | {
        f"{split}{kind}.npy" for split in ("train", "test") for kind in ("", ".labels", ".ids")
    }


# Sets beyond memory ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1000, 1024, 5000, 4096 * 3 + 1])
def test_an_order_by_blocks_is_a_permutation_and_a_function_of_the_seed(count: int):
    order = Blocks(count, seed=7, block=64, window=4)
    parts = torch.cat([order[slice(n, n + 100)] for n in range(0, count, 100)])
    assert torch.equal(parts.sort().values, torch.arange(count))
    assert torch.equal(parts, Blocks(count, seed=7, block=64, window=4)[slice(0, count)])
    assert not torch.equal(parts, Blocks(count, seed=8, block=64, window=4)[slice(0, count)])
    steps = (parts[1:100] - parts[:99]).abs().float()
    assert steps.mean() > 64  # neighbours of the order are of other blocks


def test_an_epoch_by_blocks_has_each_image_once_and_batches_are_full(monkeypatch):
    monkeypatch.setattr("vaescape.data.batches.WHOLE", 100)
    batches = Batches(torch.zeros(1030, 1, 1, 1).byte(), torch.arange(1030), batch=50, seed=1)
    rows = torch.cat([batches.at(step).rows for step in range(21)])  # pyright: ignore
    assert len(rows) == 1050
    assert torch.equal(rows[:1030].sort().values, torch.arange(1030))


MEASURED = """
import sys, numpy as np, torch
from pathlib import Path
from vaescape.data import Batches
from vaescape.data.packed import Packed, manifest_text

out, count = Path(sys.argv[1]), int(sys.argv[2])
out.mkdir()
splits = {}
for split, n in (("train", count), ("test", 100)):
    for name, dtype, shape in (("", "u1", (n, 1, 28, 28)), (".labels", "<i8", (n,))):
        np.lib.format.open_memmap(out / f"{split}{name}.npy", "w+", dtype, shape).flush()  # sparse
    shards = ["0" * 64] * -(-n // 50_000)
    splits[split] = {"images": n, "shards": shards, "files": {"labels": ""}}
(out / "packed.json").write_text(manifest_text(
    title="sparse", classes=["a"], factors=None, shuffled=False, source="none", shape=[1, 28, 28],
    preparation={"shape": [1, 28, 28]}, data_sha256="", shard=50_000, splits=splits))
images = Packed(str(out)).load("train")
batches = Batches(images.pixels, images.labels, batch=128, seed=0)
for step in (*range(50), count // 256, count // 128):
    batches.at(step)
told = dict(line.split(":") for line in open("/proc/self/status").read().splitlines())
print(int(told["RssAnon"].split()[0]) >> 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_flat_in_the_number_of_packed_images(tmp_path: Path):
    used = []
    for count in (10_000, 10_000_000):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(tmp_path / str(count)), str(count)],
            capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        used.append(int(done.stdout))
    assert used[1] - used[0] < 64, used  # MiB; the set has 7,500
