"""Everything that the explorer's page shows of a study: a manifest and its blobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vaescape.explore.blobs import Blob
from vaescape.explore.sections.about import about
from vaescape.explore.sections.classifier import classifier
from vaescape.explore.sections.film import film
from vaescape.explore.sections.masses import masses
from vaescape.explore.sections.networks import (
    carried,
    prior_samples,
    selftest,
    training,
)
from vaescape.explore.sections.originals import originals
from vaescape.explore.sections.places import places
from vaescape.explore.sections.plane import plane
from vaescape.explore.sections.points import embedding, points
from vaescape.explore.sections.terms import terms
from vaescape.explore.view import Section, View
from vaescape.progress import track
from vaescape.study import Study

SECTIONS = (
    originals, embedding, classifier, about, points, places, plane, masses, terms, carried,
    training, selftest, prior_samples, film
)  # fmt: skip
"""Parts of the page; those that may refuse what was asked for come early."""
POINTS_ONLY = originals, about, points, prior_samples
"""Of a page whose model is another at every moment: what networks and fields say comes later."""


MEASURED = {about, points, film}
"""Parts that show what the evaluation measured, or what the run's folder holds."""


@dataclass(frozen=True)
class Payload:
    """What fills the page."""

    manifest: dict[str, Any]
    blobs: dict[str, Blob]


def payload(
    study: Study, *, sections: Sequence[Callable[[View], Section]] | None = None, **options: Any
) -> Payload:
    """Return everything that the page shows.

    Args:
        study: Trained.
        sections: The parts of the page; None: all.
        options: As :class:`View` takes them: title, originals, projection, …

    Raises:
        OptionError: If ``originals`` or ``projection`` is another, UMAP is impossible here, there
            is no such film, or the classifier does not fit.
        ExportError: If a network cannot be exported.
    """
    view, found = View(study, **options), Payload({}, {})
    for section in track("explorer")(list(sections or SECTIONS)):
        entries, made = section(view) if sections else _made(section, view, options)
        found.manifest.update(entries)
        found.blobs.update(made)
    return found


def _made(section: Callable[[View], Section], view: View, options: dict[str, Any]) -> Section:
    """Return a section; one that shows no measured number is made once for the same weights.

    A run writes the page twice: before its evaluation and after it.
    """
    if section in MEASURED:
        return section(view)
    key = (section, tuple(sorted(options.items())))
    return view.study.space.memory.recall(view.study.model, key, lambda: section(view))
