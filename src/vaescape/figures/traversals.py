"""Figure ``traversals``."""

import numpy as np
import torch

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import bounded, encoded, notes, one_class
from vaescape.study import Study


class Traversals(Figure, name="traversals"):
    """Each latent dimension moved from −reach to reach, the others at zero; the most used first."""

    title = "One dimension at a time"
    caption = (
        "Each row varies one latent dimension over the values below; the others are fixed. A row "
        "that does not change belongs to a dimension that the model does not use."
    )
    alt = "Rows of decoded images, one per latent dimension."
    chapter = "The latent space"
    order = 110

    def needs(self, study: Study) -> str | None:
        return bounded(study)

    def draw(
        self,
        study: Study,
        *,
        steps: int = 11,
        reach: float = 3.0,
        most: int = 12,
        label: str | int | None = None,
        theme: str = "light",
    ) -> plots.Picture:
        order, (label, asked) = _by_use(study)[:most], one_class(study, label)
        images = torch.stack(
            [study.traverse(int(d), label, steps=steps, reach=reach) for d in order]
        )
        names = [plots.latent_name(d) for d in order]
        note = notes("each row varies one latent dimension; the others are fixed", asked)
        return plots.traversals(
            images, np.linspace(-reach, reach, steps), names=names, note=note, theme=theme
        )


def _by_use(study: Study) -> list[int]:
    """Return the latent dimensions, those that vary most over the test images first."""
    if study.space.latent <= 2:
        return list(range(study.space.latent))
    return encoded(study).z.var(0).argsort(descending=True).tolist()
