"""Figure ``variances``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import encoded
from vaescape.study import Study


class Variances(Figure, name="variances"):
    """The log-variances of the posteriors of the test images, coloured by class."""

    title = "How certain the encoder is"
    caption = (
        "A point for each test image at the log-variances of its Gaussian posterior. Further left "
        "and down, the posterior is narrower and its KL divergence from the prior higher."
    )
    alt = "Scatter plot of the log-variances of the posteriors, coloured by class."
    chapter = "The latent space"
    order = 35

    def needs(self, study: Study) -> str | None:
        if study.space.latent > 2 or study.encode_with_variance(study.test[:1])[1] is None:
            return "Gaussian posteriors in one or two latent dimensions"
        return None

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        e = encoded(study)
        assert e.log_var is not None  # by `needs`
        return plots.latent_map(
            e.log_var, e.labels, study.classes, title="Log-variances", colours=e.colours,
            projection=e.layer, theme=theme, axes_names=("log σ₁²", "log σ₂²"),
        )  # fmt: skip
