import time

import numpy as np
import pytest
import torch

from vaescape.components import construct
from vaescape.data.shapes import Shapes
from vaescape.errors import ComponentError


@pytest.fixture(scope="module")
def shapes() -> Shapes:
    return Shapes(images=1024)


def test_a_pure_function_of_the_arguments(shapes):
    assert shapes.digest() == Shapes(images=1024).digest()
    assert shapes.digest() != Shapes(images=1024, seed=1).digest()


def test_sizes_labels_and_factors(shapes):
    train, test = shapes.load("train"), shapes.load("test")
    assert train.pixels.shape == (1024, 1, 28, 28)
    assert len(test) == 256
    assert train.labels.bincount().tolist() == [256] * 4
    assert train.factors is not None
    assert train.factors.shape == (1024, len(shapes.factors))
    assert torch.equal(train.factors[:, 0].long(), train.labels)


def test_train_and_test_share_no_image(shapes):
    rows = [{image.numpy().tobytes() for image in shapes.load(s).pixels} for s in ("train", "test")]
    assert not rows[0] & rows[1]
    assert len(rows[0]) == 1024


def test_no_shape_touches_the_border(shapes):
    pixels = shapes.load("train").pixels
    for side in (pixels[:, 0, 0], pixels[:, 0, -1], pixels[:, 0, :, 0], pixels[:, 0, :, -1]):
        assert side.max() == 0
    assert pixels.flatten(1).amax(dim=1).min() == 255


def test_edges_are_antialiased(shapes):
    pixels = shapes.load("train").pixels
    grey = ((pixels > 0) & (pixels < 255)).float().mean()
    assert 0.02 < grey < 0.1


def test_the_factors_say_where_and_how_large():
    """Centres of mass and areas, measured on the pixels, against the factors."""
    images = Shapes(images=400, size=64).load("train")
    assert images.factors is not None
    weight = images.floats()[:, 0].double().numpy()
    label, scale, _, x, y = images.factors.double().numpy().T
    mass = weight.sum((1, 2))
    centres = (np.arange(64) + 0.5) / 64
    mean_x, mean_y = (weight.sum(axis) @ centres / mass for axis in (1, 2))
    symmetric = label < 3
    assert np.abs(mean_x - x)[symmetric].max() < 0.01
    assert np.abs(mean_y - y)[symmetric].max() < 0.01
    areas = {0: 1.5**2, 1: np.pi / 2, 2: 3 * np.sqrt(3) / 4, 3: 1 + np.pi / 4}
    for kind, area in areas.items():
        mine = label == kind
        np.testing.assert_allclose(mass[mine] / 64**2, area * scale[mine] ** 2, rtol=0.02)


def test_orientation_turns_the_shape():
    """The ellipse's long axis, from its second moments, lies along its orientation."""
    images = Shapes(images=400, size=64).load("train")
    assert images.factors is not None
    mine = images.labels == 1
    weight = images.floats()[mine, 0].double().numpy()
    turn = images.factors[mine, 2].double().numpy()
    rows, columns = np.mgrid[:64, :64]
    mass = weight.sum((1, 2))
    u = columns - ((weight * columns).sum((1, 2)) / mass)[:, None, None]
    v = rows - ((weight * rows).sum((1, 2)) / mass)[:, None, None]
    xx, yy, xy = ((weight * m).sum((1, 2)) for m in (u * u, v * v, u * v))
    axis = np.arctan2(2 * xy, xx - yy) / 2
    off = (axis - turn + np.pi / 2) % np.pi - np.pi / 2
    assert np.abs(off).max() < 0.06


def test_4096_images_take_less_than_seconds():
    start = time.perf_counter()
    Shapes().load("train")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("shapes(images=2)", "images must be 4 or more"),
        ("shapes(size=2)", "size must be between 8 and 512"),
        ("shapes(seed=-1)", "seed must be 0 or more"),
        ("shapes(sise=28)", "Did you mean 'size'"),
    ],
)
def test_impossible_values(spec, told):
    with pytest.raises(ComponentError, match=told):
        construct("data", spec)
