"""Where the mass of each posterior lies on a plane, for posteriors that are no diagonal Gaussians.

Those travel as means and log variances, and the page draws ellipses. Of any other q(z | x) the page
gets its density on a small grid of its own, and draws the regions that hold as much mass.
"""

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vaescape.explore import blobs
from vaescape.explore.view import Section, View

CELLS = 10
"""Along each side of the grid of an image."""
MOST = 10_000
"""Test images, at most."""
LEVELS = 16
"""Of density, 0 among them: half the bytes of 256, and outlines that look the same."""
DRAWS = 256
"""Of each posterior, by which its grid is laid."""
REACH = 3.0
"""Standard deviations of these from the middle of the grid to its border."""
AT_ONCE = 500


def masses(view: View) -> Section:
    """Return the densities of test images' posteriors, 255 at their highest, and their windows."""
    study = view.study
    known = view.codes.log_var is not None or view.density is None or not study.space.probabilistic
    if study.space.latent != 2 or known:
        return {"masses": None}, {}
    count = min(len(study.test), MOST)
    windows, values = [], []
    for start in range(0, count, AT_ONCE):
        q = study.space.posterior(study.test[start : min(start + AT_ONCE, count)])
        with study.space.inference(), torch.no_grad():
            window, density = on_grid(q)
        windows.append(window.cpu().numpy())
        values.append(density.cpu().numpy())
    about = {"first": len(study.train), "count": count, "side": CELLS}
    return {"masses": about}, {
        "mass_windows": blobs.quantised(np.concatenate(windows), "u16"),
        "mass_values": blobs.array(np.concatenate(values), "u8"),
    }


def on_grid(q: Distribution) -> tuple[Tensor, Tensor]:
    """Return windows (B, 4), low x, high x, low y, high y, and densities (B, CELLS, CELLS).

    The first row has the lowest y. Densities are relative to each grid's highest, 255.
    """
    z = q.sample(torch.Size([DRAWS]))
    middle, half = z.mean(0), (REACH * z.std(0)).clamp_min(1e-4)
    share = (torch.arange(CELLS, device=z.device) + 0.5) / CELLS * 2 - 1
    y, x = torch.meshgrid(share, share, indexing="ij")
    points = middle + torch.stack([x, y], -1)[:, :, None] * half
    log_q = q.log_prob(points).permute(2, 0, 1)
    relative = (log_q - log_q.amax((1, 2), keepdim=True)).exp().nan_to_num()
    low, high = middle - half, middle + half
    steps = (LEVELS - 1) * relative
    return torch.stack([low, high], -1).flatten(1), steps.round() * (255 // (LEVELS - 1))
