"""Figure ``manifold``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import bounded, decoded_grid, encoded, notes, one_class, quantiles_of
from vaescape.study import Study


class Manifold(Figure, name="manifold"):
    """The decoded grid through the prior's quantiles (Kingma & Welling 2014, figure 4)."""

    title = "What each point decodes to"
    caption = (
        "A grid of latent points, decoded. If the axes are stretched towards their ends, the steps "
        "are even in probability under the prior (the inverse Gaussian CDF): each cell covers the "
        "same share of the prior."
    )
    alt = "A grid of decoded images covering the latent plane."
    chapter = "The latent space"
    order = 20

    def needs(self, study: Study) -> str | None:
        return bounded(study)

    def draw(
        self, study: Study, *, cells: int = 20, label: str | int | None = None, theme: str = "light"
    ) -> plots.Picture:
        e, (label, asked) = encoded(study), one_class(study, label)
        images, z = decoded_grid(study, cells, label=label)
        return plots.manifold(
            images, z, scale="quantile" if quantiles_of(study, label) else "linear",
            note=notes(e.note, asked), theme=theme, axes_names=e.axes_names,
        )  # fmt: skip
