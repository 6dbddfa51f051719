from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vaescape.errors import ImageError
from vaescape.metrics import reconstruction
from vaescape.metrics.reconstruction import PSNR_CEILING, mirrored, mse, psnr, ssim, ssim_map


def pair(*shape, dtype=torch.float64, noise=0.2):
    generator = torch.Generator().manual_seed(1)
    x, e = (torch.rand(*shape, generator=generator, dtype=dtype) for _ in range(2))
    smooth = torch.nn.functional.avg_pool2d(x, 5, stride=1, padding=2)
    return smooth, (smooth + noise * (e - 0.5)).clamp(0, 1)


def reference_ssim(x, y, full=False):
    similarity: Any = structural_similarity(
        x.numpy(),
        y.numpy(),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=0,
        full=full,
    )
    return similarity[1] if full else float(similarity)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 20), (2, 11, 11)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_ssim_is_that_of_scikit_image(shape, dtype, tolerance):
    x, y = pair(4, *shape, dtype=dtype)
    expected = [reference_ssim(a.double(), b.double()) for a, b in zip(x, y, strict=True)]
    assert ssim(x, y).tolist() == pytest.approx(expected, abs=tolerance)
    assert max(expected) < 0.98  # so that a constant 1 would not pass


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 20), (2, 11, 11)])
def test_the_map_of_mirrored_images_is_that_of_scikit_image(shape):
    x, y = pair(4, *shape)
    expected = np.stack([reference_ssim(a, b, full=True) for a, b in zip(x, y, strict=True)])
    found = ssim_map(mirrored(x), mirrored(y))
    assert found.shape == x.shape
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 3, 6), (1, 1, 1)])
def test_images_are_mirrored_as_by_numpy_however_small(shape):
    x, _ = pair(2, *shape)
    by_numpy = np.pad(x, ((0, 0), (0, 0), (5, 5), (5, 5)), mode="symmetric")
    np.testing.assert_array_equal(mirrored(x), by_numpy)


def test_ssim_of_flat_images_in_single_precision_keeps_to_the_truth():
    x, y = torch.full((1, 1, 28, 28), 0.9), torch.full((1, 1, 28, 28), 0.8)
    luminance = (2 * 0.72 + 1e-4) / (0.81 + 0.64 + 1e-4)
    assert ssim(x, y).item() == pytest.approx(luminance, abs=1e-3)


def test_ssim_of_identical_images_is_one():
    x, _ = pair(2, 1, 28, 28)
    assert ssim(x, x).tolist() == [1.0, 1.0]


def test_ssim_does_not_depend_on_the_chunk(monkeypatch):
    x, y = pair(7, 1, 16, 16)
    whole = ssim(x, y)
    monkeypatch.setattr(reconstruction, "_IMAGES_AT_ONCE", 3)
    assert torch.equal(ssim(x, y), whole)


def test_ssim_refuses_images_smaller_than_its_window():
    x = torch.zeros(2, 1, 28, 10)
    with pytest.raises(ImageError, match=r"11 × 11 pixels, got images of 28 × 10.*enlarge"):
        ssim(x, x)


def test_psnr_is_that_of_scikit_image_for_every_image():
    x, y = pair(5, 1, 12, 12)
    expected = [
        peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=1.0)
        for a, b in zip(x, y, strict=True)
    ]
    assert psnr(x, y).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_psnr_of_identical_images_is_the_ceiling(dtype):
    x = torch.rand(3, 1, 12, 12, dtype=dtype)
    assert psnr(x, x).tolist() == pytest.approx([PSNR_CEILING] * 3, abs=1e-4)


def test_mse_is_a_mean_over_channels_and_pixels_of_each_image():
    x = torch.zeros(2, 3, 4, 5)
    y = torch.stack([torch.full((3, 4, 5), 0.5), torch.zeros(3, 4, 5)])
    y[1, 0, 0, 0] = 1
    assert mse(x, y).tolist() == pytest.approx([0.25, 1 / 60])


def test_means_over_images_do_not_depend_on_batches():
    x, y = pair(103, 1, 12, 12)
    for metric in (mse, psnr, ssim):
        parts = [metric(a, b) for a, b in zip(x.split(64), y.split(64), strict=True)]
        assert torch.cat(parts).mean().item() == pytest.approx(
            metric(x, y).mean().item(), abs=1e-14
        )


@pytest.mark.parametrize("metric", [mse, psnr, ssim])
def test_shapes_that_would_broadcast_are_refused(metric):
    x = torch.rand(4, 1, 12, 12)
    with pytest.raises(ImageError, match=r"got \(4, 1, 12, 12\) and \(1, 4, 1, 12, 12\)"):
        metric(x, x[None])
