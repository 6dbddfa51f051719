"""All codes of a set behind a page: what it asks about tiles, regions and single images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int

from vaescape import schema
from vaescape.codes import Codes
from vaescape.errors import OptionError
from vaescape.explore import blobs
from vaescape.explore.pyramid import DEEPEST, SIDE, Pyramid
from vaescape.explore.sections.about import about
from vaescape.explore.sections.networks import carried, prior_samples, selftest
from vaescape.explore.sections.points import points
from vaescape.explore.view import Section, View
from vaescape.files import as_csv
from vaescape.geometry.density import evenly
from vaescape.study import Study

MEMBERS = 256
"""Codes of a region, at most, that the page gets, evenly chosen: pictures are made of them."""
READ = 24
"""The same where codes must be read from files, for a plane does not have all of a code."""
FARTHEST = 1e9
"""Coordinates of outlines beyond this are no place on any map."""
_STROKES = schema.REGIONS["regions?"][0]["strokes"]
_SHOWN = schema.Either([int], None)


class Crowd:
    """The codes of a set and the run that encoded it."""

    def __init__(self, pyramid: Pyramid, study: Study) -> None:
        self.pyramid, self.study = pyramid, study

    @property
    def codes(self) -> Codes:
        """The codes, in files."""
        return self.pyramid.codes

    # What the page is made of --------------------------------------------------------------------

    @property
    def sections(self) -> tuple[Any, ...]:
        """The parts of the page."""
        return about, points, self.plane, carried, selftest, prior_samples, self.section

    def plane(self, view: View) -> Section:
        """Return what is drawn behind the points, as it was made with the pyramid."""
        told = self.pyramid.behind
        return told["entries"], {
            name: blobs.Blob(self.pyramid.arrays[f"behind.{name}"].tobytes(), about)
            for name, about in told["blobs"].items()
        }

    def section(self, view: View) -> Section:
        """Return the size of the set and how its tiles are named; rows and names of the sample."""
        arrays = self.pyramid.arrays
        told = {
            "count": len(self.pyramid),
            "classes": self._counts(arrays["label"]),
            "exponent": self.pyramid.exponent,
            "deepest": DEEPEST,
            "side": 1 << SIDE,
            "pictured": self.pictured,
        }
        names = blobs.file(arrays["sample.id"].tobytes(), "application/json")
        return {"pyramid": told}, {"rows": blobs.array(arrays["sample.row"], "u32"), "ids": names}

    # What it asks --------------------------------------------------------------------------------

    def tile(self, depth: int, i: int, j: int) -> bytes:
        """Return a tile: how many entries, 1 for codes or 0 for counts, then array after array.

        Of codes places (float32, 2 each), rows (uint32) and classes (uint16); of counts counts
        (uint32), cells and classes (uint16).

        Raises:
            OptionError: For a depth that tiles do not have.
        """
        found = self.pyramid.tile(depth, i, j)
        kinds = {"place": "<f4", "row": "<u4", "count": "<u4", "cell": "<u2", "label": "<u2"}
        head = np.array([len(found["label"]), "row" in found], "<u4")
        parts = [found[name].astype(kind) for name, kind in kinds.items() if name in found]
        return b"".join(part.tobytes() for part in (head, *parts))

    def region(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return how many codes of each class ``{"strokes", "shown"}`` selects, and some of them.

        Raises:
            OptionError: If the strokes are none.
        """
        held, pyramid = self._held(request), self.pyramid
        labels = pyramid.arrays["label"]
        flat = pyramid.flat
        some = held[evenly(len(held), MEMBERS if flat else READ).numpy()] if len(held) else held
        rows = pyramid.arrays["row"][some]
        some, rows = (one[np.argsort(rows)] for one in (some, rows))
        z = pyramid.arrays["place"][some]
        if not flat and len(some):
            (z,) = self.codes.take(rows, "z")
        return {
            "count": len(held),
            "classes": self._counts(labels[held]),
            "rows": rows.tolist(),
            "labels": labels[some].tolist(),
            "z": z.ravel().tolist(),
        }

    def export(self, request: dict[str, Any]) -> Iterator[str]:
        """Return the lines of a CSV of all codes that ``{"strokes", "shown"}`` selects.

        Raises:
            OptionError: If the strokes are none.
        """
        return self._lines(np.sort(self.pyramid.arrays["row"][self._held(request)]))

    def _lines(self, rows: Int[np.ndarray, " n"]) -> Iterator[str]:
        D, classes = self.codes.told["latent"], self.codes.classes
        names = ["id", *(["class"] if classes else []), *(f"z{d}" for d in range(D))]
        yield ",".join(names) + "\n"
        ends = np.searchsorted(rows, self.codes.ends).tolist()
        for first, last in zip([0, *ends], ends, strict=False):
            if first == last:
                continue
            ids, labels, z = self.codes.take(rows[first:last], "id", "label", "z")
            called = [[classes[label] for label in labels.tolist()]] if classes else []
            numbers = z.T.astype(str).astype(float).tolist()  # the shortest decimals of a float32
            columns = dict(zip(names, [ids.tolist(), *called, *numbers], strict=True))
            yield as_csv(columns, names=False)

    def image(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the image of a ``row`` or an ``id``: name, class, z, log σ²; None: there is none.

        Raises:
            OptionError: If neither is given.
        """
        row, name = request.get("row"), request.get("id")
        if isinstance(name, str):
            row = self.pyramid.find(name)
            if row is None:
                return None
        if type(row) is not int or not 0 <= row < len(self.codes):
            raise OptionError(f"Expected an id, or a row below {len(self.codes)}. Got {row!r}.")
        keys = ["id", "label", "z", *(["log_var"] if self.codes.spreads else [])]
        ids, labels, z, *log_var = self.codes.take(np.array([row]), *keys)
        return {
            "rows": [row],
            "ids": ids.tolist(),
            "labels": labels.tolist(),
            "z": z.ravel().tolist(),
            "log_var": log_var[0].ravel().tolist() if log_var else None,
        }

    @property
    def pictured(self) -> bool:
        """Whether the images are at hand: they are those of the run's data."""
        record = {} if self.study.folder is None else self.study.folder.record
        return self.codes.told["data_sha256"] == record.get("data_sha256")

    def original(self, row: int) -> bytes | None:
        """Return the bytes of an image; None if there is none."""
        if not (self.pictured and row < len(self.codes)):
            return None
        splits = [name.rpartition("-")[0] for name in self.codes.told["files"]]
        split: Any = splits[int(np.searchsorted(self.codes.ends, row, side="right"))]
        at = row - self.codes.start(splits.index(split))
        return self.study.data.load(split).pixels[at].numpy().tobytes()

    def _counts(self, labels: Int[np.ndarray, " n"]) -> list[int]:
        """Return how many codes each class has."""
        count = len(self.codes.classes)
        return np.bincount(labels, minlength=count)[:count].tolist()

    def _held(self, request: dict[str, Any]) -> Int[np.ndarray, " n"]:
        strokes, shown = request.get("strokes"), request.get("shown")
        found = schema.wrong(strokes, _STROKES, "strokes") or schema.wrong(shown, _SHOWN, "shown")
        if found:
            raise OptionError(f"{found}.")
        assert isinstance(strokes, list)
        for place in (place for stroke in strokes for place in stroke["outline"]):
            if len(place) != 2 or max(map(abs, place)) > FARTHEST:
                raise OptionError("Outlines are lists of places [u, v] on the map.")
        return self.pyramid.held(strokes, shown)
