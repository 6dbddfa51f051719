"""Rendered shapes: a set with known factors of variation that needs no download."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from vaescape.conditions import ZERO_OR_MORE, require
from vaescape.data.base import SPLITS, Data, Images, Split

Plane = Float[np.ndarray, "N H W"]


FACTORS = ("shape", "scale", "orientation", "x", "y")


def _box(u: Plane, v: Plane, half: float | Plane = 0.75) -> Plane:
    du, dv = np.abs(u) - half, np.abs(v) - half
    return np.hypot(np.maximum(du, 0), np.maximum(dv, 0)) + np.minimum(np.maximum(du, dv), 0)


def _ellipse(u: Plane, v: Plane) -> Plane:
    """First order: (k − 1)·k / |∇|, exact on the outline."""
    k = np.hypot(u, v / 0.5)
    return (k - 1) * k / np.maximum(np.hypot(u, v / 0.25), 1e-6)


def _triangle(u: Plane, v: Plane) -> Plane:
    """The intersection of three half-planes, the apex at (0, −1)."""
    return np.maximum(v, (np.sqrt(3) * np.abs(u) - v) / 2) - 0.5


def _heart(u: Plane, v: Plane) -> Plane:
    """A square standing on a corner, with a disc on the middle of each of its two upper sides."""
    half = 0.5
    a, b = (u + v) / np.sqrt(2), (v - u) / np.sqrt(2)
    discs = (np.hypot(a, b + half) - half, np.hypot(a + half, b) - half)
    return np.minimum(_box(a, b, half), np.minimum(*discs))


class Shapes(Data, name="shapes"):
    """White shapes on black, drawn on demand, with known scale, orientation, x and y.

    Every prefix of the set holds the four shapes in equal numbers. Orientation is in radians and
    runs over the part of a turn after which the shape looks the same; scale is the radius, x and y
    the centre, as shares of the picture's side. No shape touches the border.

    Args:
        images: Training images; a quarter as many test images are drawn from another stream.
        size: Height and width in pixels.
        seed: Another seed, another set.
        vary: Which of the factors vary, besides the shape; the others are fixed: a shape of its
            middle size, upright, in the middle of the picture.
    """

    title = "Shapes"
    shuffled = True
    classes = ("square", "ellipse", "triangle", "heart")
    factors = FACTORS
    symmetry: ClassVar[tuple[int, ...]] = (4, 2, 3, 1)
    outlines: ClassVar[tuple[Callable[[Plane, Plane], Plane], ...]] = (
        _box,
        _ellipse,
        _triangle,
        _heart,
    )
    """Signed distances to the outline, negative inside, in a frame of radius one."""

    def __init__(
        self, images: int = 4096, size: int = 28, seed: int = 0, vary: list[str] | None = None
    ) -> None:
        require(lambda v: v >= 4, "4 or more", images=images)
        require(lambda v: 8 <= v <= 512, "between 8 and 512 pixels", size=size)
        require(*ZERO_OR_MORE, seed=seed)
        require(
            lambda v: v is None or (isinstance(v, list) and set(v) <= set(FACTORS[1:])),
            f"a list of some of {', '.join(FACTORS[1:])}",
            vary=vary,
        )
        self.images, self.size, self.seed = images, size, seed
        self.vary = FACTORS[1:] if vary is None else vary

    def read(self, split: Split) -> Images:
        """Return a split, drawn and rendered."""
        factors = self._factors(split)
        pixels = np.zeros((len(factors), 1, self.size, self.size), np.uint8)
        for label in range(len(self.classes)):
            mine = factors[:, 0] == label
            pixels[mine, 0] = self._render(label, factors[mine])
        labels = torch.from_numpy(factors[:, 0].astype(np.int64))
        return Images(
            torch.from_numpy(pixels), labels, torch.from_numpy(factors.astype(np.float32))
        )

    def _factors(self, split: Split) -> Float[np.ndarray, "N 5"]:
        n = self.images if split == "train" else max(self.images // 4, 1)
        draw = np.random.default_rng([self.seed, SPLITS.index(split)])
        shape = np.arange(n) % len(self.classes)
        scale = draw.uniform(0.18, 0.32, n)
        turn = draw.uniform(0, 2 * np.pi, n) / np.array(self.symmetry)[shape]
        # Of radius one, the furthest that any outline reaches is the square's corner, 1.06.
        reach = 1.07 * scale + 1 / self.size
        x, y = (draw.uniform(reach, 1 - reach) for _ in range(2))
        middle = {"scale": 0.25, "orientation": 0.0, "x": 0.5, "y": 0.5}
        drawn = {"scale": scale, "orientation": turn, "x": x, "y": y}
        found = [drawn[f] if f in self.vary else np.full(n, middle[f]) for f in FACTORS[1:]]
        return np.stack([shape, *found], axis=1)

    def _render(self, label: int, factors: Float[np.ndarray, "N 5"]) -> Float[np.ndarray, "N H W"]:
        """Return the share of each pixel that the shape covers, to 1/255."""
        scale, turn, x, y = (column[:, None, None] for column in factors[:, 1:].T)
        centres = (np.arange(self.size) + 0.5) / self.size
        du, dv = (centres[None, None, :] - x) / scale, (centres[None, :, None] - y) / scale
        u, v = np.cos(turn) * du + np.sin(turn) * dv, np.cos(turn) * dv - np.sin(turn) * du
        distance = self.outlines[label](u, v) * scale * self.size
        return np.rint(255 * np.clip(0.5 - distance, 0, 1))
