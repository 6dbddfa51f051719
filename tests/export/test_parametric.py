"""A network whose weights are inputs gives what the study gives, whatever weights it is given."""

import numpy as np
import pytest
import torch

from vaescape import Study
from vaescape.export.parametric import parametric

SMALL = {"network": "conv(channels=[4, 8], hidden=8)", "limit": 60, "batch": 20, "epochs": 1,
         "threads": 1}  # fmt: skip


def run(network, study, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        network.content, options, providers=["CPUExecutionProvider"]
    )
    flat, start, weights = network.weights(study.model), 0, {}
    for name, shape in zip(network.names, network.shapes, strict=True):
        size = int(np.prod(shape))
        weights[name] = flat[start : start + size].reshape(shape)
        start += size
    assert start == len(flat)
    return session.run(None, given | weights)  # pyright: ignore


@pytest.mark.parametrize("changes", [{}, {"conditional": True}], ids=["plain", "conditional"])
def test_one_file_does_for_every_moment_of_a_training(changes):
    study, other = (Study("first-look", seed=seed, **SMALL, **changes).fit() for seed in (0, 1))
    network = parametric(study)
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    label = torch.arange(5) % len(study.classes) if changes else None
    given = {"z": z.numpy()}
    given |= {"c": study.classes.weights(label).numpy()} if changes else {}
    for each in (study, other):
        (found,) = run(network, each, given)
        np.testing.assert_allclose(found, each.decode(z, label).numpy(), atol=1e-4)
    assert (study.decode(z, label) - other.decode(z, label)).abs().max() > 0.01
    assert all(name.startswith("model.likelihood") for name in network.names)


def test_the_encoder_likewise():
    study = Study("first-look", **SMALL).fit()
    network = parametric(study, "encoder")
    x = study.test.floats()[:3]
    mean, log_var = run(network, study, {"x": x.numpy()})
    expected = study.encode_with_variance(study.test[:3])
    np.testing.assert_allclose(mean, expected[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(log_var, expected[1].numpy(), atol=1e-4)  # pyright: ignore
