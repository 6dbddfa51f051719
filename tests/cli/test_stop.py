"""Stopped by a signal or killed, a run goes on to the bits of one that never stopped."""

import functools
import json
import random
import re
import resource
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_tools import NETWORK, SMALL, Told, assert_mistake, ended, started, tell, wait_until

from vaescape import cli, pipeline
from vaescape.recipes import Configuration
from vaescape.runs import RunFolder
from vaescape.signals import stop_if_requested
from vaescape.study import Study
from vaescape.train import CheckpointFolder

LONG = (
    *("train", "first-look", "--limit", "128", "--batch", "32", "--epochs", "40", *NETWORK),
    *("--threads", "1", "--checkpoint-seconds", "0", "--name", "long"),
)
STEPS = 160


def step(folder: Path) -> int:
    names = [path.name for path in folder.glob("checkpoints/step-*")]
    return max((int(name.split("-")[1]) for name in names), default=0)


def status(folder: Path) -> str:
    return json.loads((folder / "run.json").read_text())["status"]


def rows(folder: Path) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@dataclass(frozen=True)
class Stopped:
    """A training stopped by SIGTERM, and what others were told while it ran."""

    folder: Path
    told: Told
    meanwhile: list[Told]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Stopped:
    root = tmp_path_factory.mktemp("stopped")
    folder = root / "runs" / "long"
    process = started(*LONG, cwd=root)
    wait_until(lambda: step(folder) >= 12, process)
    process.send_signal(signal.SIGSTOP)  # so that it is not done before the others have asked
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        meanwhile = [tell(*LONG), tell(*LONG, "--overwrite"), tell("resume", "runs/long")]
    process.terminate()
    process.send_signal(signal.SIGCONT)
    return Stopped(folder, ended(process), meanwhile)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        assert tell(*LONG, "--checkpoint-seconds", "1e9").code == 0
        return Path("runs", "long").resolve()


def test_sigterm_saves_says_so_and_exits_with_75(stopped: Stopped):
    assert stopped.told.code == 75
    assert re.fullmatch(
        r"vaescape: Stopped by SIGTERM\. (\d+ of 160 steps are done and saved in "
        r"runs/long/checkpoints\. Resume the run to go on from there\.\n|"
        r"`vaescape resume runs/long` does what is left\.\n)",  # while it scored an epoch
        stopped.told.err,
    )
    assert status(stopped.folder) == "training"


def test_two_trainings_never_share_a_folder(stopped: Stopped):
    for told in stopped.meanwhile:
        assert_mistake(told, "runs/long is in use by another training (process ", "--name")


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate",),
        ("figures",),
        ("sample",),
        ("traverse",),
        ("interpolate", "1", "2"),
        ("reconstruct", "1"),
        ("report",),
    ],
    ids=lambda command: command[0],
)
def test_an_unfinished_run_says_how_to_go_on(stopped: Stopped, monkeypatch, command):
    monkeypatch.chdir(stopped.folder.parent.parent)
    before = sorted(Path().rglob("*"))
    told = tell(command[0], "runs/long", *command[1:])
    assert_mistake(told, "runs/long stopped at step", "`vaescape resume runs/long` goes on")
    assert sorted(Path().rglob("*")) == before


def test_an_unfinished_run_can_be_shown(stopped: Stopped):
    told = tell("show", str(stopped.folder))
    assert told.code == 0
    assert "training" in told.out


def test_an_unfinished_run_is_not_overwritten_unasked(stopped: Stopped, monkeypatch):
    monkeypatch.chdir(stopped.folder.parent.parent)
    assert_mistake(tell(*LONG), "`vaescape resume runs/long` goes on", "--overwrite")


def test_stopped_and_killed_again_and_again_it_ends_with_the_same_bits(
    stopped: Stopped, undisturbed: Path, tmp_path
):
    folder = Path(shutil.copytree(stopped.folder, tmp_path / "runs" / "long"))
    dice = random.Random(5)
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGKILL):
        seen = step(folder)
        process = started("resume", "runs/long", cwd=tmp_path)
        target = seen + dice.randrange(5, 40)  # epochs end at multiples of 4
        wait_until(lambda: step(folder) >= target, process)  # noqa: B023
        process.send_signal(number)
        told = ended(process)
        assert seen < step(folder) < STEPS
        assert status(folder) == "training"
        assert told.code == (130 if number == signal.SIGINT else -signal.SIGKILL), told
        assert ("Stopped by Ctrl-C" in told.err) == (number == signal.SIGINT)
    RunFolder(folder).update(stages=dict.fromkeys(pipeline.WHOLE))
    process = started("resume", "runs/long", cwd=tmp_path)
    wait_until(lambda: status(folder) == "finished", process)
    time.sleep(0.2)
    process.terminate()  # while it evaluates
    told = ended(process)
    assert (told.code, told.err) == (
        75,
        "vaescape: Stopped by SIGTERM. `vaescape resume runs/long` does what is left.\n",
    )
    for name in ("weights.safetensors", "latents.safetensors"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()
    assert rows(folder) == rows(undisturbed)
    assert not list(folder.rglob("*.part"))


def test_a_trained_run_resumes_with_what_is_left(copied: Path, monkeypatch):
    quick = functools.partial(pipeline.measure, bounds=((2, 9),), paths=5)
    monkeypatch.setattr(pipeline, "measure", quick)
    for name in ("metrics.json", "report.html"):
        (copied / name).unlink()
    shutil.rmtree(copied / "figures")
    shutil.rmtree(copied / "baseline")
    weights = (copied / "weights.safetensors").read_bytes()
    told = tell("resume", str(copied))
    assert told.code == 0, told.err
    assert (copied / "weights.safetensors").read_bytes() == weights
    assert (copied / "report.html").exists()
    assert (copied / "baseline" / "weights.safetensors").exists()
    assert "trained in" not in told.out
    assert tell("resume", str(copied)).out.startswith("runs/look is finished: nothing is left")


def test_a_stopped_training_is_resumed_as_a_training_only(elsewhere):
    folder, _ = a_run(elsewhere)
    told = tell("resume", "x")
    assert told.code == 0, told.err
    assert "1 of 1: trained in" in told.out
    assert not (folder / "report.html").exists()
    assert not (folder / "baseline").exists()


@pytest.mark.parametrize("baseline", [True, False])
def test_a_stopped_run_is_finished_as_it_was_asked_for(elsewhere, monkeypatch, baseline):
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "train", interrupted)
        told = tell("run", "first-look", *SMALL, "--name", "x", *["--baseline"] * baseline)
    assert told.code == 75
    compared = []
    monkeypatch.setattr(pipeline, "measure", lambda *given, **more: compared.append(given[2]))
    monkeypatch.setattr(pipeline, "report", lambda folder, metrics=None: "")
    monkeypatch.setattr(pipeline, "draw", lambda *given: {})
    monkeypatch.setattr(pipeline, "explorer", lambda folder, study: "")
    told = tell("resume", "runs/x")
    assert told.code == 0, told.err
    assert [base is not None for base in compared] == [baseline]
    assert Path("runs/x/baseline").exists() == baseline


def interrupted(*given: object) -> None:
    signal.raise_signal(signal.SIGTERM)
    stop_if_requested()


def a_run(root: Path) -> tuple[RunFolder, Study]:
    c = Configuration.from_dict(json.loads(tell("run", "first-look", *SMALL, "--dry-run").out))
    return pipeline.start(c, root=root, name="x")


def test_a_signal_while_the_log_is_written_costs_no_bit(elsewhere, monkeypatch):
    train = ("train", "first-look", *SMALL, "--checkpoint-seconds", "0", "--name")
    append = RunFolder.append

    def signalled(self: RunFolder, row: dict) -> None:
        append(self, row)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", signalled)
        told = tell(*train, "stopped")
    assert told.code == 75
    assert "steps are done and saved in runs/stopped/checkpoints" in told.err
    folder = RunFolder("runs/stopped")
    assert len(rows(folder.path)) == 1
    pipeline.train(folder, Study(Configuration.from_dict(folder.configuration)))
    assert tell(*train, "whole").code == 0
    assert rows(folder.path) == rows(Path("runs/whole"))
    weights = [Path("runs", name, "weights.safetensors") for name in ("stopped", "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ((RunFolder, "append"), "and saved in"),
        ((CheckpointFolder, "save"), "and saved in"),
    ],
)
def test_the_echo_of_a_signal_leaves_the_last_word_whole(elsewhere, monkeypatch, at, words):
    say = cli._say

    def echoed(text: str) -> None:
        signal.raise_signal(signal.SIGTERM)
        say(text)

    with monkeypatch.context() as patch:
        patch.setattr(*at, lambda *given: signal.raise_signal(signal.SIGTERM))
        patch.setattr(cli, "_say", echoed)
        told = tell("train", "first-look", *SMALL, "--checkpoint-seconds", "0", "--name", "x")
    assert told.code == 75
    assert told.err.startswith("vaescape: Stopped by SIGTERM. ")
    assert words in told.err


@pytest.mark.parametrize(("seconds", "number"), [("0", None), ("1e9", signal.SIGINT)])
def test_a_run_moved_while_it_trains_stops_at_once_and_promises_nothing(tmp_path, seconds, number):
    process = started(*LONG, "--checkpoint-seconds", seconds, "--film", "60", cwd=tmp_path)
    folder, moved = tmp_path / "runs" / "long", tmp_path / "moved"
    wait_until(lambda: len(list(folder.glob("film/step-*"))) > 2, process)
    process.send_signal(signal.SIGSTOP)
    folder.rename(moved)
    if number:
        process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    told = ended(process)
    assert_mistake(told, "runs/long was moved, deleted or replaced", "at its new place")
    assert "Resume the run" not in told.err
    assert "trained in" not in told.out
    assert not folder.exists()
    run = RunFolder.open(moved)
    pipeline.train(run, Study(Configuration.from_dict(run.configuration)))
    assert run.status == "finished"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "x" * 242])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_done(elsewhere, name):
    told = tell("train", "first-look", *SMALL, "--name", name)
    assert_mistake(told, "--name")
    assert list(elsewhere.iterdir()) == []


def test_a_run_killed_before_its_first_word_resumes(tmp_path):
    folder, _ = a_run(tmp_path)
    record = folder.record
    del record["shape"], record["classes"], record["title"]
    (folder / "run.json").write_text(json.dumps(record))
    study = Study(Configuration.from_dict(folder.configuration))
    pipeline.train(folder, study)
    assert folder.status == "finished"


def limited(size: int):
    """Return what makes a process unable to write files larger than that, as a full disk does."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_before_the_start_leaves_nothing(tmp_path):
    process = started("train", "first-look", *SMALL, cwd=tmp_path, preexec_fn=limited(0))
    assert_mistake(ended(process), "Could not write runs/", "Free some space")
    assert [path.name for path in tmp_path.rglob("*")] == ["runs"]


def test_a_full_disk_while_training_leaves_a_run_that_resumes(tmp_path):
    command = ("train", "first-look", *SMALL, "--name", "x")
    told = ended(started(*command, cwd=tmp_path, preexec_fn=limited(30_000)))
    assert_mistake(told, "Could not write", "Free some space")
    folder = RunFolder(tmp_path / "runs" / "x")
    assert folder.status == "training"
    assert not list(tmp_path.rglob("*.part"))
    pipeline.train(folder, Study(Configuration.from_dict(folder.configuration)))
    assert folder.status == "finished"


def test_a_loss_that_is_not_finite_stops_the_run_and_the_good_state_stays(elsewhere):
    command = ("train", "first-look", *SMALL, "--lr", "1e30", "--name", "x")
    told = tell(*command, "--checkpoint-seconds", "0")
    assert_mistake(told, "step ", " of 6", "lower learning rate than 1e+30")
    folder = elsewhere / "runs" / "x"
    kept = re.search(r"The state of step (\d+) stays", told.err)
    assert step(folder) == (int(kept[1]) if kept else 0)
    assert status(folder) == "diverged"
    assert not (folder / "weights.safetensors").exists()
    assert_mistake(tell("resume", "runs/x"), "runs/x diverged", "lower --lr")
    assert_mistake(tell("evaluate", "runs/x"), "runs/x diverged", "learning rate")
    assert_mistake(tell(*command), "runs/x diverged", "--overwrite")
    assert tell("train", "first-look", *SMALL, "--name", "x", "--overwrite").code == 0
    assert status(folder) == "finished"
