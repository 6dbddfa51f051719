"""A mistake is answered with a sentence and exit code 2; nothing is lost, nothing left behind."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import SMALL, Home, Told, assert_mistake, tell, vaescape
from PIL import Image

from vaescape.data.shapes import Shapes
from vaescape.runs import WEIGHTS, RunFolder
from vaescape.train.weights import pack, unpack

TRAIN = ("train", "first-look", "--data", "shapes(images=64)", *SMALL)

WRONG_OPTIONS = {
    "recipe": (("train", "papr"), ("'papr'", "Did you mean 'paper'?")),
    "data": (("--data", "shaps"), ("'shaps'", "Did you mean 'shapes'?")),
    "network": (("--network", "cnov"), ("'cnov'", "Did you mean 'conv'?")),
    "argument": (("--network", "conv(hiden=3)"), ("'hiden'", "Did you mean 'hidden'?")),
    "value": (("--network", "conv(hidden='x')"), ("hidden must be int", "'x'")),
    "spelling": (("--network", "conv("), ("name(key=value)", "'conv('")),
    "likelihood": (("--likelihood", "gausian"), ("Did you mean 'gaussian'?",)),
    "optimiser": (("--optimiser", "adamm"), ("Did you mean 'adam'?",)),
    "latent": (("--latent", "0"), ("latent size must be 1 or more", "Got 0")),
    "beta": (("--beta", "-1"), ("beta must be", "zero or more", "-1")),
    "nonsense": (("--posterior", "point"), ("no density", "beta=0")),
    "lr": (("--lr", "0"), ("lr must be more than 0", "Got 0")),
    "lr nan": (("--lr", "nan"), ("lr must be more than 0", "Got nan")),
    "batch": (("--batch", "61"), ("between 1 and 60", "Got 61", "Give --batch 60")),
    "batch 0": (("--batch", "0"), ("1 image or more", "Got 0")),
    "epochs": (("--epochs", "0"), ("epochs must be more than 0", "Got 0")),
    "epochs inf": (("--epochs", "inf"), ("epochs must be more than 0", "Got inf")),
    "threads": (("--threads", "0"), ("threads must be 1 or more", "Got 0")),
    "threads many": (("--threads", "100000"), ("at most 1,024", "Got 100000")),
    "epochs many": (("--epochs", "1e9"), ("at most 100,000", "Got 1000000000.0")),
    "epochs huge": (("--epochs", "1e300"), ("at most 100,000", "Got 1e+300")),
    "latent many": (("--latent", "1000000000"), ("at most 65,536", "Got 1000000000")),
    "seed": (("--seed", "-1"), ("seed must be", "Got -1")),
    "limit": (("--limit", "0"), ("limit must be 1 or more", "Got 0")),
    "validation": (("--validation", "64"), ("between 0 and 63", "Got 64")),
    "device": (("--device", "gpu"), ("Did you mean 'cpu'?", "cuda")),
    "precision": (("--precision", "flot32"), ("Did you mean 'float32'?",)),
    "checkpoints": (("--checkpoint-seconds", "-1"), ("checkpoint_seconds", "0 or more")),
    "place": (("--name", ".."), ("name of one folder", "--name")),
}


@pytest.mark.parametrize(("options", "words"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_impossible_options(elsewhere: Path, options, words):
    told = tell(*options) if options[0] == "train" else tell(*TRAIN, *options)
    assert_mistake(told, *words)
    assert told.out == ""
    assert list(elsewhere.iterdir()) == []


def test_options_of_a_folder_for_a_set_that_is_none(elsewhere: Path):
    said = tell("pack", "shapes(images=20)", "out", "--size", "32")
    assert_mistake(said, "--size and --colour are for pictures", "shapes(images=20)")
    assert not list(elsewhere.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(elsewhere: Path):
    told = vaescape(*TRAIN, "--device", "cuda", cwd=elsewhere)
    assert_mistake(told, "cuda was chosen", "no CUDA device", "auto or cpu")
    assert list(elsewhere.iterdir()) == []


# Data --------------------------------------------------------------------------------------------

LENGTH = 60_000 * 784
HEADER = bytes([0, 0, 8, 3]) + struct.pack(">III", 60_000, 28, 28)
BAD_FILES = {
    "missing": (None, "Expected train-images-idx3-ubyte"),
    "empty": (b"", "train-images-idx3-ubyte"),
    "truncated": (HEADER + bytes(1000), "train-images-idx3-ubyte"),
    "another": (b"<html>not found</html>", "train-images-idx3-ubyte"),
    "changed": (HEADER + bytes(LENGTH), "SHA-256"),
}


@pytest.mark.parametrize(("content", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_damaged_data_files(elsewhere: Path, content: bytes | None, words: str):
    folder = elsewhere / "files"
    folder.mkdir()
    if content is not None:
        (folder / "train-images-idx3-ubyte").write_bytes(content)
    told = tell("train", "paper", *SMALL, "--data-dir", "files")
    assert_mistake(told, words, "files")
    assert [path.name for path in elsewhere.iterdir()] == ["files"]


def pictures(folder: Path) -> None:
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True)
        for n in range(8):
            Image.new("L", (30, 20), 20 * n).save(folder / name / f"{n}.png")


def test_labels_that_do_not_match(elsewhere: Path):
    np.savez("bad.npz", images=np.zeros((9, 8, 8), np.uint8), labels=np.zeros(7, int))
    told = tell(*TRAIN, "--data", "npz(path='bad.npz')")
    assert_mistake(told, "bad.npz", "do not match", "9 labels", "(7,)")


def test_an_empty_class_folder(elsewhere: Path):
    pictures(elsewhere / "photos")
    (elsewhere / "photos" / "eels").mkdir()
    assert_mistake(tell("data", "folder(path='photos')"), "photos/eels", "empty class folder")


def test_a_broken_picture_in_a_folder(elsewhere: Path):
    pictures(elsewhere / "photos")
    (elsewhere / "photos" / "cats" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    spec = "folder(path='photos', size=12{})"
    small = ("--limit", "4", "--batch", "4")
    told = tell(*TRAIN, *small, "--data", spec.format(""))
    assert_mistake(told, "cats/3.png", "broken='skip'")
    assert [path.name for path in elsewhere.iterdir()] == ["photos"]
    told = tell(*TRAIN, *small, "--data", spec.format(", broken='skip'"))
    assert told.code == 0
    assert told.err == ("vaescape: note: photos: left out 1 pictures that cannot be read.\n")


# Runs --------------------------------------------------------------------------------------------

READERS = {
    "evaluate": (),
    "figures": (),
    "report": (),
    "sample": (),
    "interpolate": ("1", "2"),
    "traverse": (),
    "reconstruct": ("1",),
    "show": (),
    "compare": (),
    "resume": (),
}


def files(folder: Path) -> dict[Path, bytes]:
    kept = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path: path.read_bytes() for path in kept}


def each_tells(run: str, *words: str, but: tuple[str, ...] = ()) -> None:
    before = files(Path())
    for command, more in READERS.items():
        if command not in but:
            assert_mistake(tell(command, run, *more), *words)
    assert files(Path()) == before


def test_a_run_that_is_missing(copied: Path):
    each_tells("runs/lok", "There is no run runs/lok", "Did you mean 'look'?")


def test_a_folder_that_is_no_run(elsewhere: Path):
    pictures(Path("photos"))
    each_tells("photos", "photos is not a run", "run.json")


def test_a_damaged_record(copied: Path):
    text = (copied / "run.json").read_text()
    (copied / "run.json").write_text(text[: len(text) // 2])
    each_tells("runs/look", "runs/look/run.json is damaged", "Restore it from a copy")


def test_a_later_format(copied: Path):
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(record | {"format": 99}))
    each_tells("runs/look", "later version: format 99", "Upgrade vaescape")


def test_one_flipped_bit_in_the_weights(copied: Path):
    content = bytearray((copied / "weights.safetensors").read_bytes())
    content[len(content) // 2] ^= 8
    (copied / "weights.safetensors").write_bytes(content)
    untouched = ("report", "show", "compare")
    each_tells("runs/look", "weights.safetensors is damaged", "SHA-256", but=untouched)


def test_missing_weights(copied: Path):
    (copied / "weights.safetensors").unlink()
    untouched = ("report", "show", "compare")
    each_tells("runs/look", "weights.safetensors is missing", but=untouched)


@pytest.mark.parametrize("name", ["metrics.json", "metrics.jsonl"])
def test_a_damaged_log_or_evaluation(copied: Path, name: str):
    lines = (copied / name).read_text().splitlines()
    (copied / name).write_text("\n".join(["{", *lines]))
    told = tell("report", "runs/look")
    assert_mistake(told, f"runs/look/{name}", "damaged")


def test_weights_without_a_digest(copied: Path):
    record = json.loads((copied / "run.json").read_text())
    del record["weights_sha256"]
    (copied / "run.json").write_text(json.dumps(record))
    assert_mistake(tell("sample", str(copied)), "run.json has no digest of weights.safetensors")


def test_weights_that_are_not_finite(copied: Path):
    folder = RunFolder(copied)
    tensors, _ = unpack(folder.verify(WEIGHTS), copied)
    first = next(name for name, value in tensors.items() if value.is_floating_point())
    tensors[first].view(-1)[0] = float("nan")
    folder.keep(WEIGHTS, pack(tensors, {}))
    told = tell("evaluate", str(copied))
    assert_mistake(told, "weights.safetensors holds numbers that are not finite", first)


def test_data_that_are_not_the_runs(copied: Path):
    folder = RunFolder(copied)
    metrics = (copied / "metrics.json").read_bytes()
    assert folder.record["data_sha256"] == Shapes(images=2048, vary=["scale", "x"]).digest()
    folder.update(data_sha256="0" * 64)
    (copied / "report.html").unlink()  # so that `resume` has something to do
    for command in ("evaluate", "figures", "explore --save x.html", "resume"):
        told = tell(*command.split()[:1], str(copied), *command.split()[1:])
        assert_mistake(told, "other images or labels than runs/look was trained on", "--data-dir")
    assert (copied / "metrics.json").read_bytes() == metrics


def test_a_log_that_is_gone(copied: Path):
    (copied / "metrics.jsonl").unlink()
    told = tell("evaluate", "runs/look", "--samples", "2", "--paths", "2")
    assert_mistake(told, "runs/look/metrics.jsonl is missing or empty")


def test_a_run_that_was_not_evaluated(copied: Path):
    (copied / "metrics.json").unlink()
    assert_mistake(tell("report", "runs/look"), "`vaescape evaluate runs/look`")


@pytest.mark.parametrize("key", ["recipe", "data", "parts", "train", "limit"])
@pytest.mark.parametrize("value", ["gone", None, "x", -1, [], {"latent": 2}], ids=repr)
def test_a_record_changed_by_hand_never_gives_a_traceback(copied: Path, key: str, value):
    record = json.loads((copied / "run.json").read_text())
    record["configuration"][key] = value
    if value == "gone":
        del record["configuration"][key]
    (copied / "run.json").write_text(json.dumps(record))
    for command in (("sample", "runs/look", "-n", "1"), ("show", "runs/look")):
        told = tell(*command)
        if told.code:
            assert_mistake(told)


def test_a_finished_run_is_overwritten_only_when_told(copied: Path, elsewhere: Path):
    before = files(copied)
    for command in ("run", "train"):
        told = tell(command, "first-look", *SMALL, "--name", "look")
        assert_mistake(told, "runs/look is finished", "--overwrite", "--name")
    assert files(copied) == before
    wrong = tell("train", "first-look", *SMALL, "--name", "look", "--overwrite", "--batch", "999")
    assert_mistake(wrong, "Got 999")
    assert files(copied) == before
    (copied / "notes.txt").write_text("mine")
    told = tell("train", "first-look", *SMALL, "--name", "look", "--overwrite", "--seed", "1")
    assert told.code == 0
    assert {path.name for path in copied.iterdir()} == {
        *(".lock", "checkpoints", "latents.safetensors", "metrics.jsonl", "notes.txt"),
        *("run.json", "weights.safetensors"),
    }
    weights = copied / "weights.safetensors"
    assert weights.read_bytes() != before[weights]


def test_a_folder_of_something_else_is_left_alone(elsewhere: Path):
    (elsewhere / "runs" / "x").mkdir(parents=True)
    (elsewhere / "runs" / "x" / "thesis.txt").write_text("mine")
    for more in ((), ("--overwrite",)):
        told = tell(*TRAIN, "--name", "x", *more)
        assert_mistake(told, "runs/x exists and is not a run", "left alone")
    assert [path.name for path in (elsewhere / "runs" / "x").iterdir()] == ["thesis.txt"]


# What is asked of a run --------------------------------------------------------------------------

RUN = "runs/look"
WRONG_QUESTIONS = {
    "class": (("interpolate", RUN, "squar", "heart"), ("'squar'", "Did you mean 'square'?")),
    "figure": (("figures", RUN, "map", "mapp"), ("'mapp'", "Did you mean 'map'?")),
    "theme": (("figures", RUN, "map", "--theme", "pink"), ("light, dark", "'pink'")),
    "path": (("interpolate", RUN, "1", "2", "--path", "round"), ("geodesic", "'round'")),
    "grid": (
        ("interpolate", RUN, "1", "2", "3", "4", "--path", "spherical"),
        ("grid", "linear"),
    ),
    "grid that follows": (
        ("interpolate", RUN, "1", "2", "3", "4", "--follow", "1"),
        ("linear", "--follow"),
    ),
    "linear that follows": (
        ("interpolate", RUN, "1", "2", "--path", "linear", "--follow", "1"),
        ("--follow", "geodesic", "linear"),
    ),
    "follows less": (
        ("interpolate", RUN, "1", "2", "--path", "geodesic", "--follow", "-1"),
        ("zero or more", "Got -1"),
    ),
    "steps": (("interpolate", RUN, "1", "2", "--steps", "1"), ("2 or more", "Got 1")),
    "grid steps": (("interpolate", RUN, "1", "2", "3", "4", "--steps", "0"), ("Got 0",)),
    "one end": (("interpolate", RUN, "1"), ("two ends", "Got 1")),
    "three ends": (("interpolate", RUN, "1", "2", "3"), ("four corners", "Got 3")),
    "image": (("interpolate", RUN, "1", "60"), ("no test image 60", "0 to 59")),
    "point": (("interpolate", RUN, "1,2,3", "1,2"), ("2 numbers", "Got 3")),
    "no point": (("interpolate", RUN, "1,x", "1,2"), ("0.5,-1.2", "'1,x'")),
    "nan": (("interpolate", RUN, "nan,1", "1,2"), ("finite", "'nan,1'")),
    "ending": (("interpolate", RUN, "1", "2", "--out", "x.jpeg"), (".png", "x.jpeg")),
    "sample ending": (("sample", RUN, "--out", "x"), (".npz", "Got x")),
    "sample count": (("sample", RUN, "-n", "0"), ("n ≥ 1", "Got 0")),
    "sample many": (("sample", RUN, "-n", "1000000000"), ("at most 100,000", "Got 1000000000")),
    "steps many": (("traverse", RUN, "--steps", "1000000000"), ("at most 10,000", "Got 100000")),
    "walk many": (("interpolate", RUN, "1", "2", "--steps", "1000000000"), ("at most 10,000",)),
    "samples many": (("evaluate", RUN, "--samples", "1000000000"), ("samples", "10,000,000")),
    "sample kind": (("sample", RUN, "--kind", "mean"), ("'means' or 'draws'", "'mean'")),
    "sample seed": (("sample", RUN, "--seed", "-1"), ("seed", "Got -1")),
    "huge seed": (("sample", RUN, "--seed", "9" * 30), ("seed", "999")),
    "autoencoder": (("sample", f"{RUN}/baseline"), ("plain autoencoder", "recipe paper")),
    "dimension": (("traverse", RUN, "--dim", "2"), ("0 to 1", "got 2")),
    "traverse steps": (("traverse", RUN, "--steps", "0"), ("2 or more steps", "Got 0")),
    "reach": (("traverse", RUN, "--reach", "nan"), ("reach above 0", "nan")),
    "no file": (("reconstruct", RUN, "shoe.jpg"), ("shoe.jpg", "no such picture")),
    "no picture": (("reconstruct", RUN, f"{RUN}/run.json"), ("not a picture", "PNG, JPEG")),
    "compare ending": (("compare", RUN, "--out", "x.gif"), ("in .png or .svg. Got x.gif",)),
    "samples": (("evaluate", RUN, "--samples", "0"), ("samples must be at least 1", "got 0")),
    "images": (("evaluate", RUN, "--samples", "1", "--images", "-5"), ("images", "got -5")),
    "only images": (("evaluate", RUN, "--images", "5"), ("--images 5", "--samples")),
    "chunk": (("evaluate", RUN, "--chunk", "0", "--samples", "1"), ("chunk", "got 0")),
    "paths": (("evaluate", RUN, "--paths", "0", "--samples", "1"), ("path", "got 0")),
    "evaluate seed": (("evaluate", RUN, "--seed", "-1"), ("seed", "-1")),
    "baseline": (("evaluate", RUN, "--baseline", "runs/lok"), ("Did you mean 'look'?",)),
    "unevaluated": (("report", f"{RUN}/baseline"), (f"`vaescape figures {RUN}/baseline`",)),
    "kind": (("list", "likelihod"), ("'likelihod'", "Did you mean 'likelihood'?")),
    "member": (("list", "prior", "vmap"), ("no prior 'vmap'", "Did you mean 'vamp'?")),
    "data": (("data", "fashion-mnst"), ("Did you mean 'fashion-mnist'?",)),
    "argument": (("data", "folder"), ("'folder'", "path")),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG_QUESTIONS.values(), ids=WRONG_QUESTIONS)
def test_impossible_questions(at_home: Home, arguments, words):
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    told = tell(*arguments)
    if arguments[0] != "compare":
        assert told.out == ""
    assert_mistake(told, *words)
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_a_place_that_cannot_be_written(at_home: Home):
    told: Told = tell("sample", RUN, "-n", "1", "--out", f"{RUN}/run.json/x.png")
    assert_mistake(told, "Could not write", "x.png")
