"""The network with random Fourier features of the code."""

from pathlib import Path

import numpy as np
import pytest
import scipy.interpolate
import torch

from vaescape import Study
from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct
from vaescape.errors import ComponentError
from vaescape.nets.fourier import Centre, Grids, Waves, splines
from vaescape.recipes import Parts
from vaescape.train.weights import pack, restore

SHAPE = (1, 4, 5)
PIXELS = torch.linspace(0, 255, 20).round().byte().view(1, *SHAPE)
MEAN = PIXELS[0] / 255


def test_the_features_are_sines_and_cosines_beside_the_code():
    torch.manual_seed(0)
    waves = Waves(2, 3, scale=2.0)
    z = torch.tensor([[0.5, -1.0]])
    found, phase = waves(z)[0], (z @ waves.frequencies)[0]
    expected = [*z[0], *[p.sin() for p in phase], *[p.cos() for p in phase]]
    torch.testing.assert_close(found, torch.stack(expected))


def test_the_frequencies_have_the_scale_asked_for():
    torch.manual_seed(0)
    assert Waves(2, 5000, scale=3.0).frequencies.std() == pytest.approx(3.0, rel=0.02)


def test_phases_keep_their_digits_under_bfloat16():
    waves, z = Waves(2, 16, scale=4.0), 3 * torch.randn(50, 2)
    with torch.autocast("cpu", torch.bfloat16):
        inside = waves(z)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, waves(z))


@pytest.mark.parametrize(("size", "grids"), [(1, 1), (2, 1), (3, 3)])
def test_a_code_reads_the_features_near_it_by_splines_at_even_quantiles(size: int, grids: int):
    torch.manual_seed(0)
    layer, z = Grids(size, (3, 5), channels=4), torch.randn(7, size)
    u = torch.distributions.Normal(0.0, 1.0).cdf(z.double())
    pairs = [(a, b) for a in range(size) for b in range(a + 1, size)] or [(0,)]
    rows = []
    for n, code in enumerate(u):
        row = []
        for side, values in zip(layer.sides, layer.values, strict=True):
            bases = scipy.interpolate.BSpline(np.arange(side + 5) - 2.5, np.eye(side + 2), 2)(
                code.numpy() * (side - 1)
            )  # a row for each dimension, a column for each point
            bases[:, 1] += bases[:, 0]
            bases[:, -2] += bases[:, -1]
            bases = torch.from_numpy(bases[:, 1:-1])
            for pair, value in zip(
                pairs, values.double().split(side ** len(pairs[0])), strict=True
            ):
                weights = bases[pair[0]]
                for axis in pair[1:]:
                    weights = torch.outer(weights, bases[axis]).flatten()
                row += [weights @ value]
        rows.append(torch.cat(row))
        assert len(rows[n]) == layer.features == 2 * grids * 4
    torch.testing.assert_close(layer(z).double(), torch.stack(rows), rtol=1e-4, atol=1e-5)


def test_a_grid_favours_no_place_and_has_a_continuous_slope():
    """The splines sum to 1; where the nearest point changes, value and slope go on."""
    edge = torch.tensor(2.5, dtype=torch.float64)
    sides = []
    for t in (edge - 1e-9, edge + 1e-9):
        t.requires_grad_()
        near, weights = splines(t, 8)
        assert weights.sum().item() == pytest.approx(1)
        value = (weights * torch.arange(8.0).square()[near]).sum()
        sides.append((value.item(), *[g.item() for g in torch.autograd.grad(value, t)]))
    assert sides[0] == pytest.approx(sides[1], abs=1e-7)


def test_feature_grids_of_many_dimensions_are_refused():
    with pytest.raises(ComponentError, match="up to 8 latent dimensions, not 9"):
        build(Parts(network="fourier(grids=[4])", latent=9), shape=SHAPE)


def test_the_encoder_sees_the_image_less_the_mean():
    network = construct("network", "fourier", mean_image=MEAN)
    centre = network.encoder(SHAPE, 4)[0]
    assert isinstance(centre, Centre)
    assert torch.equal(centre(MEAN[None]), torch.zeros(1, *SHAPE))


def test_a_conditional_encoder_takes_the_mean_off_the_image_and_not_off_the_class():
    parts = Parts(network="fourier", conditional=True)
    model, _ = build(parts, shape=SHAPE, classes=3, pixels=PIXELS)
    assert torch.equal(model.posterior.net[0].mean, torch.cat([MEAN, torch.zeros(3, 4, 5)]))
    again, _ = build(parts, shape=SHAPE, classes=3)
    again.load_state_dict(model.state_dict())


def test_the_decoder_starts_at_the_mean_image():
    network = construct("network", "fourier", mean_image=MEAN)
    last = network.decoder(2, SHAPE)[-2]
    torch.testing.assert_close(last.bias.sigmoid().view(SHAPE), MEAN.clamp(1e-3, 1 - 1e-3))


def test_a_likelihood_of_several_numbers_per_pixel_starts_anywhere():
    parts = Parts(network="fourier", likelihood="categorical")
    model, objective = build(parts, shape=SHAPE, pixels=PIXELS)
    assert objective(model, Batch(torch.rand(3, *SHAPE)), torch.ones(())).total.isfinite()


def test_weights_bring_frequencies_and_mean_image_with_them():
    parts = Parts(network="fourier(features=3)")
    trained, _ = build(parts, shape=SHAPE, seed=1, pixels=PIXELS)
    loaded, _ = build(parts, shape=SHAPE, seed=2)
    restore(pack(trained.state_dict(), {}), loaded, Path("w"))
    z, x = torch.randn(6, 2), torch.rand(6, *SHAPE)
    assert torch.equal(trained.decode((z,)).mean, loaded.decode((z,)).mean)
    assert torch.equal(trained.encode(x)[0], loaded.encode(x)[0])


def test_a_study_gives_the_mean_of_its_training_images():
    study = Study("first-look", network="fourier", limit=50)
    exact = study.train.floats().double().mean(0)
    centre = study.model.posterior.net[0]
    torch.testing.assert_close(centre.mean.double(), exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("option", ["dropout=0.5", "blindness=0.5"])
def test_what_is_left_out_in_training_is_there_in_evaluation(option: str):
    model, _ = build(Parts(network=f"fourier({option})"), shape=SHAPE)
    x = torch.rand(8, *SHAPE)

    def through() -> torch.Tensor:
        return model.decode(model.encode(x)).mean

    torch.manual_seed(0)
    assert not torch.equal(through(), through())
    model.eval()
    assert torch.equal(through(), through())


def test_every_weight_of_a_residual_decoder_learns():
    model, objective = build(
        Parts(network="fourier(blocks=2, activation='gelu', grids=[2, 3], grid_features=5)"),
        shape=SHAPE,
        pixels=PIXELS,
    )
    objective(model, Batch(torch.rand(6, *SHAPE)), torch.ones(())).total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("encoder_widths=[]", "encoder_widths must be one or more"),
        ("decoder_widths=7", "decoder_widths must be one or more"),
        ("features=-1", "features must be 0 or more"),
        ("grids=[1]", "grids must be 2 or more points each"),
        ("grids=[4.5]", "grids must be one or more"),
        ("grid_features=0", "grid_features must be 1 or more"),
        ("scale=0", "scale must be a number above 0"),
        ("dropout=1", "dropout must be a share"),
        ("activation='relo'", "activation must be one of relu, gelu, silu"),
        ("mean_image=1", "mean_image is set by the run itself"),
    ],
)
def test_impossible_values_are_refused(arguments: str, message: str):
    with pytest.raises(ComponentError, match=message):
        build(Parts(network=f"fourier({arguments})"), shape=SHAPE)
