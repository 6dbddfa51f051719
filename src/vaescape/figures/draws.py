"""Figure ``draws``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import NO_PRIOR
from vaescape.study import Study


class Draws(Figure, name="draws"):
    """Draws from the likelihood at draws of the prior: pixel noise and all."""

    title = "Samples with pixel noise"
    caption = (
        "Samples of z from the prior, decoded, with each pixel drawn from the likelihood: samples "
        "of the model's distribution of images."
    )
    alt = "A grid of images whose pixels are drawn from the likelihood."
    chapter = "Samples"
    order = 60

    def needs(self, study: Study) -> str | None:
        if not study.space.probabilistic:
            return NO_PRIOR
        if not study.space.likelihood.normalised:
            return "a likelihood that is a density"
        return None

    def draw(
        self, study: Study, *, n: int = 98, seed: int = 0, theme: str = "light"
    ) -> plots.Picture:
        images = study.sample(n, seed=seed, kind="draws")
        note = f"z from the prior, seed {seed}"
        return plots.samples(images, kind="draws from the likelihood", note=note, theme=theme)
