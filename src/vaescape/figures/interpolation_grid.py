"""Figure ``interpolation_grid``."""

import torch

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import classes_of, exemplars
from vaescape.geometry.paths import linear
from vaescape.study import Study


class InterpolationGrid(Figure, name="interpolation_grid"):
    """Between four test images of different classes."""

    title = "Four corners"
    caption = (
        "The outlined corners are the reconstructions of four test images; the images between them "
        "are decoded from weighted averages of the four codes."
    )
    alt = "A grid of decoded images between four corners."
    chapter = "Interpolations"
    order = 90

    def draw(
        self, study: Study, *, steps: int = 9, seed: int = 1, theme: str = "light"
    ) -> plots.Picture:
        """As :meth:`Figure.draw`."""
        names, images = zip(*exemplars(study, 4, seed), strict=True)
        label = classes_of(study, [study.classes.number(name) for name in names])
        corners = study.places(torch.stack(images), label)
        t = torch.linspace(0, 1, steps)
        left, right = linear(corners[0], corners[2], t), linear(corners[1], corners[3], t)
        return plots.interpolation_grid(study.decode(linear(left, right, t)), theme=theme)
