"""The test image that stands for each class: where a walk from class to class begins and ends."""

from collections.abc import Collection

import numpy as np
from jaxtyping import Int

from vaescape.data.base import some_rows
from vaescape.geometry.islands import called, ends, islands
from vaescape.study import Study

LOOKED_AT = 10_000
"""Test images among which they are chosen."""


def representatives(study: Study, classes: Collection[int] | None = None) -> dict[int, int]:
    """Return which test image stands for each class, or for those asked for.

    The medoid of the largest island of the class whose decoded image, encoded again, a k-NN of the
    latents calls that class; see :func:`vaescape.geometry.islands.ends`. A class without test
    images is left out.
    """
    chosen = study.space.memory.recall(study.model, representatives, lambda: _chosen(study))
    return {label: row for label, row in chosen.items() if classes is None or label in classes}


def _chosen(study: Study) -> dict[int, int]:
    looked_at = some_rows(study.data, study.test, LOOKED_AT)
    z, labels = study.encode(study.test)[looked_at], study.test.labels[looked_at]

    def calls(rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        own = labels[rows] if study.space.conditions else None
        return called(study.encode(study.decode(z[rows], own), own), z, labels)

    found = ends(islands(z, labels), calls)
    return {label: int(looked_at[row]) for label, row in found.items()}
