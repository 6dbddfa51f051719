import math
import subprocess
import sys

import pytest
import torch
from surfaces import MATRIX, cylinder, linear_decoder, random, sphere
from torch import nn

from vaescape.geometry.metric import (
    decoded,
    expected_metric,
    fisher_rao_metric,
    jacobian,
    metric_energy,
    metric_length,
    pullback_metric,
    volume,
)
from vaescape.geometry.paths import linear, polyline_energy, polyline_length


def network() -> nn.Module:
    """A decoder with what decoders have: transposed convolutions, batch norm, dropout."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 16), nn.ReLU(), nn.Unflatten(1, (4, 2, 2)),
        nn.ConvTranspose2d(4, 3, 3, stride=2), nn.BatchNorm2d(3), nn.SiLU(), nn.Dropout(),
        nn.ConvTranspose2d(3, 1, 3, stride=2), nn.Sigmoid(),
    ).double().eval()  # fmt: skip


def test_t33_a_linear_decoder_has_a_constant_metric():
    G = pullback_metric(linear_decoder, random(4, 5, 2))
    torch.testing.assert_close(G, (MATRIX.T @ MATRIX).expand(4, 5, 2, 2))


def test_t33_the_sphere_has_its_metric_and_its_volume():
    z = random(50, 2)
    cos = z[:, 1].cos()
    G = pullback_metric(sphere, z)
    torch.testing.assert_close(G, torch.diag_embed(torch.stack([cos**2, torch.ones(50)], -1)))
    torch.testing.assert_close(volume(G), cos.abs())


def test_the_cylinder_is_flat():
    G = pullback_metric(cylinder, random(9, 2))
    torch.testing.assert_close(G, torch.eye(2).double().expand(9, 2, 2))


def test_t33_the_jacobian_agrees_with_finite_differences():
    decode, z, h = network(), random(6, 3), 1e-5
    columns = [
        (decode(z + h * e) - decode(z - h * e)).flatten(1) / (2 * h) for e in torch.eye(3).double()
    ]
    expected = torch.stack(columns, -1).detach()
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(jacobian(decode, z).detach(), expected, rtol=1e-4, atol=1e-7)


def test_metrics_work_where_gradients_are_off():
    decode, z = network(), random(6, 3)
    with torch.no_grad():
        found = pullback_metric(decode, z)
    torch.testing.assert_close(found, pullback_metric(decode, z))
    assert not found.requires_grad


def test_a_metric_can_be_differentiated():
    z = random(4, 2).requires_grad_()
    volume(pullback_metric(sphere, z)).sum().backward()
    torch.testing.assert_close(z.grad[:, 1], -z[:, 1].sin() * z[:, 1].cos().sign())  # pyright: ignore


def test_the_first_metric_does_not_load_pytorchs_compiler():
    code = (
        "import sys, torch; from vaescape.geometry.metric import pullback_metric; "
        "pullback_metric(torch.nn.Linear(2, 3), torch.zeros(1, 2)); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_metrics_do_not_depend_on_the_chunk(chunk: int):
    decode, z = network(), random(23, 3)

    def coordinates(z):
        return decode(z), decode(z).square()

    for metric, given in ((pullback_metric, decode), (fisher_rao_metric, coordinates)):
        torch.testing.assert_close(metric(given, z, chunk=chunk), metric(given, z))  # pyright: ignore
    path = random(4, 5, 3)
    torch.testing.assert_close(decoded(decode, path, chunk=chunk), decoded(decode, path))


def test_t33_the_spread_of_the_decoder_counts_in_the_expected_metric():
    def scale(z):
        return 3 * z

    G = expected_metric(linear_decoder, scale, random(5, 2))
    torch.testing.assert_close(G, (MATRIX.T @ MATRIX + 9 * torch.eye(2)).expand(5, 2, 2))


def test_the_volume_of_a_flat_place_is_zero():
    def flat(z):
        return z[:, :1]

    assert volume(pullback_metric(flat, random(4, 2))).tolist() == [0, 0, 0, 0]


def test_lengths_and_energies_of_a_meridian():
    half = torch.tensor([0.0, 0.0]).double(), torch.tensor([0.0, math.pi / 2]).double()
    path = linear(*half, torch.linspace(0, 1, 201))
    x = decoded(sphere, path)

    def metric(z):
        return pullback_metric(sphere, z)

    for length in (polyline_length(x), metric_length(metric, path)):
        assert length.item() == pytest.approx(math.pi / 2, rel=1e-4)
    for energy in (polyline_energy(x), metric_energy(metric, path)):
        assert energy.item() == pytest.approx(math.pi**2 / 8, rel=1e-4)


def test_t33_length_stays_and_energy_grows_when_the_speed_changes():
    a, b = random(2), random(2, seed=1)
    even, uneven = (linear(a, b, torch.linspace(0, 1, 401).double() ** k) for k in (1, 2))

    def metric(z):
        return pullback_metric(sphere, z)

    for length in (
        lambda p: polyline_length(decoded(sphere, p)),
        lambda p: metric_length(metric, p),
    ):
        torch.testing.assert_close(length(uneven), length(even), rtol=1e-4, atol=0)
    assert metric_energy(metric, uneven) > 1.1 * metric_energy(metric, even)


def test_energy_is_at_least_half_the_squared_length_and_equals_it_at_constant_speed():
    paths = random(100, 12, 3)
    length, energy = polyline_length(paths), polyline_energy(paths)
    assert (energy > 1.01 * length**2 / 2).all()
    even = linear(paths[:, 0], paths[:, 1], torch.linspace(0, 1, 9))
    torch.testing.assert_close(polyline_energy(even), polyline_length(even) ** 2 / 2)
    images = decoded(sphere, paths[..., :2])

    def metric(z):
        return pullback_metric(sphere, z)

    assert (polyline_energy(images) >= polyline_length(images) ** 2 / 2).all()
    lengths = metric_length(metric, paths[..., :2])
    assert (metric_energy(metric, paths[..., :2]) >= lengths**2 / 2).all()
