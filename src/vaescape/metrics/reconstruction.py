"""How close two sets of images are, image by image.

Every function takes float images of peak 1 and returns one number per image. Over a split each is
reported as the plain mean of those numbers: for PSNR the mean of the images' decibels, not the
decibels of the mean error.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.errors import ImageError

PSNR_CEILING = 100.0
"""Decibels of identical images: the error counts as at least 1e-10, so that a mean stays finite."""

_SIGMA, WINDOW = 1.5, 11  # pixels
_C1, _C2 = 0.01**2, 0.03**2
_IMAGES_AT_ONCE = 500


def mse(x: Float[Tensor, "N *image"], y: Float[Tensor, "N *image"]) -> Float[Tensor, " N"]:
    """Return each image's squared error, averaged over channels and pixels.

    Raises:
        ImageError: If the two sets differ in shape.
    """
    _check_pairs(x, y)
    return (x - y).square().flatten(1).mean(1)


def psnr(x: Float[Tensor, "N *image"], y: Float[Tensor, "N *image"]) -> Float[Tensor, " N"]:
    """Return each image's peak signal-to-noise ratio, −10 log₁₀ MSE, in decibels for a peak of 1.

    At most `PSNR_CEILING`, which is what identical images get.

    Raises:
        ImageError: If the two sets differ in shape.
    """
    return -10 * mse(x, y).clamp_min(10 ** (-PSNR_CEILING / 10)).log10()


def ssim(x: Float[Tensor, "N C H W"], y: Float[Tensor, "N C H W"]) -> Float[Tensor, " N"]:
    """Return each image's mean structural similarity, in [−1, 1], with 1 for identical images.

    Wang et al. (2004), equation 13, as they compute it: a Gaussian window of 11 × 11 pixels with a
    σ of 1.5, K₁ = 0.01, K₂ = 0.03, data range 1, population statistics, whole windows only.
    Channels are averaged.

    Raises:
        ImageError: If the two sets differ in shape, or a side is shorter than the window.
    """
    _check_pairs(x, y)
    if min(x.shape[-2:]) < WINDOW:
        height, width = x.shape[-2:]
        raise ImageError(
            f"SSIM looks through a window of {WINDOW} × {WINDOW} pixels, got images of "
            f"{height} × {width}. Use mse or psnr, or enlarge the images first."
        )
    pieces = zip(x.split(_IMAGES_AT_ONCE), y.split(_IMAGES_AT_ONCE), strict=True)
    return torch.cat([ssim_map(a, b).flatten(1).mean(1) for a, b in pieces])


def ssim_map(
    x: Float[Tensor, "*S C H W"], y: Float[Tensor, "*S C H W"]
) -> Float[Tensor, "*S C h w"]:
    """Return the structural similarity in every whole window; the two sets may be broadcast."""
    mean_x, mean_y, xx, yy, xy = map(_window_mean, (x, y, x * x, y * y, x * y))
    variances = xx - mean_x**2 + yy - mean_y**2
    covariance = xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return luminance * (2 * covariance + _C2) / (variances + _C2)


def mirrored(image: Float[Tensor, "*S C H W"]) -> Float[Tensor, "*S C h w"]:
    """Return images with half a window more on each side, so that each pixel has a whole one.

    They are mirrored at their edges, the outermost pixels included, as often as it takes.
    """
    for axis in (-2, -1):
        side, half = image.shape[axis], WINDOW // 2
        at = torch.arange(-half, side + half, device=image.device) % (2 * side)
        image = image.index_select(axis, torch.minimum(at, 2 * side - 1 - at))
    return image


def _window_mean(image: Float[Tensor, "*S C H W"]) -> Float[Tensor, "*S C h w"]:
    """Return the Gaussian-weighted mean of every window that lies inside the image.

    Shifted sums rather than a convolution, which a GPU may compute in TF32: variances are
    differences of near-equals.
    """
    for axis in (-2, -1):
        inside = image.shape[axis] - WINDOW + 1
        shifted = (w * image.narrow(axis, i, inside) for i, w in enumerate(_weights()))
        image = sum(shifted, image.new_zeros(()))
    return image


def _weights() -> list[float]:
    bell = [math.exp(-(((i - WINDOW // 2) / _SIGMA) ** 2) / 2) for i in range(WINDOW)]
    return [w / sum(bell) for w in bell]


def _check_pairs(x: Tensor, y: Tensor) -> None:
    if x.shape != y.shape:
        raise ImageError(
            f"Images are compared one to one, got {tuple(x.shape)} and {tuple(y.shape)}. "
            "Give both sets the same shape."
        )
