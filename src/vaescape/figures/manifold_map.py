"""Figure ``manifold_map``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import bounded, decoded_grid, encoded, notes, one_class
from vaescape.study import Study


class ManifoldMap(Figure, name="manifold_map"):
    """The decoded plane with the encoded test images over it."""

    title = "Decoded plane and images together"
    caption = (
        "The decoded plane, dimmed, with the encoded test images over it. Where there are no "
        "points, no test image is encoded, and the decoder extrapolates."
    )
    alt = "The decoded grid with the encoded test images drawn over it, coloured by class."
    chapter = "The latent space"
    order = 30

    def needs(self, study: Study) -> str | None:
        if study.space.latent != 2:
            return "a latent space of two dimensions"
        return bounded(study)

    def draw(
        self, study: Study, *, cells: int = 30, label: str | int | None = None, theme: str = "light"
    ) -> plots.Picture:
        e, (label, asked) = encoded(study), one_class(study, label)
        images, z = decoded_grid(study, cells, float(e.plane.abs().quantile(0.995)), label)
        return plots.manifold_with_map(
            images, z, e.plane, e.labels, study.classes,
            scale="linear", colours=e.colours, note=notes(e.layer, asked), theme=theme,
        )  # fmt: skip
