"""Scores of single images: the negative ELBO and the reconstruction error of each."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.data import Images
from vaescape.latent_space import AT_ONCE, Pictures
from vaescape.metrics import likelihood, reconstruction
from vaescape.study import Study

DRAWS = 8
"""Of z per image."""
TEST_IMAGES = 2000
"""Test images at most that others are compared with, evenly spaced."""


def scores(
    study: Study, images: Pictures, label: Any = None, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Float[Tensor, " N"]]:
    """Return of each image the negative ELBO and the reconstruction error.

    Args:
        study: A trained model.
        images: Of a data set, with their classes, or pictures.
        label: Of a conditional model: the classes of pictures.
        draws: Of z per image, averaged: one alone is noisy.
        seed: Of the draws. An image's draws depend on its place among the others.

    Returns:
        ``negative_elbo`` in nats, except for a plain autoencoder, and ``mse``: the squared error of
        the image reconstructed from its posterior mean, a mean over its pixels, white is 1.

    Raises:
        OptionError: If draws is below 1, the seed negative, or as :meth:`Study.encode`.
    """
    likelihood.check_counts(draws=draws)
    errors = reconstruction.mse(study.reconstruct(images, label), study.space.floats(images).cpu())
    if not study.space.probabilistic:
        return {"mse": errors}
    kl, missed = terms(study, images, label, draws=draws, seed=seed)
    return {"negative_elbo": (kl + missed).double(), "mse": errors}


def terms(
    study: Study, images: Pictures, label: Any = None, *, draws: int = DRAWS, seed: int = 0
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Return the KL divergence and −log p(x | z) of each image, in nats: the negative ELBO's terms.

    Of a probabilistic model; the arguments are those of :func:`scores`.
    """
    weights = study.space.weights_of(images, label).to(study.device)
    pixels, together = study.space.floats(images).cpu(), max(1, AT_ONCE // draws)
    found = list[Tensor]()
    with study.space.inference(seed):
        for start in range(0, len(images), together):
            part = slice(start, start + together)
            x = pixels[part].to(study.device)
            e = study.model.evidence(x, weights[part], samples=draws)
            kl = e.kl()
            kl = kl if kl.ndim == 1 else kl.mean(0)
            found.append(torch.stack([kl, -e.log_likelihood().mean(0)]).cpu())
    kl, missed = torch.cat(found, 1)
    return kl, missed


def among_test_images(
    study: Study, scored: dict[str, Float[Tensor, " N"]], *, seed: int = 0
) -> dict[str, Float[Tensor, " N"]]:
    """Return which share of the test images each score is at least as large as, in percent.

    100 means as bad as the worst test image, or worse. They are those of :func:`compared_with`.
    """
    some = compared_with(study)
    ours = scores(study, some, seed=seed)
    return {
        name: 100 * (values[:, None] >= ours[name][None]).double().mean(1)
        for name, values in scored.items()
    }


def compared_with(study: Study) -> Images:
    """Return the test images that others are compared with: ``TEST_IMAGES`` at most."""
    return study.test[:: -(-len(study.test) // TEST_IMAGES)]
