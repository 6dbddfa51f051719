import subprocess
import sys
from typing import Any

import pytest
import torch
from surfaces import MATRIX, cylinder, linear_decoder, random, sphere
from torch import nn

from vaescape.geometry import metric as metrics
from vaescape.geometry.metric import decoded, fisher_rao_metric, pullback_metric


def network() -> nn.Module:
    """A decoder with what decoders have: transposed convolutions, batch norm, dropout."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 16), nn.ReLU(), nn.Unflatten(1, (4, 2, 2)),
        nn.ConvTranspose2d(4, 3, 3, stride=2), nn.BatchNorm2d(3), nn.SiLU(), nn.Dropout(),
        nn.ConvTranspose2d(3, 1, 3, stride=2), nn.Sigmoid(),
    ).double().eval()  # fmt: skip


def test_a_linear_decoder_has_a_constant_metric():
    G = pullback_metric(linear_decoder, random(4, 5, 2))
    torch.testing.assert_close(G, (MATRIX.T @ MATRIX).expand(4, 5, 2, 2))


def test_the_sphere_has_its_metric_and_its_volume():
    z = random(50, 2)
    cos = z[:, 1].cos()
    G = pullback_metric(sphere, z)
    torch.testing.assert_close(G, torch.diag_embed(torch.stack([cos**2, torch.ones(50)], -1)))
    torch.testing.assert_close(G.det().sqrt(), cos.abs())


def test_the_cylinder_is_flat():
    G = pullback_metric(cylinder, random(9, 2))
    torch.testing.assert_close(G, torch.eye(2).double().expand(9, 2, 2))


def test_the_metric_agrees_with_finite_differences():
    decode, z, h = network(), random(6, 3), 1e-5
    columns = [
        (decode(z + h * e) - decode(z - h * e)).flatten(1) / (2 * h) for e in torch.eye(3).double()
    ]
    J = torch.stack(columns, -1).detach()
    assert J.abs().max() > 0.01
    found = pullback_metric(decode, z).detach()
    torch.testing.assert_close(found, J.mT @ J, rtol=1e-4, atol=1e-7)


def test_metrics_work_where_gradients_are_off():
    decode, z = network(), random(6, 3)
    with torch.no_grad():
        found = pullback_metric(decode, z)
    torch.testing.assert_close(found, pullback_metric(decode, z))
    assert not found.requires_grad


def test_a_metric_can_be_differentiated():
    z = random(4, 2).requires_grad_()
    pullback_metric(sphere, z).det().sqrt().sum().backward()
    torch.testing.assert_close(z.grad[:, 1], -z[:, 1].sin() * z[:, 1].cos().sign())  # pyright: ignore


def test_the_first_metric_does_not_load_pytorchs_compiler():
    code = (
        "import sys, torch; from vaescape.geometry.metric import pullback_metric; "
        "pullback_metric(torch.nn.Linear(2, 3), torch.zeros(1, 2)); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_metrics_do_not_depend_on_the_chunk(monkeypatch, chunk: int):
    decode, z = network(), random(23, 3)

    def coordinates(z):
        return decode(z), decode(z).square()

    pairs: list[Any] = [(pullback_metric, decode), (fisher_rao_metric, coordinates)]
    for metric, given in pairs:
        whole = metric(given, z)
        with monkeypatch.context() as patch:
            patch.setattr(metrics, "AT_ONCE", chunk)
            torch.testing.assert_close(metric(given, z), whole)
    path = random(4, 5, 3)
    torch.testing.assert_close(decoded(decode, path, chunk=chunk), decoded(decode, path))
