"""The one-file example is the package's model: same weights, same loss at the same seed."""

import importlib.util
from pathlib import Path

import torch

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.recipes import configuration

PATH = Path(__file__).parents[2] / "examples" / "vae_in_one_file.py"


def example():
    spec = importlib.util.spec_from_file_location("vae_in_one_file", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_gives_the_packages_loss_and_gradients_at_the_same_seed():
    one_file = example()
    model, objective = build(configuration("paper").parts, shape=(1, 28, 28), seed=7)
    torch.manual_seed(7)
    encoder, decoder = one_file.Encoder(), one_file.Decoder()
    x = torch.rand(16, 1, 28, 28)
    torch.manual_seed(1)
    theirs = one_file.loss(encoder, decoder, x, beta=1.0)
    torch.manual_seed(1)
    ours = objective(model, Batch(x), torch.tensor(0.0)).total
    torch.testing.assert_close(ours, theirs)
    ours.backward()
    theirs.backward()
    pairs = zip(model.parameters(), [*encoder.parameters(), *decoder.parameters()], strict=True)
    for mine, other in pairs:
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-4)


def test_it_does_not_import_the_package_and_it_learns(capsys):
    assert "import vaescape" not in PATH.read_text()
    x = 0.3 * torch.rand(64, 1, 28, 28)
    example().train(x, epochs=2, batch=32)
    first, second = (float(line.split()[2]) for line in capsys.readouterr().out.splitlines())
    assert second < first
