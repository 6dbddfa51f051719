"""The run folder: made whole, never overwritten by accident, readable after any mishap."""

import io
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaescape import files, provenance, runs
from vaescape.errors import LostRunError, OptionError, RunError
from vaescape.runs import (
    LATENTS,
    LOG,
    METRICS,
    RUN,
    WEIGHTS,
    RunFolder,
    free_name,
    log,
    read_json,
    replacing,
    run_path,
)

CONFIGURATION = {"posterior": "gaussian", "latent": 2, "options": {"epochs": 20}}
PRELUDE = """
import os, resource, sys, time
from pathlib import Path
from vaescape import provenance, runs
from vaescape.errors import RunError
from vaescape.runs import RunFolder, free_name, replacing
provenance.record = lambda: {}
"""


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch):
    monkeypatch.setattr(provenance, "record", lambda: {"command": "vaescape run"})


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs" / "paper", CONFIGURATION)


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def output(*processes: subprocess.Popen[str]) -> list[list[str]]:
    texts = [process.communicate("go\n", timeout=60)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return [text.split() for text in texts]


def tree(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
        if path.name != runs.LOCK
    }


# Creating -----------------------------------------------------------------------------------------


def test_create_leaves_a_record_and_nothing_else(folder):
    assert os.listdir(folder.path.parent) == ["paper"]
    assert os.listdir(folder.path) == [RUN]
    record = json.loads((folder / RUN).read_text())
    assert record == {
        "format": 2,
        "status": "training",
        "configuration": CONFIGURATION,
        "provenance": {"command": "vaescape run"},
    }
    assert folder.configuration == CONFIGURATION
    assert folder.status == "training"


def test_the_folder_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        made = RunFolder.create(tmp_path / "x", {})
    finally:
        os.umask(before)
    assert made.path.stat().st_mode & 0o777 == 0o750


def test_a_finished_run_is_never_overwritten_untold(folder):
    folder.update(status="finished")
    before = tree(folder.path)
    with pytest.raises(RunError, match=r"paper is finished. Give --overwrite .* or --name"):
        RunFolder.create(folder.path, {})
    assert tree(folder.path) == before


def test_an_unfinished_run_tells_how_to_go_on(folder):
    folder.append({"step": 469})
    with pytest.raises(RunError, match=r"stopped at step 469: `vaescape resume .*paper` goes on"):
        RunFolder.create(folder.path, {})


def test_a_diverged_run_is_not_offered_to_resume(folder):
    folder.append({"step": 12})
    folder.update(status="diverged")
    with pytest.raises(RunError, match="diverged after step 12: try a smaller") as error:
        RunFolder.create(folder.path, {})
    assert "resume" not in str(error.value)


def test_the_command_to_resume_can_be_pasted(tmp_path):
    made = RunFolder.create(tmp_path / "my run; rm -rf x", {})
    with pytest.raises(RunError, match=r"resume '.*my run; rm -rf x'` goes on"):
        RunFolder.open(made.path, finished=True)


def test_overwrite_replaces_all_of_the_run_and_nothing_else(folder):
    for name in (LOG, METRICS, WEIGHTS, ".metrics.json.abc.part", "notes.txt"):
        (folder / name).write_text(name)
    for name in ("figures", "checkpoints", "my pictures"):
        (folder / name).mkdir()
        (folder / name / "x.png").write_text(name)
    RunFolder.create(folder.baseline.path, {})
    new = RunFolder.create(folder.path, {"new": 1}, overwrite=True)
    assert new.configuration == {"new": 1}
    assert set(tree(new.path)) == {RUN, "notes.txt", "my pictures", "my pictures/x.png"}
    assert os.listdir(folder.path.parent) == ["paper"]


def test_overwrite_of_nothing_just_creates(tmp_path):
    assert RunFolder.create(tmp_path / "x", {"a": 1}, overwrite=True).configuration == {"a": 1}


def test_overwrite_of_a_damaged_run(folder):
    (folder / RUN).write_text("{")
    with pytest.raises(RunError, match=r"damaged"):
        RunFolder.create(folder.path, {})
    assert RunFolder.create(folder.path, {}, overwrite=True).status == "training"


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_left_alone(tmp_path, overwrite):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter1.tex").write_text("irreplaceable")
    before = tree(tmp_path)
    with pytest.raises(RunError, match=r"thesis exists and is not a run.*--name"):
        RunFolder.create(thesis, {}, overwrite=overwrite)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_symlink_is_not_followed(tmp_path, folder, overwrite):
    link = tmp_path / "link"
    link.symlink_to(folder.path)
    before = tree(folder.path)
    with pytest.raises(RunError, match="link is a symbolic link"):
        RunFolder.create(link, {}, overwrite=overwrite)
    assert tree(folder.path) == before
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunError, match="symbolic link"):
        RunFolder.create(link, {})


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "x").write_text("a file")
    with pytest.raises(RunError, match="x is a file, where a run needs a folder"):
        RunFolder.create(tmp_path / "x", {}, overwrite=True)
    with pytest.raises(RunError, match=r"Could not write .*x/paper"):
        RunFolder.create(tmp_path / "x" / "paper", {})
    with pytest.raises(RunError, match=r"Could not write .*x/paper"):
        free_name(tmp_path / "x", "paper")
    assert (tmp_path / "x").read_text() == "a file"


@pytest.mark.parametrize("path", [".", "/", "runs/.."])
def test_a_run_needs_a_name(path):
    with pytest.raises(RunError, match="needs a folder of its own"):
        RunFolder.create(path, {}, overwrite=True)


@pytest.mark.parametrize("name", ["x" * 242, "x" * 300, "é" * 121])
def test_an_impossible_name_is_a_sentence(tmp_path, name):
    size = len(name.encode())
    for make in (lambda: RunFolder.create(tmp_path / name, {}), lambda: run_path(tmp_path, name)):
        with pytest.raises(OptionError, match=f"at most 241 bytes, this one has {size}"):
            make()
    with pytest.raises(RunError, match="There is no run"):
        RunFolder.open(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_the_longest_name_can_be_made_and_replaced(tmp_path):
    path = run_path(tmp_path, "x" * 241)
    RunFolder.create(path, {"by": "first"})
    assert RunFolder.create(path, {"by": "second"}, overwrite=True).configuration["by"] == "second"


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a/b", "a/", "..", ".", "", "a\\b", "a\0b", "a\nb", ".x"]
)
def test_a_name_that_leads_out_of_the_root_is_refused(tmp_path, name):
    with pytest.raises(OptionError, match="--name"):
        run_path(tmp_path, name)


def test_a_value_that_is_no_json_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        RunFolder.create(tmp_path / "x", {"beta": float("nan")})
    assert os.listdir(tmp_path) == []


def test_a_disk_that_cannot_be_written_is_found_before_training(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=r"Could not write .*Read-only file system"):
        RunFolder.create(tmp_path / "x", {})
    assert os.listdir(tmp_path) == []


def broken(*given: object) -> bool:
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize("function", ["exchange", "sync_folder"])
def test_the_old_run_survives_an_exchange_that_fails(folder, monkeypatch, function):
    (folder / WEIGHTS).write_bytes(b"weeks of work")
    before = tree(folder.path.parent)
    monkeypatch.setattr(replacing, function, broken)
    with pytest.raises(RunError, match="Input/output error"):
        RunFolder.create(folder.path, {}, overwrite=True)
    assert tree(folder.path.parent) == before


@pytest.mark.parametrize(("swaps", "failing"), [(True, 1), (False, 1), (False, 2)])
def test_the_old_run_survives_a_replacement_that_fails(folder, monkeypatch, swaps, failing):
    if not swaps:
        monkeypatch.setattr(replacing, "exchange", lambda one, other: False)
    (folder / WEIGHTS).write_bytes(b"weeks of work")
    before, calls, rename = tree(folder.path.parent), [], Path.rename

    def fail(self, target):
        calls.append(target)
        if len(calls) == failing:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(RunError, match="Input/output error"):
        RunFolder.create(folder.path, {}, overwrite=True)
    assert tree(folder.path.parent) == before


def test_a_full_disk_at_every_byte_leaves_nothing_behind(tmp_path):
    folder = RunFolder.create(tmp_path / "old", CONFIGURATION)
    before = tree(tmp_path)
    code = """
root, size = Path(sys.argv[1]), int(sys.argv[2])
def full(limit, action):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        action()
    except RunError as error:
        assert "Could not write" in str(error) and "Free some space" in str(error), error
        print("refused")
for limit in range(size):
    full(limit, lambda: RunFolder.create(root / "new", {}))
    full(limit, lambda: RunFolder.create(root / "old", {}, overwrite=True))
    full(limit, lambda: RunFolder(root / "old").update(note="x" * size))
"""
    size = len('{"format":1,"status":"training","configuration":{},"provenance":{}}')
    (answers,) = output(child(code, tmp_path, size))
    assert answers == ["refused"] * 3 * size
    assert tree(tmp_path) == before
    assert folder.configuration == CONFIGURATION


def test_two_processes_never_make_the_same_run(tmp_path):
    code = """
print("ready", flush=True); sys.stdin.readline()
for i in range(60):
    try:
        RunFolder.create(Path(sys.argv[1]) / f"run{i}", {"by": sys.argv[2]}); print(i)
    except RunError as error:
        assert "another process" in str(error) or "stopped at step 0" in str(error) \
            or "in use" in str(error), error
"""
    first, second = output(child(code, tmp_path, "first"), child(code, tmp_path, "second"))
    assert sorted(map(int, first[1:] + second[1:])) == list(range(60))
    assert sorted(os.listdir(tmp_path)) == sorted(f"run{i}" for i in range(60))
    for i in first[1:]:
        assert RunFolder.open(tmp_path / f"run{i}").configuration == {"by": "first"}


def test_a_lost_race_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(replacing, "occupied", lambda path: False)
    RunFolder.create(tmp_path / "x", {"by": "first"})
    with pytest.raises(RunError, match=r"Another process has just made .*x.*--name"):
        RunFolder.create(tmp_path / "x", {"by": "second"})
    assert RunFolder.open(tmp_path / "x").configuration == {"by": "first"}
    assert os.listdir(tmp_path) == ["x"]


def test_free_names_count_up_and_can_be_used(tmp_path):
    names = [free_name(tmp_path / "runs", "paper") for _ in range(3)]
    assert [path.name for path in names] == ["paper", "paper-2", "paper-3"]
    assert RunFolder.create(names[1], {"a": 1}).configuration == {"a": 1}
    assert free_name(tmp_path / "runs", "aevb").name == "aevb"


def test_two_processes_get_different_names(tmp_path):
    code = """
print("ready", flush=True); sys.stdin.readline()
for _ in range(60): print(free_name(Path(sys.argv[1]), "paper").name)
"""
    first, second = output(child(code, tmp_path), child(code, tmp_path))
    got = first[1:] + second[1:]
    assert len(set(got)) == 120
    assert set(got) == {"paper"} | {f"paper-{n}" for n in range(2, 121)}


# Killed on the way -------------------------------------------------------------------------------

KILLED = """
import signal
root, swaps = Path(sys.argv[1]), sys.argv[2]
def counting(at):
    done = 0
    def count():
        nonlocal done
        done += 1
        if done == at:
            os.kill(os.getpid(), signal.SIGKILL)
    def counted(real):
        def call(*given, **more):
            count()
            return real(*given, **more)
        return call
    for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "open"):
        setattr(os, name, counted(getattr(os, name)))
    exchange = counted(replacing.exchange)
    replacing.exchange = lambda one, other: swaps == "yes" and exchange(one, other)
for at in range(1, 99):
    place = root / str(at)
    prepare(place)
    child = os.fork()
    if not child:
        counting(at)
        action(place)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code)
    if code == 0:
        break
"""
OVERWRITE = """
def prepare(place):
    old = RunFolder.create(place / "x", {"by": "old"})
    old.keep("weights.safetensors", b"weeks of work")
    old.update(status="finished")
    (old / "notes.txt").write_text("mine")
def action(place):
    RunFolder.create(place / "x", {"by": "new"}, overwrite=True)
"""
KEEP = """
def prepare(place):
    RunFolder.create(place, {}).keep("metrics.json", '{"test": {"images": 1}}')
def action(place):
    RunFolder(place).keep("metrics.json", '{"test": {"images": 2}}')
"""


def killed_at_each_step(code: str, root: Path, swaps: str = "yes") -> list[Path]:
    """Return the folders in which an action was killed at its first step, its second, …"""
    (codes,) = output(child(code + KILLED, root, swaps))
    assert set(codes[:-1]) == {"-9"}
    assert codes[-1] == "0"
    return [root / str(at) for at in range(1, len(codes) + 1)]


@pytest.mark.parametrize("swaps", ["yes", "no"])
def test_killed_at_any_step_an_overwrite_loses_no_run(tmp_path, swaps):
    places, seen = killed_at_each_step(OVERWRITE, tmp_path, swaps), []
    for place in places:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = RunFolder.open(place / "x")
        seen.append(run.configuration["by"])
        if seen[-1] == "old":
            assert run.verify(WEIGHTS) == b"weeks of work"
            assert run.status == "finished"
        with run.locked():
            assert os.listdir(place) == ["x"]
            assert set(os.listdir(run.path)) <= {RUN, WEIGHTS, "notes.txt", runs.LOCK}
        assert (run / "notes.txt").read_text() == "mine"
    assert len(places) > 20
    assert seen == sorted(seen, reverse=True)  # first old, then new
    assert set(seen) == {"old", "new"}


def test_a_run_left_aside_comes_back_and_is_named(folder):
    folder.keep(WEIGHTS, b"weeks of work")
    folder.path.rename(folder.path.parent / ".paper.0123abcd.old")
    (folder.path.parent / ".paper.0123abce.new").mkdir()
    with pytest.warns(UserWarning, match=r"paper is back: .* left it as .paper.0123abcd.old"):
        RunFolder.open(folder.path)
    assert os.listdir(folder.path.parent) == ["paper"]
    assert folder.verify(WEIGHTS) == b"weeks of work"


def test_what_another_process_is_replacing_is_left_to_it(folder):
    folder.keep(WEIGHTS, b"weeks of work")
    aside = folder.path.rename(folder.path.parent / ".paper.0123abcd.old")
    with child(HOLD, aside) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(RunError, match=r"being replaced.* is in .*/.paper.0123abcd.old"):
            RunFolder.open(folder.path)
        holder.kill()
    assert aside.is_dir()


def test_strays_in_every_folder_are_swept_but_not_what_is_being_written(folder):
    (folder.baseline / "figures").mkdir(parents=True)
    places = [folder / name for name in ("figures", "priors", "film", "onnx")]
    for place in places:
        place.mkdir()
        (place / ".map.svg.abc.part").write_text("half")
    with open(folder / ".metrics.json.abc.part", "w") as writing:
        files.lock(writing.fileno())
        with folder.locked():
            assert not [path for place in places for path in place.iterdir()]
        assert (folder / ".metrics.json.abc.part").exists()
    files.write_atomic(folder / METRICS, "{}")
    assert not (folder / ".metrics.json.abc.part").exists()


# Opening ------------------------------------------------------------------------------------------


def test_open_gives_what_create_made(folder):
    opened = RunFolder.open(str(folder.path))
    assert opened.configuration == CONFIGURATION
    assert str(opened) == str(folder.path)


def test_a_missing_run_names_the_nearest(folder):
    with pytest.raises(RunError, match=r"There is no run .*papr. Did you mean 'paper'\?"):
        RunFolder.open(folder.path.parent / "papr")
    with pytest.raises(RunError, match=r"Runs in .*: paper."):
        RunFolder.open(folder.path.parent / "zzzzz")
    with pytest.raises(RunError, match=r"Runs in .*: none; `vaescape run` makes one\."):
        RunFolder.open(folder.path.parent / "no" / "such")


def test_a_run_named_without_its_folder_is_found_in_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunFolder.create(Path("runs/paper"), CONFIGURATION)
    with pytest.raises(RunError, match=r"There is no run paper\. Did you mean 'runs/paper'\?"):
        RunFolder.open("paper")
    with pytest.raises(RunError, match=r"Runs in \.: runs/paper\."):
        RunFolder.open("zzzzz")


def test_what_is_not_a_run_is_not_opened(folder):
    (folder.path.parent / "thesis").mkdir()
    with pytest.raises(RunError, match=r"thesis is not a run: it has no run.json"):
        RunFolder.open(folder.path.parent / "thesis")
    with pytest.raises(RunError, match=r"run.json is not a run"):
        RunFolder.open(folder / RUN)


def test_unfinished_where_finished_is_needed(folder):
    RunFolder.open(folder.path)
    with pytest.raises(RunError, match=r"stopped at step 0: `vaescape resume"):
        RunFolder.open(folder.path, finished=True)
    folder.update(status="diverged")
    with pytest.raises(RunError, match="diverged"):
        RunFolder.open(folder.path, finished=True)
    folder.update(status="finished")
    assert RunFolder.open(folder.path, finished=True).status == "finished"


def test_a_later_format_says_upgrade(folder):
    record = {"format": 3, "state": "a field of the future"}
    (folder / RUN).write_text(json.dumps(record))
    message = "written by a later version: format 3, this vaescape reads 2. Upgrade"
    with pytest.raises(RunError, match=message):
        RunFolder.open(folder.path)
    with pytest.raises(RunError, match=message):
        RunFolder.create(folder.path, {})
    with pytest.raises(RunError, match=message):
        folder.update(status="finished")
    assert json.loads((folder / RUN).read_text()) == record


def test_a_record_cut_at_any_byte_is_refused(folder):
    whole = (folder / RUN).read_bytes()
    for end in range(len(whole) - 1):  # the last byte is the line's end
        (folder / RUN).write_bytes(whole[:end])
        with pytest.raises(RunError, match=r"run.json is damaged"):
            RunFolder.open(folder.path)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_record_or_a_sentence(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("junk") / RUN
    path.write_bytes(junk)
    with pytest.raises(RunError, match="damaged"):
        RunFolder.open(path.parent)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", "1", "'format' must be from 1 to 2, got '1'"),
        ("format", True, "'format' must be from 1 to 2, got True"),
        ("format", 0, "'format' must be from 1 to 2, got 0"),
        ("format", None, "'format' must be from 1 to 2, got None"),
        ("status", ["finished"], "'status' must be one of training, diverged, finished"),
        ("configuration", [], "'configuration' must be an object"),
        ("provenance", "x" * 10**6, "'provenance' must be an object, got 'xxx"),
        ("provenance", {"git": 3}, "'provenance.git' must be an object or null, got 3"),
        ("shape", [1, "28"], "'shape[1]' must be a whole number, got '28'"),
        ("classes", [None], "'classes[0]' must be a text, got None"),
        ("priors", {"flow": {"spec": 3}}, "'priors.flow.spec' must be a text, got 3"),
        ("weights_sha256", 5, "'weights_sha256' must be a text or a list, got 5"),
    ],
)
def test_a_record_with_a_wrong_type_is_refused(folder, field, value, message):
    (folder / RUN).write_text(json.dumps(folder.record | {field: value}))
    with pytest.raises(RunError, match="damaged") as error:
        RunFolder.open(folder.path)
    assert message in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "line 2 column 6"),
        ('["a"]', "it must be an object, got ['a']"),
        ("3", "it must be an object, got 3"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": -Infinity}', "-Infinity is no JSON number"),
        ("[" * 100_000, "recursion"),
        ('{"a": 1e999}', "1e999 is too large"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ('{"a": ' + "1" * 5000 + "}", "digits"),
        (b'{"a": "\xff"}', "position 7"),
    ],
)
def test_damage_is_named_with_its_place(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunError, match=r"x.json is damaged") as error:
        read_json(path)
    assert message in str(error.value)


def test_a_pickle_under_the_name_of_a_record_never_runs(folder, tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it ran"),)

    for name in (RUN, METRICS, LOG):
        (folder / name).write_bytes(pickle.dumps(Hostile()) + b"\n")
    (folder / LOG).write_bytes((folder / LOG).read_bytes() + b'{"step": 1}\n')
    for read in (lambda: folder.record, lambda: folder.metrics, folder.history):
        with pytest.raises(RunError, match="damaged"):
            read()
    assert not (tmp_path / "it ran").exists()


def test_a_folder_in_place_of_a_file_is_a_sentence(folder):
    (folder / METRICS).mkdir()
    with pytest.raises(RunError, match=r"Could not read .*metrics.json: Is a directory"):
        folder.metrics  # noqa: B018


# The record ---------------------------------------------------------------------------------------


def test_update_changes_only_what_it_names(folder):
    before = folder.record
    folder.update(seconds=12.5)
    assert folder.record == before | {"seconds": 12.5}


def test_update_refuses_what_could_not_be_opened(folder):
    with pytest.raises(RunError, match="'status' must be one of"):
        folder.update(status="done")
    assert folder.status == "training"


def test_a_run_deleted_while_it_trains_is_not_written_elsewhere(folder):
    (folder / RUN).unlink()
    folder.path.rmdir()
    for write in (lambda: folder.append({"step": 1}), lambda: folder.update(status="finished")):
        with pytest.raises(RunError, match="paper"):
            write()
    assert not folder.path.exists()


@pytest.mark.parametrize("how", ["moved", "replaced", "deleted", "without its record"])
def test_a_run_that_is_gone_while_it_is_held_is_noticed(folder, how):
    with folder.locked():
        if how == "without its record":
            (folder / RUN).unlink()
        else:
            folder.path.rename(folder.path.with_name("elsewhere"))
        if how == "replaced":
            RunFolder.create(folder.path, {"by": "another"})
        left = tree(folder.path.parent)
        for write in (
            folder.check,
            lambda: folder.append({"step": 1}),
            lambda: folder.update(status="finished"),
            lambda: folder.keep(WEIGHTS, b"x"),
        ):
            with pytest.raises(LostRunError, match=r"paper was moved, deleted or replaced"):
                write()
        assert tree(folder.path.parent) == left


def test_two_processes_that_update_one_record_lose_nothing(folder):
    code = """
print("ready", flush=True); sys.stdin.readline()
for i in range(60):
    RunFolder(sys.argv[1]).update(**{f"{sys.argv[2]}{i}": i})
"""
    output(child(code, folder.path, "a"), child(code, folder.path, "b"))
    assert {f"{who}{i}" for who in "ab" for i in range(60)} <= folder.record.keys()


def test_a_file_replaced_and_killed_at_any_step_has_its_digest(tmp_path):
    places = killed_at_each_step(KEEP, tmp_path)
    seen = [RunFolder(place).metrics["test"]["images"] for place in places]
    assert len(places) > 10
    assert seen == sorted(seen)
    assert set(seen) == {1, 2}
    assert isinstance(RunFolder(places[-1]).record["metrics_sha256"], str)


def test_metrics_are_read_once_they_are_there(folder):
    with pytest.raises(RunError, match=r"not evaluated yet: `vaescape evaluate .*paper`"):
        folder.metrics  # noqa: B018
    folder.keep(METRICS, '{"test": {"images": 9, "mse": 0.03}}')
    assert folder.metrics == {"test": {"images": 9, "mse": 0.03}}
    (folder / METRICS).write_text('{"test": {"images": 9, "mse": 0.02}}')
    with pytest.raises(RunError, match=r"metrics.json is damaged: its SHA-256 is"):
        folder.metrics  # noqa: B018
    record = folder.record
    del record["metrics_sha256"]
    (folder / RUN).write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"run.json has no digest of metrics.json"):
        folder.metrics  # noqa: B018
    (folder / RUN).write_text(json.dumps(record | {"format": 1}))  # which had none
    assert folder.metrics == {"test": {"images": 9, "mse": 0.02}}


def test_the_baseline_is_a_run_of_its_own(folder):
    made = RunFolder.create(folder.baseline.path, {"posterior": "point"})
    assert folder.baseline.configuration == made.configuration == {"posterior": "point"}
    assert folder.configuration == CONFIGURATION


def test_every_flipped_bit_is_found(folder):
    data = bytes(range(40))
    digest = folder.keep(WEIGHTS, data)
    assert folder.record["weights_sha256"] == digest
    assert folder.verify(WEIGHTS) == data
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        (folder / WEIGHTS).write_bytes(flipped)
        with pytest.raises(RunError, match=rf"is damaged: its SHA-256 is .* instead of {digest}"):
            folder.verify(WEIGHTS)


def test_digests_are_kept_apart(folder):
    for name in (WEIGHTS, LATENTS):
        folder.keep(name, name)
    assert folder.verify(WEIGHTS) == WEIGHTS.encode()
    assert folder.verify(LATENTS) == LATENTS.encode()


def test_a_file_missing_or_without_digest_is_a_sentence(folder):
    with pytest.raises(RunError, match=r"weights.safetensors is missing"):
        folder.verify(WEIGHTS)
    (folder / WEIGHTS).write_text("x")
    with pytest.raises(RunError, match=r"has no digest of weights.safetensors"):
        folder.verify(WEIGHTS)


# The log ------------------------------------------------------------------------------------------

ROWS = [{"step": n, "loss": 270.125 - n, "kl": [0.5, 1 / 3], "note": "β=1\n"} for n in (1, 2, 30)]


def test_history_gives_back_the_rows_bit_for_bit(folder):
    assert folder.history() == []
    for row in ROWS:
        folder.append(row)
    assert folder.history() == ROWS
    assert (folder / LOG).read_bytes().count(b"\n") == 3


def test_each_row_is_one_write(folder, monkeypatch):
    writes = []

    class Spy(io.FileIO):
        def write(self, data):
            writes.append(bytes(data))
            return super().write(data)

    monkeypatch.setattr(log, "open", lambda path, mode, **_: Spy(path, mode), raising=False)
    for row in ROWS:
        folder.append(row)
    assert b"".join(writes) == (folder / LOG).read_bytes()
    assert [json.loads(line) for line in writes] == ROWS


def test_a_log_cut_at_any_byte_loses_only_its_last_line(folder):
    for row in ROWS:
        folder.append(row)
    whole = (folder / LOG).read_bytes()
    for end in range(len(whole) + 1):
        (folder / LOG).write_bytes(whole[:end])
        assert folder.history() == ROWS[: whole[:end].count(b"\n")]


@pytest.mark.parametrize("end", [b"\0" * 40, b"\0" * 40 + b"\n", b'{"step": 31, "lo', b'{"st\n'])
def test_a_last_line_spoilt_by_a_power_cut_is_passed_over(folder, end):
    for row in ROWS:
        folder.append(row)
    with open(folder / LOG, "ab") as log:
        log.write(end)
    assert folder.history() == ROWS
    folder.truncate_history(30)
    folder.append({"step": 31})
    assert folder.history() == [*ROWS, {"step": 31}]


def test_a_row_is_durable(folder, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    folder.append({"step": 1})
    assert synced == [(folder / LOG).stat().st_ino]
    monkeypatch.setattr(os, "fsync", fsync)


def test_a_resumed_log_goes_on_after_a_cut_line(folder):
    for row in ROWS:
        folder.append(row)
    with open(folder / LOG, "ab") as log:
        log.write(b'{"step": 31, "lo')
    folder.truncate_history(2)
    folder.append({"step": 3})
    assert folder.history() == [*ROWS[:2], {"step": 3}]


def test_truncation_keeps_the_bytes_of_the_rows_it_keeps(folder):
    for row in ROWS:
        folder.append(row)
    whole = (folder / LOG).read_bytes()
    folder.truncate_history(30)
    assert (folder / LOG).read_bytes() == whole
    folder.truncate_history(0)
    assert folder.history() == []


def test_the_last_row_of_a_step_wins(folder):
    for step, loss in [(1, 9.0), (2, 8.0), (3, 7.0), (2, 8.5), (3, 7.5)]:
        folder.append({"step": step, "loss": loss})
    assert [(row["step"], row["loss"]) for row in folder.history()] == [
        (1, 9.0),
        (2, 8.5),
        (3, 7.5),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"step": 2, "lo', "Unterminated"),
        (b'{"step": 2}{"step": 3}', "Extra data"),
        (b"[2]", "it must be an object"),
        (b'{"loss": 3}', "'step' must be a whole number, got nothing"),
        (b'{"step": 2, "loss": NaN}', "NaN"),
        (b"\xff\xfe", "decode"),
        (b"", "Expecting value"),
    ],
)
def test_a_damaged_inner_line_is_named(folder, line, message):
    (folder / LOG).write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 4}\n')
    with pytest.raises(RunError, match=rf"Line 2 of .*metrics.jsonl is damaged: .*{message}"):
        folder.history()
    with pytest.raises(RunError, match="Line 2"):
        folder.truncate_history(9)
    assert line in (folder / LOG).read_bytes()


def test_numbers_that_are_not_finite_become_null(folder):
    inf, nan = float("inf"), float("nan")
    folder.append({"step": 1, "psnr": inf, "kl": (1.0, nan), "test": {"loss": -inf}})
    assert folder.history() == [
        {"step": 1, "psnr": None, "kl": [1.0, None], "test": {"loss": None}}
    ]


@pytest.mark.parametrize("row", [{}, {"step": 1.0}, {"step": True}, {"step": None}])
def test_a_row_without_a_step_is_a_programmers_mistake(folder, row):
    with pytest.raises(ValueError, match="integer 'step'"):
        folder.append(row)
    assert not (folder / LOG).exists()


def test_a_line_that_does_not_fit_is_taken_back_whole(folder):
    folder.append({"step": 1})
    before = (folder / LOG).read_bytes()
    code = """
folder = RunFolder(sys.argv[1])
start = (folder / runs.LOG).stat().st_size
for room in range(60):
    resource.setrlimit(resource.RLIMIT_FSIZE, (start + room, resource.RLIM_INFINITY))
    try:
        folder.append({"step": 2, "loss": 1.23456789012345678901})
        break
    except RunError as error:
        assert "Could not write" in str(error), error
        print((folder / runs.LOG).stat().st_size - start)
"""
    (left,) = output(child(code, folder.path))
    assert len(left) > 30
    assert set(left) == {"0"}
    assert (folder / LOG).read_bytes().startswith(before)
    assert [row["step"] for row in folder.history()] == [1, 2]


def test_a_log_survives_kill_9(folder):
    code = """
folder = RunFolder(sys.argv[1])
step = folder.history()[-1]["step"] if folder.history() else 0
folder.truncate_history(step)
print("go", flush=True)
while True:
    step += 1
    folder.append({"step": step, "padding": "x" * (step % 5000)})
"""
    chance, reached = random.Random(0), 0
    for _ in range(4):
        with child(code, folder.path) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.05))
            process.kill()
        steps = [row["step"] for row in folder.history()]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) >= reached
        reached = len(steps)
    assert reached > 0


# The lock -----------------------------------------------------------------------------------------

HOLD = """
with RunFolder(sys.argv[1]).locked():
    print("held", flush=True); sys.stdin.readline()
"""


def test_a_second_training_is_told_who_holds_the_folder(folder):
    with child(HOLD, folder.path) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        message = rf"paper is in use by another training \(process {holder.pid}\)"
        with pytest.raises(RunError, match=message), folder.locked():
            pytest.fail("two trainings in one folder")
        for overwrite in (False, True):
            with pytest.raises(RunError, match=message):
                RunFolder.create(folder.path, {}, overwrite=overwrite)
        holder.send_signal(signal.SIGKILL)
    with folder.locked():
        assert folder.configuration == CONFIGURATION
    assert os.listdir(folder.path.parent) == ["paper"]


def test_the_lock_is_given_back(folder):
    with pytest.raises(ZeroDivisionError), folder.locked():
        _ = 1 / 0
    with folder.locked(), pytest.raises(RunError, match=f"process {os.getpid()}"), folder.locked():
        pytest.fail("not exclusive")


def test_holding_the_folder_sweeps_what_a_killed_writer_left(folder):
    (folder / "checkpoints").mkdir()
    strays = [folder / ".run.json.abc.part", folder / "checkpoints" / ".step-1.x.part"]
    for stray in strays:
        stray.write_text("half")
    with folder.locked():
        assert not any(stray.exists() for stray in strays)
    assert (folder / RUN).exists()


def test_a_folder_that_cannot_be_written_is_not_trained_in(tmp_path):
    with (
        pytest.raises(RunError, match=r"Could not write .*gone/.lock"),
        RunFolder(tmp_path / "gone").locked(),
    ):
        pytest.fail("locked nothing")


# The command line must start fast -----------------------------------------------------------------


def test_importing_runs_does_not_import_torch():
    code = "import sys, vaescape.runs; print('torch' in sys.modules, 'numpy' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "False"]
