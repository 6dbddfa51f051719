"""The figures of a study, one file each: what is drawn, and its title and caption.

``draw(study, "map")`` returns one; ``render(study, folder)`` writes all that apply to it.
"""

from pathlib import Path
from typing import Any, NamedTuple

from vaescape import plots
from vaescape.components import construct, import_members, known
from vaescape.errors import OptionError
from vaescape.figures.base import LAST, Figure
from vaescape.progress import track
from vaescape.study import Study

__all__ = ["Figure", "Words", "draw", "drawable", "in_order", "names", "render", "words_for"]

import_members(__name__, __path__)


def names() -> list[str]:
    """Return the names of all figures, as a report shows them."""
    return in_order(list(known("figure")))


def draw(study: Study, name: str, **options: Any) -> plots.Picture:
    """Return a figure by name, or by ``module:Class`` for your own.

    Raises:
        ComponentError: If there is no such figure, with the nearest name.
        OptionError: If it does not apply to this study.
    """
    return _find(study, name).draw(study, **options)


def drawable(study: Study) -> list[str]:
    """Return the names of the figures that apply to this study."""
    return [name for name in names() if construct("figure", name).needs(study) is None]


def _find(study: Study, name: str) -> Figure:
    figure = construct("figure", name)
    if (need := figure.needs(study)) is not None:
        raise OptionError(
            f"The figure {name!r} needs {need}. Here there are: {', '.join(drawable(study))}."
        )
    return figure


def render(
    study: Study, folder: Path, chosen: list[str] | None = None, *, theme: str = "light"
) -> dict[str, Path]:
    """Write figures into a folder; return the SVG (or GIF) of each.

    Args:
        study: Trained.
        folder: Where to.
        chosen: Their names; by default all that apply.
        theme: "light" or "dark".

    Raises:
        OptionError: As :func:`draw`, before anything is written.
    """
    figures = {name: _find(study, name) for name in chosen or drawable(study)}
    return {
        name: figure.save(study, folder / name.rpartition(":")[2], theme=theme)
        for name, figure in track("figures")(list(figures.items()))
    }


class Words(NamedTuple):
    """The words around one figure in a report."""

    title: str
    caption: str
    alt: str
    chapter: str


def words_for(name: str) -> Words:
    """Return the words for a figure; for one that is not known, its name."""
    readable = name.replace("_", " ").replace("-", " ").strip().capitalize()
    found = known("figure").get(name)
    if found is None or not issubclass(found, Figure):
        return Words(readable, "", readable, Figure.chapter)
    title = found.title or readable
    return Words(title, found.caption, found.alt or title, found.chapter)


def in_order(given: list[str]) -> list[str]:
    """Return names of figures as a report shows them; those that are not known come last."""
    figures = known("figure")
    return sorted(given, key=lambda name: (getattr(figures.get(name), "order", LAST), name))
