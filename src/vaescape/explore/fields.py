"""Quantities over a window of a two-dimensional latent space, on a regular grid.

Row 0 is the top, where the second coordinate is largest, and column 0 the left.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.distributions.base import Event
from vaescape.geometry.metric import pullback_metric
from vaescape.latent_space import AT_ONCE
from vaescape.study import Study

MARGIN = 0.08
"""Around the codes, as a share of the side of the square that holds them."""


@dataclass(frozen=True)
class Window:
    """A square of the plane."""

    x: tuple[float, float]
    y: tuple[float, float]

    def axes(self, cells: int) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Return the centres of so many cells a side: left to right, top to bottom."""
        share = (torch.arange(cells) + 0.5) / cells
        along = [low + share * (high - low) for low, high in (self.x, self.y)]
        return along[0], along[1].flip(0)

    def grid(self, cells: int) -> Float[Tensor, "n n 2"]:
        """Return the centres of the cells, the top row first."""
        return torch.stack(torch.meshgrid(*self.axes(cells), indexing="xy"), -1)

    def to_dict(self) -> dict[str, list[float]]:
        """Return the limits."""
        return {"x": list(self.x), "y": list(self.y)}


def window(points: Float[Tensor, "N 2"]) -> Window:
    """Return the smallest square, with a margin, that holds all but a thousandth on each side."""
    low, high = (torch.quantile(points.double(), q, dim=0) for q in (0.001, 0.999))
    half = float((high - low).max().clamp_min(1e-3)) * (0.5 + MARGIN)
    x, y = ((low + high) / 2).tolist()
    return Window((x - half, x + half), (y - half, y + half))


def decoder(study: Study) -> Callable[[Float[Tensor, "N D"]], Event]:
    """Return p(x | z) as a function of z, with derivatives; if conditional, as the first class."""
    c = study.classes.weights(0 if study.space.conditions else None).to(study.device)
    return lambda z: study.model.decode((study.space.support.nearest(z),), c.expand(len(z), -1))


def metric(study: Study, points: Float[Tensor, "*S D"]) -> Float[Tensor, "*S D D"]:
    """Return JᵀJ of the decoder's mean: the pull-back of the distance of images."""
    given = decoder(study)
    with torch.no_grad():
        return pullback_metric(lambda z: given(z).mean, points.to(study.device)).cpu()


def spread(study: Study, points: Float[Tensor, "*S D"]) -> Float[Tensor, "*S"] | None:
    """Return the decoder's scale, σ or s, averaged over the pixels; None: the same everywhere."""
    given, rows = decoder(study), points.reshape(-1, study.space.latent).to(study.device)
    with torch.no_grad():
        if "log_scale" not in given(rows[:1]).parameters():
            return None
        scales = (given(part).parameters()["log_scale"].exp() for part in rows.split(AT_ONCE))
        found = torch.cat([scale.flatten(1).mean(1) for scale in scales])
    even = found.amax() - found.amin() <= 1e-5 * found.amax()
    return None if even else found.reshape(points.shape[:-1]).cpu()
