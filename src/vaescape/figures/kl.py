"""Figure ``kl``."""

from vaescape import plots
from vaescape.evaluation import elbo
from vaescape.figures.base import Figure
from vaescape.figures.view import NO_PRIOR
from vaescape.study import Study


class KL(Figure, name="kl"):
    """The KL of each latent dimension over the test images."""

    title = "How much each dimension is used"
    caption = (
        "The KL divergence of each latent dimension, averaged over the test images. "
        "Hollow bars, at or under the dashed line, are dimensions that carry almost no information."
    )
    alt = "Bar chart of the KL divergence of each latent dimension."
    order = 150

    def needs(self, study: Study) -> str | None:
        """As :meth:`Figure.needs`."""
        if not study.space.probabilistic:
            return NO_PRIOR
        if not study.space.kl_by_dimension:
            return "a KL for each latent dimension: posterior 'gaussian' with a Gaussian prior"
        return None

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        """As :meth:`Figure.draw`."""
        return plots.kl_bars(elbo(study, study.test)["kl_per_dimension"], theme=theme)
