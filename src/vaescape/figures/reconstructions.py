"""Figure ``reconstructions``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import MAPPED
from vaescape.metrics.reconstruction import mse
from vaescape.study import Study


class Reconstructions(Figure, name="reconstructions"):
    """The best, the median and the worst reconstructions of the test set."""

    title = "Best, median and worst"
    caption = (
        "Test images, their reconstructions and the differences: the best, the median and the "
        "worst of the test set by error."
    )
    alt = "Originals, reconstructions and their differences: best, median and worst."
    chapter = "Reconstructions"
    order = 120

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        images = study.some(study.test, MAPPED)
        x, y = images.floats(), study.reconstruct(images)
        return plots.reconstructions(x, y, mse(y, x), theme=theme)
