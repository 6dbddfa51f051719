"""Semi-supervised learning: a conditional model that can also infer the class."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vaescape.errors import ComponentError
from vaescape.models.base import Architecture, Pieces
from vaescape.models.evidence import Evidence
from vaescape.models.vae import VAE


class SemiSupervised(VAE):
    """p(x | z, y) p(z | y) p(y), with q(z | x, y) and q(y | x) (Kingma et al. 2014, model M2).

    Args:
        classifier: Images (B, C, H, W) → logits (B, E) of q(y | x).
        parts: Those of a conditional ``VAE``.
    """

    classifies = True

    def __init__(self, classifier: nn.Module, *parts: Any) -> None:
        super().__init__(*parts)
        self.classifier = classifier

    def classify(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B E"]:
        """Return log q(y | x) of every class, in nats."""
        return self.classifier(x).float().log_softmax(-1)


def evidence_of_all(
    model: Any, x: Float[Tensor, "B C H W"], classes: int, samples: int = 1
) -> Evidence:
    """Return the evidence of every image with every class, one class after the other."""
    label: Int[Tensor, " EB"] = torch.arange(classes, device=x.device).repeat_interleave(len(x))
    return model.evidence(x.repeat(classes, 1, 1, 1), label, samples)


class M2(Architecture, name="m2"):
    """A conditional VAE that infers missing classes (Kingma et al. 2014); objective m2.

    p(x | z, y) p(z | y) p(y) with q(z | x, y) q(y | x): their eq. 2.
    """

    def assemble(self, pieces: Pieces) -> SemiSupervised:
        """Return the model; the classifier is an encoder of the same network.

        Raises:
            ComponentError: Without classes, or with an objective that does not train q(y | x).
        """
        if not pieces.objective.needs_classifier:
            raise ComponentError(
                f"Model {self.name!r} has q(y | x), which objective {pieces.objective.name!r} does "
                "not train. Use objective 'm2' (recipe m2), or model 'vae'."
            )
        if not pieces.classes:
            raise ComponentError(f"Model {self.name!r} is about classes. Add --conditional.")
        posterior, likelihood = pieces.encoder(), pieces.decoder(pieces.latent)
        prior = pieces.prior(posterior)
        classifier = pieces.network.encoder(pieces.shape, pieces.classes)
        return SemiSupervised(classifier, posterior, likelihood, prior, pieces.embed())
