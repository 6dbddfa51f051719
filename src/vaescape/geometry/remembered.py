"""A decoder of a plane that is evaluated once: images on a regular grid, then interpolated."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from vaescape.geometry.metric import Decoder, decoded

CELLS = 64
"""Nodes along each side of the grid."""

COMPONENTS, FINER = 64, 4
"""Principal components that are kept, at most; places kept for each node of a side."""

AT_ONCE = 500
"""Images decoded at once."""


def remembered(decode: Decoder, low: Float[Tensor, "2"], high: Float[Tensor, "2"]) -> Decoder:
    """Return a decoder of a rectangle of the plane that looks up what it once decoded.

    Distances between what it returns are those of the images. Of the images it keeps the
    coordinates along their principal components; between the nodes of a grid they follow cubic
    splines, kept at ``FINER`` times as many places and straight between those. Details finer than
    the grid are lost; outside the rectangle it goes on as at the border.

    Args:
        decode: Takes points (N, 2) to images (N, …).
        low: The corner of the smallest coordinates.
        high: The opposite corner.
    """
    with torch.no_grad():
        images = decoded(decode, grid_nodes(low, high, CELLS), chunk=AT_ONCE)
        images = (images - images.mean(0)).unflatten(0, (CELLS, CELLS))
        some = images[::4, ::4].flatten(0, 1)  # a sixteenth, as good for the components
        axes = torch.linalg.svd(some, full_matrices=False).Vh[:COMPONENTS]
        spline = _spline(CELLS).to(images)
        maps = (spline @ (images @ axes.T).permute(2, 1, 0) @ spline.T)[None]

    def look_up(z: Float[Tensor, "N 2"]) -> Float[Tensor, "N K"]:
        place = (2 * (z - low) / (high - low) - 1)[None, None]
        return grid_sample(maps, place, padding_mode="border", align_corners=True)[0, :, 0].T

    return look_up


def _spline(cells: int) -> Float[Tensor, "M cells"]:
    """Return the matrix that takes values at the nodes to those of their cubic spline between."""
    from scipy.interpolate import make_interp_spline

    finer = np.linspace(0, cells - 1, FINER * (cells - 1) + 1)
    return torch.from_numpy(make_interp_spline(np.arange(cells), np.eye(cells))(finer))


def grid_nodes(
    low: Float[Tensor, "2"], high: Float[Tensor, "2"], cells: int
) -> Float[Tensor, "M 2"]:
    """Return the nodes of a regular grid; the second coordinate changes fastest."""
    axes = [torch.linspace(float(x), float(y), cells) for x, y in zip(low, high, strict=True)]
    return torch.cartesian_prod(*axes).to(low)
