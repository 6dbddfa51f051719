"""What a classifier says of the plane: the class of each place, and how sure it is."""

import numpy as np

from vaescape.errors import OptionError
from vaescape.explore import blobs
from vaescape.explore.classifier import onnx_classifier
from vaescape.explore.view import Section, View
from vaescape.geometry.islands import VOTES, class_shares

CELLS = 128
"""Along each side of the plane."""
MOST = 10_000
"""Codes among which the nearest are looked for, in more than two dimensions."""


def classifier(view: View) -> Section:
    """Return the predicted class and its probability at each place of the plane.

    By the classes of the nearest codes, or by a classifier of the decoded images if the view has
    one. In more than two dimensions the plane is that of the first two principal components.

    Raises:
        OptionError: If the view has a classifier that does not fit, or nothing to classify.
    """
    study, asked = view.study, view.classifier
    classes, latent = len(view.classes), study.space.latent
    if classes < 2 or latent < 2 or (study.space.discrete and asked is None):
        if asked is not None:
            raise OptionError(
                f"A classifier needs two classes and two latent dimensions, or more. This run has "
                f"{classes} and {latent}. Leave out --classifier."
            )
        return {"classifier": None}, {}
    place, z = view.cells(CELLS)
    if asked is None:
        shares, by = _votes(view, z.numpy()), f"the classes of the {VOTES} nearest images"
    else:
        classify = onnx_classifier(asked, study.shape, view.classes)
        shares, by = classify(view.decode(z)), asked.name
    about = {"by": by, "plane": "latent" if latent == 2 else "pca", **place.to_dict()}
    label = shares.argmax(1).reshape(CELLS, CELLS)
    return {"classifier": about}, {
        "classifier_labels": blobs.labels(label, classes),
        "classifier_shares": blobs.alike(shares.max(1).reshape(CELLS, CELLS), "u8"),
    }


def _votes(view: View, places: np.ndarray) -> np.ndarray:
    codes = view.codes
    step = 1 if codes.mean.shape[1] == 2 else -(-len(codes.mean) // MOST)
    points, labels = codes.mean[::step].numpy(), codes.label[::step].numpy()
    known = labels >= 0
    return class_shares(places, points[known], labels[known], len(view.classes))
