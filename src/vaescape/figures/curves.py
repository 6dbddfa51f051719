"""Figure ``curves``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.study import Study

FEWEST = 3
"""Entries of the log that make a curve."""


class Curves(Figure, name="curves"):
    """Training curves: loss, reconstruction term, KL, KL per dimension; train and held-out."""

    title = "Learning curves"
    caption = (
        "The loss and its two terms over the epochs, for training images and held-out images. A "
        "growing distance between the two lines is overfitting; a dimension whose KL stays at zero "
        "is not used."
    )
    alt = "Line charts of loss, reconstruction term, KL and KL per dimension over training."
    chapter = "Training"
    order = 130

    def needs(self, study: Study) -> str | None:
        if study.folder is None or len(study.folder.history()) < FEWEST:
            return f"the log of a run folder, with {FEWEST} entries or more"
        return None

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        assert study.folder is not None
        term, held_out = study.space.likelihood.quantity, study.held_out[0]
        return plots.training_curves(
            study.folder.history(), term=term, held_out=held_out, theme=theme
        )
