"""Figure ``regions``."""

import numpy as np
import torch

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import classes_of, encoded
from vaescape.study import Study


class Regions(Figure, name="regions"):
    """The class of each part of the map, decoded centroids and medoids, and class overlap."""

    title = "Where each class lies"
    caption = (
        "Above: the most frequent class among the nearest images, fainter where they disagree, and "
        "the entropy of their classes. Below: for each class (row), the classes of its nearest "
        "neighbours, its decoded centroid and medoid, and the classes that it overlaps."
    )
    alt = "Class map, neighbour entropy, class-overlap table, decoded centroids and medoids."
    chapter = "The latent space"
    order = 140

    def needs(self, study: Study) -> str | None:
        if len(study.classes) < 2 or study.space.latent < 2:
            return "two classes and two latent dimensions, or more"
        return None

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        e, classes = encoded(study), study.classes
        middle = plots.class_medoids(e.z, e.labels, len(classes))
        centroids = torch.from_numpy(plots.class_centroids(e.z, e.labels, len(classes)))
        each = classes_of(study, np.arange(len(classes)))
        return plots.regions(
            e.plane, e.labels, classes,
            latents=e.z if e.projection else None,
            centroids=study.decode(centroids, each), medoids=study.decode(e.z[middle], each),
            originals=study.test[torch.from_numpy(middle)].floats(),
            colours=e.colours, projection=e.note, theme=theme, axes_names=e.axes_names,
        )  # fmt: skip
