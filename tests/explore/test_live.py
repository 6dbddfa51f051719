"""What the live page carries: networks if it can, the weights' places if they are still learned."""

import json
import shutil
from types import SimpleNamespace

import pytest

from vaescape.classes import Classes
from vaescape.errors import OptionError
from vaescape.explore import live
from vaescape.explore.live import Live, open_run
from vaescape.explore.sections import networks
from vaescape.export.onnx import ExportError
from vaescape.runs import LATENTS, RunFolder
from vaescape.study import Study


def manifest(page: str) -> dict:
    return json.loads(page.partition('id="manifest">')[2].partition("</script>")[0])


@pytest.fixture
def training(run, tmp_path) -> RunFolder:
    folder = RunFolder(shutil.copytree(run, tmp_path / "run"))
    folder.update(status="training")
    (folder / LATENTS).unlink()
    return folder


def test_a_finished_run_carries_its_networks_and_follows_nothing(run, built):
    found = Live(Study.load(run), originals="none")
    assert {"decoder", "encoder"} <= found.blobs.keys()
    assert not [name for name in found.blobs if name.startswith("parametric")]
    assert manifest(found.page)["following"] is None


def test_too_large_networks_stay_here(run, built, monkeypatch):
    monkeypatch.setattr(live, "MOST_WEIGHTS", 10)
    found = Live(Study.load(run), originals="none")
    assert not {"decoder", "encoder"} & found.blobs.keys()


def test_networks_that_onnx_cannot_say_stay_here(run, built, monkeypatch):
    def cannot(*_, **__):
        raise ExportError("no")

    monkeypatch.setattr(networks, "networks", cannot)
    found = Live(Study.load(run), originals="none")
    assert not {"decoder", "encoder"} & found.blobs.keys()


def test_a_run_in_training_names_its_weights_and_the_page_is_renewed(training, built, monkeypatch):
    found = Live(open_run(training.path), originals="none")
    following = manifest(found.page)["following"]
    assert following.keys() == {"decoder", "encoder"}
    assert {"parametric_decoder", "parametric_encoder"} <= found.blobs.keys()
    step, content = found.checkpoint()
    sizes = [sum(_size(shape) for _, shape in shapes) for shapes in following.values()]
    images = len(found.study.train) + len(found.study.test)
    assert len(content) == 4 * (sum(sizes) + 2 * 2 * images)
    before = found.page
    found.renew()
    assert found.page is before
    monkeypatch.setattr(found, "newest", lambda: step + 1)
    found.renew()
    assert found.page is not before
    assert found.step == step + 1


def test_classes_are_told_once_or_for_each_code():
    shown = Live.__new__(Live)
    space, classes = SimpleNamespace(conditions=3), Classes(("a", "b", "c"), True)
    shown.study = SimpleNamespace(space=space, classes=classes)  # pyright: ignore
    assert shown._condition({}, 2).tolist() == [[1, 0, 0]]  # pyright: ignore
    assert shown._condition({"c": 2}, 2).tolist() == [[0, 0, 1]]  # pyright: ignore
    assert shown._condition({"c": [1, 2]}, 2).tolist() == [[0, 1, 0], [0, 0, 1]]  # pyright: ignore
    for wrong in (3, -1, True, "1", None, [0, 1, 2], [], [0, 9], [[0], [1]]):
        with pytest.raises(OptionError, match="class"):
            shown._condition({"c": wrong}, 2)


def _size(shape: list[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
