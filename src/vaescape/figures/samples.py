"""Figure ``samples``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import NO_PRIOR
from vaescape.study import Study


class Samples(Figure, name="samples"):
    """Decoder means at draws of the prior."""

    title = "Samples from the prior"
    caption = (
        "Codes sampled from the prior, decoded. These are means of the likelihood, so they are "
        "smoother than real images: pixel noise is left out."
    )
    alt = "A grid of images decoded from draws of the prior."
    chapter = "Samples"
    order = 40

    def needs(self, study: Study) -> str | None:
        return None if study.space.probabilistic else NO_PRIOR

    def draw(
        self, study: Study, *, n: int = 98, seed: int = 0, theme: str = "light"
    ) -> plots.Picture:
        return plots.samples(
            study.sample(n, seed=seed), note=f"z from the prior, seed {seed}", theme=theme
        )
