"""Figure ``classes``."""

import numpy as np
import torch

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import NO_PRIOR
from vaescape.study import Study


class ClassSamples(Figure, name="classes"):
    """Every class in the same styles: rows are classes, a column has one draw of the noise of z."""

    title = "Samples of each class"
    caption = (
        "Each row is conditioned on one class; each column draws z once, with the same noise for "
        "every class. What the images of a column share is what z encodes besides the class."
    )
    alt = "A grid of decoded images: rows are classes, columns are styles."
    chapter = "Samples"
    order = 50

    def needs(self, study: Study) -> str | None:
        if not study.space.probabilistic:
            return NO_PRIOR
        return None if study.space.conditions else "a conditional model"

    def draw(
        self, study: Study, *, styles: int = 12, seed: int = 0, theme: str = "light"
    ) -> plots.Picture:
        rows = [study.sample(styles, name, seed=seed) for name in study.classes]
        return plots.traversals(
            torch.stack(rows),
            np.arange(1, styles + 1),
            names=study.classes,
            title="Classes × styles",
            note=f"rows: classes; columns: z from the prior, seed {seed}",
            theme=theme,
        )
