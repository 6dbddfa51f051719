"""The two terms of the negative ELBO of single images, which the page adds up."""

import torch

from vaescape.evaluation.scores import terms as terms_of
from vaescape.explore import blobs
from vaescape.explore.view import Section, View

MOST = 10_000
"""Test images, at most."""


def terms(view: View) -> Section:
    """Return the KL divergence and −log p(x | z) of test images, in nats, each by one draw of z."""
    study = view.study
    if not study.space.probabilistic or study.space.discrete:
        return {"terms": None}, {}
    shown = study.test[:MOST]
    found = torch.stack(terms_of(study, shown, draws=1), 1).numpy()
    about = {"first": len(study.train), "count": len(shown)}
    return {"terms": about}, {"terms": blobs.quantised(found, "u16")}
