"""Whether generated images are of the class that they are conditioned on, to a classifier."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vaescape.metrics.bootstrap import interval

DEFINITION = (
    "Share of generated images that a classifier trained on real images assigns to the class that "
    "they are conditioned on; classifier_accuracy is its accuracy on real test images."
)
WIDTH = 256
EPOCHS = 8

Judge = Callable[[Float[np.ndarray, "N C H W"]], Int[np.ndarray, " N"]]


def classifier(
    images: Float[np.ndarray, "N C H W"],
    labels: Int[np.ndarray, " N"],
    *,
    epochs: int = EPOCHS,
    seed: int = 0,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Judge:
    """Return a function from images to classes: one hidden layer, fitted to real images by Adam."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((WIDTH,), random_state=seed)
    rows, classes = images.reshape(len(images), -1), np.unique(labels)
    for _ in progress(range(epochs)):
        model.partial_fit(rows, labels, classes=classes)
    return lambda x: np.asarray(model.predict(x.reshape(len(x), -1)))


def class_agreement(
    judge: Judge,
    images: Float[np.ndarray, "N C H W"],
    requested: Int[np.ndarray, " N"],
    names: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the share of images that the judge assigns to the class requested.

    With its 95 % bootstrap interval over the images, and the share of each class by its name.
    """
    agrees = judge(images) == requested
    share = interval(agrees, seed=seed)._asdict()
    by_class = {names[c]: float(agrees[requested == c].mean()) for c in np.unique(requested)}
    return {**share, "images": len(images), "by_class": by_class}
