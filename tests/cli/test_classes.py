"""Asking a conditional model for classes, from the command line."""

from pathlib import Path

import pytest
import torch
from cli_tools import SMALL, assert_mistake, tell
from PIL import Image

from vaescape import Study
from vaescape.classes import Classes
from vaescape.errors import OptionError
from vaescape.representatives import representatives


@pytest.fixture
def told(tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a conditional run, in a folder that is the current one; made once."""
    monkeypatch.chdir(tmp_path_factory.getbasetemp())
    run = Path("runs/told")
    if not run.exists():
        made = tell("train", "first-look", "--conditional", *SMALL, "--name", "told")
        assert made.code == 0, made.err
    Image.new("L", (30, 20), 90).save("mine.png")
    return str(run)


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "-n", "4", "--class", "heart"),
        ("sample", "-n", "4"),
        ("interpolate", "square", "heart", "--steps", "3"),
        ("interpolate", "3", "0.5,-1", "--class", "Heart", "--steps", "3"),
        ("interpolate", "mine.png", "1", "--class", "#2", "--steps", "3"),
        ("interpolate", "square", "heart", "ellipse", "7", "--steps", "3"),
        ("traverse", "--class", "ellipse", "--steps", "3"),
        ("reconstruct", "0", "1"),
        ("reconstruct", "0", "mine.png", "--class", "heart"),
    ],
    ids=" ".join,
)
def test_commands_ask_for_classes(told: str, command: tuple[str, ...]):
    said = tell(command[0], told, *command[1:], "--out", "out.npz")
    assert said.code == 0, said.err
    assert Path("out.npz").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("sample", "--class", "hart"), ("no class 'hart'", "Did you mean 'heart'?")),
        (("traverse",), ("conditional on classes", "square, ellipse, triangle, heart")),
        (("interpolate", "3", "0.5,-1"), ("conditional on classes",)),
        (("reconstruct", "mine.png"), ("the class of mine.png", "--class")),
    ],
)
def test_a_missing_class_is_asked_for(told: str, command: tuple[str, ...], words):
    assert_mistake(tell(command[0], told, *command[1:]), *words)


def test_an_end_is_decoded_as_what_it_is(told: str):
    from vaescape.cli import drawing

    study = Study.load(told)
    assert torch.equal(drawing.place(study, "3"), study.space.places(study.test[3:4])[0])
    assert drawing.place(study, "square")[study.space.latent :].tolist() == [1, 0, 0, 0]
    assert drawing.place(study, "3", "heart")[study.space.latent :].tolist() == [0, 0, 0, 1]


def test_an_end_that_names_a_class_is_the_class_and_test_n_is_an_image(told: str):
    from vaescape.cli import drawing

    study = Study.load(told)
    study.classes = Classes(("0", "1", "2", "3"), conditional=True)
    study.space.classes = study.classes
    (one,) = representatives(study, [1]).values()
    assert study.test.labels[one] == 1
    assert torch.equal(drawing.place(study, "1"), study.space.places(study.test[one : one + 1])[0])
    assert torch.equal(drawing.place(study, "test:1"), study.space.places(study.test[1:2])[0])
    with pytest.raises(OptionError, match="no class '7'.*The test image is test:7"):
        drawing.place(study, "7")


@pytest.mark.parametrize("name", ["²", "test:²", "test:-1"])
def test_a_number_that_is_no_decimal_is_no_image(told: str, name: str):
    assert_mistake(tell("reconstruct", told, name), name)
    assert_mistake(tell("sample", told, "--class", name), "There is no class")


def test_labels_that_are_not_there_are_refused_before_anything_is_made(elsewhere: Path):
    Path("photos/all").mkdir(parents=True)
    for n in range(8):
        Image.new("L", (30, 20), 20 * n).save(f"photos/all/{n}.png")
    data = ("--data", "folder(path='photos', size=12)", "--batch", "4")
    said = tell("train", "first-look", "--conditional", *data)
    assert_mistake(said, "two classes or more. Got 1", "--conditional")
    said = tell("train", "first-look", "--labelled", "3", *data)
    assert_mistake(said, "only 'm2'", "--labelled")
    assert [path.name for path in elsewhere.iterdir()] == ["photos"]


def test_the_recipes_name_with_a_slash_is_one_folder(elsewhere: Path):
    told = tell("train", "exemplar/vae", "--data", "shapes(images=60)", "--validation", "20",
                "--batch", "20", "--epochs", "1", "--network", "mlp(hidden=8)")  # fmt: skip
    assert told.code == 0, told.err
    assert [path.name for path in Path("runs").iterdir()] == ["exemplar-vae"]
