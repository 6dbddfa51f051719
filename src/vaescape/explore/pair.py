"""Two runs over the same images side by side: an outer page that holds the page of each."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from vaescape.errors import OptionError
from vaescape.explore import page
from vaescape.explore.live import Live
from vaescape.explore.sections.points import colours
from vaescape.explore.view import Partner, View
from vaescape.files import write_atomic
from vaescape.metrics.alignment import Alignment, linear_cka, procrustes
from vaescape.report.comparison import comparison, quantities_in, settings
from vaescape.report.tables import number, title_of
from vaescape.runs import METRICS, RunFolder
from vaescape.study import Study

ALWAYS = ("recipe", "objective")
"""Settings that are shown even where both runs have the same."""


class Pair:
    """Two trained runs of the same images, the second laid as the first one lies.

    Args:
        first: Trained, with a run folder.
        second: Likewise.
        title: Of the outer page; None: the names of both runs.
        options: Of both pages, as :class:`vaescape.explore.view.View` takes them.

    Raises:
        OptionError: If they do not show the same images in the same order.
    """

    def __init__(
        self, first: Study, second: Study, *, title: str | None = None, **options: Any
    ) -> None:
        self.studies, self.options = (first, second), options
        check_images(first, second)
        self.views = View(first, **options), View(second, **options)
        self.title = title or " and ".join(self.names)

    @cached_property
    def names(self) -> tuple[str, str]:
        """What the runs are called: their paths from the folder that both are in."""
        first, second = (folder.path.resolve() for folder in self.folders)
        root = os.path.commonpath([first.parent, second.parent])
        return str(first.relative_to(root)), str(second.relative_to(root))

    @property
    def folders(self) -> list[RunFolder]:
        """The runs."""
        found = [study.folder for study in self.studies]
        return [folder for folder in found if folder is not None]

    # Alignment ---------------------------------------------------------------------------------

    @cached_property
    def sizes(self) -> tuple[int, int]:
        """The dimensions of the two latent spaces."""
        first, second = (view.codes.mean.shape[1] for view in self.views)
        return first, second

    @cached_property
    def alignment(self) -> Alignment | None:
        """How the second latent space lies on the first; None where one of them is a line.

        Of spaces of different dimensions, how it lies on the first map, to whose two dimensions the
        others are added as zeros: the plane of the second space with the greatest covariance.
        """
        first, second = (view.codes.mean for view in self.views)
        if min(self.sizes) < 2:
            return None
        if first.shape != second.shape:
            first = F.pad(self.views[0].flat(first), (0, self.sizes[1] - 2))
        return procrustes(first, second)

    @property
    def partners(self) -> tuple[Partner, Partner]:
        """What each page is told of the other: the second, on which plane it lies as the first."""
        alone = Partner(tuple(colours(self.views[0])))
        if self.alignment is None:
            return alone, alone
        rotation, a_mean, b_mean, _ = self.alignment
        axes, origin = torch.eye(len(a_mean)).double()[:, :2], torch.zeros_like(a_mean)
        if len(a_mean) > 2 and len(set(self.sizes)) == 1:
            origin, axes = (part.double() for part in self.views[0].principal)
        # (z − b_mean) R + a_mean is the code as the first run has it; the first run's plane has it
        # at (code − origin) axes.
        basis, at = rotation @ axes, b_mean - rotation @ (a_mean - origin)
        laid = replace(alone, basis=tuple(map(tuple, basis.tolist())), origin=tuple(at.tolist()))
        return alone, laid

    @cached_property
    def likeness(self) -> str:
        """How alike the two sets of codes are, in a sentence."""
        first, second = (view.codes.mean for view in self.views)
        cka = number(linear_cka(first, second))
        both = f"linear CKA {cka} (1: equal up to rotation and scale), over {len(first):,} images."
        dimensions = "Latent spaces of {} and {} dimensions".format(*self.sizes)
        if self.alignment is None:
            return f"{dimensions} are not aligned: both maps are as trained. Between them: {both}"
        if len(set(self.sizes)) == 2:
            return (
                f"{dimensions}: the second map is the plane of its space, rotated, reflected if "
                "need be, and shifted, in which the images lie most as in the first map; it is not "
                f"scaled. Between the spaces: {both}"
            )
        return (
            "The second map is rotated, reflected if need be, and shifted to lie as the first; it "
            f"is not scaled. Procrustes distance {number(self.alignment.distance)} (0: equal up to "
            f"rotation and scale, at most 2), {both}"
        )

    # Numbers -----------------------------------------------------------------------------------

    def columns(self) -> list[dict[str, Any]]:
        """Return the settings that differ and the headline numbers, of both runs, as text."""
        rows, quantities = comparison(self.folders), quantities_in(self.folders)
        fixed = [settings(folder) for folder in self.folders]
        each = [
            {name: own[name] for name in ALWAYS} | rows[str(folder)]
            for own, folder in zip(fixed, self.folders, strict=True)
        ]
        return [
            {
                "title": title_of(name, quantities),
                "unit": quantities[name].unit if name in quantities else "",
                "better": quantities[name].better if name in quantities else None,
                "values": [number(row[name]) if name in row else "not measured" for row in each],
            }
            for name in dict.fromkeys(name for row in each for name in row)
        ]

    def about(self, live: bool) -> dict[str, Any]:
        """Return what the outer page says and does."""
        unmeasured = [
            f"{name} was not evaluated: `vaescape evaluate {folder}` measures it."
            for name, folder in zip(self.names, self.folders, strict=True)
            if not (folder / METRICS).exists()
        ]
        return {
            "title": self.title,
            "live": live,
            "names": list(self.names),
            "aligned": self.alignment is not None,
            "notes": [self.likeness, *unmeasured],
            "columns": self.columns(),
        }

    # Pages -------------------------------------------------------------------------------------

    def save(self, path: Path) -> Path:
        """Write both pages in one file that needs nothing else."""
        pages = [page.render(study, **own) for study, own in self._sides()]
        return write_atomic(path, page.paired(self.about(False), pages))

    def live(self) -> tuple[str, list[Live]]:
        """Return the outer page and what stands behind the two in it."""
        lives = [Live(study, **own) for study, own in self._sides()]
        return page.paired(self.about(True), []), lives

    def _sides(self) -> Iterator[tuple[Study, dict[str, Any]]]:
        for study, name, partner in zip(self.studies, self.names, self.partners, strict=True):
            yield study, {**self.options, "title": name, "partner": partner}


def check_images(first: Study, second: Study) -> None:
    """Refuse runs that do not show the same images in the same order.

    Raises:
        OptionError: With what differs.
    """
    splits: Sequence[tuple[str, Any, Any]] = [
        ("training", first.train, second.train), ("test", first.test, second.test)
    ]  # fmt: skip
    for name, ours, theirs in splits:
        same = torch.equal(ours.pixels, theirs.pixels) and torch.equal(ours.labels, theirs.labels)
        if not same or tuple(first.classes) != tuple(second.classes):
            raise OptionError(
                f"Two maps are linked by their images, and {first.folder} and {second.folder} have "
                f"different {name} images ({len(ours):,} and {len(theirs):,}). Give two runs with "
                "the same data, --limit, --validation and --binarise; of sets that are not "
                "shuffled, those also choose by --seed."
            )
