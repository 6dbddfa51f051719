"""A whole run of tiny parts: trained, evaluated, drawn and reported."""

import math
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from vaescape import pipeline
from vaescape.catalogue import CLASSES, IMAGES, pictures
from vaescape.data import Data, Images
from vaescape.recipes import Configuration, Parts
from vaescape.train import TrainOptions

PATHS = 10
"""Interpolation paths for each kind of pair."""


class Pictures(Data):
    """The pictures on which components are tried.

    Args:
        parts: Of the model that is to score them.
    """

    title = "twelve pictures"
    classes = tuple("abc"[:CLASSES])

    def __init__(self, parts: Parts) -> None:
        self.pixels = pictures(parts)

    def read(self, split: str) -> Images:
        """Return the twelve pictures, in another order for each split."""
        order = torch.arange(IMAGES) if split == "train" else torch.arange(IMAGES).flip(0)
        return Images(self.pixels[order], order % CLASSES)


def runs(parts: Parts) -> dict[str, Any]:
    """Return the metrics of a whole run: two steps, evaluation, one figure and the report.

    Raises:
        AssertionError: If a number is missing or not finite, or the report does not show it.
    """
    options = TrainOptions(epochs=1, batch=IMAGES // 2, threads=1, device="cpu", lr=1e-4, film=0)
    configuration = Configuration(parts=parts, train=options)
    with TemporaryDirectory() as root, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder, study = pipeline.start(configuration, root=Path(root), read=Pictures(parts))
        pipeline.train(folder, study)
        metrics = pipeline.measure(folder, study, None, paths=PATHS, bounds=((4, None),))
        pipeline.draw(folder, study, ["reconstructions"])
        report = pipeline.report(folder).read_text()
    quantity, test = study.space.likelihood.quantity, metrics["test"]
    named = [quantity.name, "mse", *(["negative_elbo"] if study.space.probabilistic else [])]
    for name in named:
        value = test.get(name)
        assert isinstance(value, float), f"The evaluation has no {name!r}: {', '.join(test)}."
        assert math.isfinite(value), f"{name} is {value} after two steps."
    assert quantity.title.lower() in report.lower(), f"The report does not show {quantity.title!r}."
    return metrics
