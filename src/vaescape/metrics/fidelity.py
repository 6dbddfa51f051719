"""Fidelity and diversity of samples, from a comparison of two sets of images.

Everything here takes features, one row for each image; :func:`untrained_features` makes some.
``DEFINITIONS`` states each measure in one sentence.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vaescape.errors import OptionError

DEFINITIONS = {
    "precision": (
        "Share of the samples that are closer to some real image than that image's k-th nearest "
        "real neighbour is (Kynkäänniemi et al. 2019; k = 5): whether samples look real."
    ),
    "recall": (
        "Share of the real images that are closer to some sample than that sample's k-th nearest "
        "sample is: whether samples cover the real images."
    ),
    "density": (
        "Mean number of real images that are closer to the sample than to their k-th nearest real "
        "neighbour, divided by k (Naeem et al. 2020): like precision, but robust to outliers among "
        "the real images; it may exceed 1."
    ),
    "coverage": (
        "Share of the real images that have a sample closer than their k-th nearest real "
        "neighbour: like recall, but samples far from all real images do not raise it."
    ),
    "mmd2": (
        "Unbiased estimate of the squared maximum mean discrepancy with kernel (x·y / F + 1)³ of F "
        "features (Bińkowski et al. 2018): 0 in expectation for samples of the same distribution; "
        "an estimate may be negative."
    ),
}
"""What each measure is: printed in the report."""

K = 5
"""Neighbours: the k of Naeem et al. (2020)."""

WIDTHS, FEATURES = (16, 32, 64), 64
"""Of the untrained network."""

_ROWS_AT_ONCE = 500
_IMAGES_AT_ONCE = 100


class Overlap(NamedTuple):
    """How two sets of features overlap; each number as ``DEFINITIONS`` has it."""

    precision: float
    recall: float
    density: float
    coverage: float


def overlap(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"], *, k: int = K) -> Overlap:
    """Return precision and recall, density and coverage of samples among real images.

    Distances are Euclidean, in the precision of the features; memory grows with N + M.

    Raises:
        OptionError: Unless each set has more than k rows.
    """
    if not 1 <= k < min(len(real), len(fake)):
        raise OptionError(
            f"k must be from 1 to below {min(len(real), len(fake))}, the smaller number of images. "
            f"Got {k}. Take a smaller k or more images."
        )
    middle = real.mean(0)  # products round distances off least about it
    real, fake = real - middle, fake - middle
    around_real, around_fake = _radii(real, k), _radii(fake, k)
    holds, reached, covered = torch.zeros(len(fake)), [], []
    for rows in torch.arange(len(real)).split(_ROWS_AT_ONCE):
        apart = torch.cdist(real[rows], fake)
        within = apart < around_real[rows, None]
        holds += within.sum(0)
        covered.append(within.any(1))
        reached.append((apart < around_fake).any(1))
    return Overlap(
        precision=_share(holds > 0),
        recall=_share(torch.cat(reached)),
        density=holds.mean().item() / k,
        coverage=_share(torch.cat(covered)),
    )


def _radii(x: Float[Tensor, "N F"], k: int) -> Float[Tensor, " N"]:
    """Return the distance from each row to its k-th nearest other."""
    with_itself = k + 1
    parts = x.split(_ROWS_AT_ONCE)
    return torch.cat([torch.cdist(part, x).kthvalue(with_itself).values for part in parts])


def _share(which: Tensor) -> float:
    return which.double().mean().item()


def cubic_mmd2(x: Float[Tensor, "N F"], y: Float[Tensor, "M F"]) -> float:
    """Return the squared maximum mean discrepancy of two sets, without bias, two rows or more each.

    The kernel, and the estimate, are those of the Kernel Inception Distance; but features of other
    networks than Inception's give numbers of their own.
    """
    (n, m), (x, y) = (len(x), len(y)), (x.double(), y.double())
    within = [(_kernel_sum(a, a) - _kernel(a.square().sum(1), a).sum().item()) for a in (x, y)]
    return within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * _kernel_sum(x, y) / (n * m)


def _kernel_sum(x: Float[Tensor, "N F"], y: Float[Tensor, "M F"]) -> float:
    return sum(_kernel(rows @ y.T, y).sum().item() for rows in x.split(_ROWS_AT_ONCE))


def _kernel(product: Tensor, features: Float[Tensor, "N F"]) -> Tensor:
    return (product / features.shape[1] + 1) ** 3


def untrained_features(images: Float[Tensor, "N C H W"], *, seed: int = 0) -> Float[Tensor, "N F"]:
    """Return the features of images, pixels in [0, 1], in an untrained convolutional network.

    Naeem et al. (2020) take random weights for images unlike those that networks are trained on.
    Here three layers of 3 × 3 convolutions from N(0, 2 / inputs), each with a ReLU and halved, then
    a random projection: the same numbers for every data set of one shape, and no labels. In pixels
    or their principal components a blurred image has more real neighbours than a real one.
    """
    random = torch.Generator().manual_seed(seed)
    kernels, channels = [], images.shape[1]
    for width in WIDTHS:
        kernel = torch.randn(width, channels, 3, 3, generator=random)
        kernels.append(kernel * math.sqrt(2 / (9 * channels)))
        channels = width
    parts = torch.cat([_maps(part, kernels) for part in images.split(_IMAGES_AT_ONCE)])
    projection = torch.randn(parts.shape[1], FEATURES, generator=random)
    return parts @ projection / math.sqrt(parts.shape[1])


def _maps(x: Float[Tensor, "N C H W"], kernels: list[Tensor]) -> Float[Tensor, "N P"]:
    x = x - 0.5
    for kernel in kernels:
        x = F.avg_pool2d(F.conv2d(x, kernel, padding=1).relu(), 2, ceil_mode=True)
    return x.flatten(1)


def standardised(
    features: Float[Tensor, "N F"], like: Float[Tensor, "M F"]
) -> Float[Tensor, "N F"]:
    """Return features less the mean of those of other images, in units of their deviation."""
    spread = like.std(0)
    return (features - like.mean(0)) / spread.where(spread > 0, 1)
