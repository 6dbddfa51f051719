"""The negative ELBO of a model and its terms, whatever it was trained by."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.data import Images
from vaescape.data.base import some_rows
from vaescape.latent_space import AT_ONCE, Pictures
from vaescape.metrics import likelihood
from vaescape.models.m2 import evidence_of_all
from vaescape.progress import track
from vaescape.study import Study

KL = ("kl", "kl_per_layer", "kl_per_dimension")


def elbo(
    study: Study, images: Pictures, draws: int = 1, seed: int = 0, count: int | None = None
) -> dict[str, Any]:
    """Return the negative ELBO of images and its terms, means in nats per image.

    From the model alone, whatever objective it was trained by. A prior made of training images
    leaves out the image that is scored.

    Args:
        study: A model and its data.
        images: Of a data set, with their classes, or pictures.
        draws: Of z per image. Where the KL has a closed form, only the reconstruction needs any.
        seed: Of the draws.
        count: Of a split of the data set: how many images, which stand for all; None: all.

    Returns:
        ``images``, how many; ``negative_elbo`` and ``kl``, except for a plain autoencoder; the
        reconstruction term under the name of the likelihood's quantity; ``kl_per_layer`` and
        ``kl_per_dimension`` where there are such.

    Raises:
        OptionError: If draws is below 1, the seed negative, or as :meth:`LatentSpace.posterior`.
    """
    likelihood.check_counts(draws=draws)
    training = isinstance(images, Images) and images is study.train
    rows = torch.arange(len(images), device=study.device)
    if count is not None and count < len(images):
        assert isinstance(images, Images)
        chosen = some_rows(study.data, images, count)
        images, rows = images[chosen], chosen.to(study.device)
    weights, totals = study.space.weights_of(images).to(study.device), dict[str, Tensor]()
    together = max(1, AT_ONCE // draws)
    with study.space.inference(seed):
        for start in track("negative ELBO")(range(0, len(images), together)):
            part = slice(start, start + together)
            x = study.space.floats(images[part])
            e = study.model.evidence(x, weights[part], samples=draws)
            e = e.without(rows[part] if training else None)
            for name, value in e.terms().items():
                totals[name] = totals.get(name, 0) + value.double() * len(x) / len(images)
    terms: dict[str, Any] = {name: value.tolist() for name, value in totals.items()}
    numbers: dict[str, Any] = {"images": len(images)}
    if "kl" in terms:
        numbers["negative_elbo"] = terms["reconstruction"] + terms["kl"]
    numbers[study.space.likelihood.quantity.name] = terms["reconstruction"]
    return numbers | {name: terms[name] for name in KL if name in terms}


def inferred_classes(study: Study, images: Images, seed: int) -> dict[str, float]:
    """Return how often q(y | x) is right, and minus the bound on log p(x), the class summed out."""
    q = study.space.classify(images)
    return {
        "accuracy": (q.argmax(-1) == images.labels).double().mean().item(),
        "negative_elbo_without_labels": _elbo_without_labels(study, images, q.double(), seed),
    }


def _elbo_without_labels(study: Study, images: Images, q: Float[Tensor, "N E"], seed: int) -> float:
    """Return Σ_y q(y|x) L(x, y) − H(q(y|x)), the mean in nats (Kingma et al. 2014, eq. 7).

    L(x, y) is the negative ELBO of x with class y, less log p(y), which is even.
    """
    each, classes = [], q.shape[1]
    with study.space.inference(seed):
        for start in track("negative ELBO without labels")(range(0, len(images), AT_ONCE)):
            x = study.space.floats(images[start : start + AT_ONCE])
            e = evidence_of_all(study.model, x, classes)
            each.append((e.kl() - e.log_likelihood()).mean(0).view(classes, -1).T.cpu().double())
    return (q * (torch.cat(each) + math.log(classes)) + q.xlogy(q)).sum(-1).mean().item()
