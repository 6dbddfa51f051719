"""Networks as ONNX: the numbers of PyTorch, for every kind of model and any batch."""

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import load_from_string

from vaescape import Study
from vaescape.cli import main
from vaescape.export import export, networks, onnx
from vaescape.export.onnx import ExportError, halved

ROOT = Path(__file__).parents[2]
SMALL = {"network": "conv(channels=[4, 8], hidden=8)"}


def made(**changes) -> Study:
    return Study("first-look", limit=50, **(SMALL | changes))  # pyright: ignore


@pytest.fixture(scope="module")
def study() -> Study:
    return made()


@pytest.fixture(scope="module")
def exported(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    export(study, folder)
    return folder


def outputs(path: Path, **given: torch.Tensor) -> dict[str, np.ndarray]:
    """Return what an exported network gives, by name."""
    session = onnxruntime.InferenceSession(path)
    names = [each.name for each in session.get_outputs()]
    values = session.run(names, {name: value.numpy() for name, value in given.items()})
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def run(path: Path, **given: torch.Tensor) -> list[torch.Tensor]:
    return [torch.from_numpy(value) for value in outputs(path, **given).values()]


@pytest.mark.parametrize("batch", [1, 7, 300])
def test_the_files_give_pytorchs_numbers_for_any_batch(study, exported, batch):
    z = torch.randn(batch, study.space.latent)
    torch.testing.assert_close(run(exported / "decoder.onnx", z=z)[0], study.decode(z))
    images = study.test[torch.arange(batch) % len(study.test)]
    mean, log_var = run(exported / "encoder.onnx", x=images.floats())
    expected, expected_log_var = study.encode_with_variance(images)
    torch.testing.assert_close(mean, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(log_var, expected_log_var, atol=1e-5, rtol=1e-4)


def test_no_file_of_this_machine_is_named(exported):
    for path in exported.iterdir():
        content = path.read_bytes()
        for name in (b".py", b"site-packages", str(ROOT).encode(), b"stack_trace"):
            assert name not in content


def test_the_description_says_shapes_units_and_classes(study, exported):
    about = json.loads((exported / "onnx.json").read_text())
    assert about["classes"] == list(study.classes)
    decoder, encoder = about["networks"]["decoder"], about["networks"]["encoder"]
    assert decoder["inputs"] == {"z": ["batch", 2]}
    assert decoder["outputs"] == {"x": ["batch", 1, 28, 28], "logits": ["batch", 1, 28, 28]}
    assert about["likelihood"]["component"] == "cross-entropy"
    assert list(encoder["outputs"]) == ["mean", "log_var"]
    assert 0 <= decoder["largest_difference_from_pytorch"] <= 1e-3
    assert "[0, 1]" in about["meaning"]["x"]
    assert "255" in about["preprocessing"]


def test_a_conditional_model_takes_its_class():
    study = made(conditional=True, network="mlp(hidden=16)")
    _, decoder = networks(study)
    assert decoder.inputs == {"z": ["batch", 2], "c": ["batch", 4]}
    z, c = torch.randn(3, 2), study.classes.weights([0, 3, 3])
    session = onnxruntime.InferenceSession(decoder.content)
    (found,) = session.run(None, {"z": z.numpy(), "c": c.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), study.decode(z, c))


def test_an_autoencoder_has_no_variance_and_pixels_may_have_their_own_sigma():
    study = made(posterior="point", objective="elbo(beta=0)", likelihood="gaussian-pixel")
    encoder, decoder = networks(study)
    assert encoder.outputs == {"mean": ["batch", 2]}
    assert decoder.outputs == {"x": ["batch", 1, 28, 28]}


def test_bayes_rule_brings_the_decoder_into_the_encoder(monkeypatch):
    monkeypatch.setattr(onnx, "_captured", None)  # seconds: a trace does
    study = made(posterior="bayes(points=16)")
    encoder, _ = networks(study)
    x = study.test[:9].floats()
    (mean,) = outputs_of(encoder, x=x)
    torch.testing.assert_close(mean, study.space.posterior(x).quick_estimate, atol=1e-4, rtol=1e-3)


def outputs_of(network, **given: torch.Tensor) -> list[torch.Tensor]:
    session = onnxruntime.InferenceSession(network.content)
    found = session.run(None, {name: value.numpy() for name, value in given.items()})
    return [torch.from_numpy(np.asarray(value)) for value in found]


@pytest.mark.parametrize(
    "posterior",
    ["full-rank", "iaf(hidden=8)", "spline(bins=4)", "power-spherical", "wrapped-normal"],
)
def test_where_the_posterior_is_no_diagonal_gaussian_there_is_its_centre_alone(posterior):
    study = made(posterior=posterior, latent=3)
    encoder, _ = networks(study)
    assert list(encoder.outputs) == ["mean"]
    (mean,) = outputs_of(encoder, x=study.test[:5].floats())
    torch.testing.assert_close(mean, study.encode(study.test[:5]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "posterior",
    [
        "vq(codes=9, positions=3)",
        "residual-vq(codes=5, stages=2, positions=3)",
        "fsq(levels=[3, 4])",
        "lfq(positions=3)",
        "sim-vq(codes=5, positions=3)",
        "gumbel-softmax(positions=2)",
    ],
)
def test_a_discrete_model_gives_its_indices_too(posterior):
    study = Study("first-look", limit=50, epochs=1, batch=25, posterior=posterior, latent=6,
                  **SMALL).fit()  # fmt: skip  # pyright: ignore
    encoder, decoder = networks(study)
    assert list(encoder.outputs) == ["mean", "codes"]
    x = study.test[:20]
    mean, codes = outputs_of(encoder, x=x.floats())
    torch.testing.assert_close(codes, study.space.codes(x))
    torch.testing.assert_close(mean, study.encode(x), atol=1e-5, rtol=1e-4)
    (images,) = outputs_of(decoder, z=mean)
    torch.testing.assert_close(images, study.decode(mean), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("told", [{}, {"conditional": True}])
def test_a_ladder_keeps_the_layers_it_is_told_to_and_draws_the_others(told):
    study = made(model="ladder(levels=3, dims=4, width=8)", network="mlp(hidden=8)", **told)
    encoder, decoder = networks(study)
    x = study.test[:6]
    c = {"c": study.space.weights_of(x)} if told else {}
    mean, _, below = outputs_of(encoder, x=x.floats(), **c)
    layers = study.model.encode(x.floats(), c.get("c"))
    torch.testing.assert_close(below, torch.cat(layers[1:], 1), atol=1e-5, rtol=1e-4)
    every, none = torch.ones(6, 2), torch.zeros(6, 2)
    (kept,) = outputs_of(decoder, z=mean, below=below, keep=every, **c)
    torch.testing.assert_close(kept, study.reconstruct(x), atol=1e-5, rtol=1e-4)
    (top,) = outputs_of(decoder, z=mean, below=torch.zeros_like(below), keep=none, **c)
    torch.testing.assert_close(top, study.decode(mean, c.get("c")), atol=1e-5, rtol=1e-4)
    noise = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    (drawn,) = outputs_of(decoder, z=mean, below=noise, keep=none, **c)

    def choose(level, h, p):
        return mean if level == 0 else p.mean + p.stddev * noise[:, 4 * level - 4 : 4 * level]

    with torch.no_grad():
        expected = study.model.likelihood(study.model.descend(c.get("c"), choose)).mean
    torch.testing.assert_close(drawn, expected, atol=1e-5, rtol=1e-4)
    assert (drawn - top).abs().max() > 3e-5  # three times what is called the same above


@pytest.mark.parametrize("posterior", ["power-spherical", "von-mises-fisher"])
def test_codes_on_a_sphere_are_encoded_to_it_and_decoded_by_their_direction(posterior: str):
    study = made(posterior=posterior, latent=3, network="mlp(hidden=16)")
    encoder, decoder = networks(study)
    assert encoder.outputs == {"mean": ["batch", 3]}
    x, z = study.test[:7].floats(), torch.randn(7, 3)
    (mean,) = outputs_of(encoder, x=x)
    torch.testing.assert_close(mean, study.encode(x), atol=1e-5, rtol=1e-4)
    (near,), (far,) = (outputs_of(decoder, z=scale * z) for scale in (1, 5))
    torch.testing.assert_close(near, study.decode(z))
    torch.testing.assert_close(near, far)


def test_codes_in_a_ball_are_encoded_into_it_and_decoded_from_the_nearest_place():
    study = made(posterior="wrapped-normal", latent=3, network="mlp(hidden=16)")
    encoder, decoder = networks(study)
    x, z = study.test[:7].floats(), torch.nn.functional.normalize(torch.randn(7, 3), dim=-1)
    (mean,) = outputs_of(encoder, x=x)
    torch.testing.assert_close(mean, study.encode(x), atol=1e-5, rtol=1e-4)
    within, border, beyond = (outputs_of(decoder, z=scale * z)[0] for scale in (0.5, 1, 5))
    torch.testing.assert_close(within, study.decode(0.5 * z))
    torch.testing.assert_close(border, beyond)
    assert (within - border).abs().max() > 3e-5


def test_what_tracing_gets_wrong_is_captured(monkeypatch, study):
    """A trace that holds for its own batch alone, that is wrong, or that there is none of."""
    rightly, traced = onnx._captured, onnx._traced
    captured = []

    def note(part):
        captured.append(part.name)
        return rightly(part)

    def of_one_batch(part):
        made = load_from_string(traced(part))
        for end in (*made.graph.input, *made.graph.output):
            end.type.tensor_type.shape.dim[0].dim_value = onnx.COMPARED
        return made.SerializeToString()

    def refused(part):
        raise torch.onnx.errors.UnsupportedOperatorError("aten::nothing", 18, 19)

    monkeypatch.setattr(onnx, "_captured", note)
    for wrong in (of_one_batch, refused):
        captured.clear()
        monkeypatch.setattr(onnx, "_traced", wrong)
        _, decoder = networks(study)
        assert captured == ["encoder", "decoder"]
        assert decoder.worst < 1e-5


def test_tracing_is_enough_for_the_studys_networks(monkeypatch):
    monkeypatch.setattr(onnx, "_captured", None)
    for network in (SMALL["network"], "fourier(encoder_widths=[8], decoder_widths=[8])"):
        networks(made(network=network))


@pytest.mark.parametrize("worst", [1.1e-3, float("nan")])
def test_what_differs_from_pytorch_is_refused_and_nothing_written(
    study, tmp_path, monkeypatch, worst
):
    monkeypatch.setattr(onnx, "_onnx", lambda *given: b"")
    monkeypatch.setattr(onnx, "difference", lambda *given: worst)
    with pytest.raises(ExportError, match="differs from PyTorch"):
        export(study, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_difference_is_the_largest_of_all_outputs(study, exported):
    content, x = (exported / "encoder.onnx").read_bytes(), study.test[:5].floats()
    mean, log_var = study.encode_with_variance(x)
    assert log_var is not None
    log_var[3, 1] += 0.5
    assert onnx.difference(content, {"x": x}, (mean, log_var)) == pytest.approx(0.5, abs=1e-4)


def test_weights_of_half_the_size_give_nearly_the_same():
    study = made(network="conv")
    content = networks(study)[1].content
    small, z = halved(content), torch.randn(9, 2)
    assert len(small) < 0.8 * len(content)
    assert 0 < onnx.difference(small, {"z": z}, (study.decode(z),)) < 1e-4


def test_the_example_runs(exported, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["example", str(exported)])
    runpy.run_path(str(ROOT / "examples" / "onnx_in_ten_lines.py"))
    assert capsys.readouterr().out.startswith("(11, 1, 28, 28) pixels from 0.")


def test_the_command_prints_the_worst_difference(study, tmp_path, monkeypatch, capsys):
    from vaescape.pipeline import start, train

    monkeypatch.chdir(tmp_path)
    folder, untrained = start(study.configuration.with_changes(epochs=1, batch=25), name="r")
    train(folder, untrained)
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["vaescape", "export", str(folder)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    told = capsys.readouterr().out
    assert "decoder.onnx" in told
    assert "from PyTorch" in told
    assert sorted(p.name for p in (folder / "onnx").iterdir()) == [
        "decoder.onnx", "encoder.onnx", "onnx.json",
    ]  # fmt: skip


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def mass(k, loc, log_scale):
    """P(k) of a logistic in levels, as docs/export.md has it."""
    width = 255 * np.exp(log_scale)
    above = np.where(k == 255, 1, sigmoid((k + 0.5 - 255 * loc) / width))
    return above - np.where(k == 0, 0, sigmoid((k - 0.5 - 255 * loc) / width))


def softmax(logits, axis):
    e = np.exp(logits - logits.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def of_levels(x, logits):
    k = np.rint(255 * x).astype(int)
    return np.log(np.take_along_axis(softmax(logits, -1), k[..., None], -1)[..., 0])


def of_mixture(x, logits, loc, log_scale):
    each = mass(np.rint(255 * x)[:, None], loc, log_scale).prod(2)
    return np.log((softmax(logits, 1) * each).sum(1))


FORMULAS = {
    "cross-entropy": lambda x, y, logits: x * logits - np.logaddexp(0, logits),
    "bernoulli": lambda x, y, logits: x * logits - np.logaddexp(0, logits),
    "continuous-bernoulli": lambda x, y, logits: (
        x * logits - np.logaddexp(0, logits) + np.log(logits / np.tanh(logits / 2))
    ),
    "gaussian": lambda x, y, log_scale: (
        -0.5 * ((x - y) / np.exp(log_scale)) ** 2 - log_scale - 0.5 * np.log(2 * np.pi)
    ),
    "laplace": lambda x, y, log_scale: -np.abs(x - y) / np.exp(log_scale) - np.log(2) - log_scale,
    "discretised-logistic": lambda x, y, loc, log_scale: np.log(
        mass(np.rint(255 * x), loc, log_scale)
    ),
    "logistic-mixture": lambda x, y, logits, loc, log_scale: of_mixture(x, logits, loc, log_scale),
    "categorical": lambda x, y, logits: of_levels(x, logits),
}
LIKELIHOODS = {
    "cross-entropy": {}, "bernoulli": {"binarise": "fixed"}, "continuous-bernoulli": {},
    "gaussian(scale='fixed')": {}, "gaussian(scale='learned')": {}, "gaussian(scale='pixel')": {},
    "gaussian(scale='optimal')": {}, "laplace": {}, "laplace(learned=True)": {},
    "discretised-logistic": {}, "logistic-mixture(components=2)": {}, "categorical": {},
}  # fmt: skip


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_log_p_of_x_given_z_is_recomputed_in_numpy(likelihood, tmp_path):
    study = made(likelihood=likelihood, network="mlp(hidden=8)", **LIKELIHOODS[likelihood])
    with torch.no_grad():  # parameters that differ from pixel to pixel, and are not zero
        for value in study.model.likelihood.net.parameters():
            value += 0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0))
    export(study, tmp_path)
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    x = study.test[:5].floats()
    found = outputs(tmp_path / "decoder.onnx", z=z)
    y = found.pop("x")
    formula = FORMULAS[likelihood.partition("(")[0].removesuffix("-learned")]
    given = {name: np.asarray(value, np.float64) for name, value in found.items()}
    ours = formula(x.double().numpy(), y.astype(np.float64), **given).reshape(5, -1).sum(1)
    with torch.no_grad():
        theirs = study.model.decode((z,), None).log_prob(x)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=2e-4)


def test_the_documents_example_gives_log_p_as_it_is_printed(tmp_path, monkeypatch):
    study = made(likelihood="gaussian(scale='learned')", network="mlp(hidden=8)")
    export(study, tmp_path)
    monkeypatch.chdir(tmp_path)
    document = (ROOT / "docs" / "export.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    known = {"x": study.test[:7].floats().numpy()}
    exec(code, known)
    with torch.no_grad():
        p = study.model.decode((torch.from_numpy(known["z"]),), None)
    expected = p.log_prob(torch.from_numpy(known["x"]))
    np.testing.assert_allclose(known["log_p"], expected.numpy(), rtol=1e-5)


class Layered(torch.nn.Module):
    """A hierarchy that has what every model has, and no ``descend``."""

    def __init__(self, ladder) -> None:
        super().__init__()
        self.inner, self.posterior, self.layers = ladder, ladder.posterior, ladder.layers
        self.likelihood, self.prior = ladder.likelihood, ladder.prior
        self.condition, self.encode = ladder.condition, ladder.encode

    def decode(self, z, label=None):
        return self.inner.decode(z, label)


def test_a_hierarchy_that_is_no_ladder_is_decoded_from_its_top_layer(tmp_path):
    study = made(model="ladder(levels=2, dims=2)", network="mlp(hidden=8)", latent=3)
    study.space.model = Layered(study.model)  # pyright: ignore
    export(study, tmp_path)
    z = torch.randn(4, 3)
    session = onnxruntime.InferenceSession(tmp_path / "decoder.onnx")
    assert [each.name for each in session.get_inputs()] == ["z"]
    x = outputs(tmp_path / "decoder.onnx", z=z)["x"]
    with torch.no_grad():
        np.testing.assert_allclose(x, study.model.decode((z,)).mean.numpy(), atol=1e-4)


def test_an_encoder_by_bayes_rule_carries_its_decoder_and_not_what_it_says_at_the_grid_points():
    posterior = "bayes(points=16384, training_points=400)"
    network = "fourier(decoder_widths=[24], grids=[3, 24], grid_features=8)"
    settings = {"data": "shapes", "limit": 200, "epochs": 5, "batch": 20, "threads": 1}
    study = Study("swift", **settings, network=network, posterior=posterior).fit()
    (encoder, decoder), (quick, _) = networks(study), networks(study, half=True)
    points = 2 * 4 * 16384
    assert len(encoder.content) < len(decoder.content) + points + 60_000
    assert len(quick.content) < len(encoder.content) - points  # a page's: on the grid of training
