"""The classes of the plane: by the nearest codes, and by somebody's ONNX classifier."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from explore_studies import KINDS, read
from explore_studies import study as made
from onnx import TensorProto, helper, numpy_helper
from sklearn.neighbors import KNeighborsClassifier

from vaescape.cli import main
from vaescape.errors import OptionError
from vaescape.explore import fields
from vaescape.explore.sections import classifier as module
from vaescape.explore.view import View

SIDE = 24


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    monkeypatch.setattr(module, "CELLS", SIDE)


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    return made(tmp_path_factory.mktemp("flat"))


@pytest.fixture(scope="module")
def high(tmp_path_factory):
    return made(tmp_path_factory.mktemp("high"), **KINDS["16d"])


def found(study, path=None):
    """Return what the page is told: the entry, classes and probabilities, (side²,) each."""
    entries, made = module.classifier(View(study, classifier=path))
    labels, shares = (read(made[f"classifier_{name}"]) for name in ("labels", "shares"))
    return entries["classifier"], labels.ravel(), shares.ravel()


def agrees(labels, shares, expected):
    """Whether classes and probabilities are the likeliest of those expected, but for near ties."""
    np.testing.assert_allclose(shares, expected.max(1), atol=0.003)
    assert (expected[np.arange(len(labels)), labels] >= expected.max(1) - 1e-6).all()


def network(path: Path, weight, *, image=("batch", 1, 28, 28), softmax=False, inputs=1,
            kind=TensorProto.FLOAT) -> Path:  # fmt: skip
    """Write a linear classifier of images as ONNX."""
    names = [f"image{i}" for i in range(inputs)]
    nodes = [
        helper.make_node("Flatten", names[:1], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1)
        if softmax
        else helper.make_node("Identity", ["logits"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info(name, kind, image) for name in names],
        [helper.make_tensor_value_info("scores", kind, [image[0], weight.shape[1]])],
        [numpy_helper.from_array(weight, "weight")],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


def weights(classes=4, pixels=784, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (pixels, classes)).astype(np.float32)


def by_hand(study, z, weight):
    logits = study.decode(z).flatten(1).numpy().astype(np.float64) @ weight
    likely = np.exp(logits - logits.max(1, keepdims=True))
    return likely / likely.sum(1, keepdims=True)


def test_without_a_classifier_it_is_the_vote_of_the_nearest_codes(flat):
    about, labels, shares = found(flat)
    codes = View(flat).codes
    place = fields.window(codes.mean)
    vote = KNeighborsClassifier(25).fit(codes.mean.numpy(), codes.label.numpy())
    agrees(labels, shares, vote.predict_proba(place.grid(SIDE).flatten(0, 1).numpy()))
    assert about == {
        "by": "the classes of the 25 nearest images", "plane": "latent", **place.to_dict()
    }  # fmt: skip


def test_in_more_dimensions_it_is_of_the_principal_plane(high):
    about, labels, shares = found(high)
    view = View(high)
    mean, axes = view.principal
    place = fields.window((view.codes.mean - mean) @ axes)
    z = mean + place.grid(SIDE).flatten(0, 1) @ axes.T
    vote = KNeighborsClassifier(25).fit(view.codes.mean.numpy(), view.codes.label.numpy())
    agrees(labels, shares, vote.predict_proba(z.numpy()))
    assert about["plane"] == "pca"


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("batch", ["batch", 1, 100])
def test_a_classifier_sees_the_decoded_images(flat, tmp_path, softmax, batch):
    weight = weights()
    image = (batch, 1, 28, 28)
    path = network(tmp_path / "c.onnx", weight, softmax=softmax, image=image)
    about, labels, shares = found(flat, path)
    cells = fields.window(View(flat).codes.mean).grid(SIDE).flatten(0, 1)
    agrees(labels, shares, by_hand(flat, cells, weight))
    assert about["by"] == "c.onnx"


def text(path):
    path.write_text("no network")
    return path


BAD = {
    "No such file": lambda path: path,
    "not an ONNX network": text,
    r"\(batch, 1, 28, 28\).*takes tensor\(float\) of shape \(batch, 1, 32, 32\)": lambda path: (
        network(path, weights(pixels=1024), image=("batch", 1, 32, 32))
    ),
    r"of shape \(batch, 784\)": lambda path: network(path, weights(), image=("batch", 784)),
    "takes tensor\\(double\\)": lambda path: network(
        path, weights().astype(np.float64), kind=TensorProto.DOUBLE
    ),
    "has 2: image0, image1": lambda path: network(path, weights(), inputs=2),
    "4 classes .*gives 10 for each image": lambda path: network(path, weights(10)),
    "not finite": lambda path: network(path, weights() * np.float32("nan")),
    "could not be run on": lambda path: network(path, weights(pixels=5), image=("b", 1, "h", "w")),
}


@pytest.mark.parametrize("says", BAD)
def test_a_file_that_is_no_fitting_classifier_is_refused(flat, tmp_path, says):
    with pytest.raises(OptionError, match=says):
        found(flat, BAD[says](tmp_path / "c.onnx"))


@pytest.mark.parametrize("kind", ["1d", "one-class", "no-label", "codes"])
def test_where_there_is_nothing_to_classify_there_is_no_section(tmp_path, kind):
    study = made(tmp_path, **KINDS[kind])
    assert module.classifier(View(study)) == ({"classifier": None}, {})
    if kind == "codes":  # decoded images can be classified all the same
        path = network(tmp_path / "c.onnx", weights())
        assert found(study, path)[0]["by"] == "c.onnx"
    else:
        with pytest.raises(OptionError, match="Leave out --classifier"):
            module.classifier(View(study, classifier=tmp_path / "c.onnx"))


def test_the_command_says_in_one_sentence_what_is_wrong(run, tmp_path, built, monkeypatch, capsys):
    given = text(tmp_path / "c.onnx")
    arguments = ["explore", run, "--save", tmp_path / "page.html", "--classifier", given]
    monkeypatch.setattr(sys, "argv", ["vaescape", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "is not an ONNX network" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
