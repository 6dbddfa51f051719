"""How close samples are to real images, and to the class that they are conditioned on."""

from typing import Any, Literal

import torch

from vaescape.conditionals import Measure
from vaescape.metrics import agreement, fidelity
from vaescape.progress import track
from vaescape.study import Study

CLASS_SAMPLES = 5_000
"""Number of samples, of all classes in turn, for the share that belongs to its class."""

SAMPLES = 2_000
"""Samples compared with as many test images: memory and time grow with the square."""


def sample_quality(study: Study, n: int = SAMPLES, *, seed: int = 0) -> dict[str, Any]:
    """Return how samples overlap with test images, and for comparison how training images do.

    The latter is what samples could reach. Samples are the decoder's means; draws where pixels are
    black or white, or depend on one another, because there a mean does not look like a real image.

    Args:
        study: Trained.
        n: Samples, test images and training images, at most.
        seed: Of the draws.
    """
    test, likelihood = study.some(study.test, n), study.space.likelihood
    alone = likelihood.pixelwise and likelihood.measure is not Measure.BINARY
    kind: Literal["means", "draws"] = "means" if alone else "draws"
    label = test.labels if study.space.conditions else None
    rows = {
        "samples": study.sample(len(test), label, seed=seed, kind=kind),
        "training images": study.some(study.train, len(test)).floats(),
    }
    made = {name: fidelity.untrained_features(images) for name, images in rows.items()}
    space = made["training images"]
    real = fidelity.standardised(fidelity.untrained_features(test.floats()), space)
    made = {name: fidelity.standardised(features, space) for name, features in made.items()}
    return {
        "definitions": fidelity.DEFINITIONS,
        "settings": {"images": len(test), "k": fidelity.K, "samples are": kind},
        "sets": {
            name: fidelity.overlap(real, features)._asdict()
            | {"mmd2": fidelity.cubic_mmd2(real, features)}
            for name, features in made.items()
        },
    }


def class_agreement(study: Study, n: int = CLASS_SAMPLES, *, seed: int = 0) -> dict[str, Any]:
    """Return how often a classifier of real images assigns samples to the class requested."""
    train, test = study.train, study.test
    judge = agreement.classifier(
        train.floats().numpy(),
        train.labels.numpy(),
        seed=seed,
        progress=track("a classifier of real images"),
    )
    requested = torch.arange(n) % study.space.conditions
    images = study.sample(n, requested, seed=seed).numpy()
    right = judge(test.floats().numpy()) == test.labels.numpy()
    return {
        **agreement.class_agreement(judge, images, requested.numpy(), study.classes, seed=seed),
        "classifier_accuracy": float(right.mean()),
        "definition": agreement.DEFINITION,
    }
