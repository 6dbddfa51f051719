"""`torchrun -m vaescape train`: one run folder, the bits of one process, also after a kill."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from vaescape import processes
from vaescape.errors import OptionError
from vaescape.recipes import configuration
from vaescape.runs import RunFolder
from vaescape.train import TrainOptions

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import faults

OPTIONS = (
    *("train", "first-look", "--limit", "256", "--batch", "32", "--epochs", "4", "--threads", "1"),
    *("--precision", "float32", "--shards", "4", "--checkpoint-seconds", "0.05"),
)
KILLED = """
import os, sys, threading, time  # kills a rank of the first attempt at its second checkpoint
from pathlib import Path

def kill():
    while len(list(Path("runs").glob("*/checkpoints/step-*"))) < 2:
        time.sleep(0.01)
    os.kill(os.getpid(), 9)

first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
if os.environ["RANK"] == sys.argv.pop(1) and first:
    threading.Thread(target=kill, daemon=True).start()
from vaescape.cli import main
sys.exit(main())
"""


def launch(folder: Path, *command: str, more: Sequence[str] = ()) -> subprocess.CompletedProcess:
    elastic = ["-m", "torch.distributed.run", "--standalone", *more]
    return subprocess.run(
        [sys.executable, *elastic, "--nproc-per-node", "2", *command],
        cwd=folder, capture_output=True, text=True, check=False, timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def digest(run: Path) -> str:
    folder = RunFolder.open(run, finished=True)
    return folder.record["weights_sha256"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("alone")
    command = [sys.executable, "-m", "vaescape", *OPTIONS, "--name", "run"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    return digest(folder / "runs" / "run")


def test_two_processes_leave_one_run_with_the_bits_of_one_process(tmp_path: Path, alone: str):
    done = launch(tmp_path, "-m", "vaescape", *OPTIONS)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["first-look"]
    assert digest(tmp_path / "runs" / "first-look") == alone
    assert done.stdout.count("trained in") == 1


@pytest.mark.parametrize("rank", ["0", "1"])
def test_torchrun_restarts_a_run_that_goes_on_to_the_same_bits(
    tmp_path: Path, alone: str, rank: str
):
    (tmp_path / "killed.py").write_text(KILLED)
    done = launch(tmp_path, "killed.py", rank, *OPTIONS, "--name", "x", more=["--max-restarts=2"])
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("runs/x: torchrun has started its processes again.") == 1
    assert "Another process of this run has ended" in done.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["x"]
    assert digest(tmp_path / "runs" / "x") == alone


def test_ranks_that_are_killed_at_any_moment_change_no_bit(tmp_path: Path):
    counts = faults.rank_kills(tmp_path, 2, seed=4)
    assert counts["kills"] >= 2
    assert counts["finished"] == counts["launches"]
    assert counts["changed"] == 0


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_run_of_two_processes_is_resumed_on_one_to_the_same_bits(
    tmp_path: Path, alone: str, rank: str
):
    (tmp_path / "killed.py").write_text(KILLED)
    assert launch(tmp_path, "killed.py", rank, *OPTIONS).returncode != 0
    command = [sys.executable, "-m", "vaescape", "resume", "runs/first-look"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert digest(tmp_path / "runs" / "first-look") == alone


def test_fewer_shards_than_processes_are_refused_with_what_to_write(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(OptionError, match="4 processes.*there is 1. Give --shards 4"):
        processes.check(configuration("paper"), baseline=False)
    with pytest.raises(OptionError, match="Leave out --baseline or torchrun"):
        processes.check(configuration("paper", shards=8), baseline=True)
    processes.check(configuration("paper", shards=8), baseline=False)


def test_a_rank_in_the_environment_alone_makes_no_follower(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert processes.first()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not processes.first()


def test_each_process_of_torchrun_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert TrainOptions(device="cuda").resolve_device() == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert TrainOptions(device="cuda").resolve_device() == torch.device("cuda:2")
    assert TrainOptions(device="cuda:1").resolve_device() == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # each process sees its own only
    assert TrainOptions(device="cuda").resolve_device() == torch.device("cuda:0")
