"""Figure ``map``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import encoded
from vaescape.study import Study


class LatentMap(Figure, name="map"):
    """Encoded test images coloured by class, z_mean and z_log_var side by side."""

    title = "Where the images are"
    caption = (
        "Every test image at its code (z_mean, where the posterior is a Gaussian), coloured by its "
        "class, the class named at its medoid; the legend counts its images. Images "
        "whose codes lie close together decode to similar pictures; where colours mix, the latent "
        "space does not separate those classes. "
        "For a Gaussian posterior with one or two dimensions, a panel on the right shows the "
        "log-variances of the same images: further left and down, the posterior is narrower."
    )
    alt = "Scatter plots of the encoded test images by class: codes, and any log-variances."
    order = 10

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        """As :meth:`Figure.draw`."""
        e = encoded(study)
        log_var = None if e.projection or e.log_var is None else e.log_var
        return plots.latent_map(
            e.plane, log_var, e.labels, study.classes,
            colours=e.colours, projection=e.note, theme=theme, axes_names=e.axes_names,
        )  # fmt: skip
