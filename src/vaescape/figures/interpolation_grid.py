"""Figure ``interpolation_grid``."""

import torch

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import classes_of, exemplars
from vaescape.geometry.paths import grid
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
        names, images = zip(*exemplars(study, 4, seed), strict=True)
        label = classes_of(study, [study.classes.number(name) for name in names])
        corners = study.space.places(torch.stack(images), label)
        return plots.interpolation_grid(study.decode(grid(list(corners), steps)), theme=theme)
