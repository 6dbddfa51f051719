"""Base class of figures: what a figure draws, what it needs, its title and its caption."""

from pathlib import Path
from typing import ClassVar

from vaescape import plots
from vaescape.components import Component
from vaescape.study import Study

LAST = 1_000


class Figure(Component):
    """A figure of a trained study: ``class MyFigure(Figure, name="mine")`` adds one."""

    kind = "figure"
    title: ClassVar[str] = ""
    caption: ClassVar[str] = ""
    """The text below the figure in the report."""
    alt: ClassVar[str] = ""
    """Text alternative, read aloud by a screen reader."""
    chapter: ClassVar[str] = "More figures"
    """The chapter of the report that shows the figure."""
    order: ClassVar[int] = LAST
    """Position in the report; figures with the same order are sorted by name."""

    def needs(self, study: Study) -> str | None:
        """Return what the figure needs and this study lacks, or None."""
        return None

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        """Return the picture; a figure may take further keyword arguments.

        Args:
            study: Trained, with everything that :meth:`needs` checks.
            theme: "light" or "dark".
        """
        raise NotImplementedError

    def save(self, study: Study, path: Path, *, theme: str = "light") -> Path:
        """Write the picture as PNG and SVG (``path`` has no suffix); return the SVG."""
        return plots.save_figure(self.draw(study, theme=theme), path)[-1]
