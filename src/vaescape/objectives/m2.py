"""The bound of semi-supervised learning."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vaescape.batch import Batch
from vaescape.conditions import NOT_NEGATIVE, ONE_OR_MORE, require
from vaescape.models.evidence import Evidence
from vaescape.models.m2 import evidence_of_all
from vaescape.objectives.base import Loss, Objective


class M2(Objective, name="m2"):
    """Semi-supervised: the class is summed out where it is unknown (Kingma et al. 2014).

    With L(x, y) = −log p(x | y, z) − log p(y) + KL, p(y) even, an image costs L(x, y) if it has a
    label (eq. 6), else U(x) = Σ_y q(y | x) L(x, y) − H(q(y | x)) (eq. 7). The classifier's
    cross-entropy over the labelled images of the batch is added (eq. 9). A missing label is −1.
    Every class is tried for every image, so a step costs as many as there are classes.

    Args:
        alpha: Weight of that cross-entropy relative to the bound of one image.
        samples: Draws of z per image and class.
    """

    needs_classifier = True

    def __init__(self, alpha: float = 50.0, samples: int = 1) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, alpha=alpha)
        require(*ONE_OR_MORE, samples=samples)
        self.alpha, self.samples = alpha, samples

    def forward(self, model: Any, batch: Batch, t: Float[Tensor, ""]) -> Loss:
        """Return the loss; ``bound`` is the mean of L or U, before the classifier's own term."""
        log_q = model.classify(batch.x)
        label = torch.full_like(log_q[:, 0], -1).long() if batch.label is None else batch.label
        known = label >= 0
        told = F.one_hot(label.clamp(min=0), log_q.shape[1]).to(log_q)
        weight = torch.where(known[:, None], told, log_q.exp()).T
        e = evidence_of_all(model, batch.x, log_q.shape[1], self.samples)
        terms = {name: (weight * value).sum(0).mean() for name, value in _terms(e, weight).items()}
        free = torch.where(known, 0.0, (log_q.exp() * log_q).sum(-1)).mean()
        terms["bound"] = terms["reconstruction"] + terms["kl"] + math.log(log_q.shape[1]) + free
        missed = -(told * log_q).sum(-1)
        cost = torch.where(known, missed, 0.0).sum() / known.sum().clamp(min=1)
        per_dimension = e.latents[0].kl_per_dimension()
        if per_dimension is not None:
            terms["kl_per_dimension"] = (weight.reshape(-1, 1) * per_dimension).sum(0) / len(label)
        total = terms["bound"] + terms.get("penalty", 0.0) + self.alpha * cost
        return Loss(total, terms)


def _terms(e: Evidence, weight: Float[Tensor, "E B"]) -> dict[str, Float[Tensor, "E B"]]:
    kl, penalty = e.kl(), e.latents[0].q.penalty
    terms = {
        "reconstruction": -e.log_likelihood().mean(0).view_as(weight),
        "kl": (kl.mean(0) if kl.ndim > 1 else kl).view_as(weight),
    }
    return terms if penalty is None else terms | {"penalty": penalty.view_as(weight)}
