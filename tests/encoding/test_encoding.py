"""Codes in files: equal to `study.encode`, whoever writes them and however often it is killed."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vaescape import Study
from vaescape.codes import MANIFEST, Codes
from vaescape.data import opened
from vaescape.data.packed import Packed
from vaescape.data.packing import pack
from vaescape.encoding import Errand, Worker, encode, encode_on_ray, source
from vaescape.errors import DataError, MissingExtraError, OptionError

SMALL: dict[str, Any] = {"limit": 256, "epochs": 1, "batch": 64, "threads": 1}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    made = Study("first-look", **SMALL).fit()
    made.save(tmp_path_factory.mktemp("runs") / "look")
    return made


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Packed:
    out = tmp_path_factory.mktemp("sets") / "shapes"
    return Packed(str(pack(opened("shapes"), out, source="shapes", shard=500)))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_codes_are_those_of_the_study_in_the_order_of_the_set(study, packed, tmp_path):
    codes = Codes.open(encode(study, packed, tmp_path / "codes"))
    train, test = packed.load("train"), packed.load("test")
    z, labels = codes.arrays()
    assert np.array_equal(z, torch.cat([study.encode(train), study.encode(test)]).numpy())
    assert np.array_equal(labels, torch.cat([train.labels, test.labels]).numpy())
    _, log_var = study.encode_with_variance(train)
    assert log_var is not None
    with np.load(tmp_path / "codes" / "train-00001.npz") as file:
        assert sorted(file) == ["id", "label", "log_var", "z"]
        assert np.array_equal(file["log_var"], log_var[500:1000].numpy())
        assert file["id"][:2].tolist() == ["train/500", "train/501"]
    place = len(train) + 7
    assert codes.find("test/7") == place
    assert codes.find("test/none") is None
    assert codes.ids(np.array([3, 499, 500, place])) == [
        "train/3", "train/499", "train/500", "test/7"
    ]  # fmt: skip
    assert codes.classes == opened("shapes").classes


def test_workers_write_the_files_of_one_worker_also_after_a_kill(study, packed, tmp_path):
    """Real processes: the second worker is killed when its first file is there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the workers below: the bits are those of a number of threads
    whole = encode(study, packed, tmp_path / "whole")
    torch.set_num_threads(threads)
    assert study.folder is not None
    launch = [sys.executable, "-m", "vaescape", "encode", str(study.folder.path)]
    launch += [str(packed.path), "--out", str(tmp_path / "codes"), "--threads", "1", "--worker"]
    second = [f"{one.name}.npz" for one in packed.shards()][1::2]
    killed = subprocess.Popen([*launch, "2/2"])
    while killed.poll() is None and not (tmp_path / "codes" / second[0]).exists():
        time.sleep(0.001)
    killed.kill()
    killed.wait()
    parts = [*(tmp_path / "codes").glob("*.npz")]
    assert parts
    for path in parts:  # what is there is whole
        assert path.read_bytes() == (whole / path.name).read_bytes()
    workers = [subprocess.Popen([*launch, f"{n}/2"]) for n in (1, 2)]
    assert [one.wait() for one in workers] == [0, 0]
    assert files(tmp_path / "codes") == files(whole)


def test_a_worker_has_every_nth_shard_and_keeps_what_is_there(study, packed, tmp_path):
    out = tmp_path / "codes"
    encode(study, packed, out, worker=Worker.of("2/3"))
    names = [f"{one.name}.npz" for one in packed.shards()]
    assert sorted(path.name for path in out.glob("*.npz")) == sorted(names[1::3])
    with pytest.raises(DataError, match=f"{len(names) - len(names[1::3])} of {len(names)} files"):
        Codes.open(out)
    before = {path: os.stat(path).st_mtime_ns for path in out.iterdir()}
    encode(study, packed, out)
    assert all(os.stat(path).st_mtime_ns == time for path, time in before.items())
    assert len(Codes.open(out)) == len(packed.load("train")) + len(packed.load("test"))


def test_a_damaged_shard_is_named_and_the_others_are_encoded(study, tmp_path):
    path = pack(opened("shapes"), tmp_path / "set", source="shapes", shard=500)
    with open(path / "train.npy", "r+b") as file:
        file.seek(128 + 700 * 784)
        file.write(b"\1\2\3\4")
    data = Packed(str(path))
    with pytest.raises(DataError, match=r"train-00001 \(images 500 to 999\).*others? .*encoded"):
        encode(study, data, tmp_path / "codes")
    names = {f"{one.name}.npz" for one in data.shards()} - {"train-00001.npz"}
    assert {path.name for path in (tmp_path / "codes").iterdir()} == names | {MANIFEST}


def test_other_codes_other_shapes_and_impossible_workers_are_refused(study, packed, tmp_path):
    encode(study, packed, tmp_path / "codes", worker=Worker.of("1/9"))
    other = Study("first-look", **SMALL, seed=1).fit()
    other.save(tmp_path / "other")
    with pytest.raises(OptionError, match="has codes of another run or set"):
        encode(other, packed, tmp_path / "codes")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(OptionError, match="is not empty"):
        encode(study, packed, tmp_path / "full")
    with pytest.raises(OptionError, match="images of 1 × 28 × 28.*Got 1 × 16 × 16.*--size 28"):
        encode(study, opened("shapes(size=16)"), tmp_path / "small")
    for text in ("0/4", "5/4", "3", "a/b", "1/0"):
        with pytest.raises(OptionError, match="from 1/4 to 4/4"):
            Worker.of(text)


def test_a_folder_of_pictures_gets_the_size_of_the_run(study, tmp_path):
    from PIL import Image

    for label in "ab":
        for n in range(8):
            (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40), (9 * n, 0, 0)).save(tmp_path / "photos" / label / f"{n}.png")
    data = source(study, str(tmp_path / "photos"))
    assert data.shape == (1, 28, 28)
    z, labels = Codes.open(encode(study, data, tmp_path / "codes")).arrays()
    assert np.array_equal(z[:14], study.encode(data.load("train")).numpy())
    assert set(labels.tolist()) == {0, 1}


def test_a_conditional_model_gets_the_classes_by_their_names(tmp_path):
    study = Study("first-look", **SMALL, conditional=True).fit()
    study.save(tmp_path / "run")
    shapes = opened("shapes").load("test")
    names = np.array(opened("shapes").classes)[shapes.labels]
    turned = {"images": shapes.pixels.numpy(), "labels": np.char.add("", names)}
    np.savez(tmp_path / "set.npz", **turned)
    data = opened(str(tmp_path / "set.npz"))  # its classes are in alphabetical order
    assert data.classes != opened("shapes").classes
    z, _ = Codes.open(encode(study, data, tmp_path / "codes")).arrays()
    train = data.load("train")
    expected = study.encode(train.pixels, [data.classes[n] for n in train.labels])
    assert np.array_equal(z[: len(train)], expected.numpy())


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_tasks_of_ray_write_the_files_of_one_worker(study, packed, tmp_path):
    """With `ray` installed: two tasks at a time, one file there already, one shard damaged."""
    pytest.importorskip("ray")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = encode(study, packed, tmp_path / "whole")
    torch.set_num_threads(threads)
    damaged = tmp_path / "set"
    shutil.copytree(packed.path, damaged)
    third = [one for one in packed.shards() if one.split == "train"][2]
    with open(damaged / "train.npy", "r+b") as file:
        file.seek(128 + third.rows.start * 784)
        file.write(b"\xff\x00\xff")
    assert study.folder is not None
    told: list[str] = []
    errand = Errand(study.folder.path, str(damaged), tmp_path / "codes", threads=1)
    with pytest.raises(DataError, match=rf"shard {third.name} .*All other shards"):
        encode_on_ray(errand, tell=told.append)
    assert len(told) == len(list(packed.shards())) - 1
    shutil.copy(packed.path / "train.npy", damaged / "train.npy")
    encode_on_ray(errand, tell=told.append)
    assert len(told) == len(list(packed.shards()))
    assert files(tmp_path / "codes") == files(whole)


def test_without_ray_the_extra_is_named(study, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"--ray needs .*pip install \"vaescape\[ray\]\""):
        encode_on_ray(Errand(study.folder.path, None, tmp_path / "codes"))
