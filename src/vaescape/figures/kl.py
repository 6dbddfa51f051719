"""Figure ``kl``."""

import torch

from vaescape import plots
from vaescape.evaluation import elbo
from vaescape.figures.base import Figure
from vaescape.figures.view import NO_PRIOR
from vaescape.study import Study

FEWEST = 3
"""Latent dimensions from which on a bar chart says more than a table."""


class KL(Figure, name="kl"):
    """The KL of each latent dimension over the test images."""

    title = "How much each dimension is used"
    caption = (
        "The KL divergence of each latent dimension, averaged over the test images. "
        "Hollow bars, at or under the dashed line, are dimensions that carry almost no information."
    )
    alt = "Bar chart of the KL divergence of each latent dimension."
    chapter = "The latent space"
    order = 150

    def needs(self, study: Study) -> str | None:
        if not study.space.probabilistic:
            return NO_PRIOR
        if study.space.latent < FEWEST:
            return f"{FEWEST} latent dimensions or more: metrics.json has the KL of each"
        c = torch.eye(study.space.conditions, device=study.device)[:1]
        with study.space.inference():
            layers = study.model.infer(study.space.floats(study.test[:1]), c)
        if len(layers) > 1 or layers[0].kl_per_dimension() is None:
            return "a KL for each latent dimension: posterior 'gaussian' with a Gaussian prior"
        return None

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        return plots.kl_bars(elbo(study, study.test)["kl_per_dimension"], theme=theme)
