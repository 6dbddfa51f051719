"""The distance to the nearest image is that of brute force, however few are measured."""

import pytest
import torch

from vaescape.metrics import nearest as module
from vaescape.metrics.nearest import Nearest


def brute(images, real):
    return torch.cdist(images.flatten(1).double(), real.flatten(1).double()).amin(1)


def smooth(n, seed):
    """Images that lie near a plane of twenty dimensions, as pictures of things do."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(20, 784, generator=torch.Generator().manual_seed(0))
    x = torch.randn(n, 20, generator=generator) @ basis
    return (x + 0.5 * torch.randn(n, 784, generator=generator)).reshape(n, 1, 28, 28)


def test_it_is_exactly_zero_for_real_images():
    real = torch.rand(300, 1, 28, 28)
    assert Nearest(real)(real[100:150]).tolist() == [0.0] * 50


@pytest.mark.parametrize("axes", [1, 12, 128])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_it_is_that_of_brute_force(axes, share, monkeypatch):
    """On axes good and bad, by candidates alone and by the product of all alone."""
    monkeypatch.setattr(module, "AXES", axes)
    monkeypatch.setattr(module, "_WORTH_IT", share)
    for images, real in (
        (smooth(60, 1), smooth(900, 2)),
        (torch.rand(50, 1, 6, 6), torch.rand(333, 1, 6, 6)),
    ):
        assert torch.allclose(Nearest(real)(images).double(), brute(images, real), atol=1e-4)


def test_it_does_not_depend_on_the_chunks(monkeypatch):
    images, real = smooth(50, 1), smooth(333, 2)
    whole = Nearest(real)(images)
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", 1000)
    monkeypatch.setattr(module, "_NUMBERS_AT_ONCE", 5000)
    for order in (real, real.flip(0)):
        assert torch.allclose(Nearest(order)(images), whole, atol=1e-4)


def test_few_are_measured_where_images_are_alike(monkeypatch):
    """Of 60 x 900 pairs, a few hundred, on principal axes; nearly all on a single axis."""
    measured = []
    monkeypatch.setattr(module, "_WORTH_IT", 1.0)
    real_norm = module.vector_norm

    def counted(x, **options):
        measured.append(len(x))
        return real_norm(x, **options)

    monkeypatch.setattr(module, "vector_norm", counted)
    find = Nearest(smooth(900, 2))
    measured.clear()
    find(smooth(60, 1))
    assert sum(measured) < 1000


def test_one_image_is_the_nearest_of_itself_alone():
    real = torch.rand(1, 1, 5, 5)
    images = torch.rand(3, 1, 5, 5)
    assert torch.allclose(Nearest(real)(images).double(), brute(images, real), atol=1e-6)
