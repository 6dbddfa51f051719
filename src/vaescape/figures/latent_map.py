"""Figure ``map``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import encoded
from vaescape.study import Study


class LatentMap(Figure, name="map"):
    """Encoded test images in the latent plane, coloured by class."""

    title = "Where the images are"
    caption = (
        "A point for each test image at its code, coloured by class. Each large group of a class "
        "is named. Images whose points lie close together are decoded to similar images. Where "
        "colours mix, the latent space does not separate the classes."
    )
    alt = "Scatter plot of the encoded test images, coloured by class."
    chapter = "The latent space"
    order = 10

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        e = encoded(study)
        return plots.latent_map(
            e.plane, e.labels, study.classes,
            colours=e.colours, projection=e.note, theme=theme, axes_names=e.axes_names,
        )  # fmt: skip
