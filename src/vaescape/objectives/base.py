"""What an objective is: a function of what a training step produced."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaescape.batch import Batch
from vaescape.components import Component, known
from vaescape.distributions import Gaussian, as_event
from vaescape.errors import ComponentError
from vaescape.models.base import Model, Pieces
from vaescape.models.evidence import Evidence, Latent


@dataclass(frozen=True)
class Loss:
    """What training minimises, and metrics for the training log."""

    total: Float[Tensor, ""]
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Means over the batch, scalars or vectors, on the device: nothing reads them between ticks."""


Need = Callable[["Objective", Pieces], None]
"""Returns if the pieces have what an objective needs of them, else raises a ComponentError."""


def density(objective: "Objective", pieces: Pieces) -> None:
    """Need log q(z | x) or a KL, which a deterministic posterior does not have."""
    if pieces.posterior.deterministic:
        free = [name for name, cls in known("objective").items() if density not in cls.needs]  # pyright: ignore[reportAttributeAccessIssue]
        raise ComponentError(
            f"Posterior {pieces.posterior.name!r} has no density, and objective "
            f"{objective.spec!r} needs one. Use elbo(beta=0) for a plain autoencoder, an "
            f"objective that needs none ({', '.join(free)}), or posterior 'gaussian'."
        )


def one_layer(objective: "Objective", pieces: Pieces) -> None:
    """Need one layer of latent variables, not a hierarchy."""
    refuse_layers(objective, pieces.model.layers)


def factors(objective: "Objective", pieces: Pieces) -> None:
    """Need a Gaussian q(z | x) that factorises over dimensions."""
    factors_of(objective, pieces.q)


def path_gradient(objective: "Objective", pieces: Pieces) -> None:
    """Need log q(z | x) with the parameters of q stopped."""
    del objective
    pieces.q.stopped()


def refuse_layers(objective: "Objective", layers: int) -> None:
    """Refuse a hierarchy."""
    if layers != 1:
        raise ComponentError(
            f"Objective {objective.name!r} is defined for one layer of latent variables, and the "
            f"model has {layers}. Use objective 'elbo', or a model with one layer."
        )


def factors_of(objective: "Objective", q: Distribution) -> Gaussian:
    """Return a Gaussian posterior that factorises, or refuse another."""
    if not isinstance(q, Gaussian):
        raise ComponentError(
            f"Objective {objective.name!r} needs a Gaussian posterior that factorises over "
            f"dimensions. Got {as_event(q).type_name}. Use posterior 'gaussian'."
        )
    return q


class Objective(nn.Module, Component, ABC):
    """A scalar to minimise, in nats per image."""

    kind = "objective"
    weighs_draws: ClassVar[bool] = False
    """Whether it weighs several draws for an image by p(x, z) / q(z | x)."""
    needs_classifier: ClassVar[bool] = False
    """Whether it trains q(y | x), which only a semi-supervised model has."""
    kl_weight: float | None = None
    """β, if it is exactly reconstruction + β KL throughout training."""

    needs: tuple[Need, ...] = (density,)
    """Functions that refuse incompatible components."""

    def check(self, pieces: Pieces) -> None:
        """Refuse components that it cannot be combined with.

        Raises:
            ComponentError: Before training, so that no step is ever refused.
        """
        if self.needs_classifier and not pieces.model.classifies:
            raise ComponentError(
                f"Objective {self.name!r} trains q(y | x), which the model does not have. "
                f"Use model 'm2' (recipe m2), or objective 'elbo'."
            )
        for need in self.needs:
            need(self, pieces)

    @abstractmethod
    def forward(self, model: Model, batch: Batch, t: Float[Tensor, ""]) -> Loss | Float[Tensor, ""]:
        """Return the loss of a batch; ``t`` is the share of training done, in [0, 1]."""

    def __call__(self, *arguments: Any) -> Loss:
        """Return the loss; a scalar is taken as a loss without metrics."""
        return as_loss(super().__call__(*arguments))


class EvidenceObjective(Objective):
    """An objective that depends on the evidence only, as most do."""

    samples: int = 1

    def forward(self, model: Model, batch: Batch, t: Float[Tensor, ""]) -> Loss:
        """Return the loss of the evidence of a batch, including the penalties of its layers."""
        e = model.evidence(batch.x, batch.label, samples=self.samples).without(batch.rows)
        return with_penalties(as_loss(self.loss(e, t)), e)

    @abstractmethod
    def loss(self, e: Evidence, t: Any) -> Loss | Float[Tensor, ""]:
        """Return the loss, or just its total, given the evidence and the share of training done."""

    def only_latent(self, e: Evidence) -> Latent:
        """Return the one layer of latent variables.

        Raises:
            ComponentError: If the objective is not defined for these.
        """
        refuse_layers(self, len(e.latents))
        return e.latents[0]

    def factorised(self, e: Evidence) -> tuple[Latent, Gaussian]:
        """Return the one layer and its posterior, which factorises over dimensions.

        Raises:
            ComponentError: If there are several layers, or the posterior is no diagonal Gaussian.
        """
        latent = self.only_latent(e)
        return latent, factors_of(self, latent.q)


def as_loss(loss: Loss | Tensor) -> Loss:
    """Return a loss as a record.

    Raises:
        ComponentError: If it is no scalar.
    """
    loss = Loss(loss) if isinstance(loss, Tensor) else loss
    if not isinstance(loss, Loss) or loss.total.shape != ():
        got = tuple(loss.total.shape) if isinstance(loss, Loss) else repr(loss)
        raise ComponentError(
            f"An objective must return a scalar tensor in nats, or Loss(total, metrics). Got {got}."
        )
    return loss


def with_penalties(loss: Loss, e: Evidence) -> Loss:
    """Return the loss plus the penalties of layers: metric ``penalty``, their mean in nats."""
    penalties = [latent.q.penalty for latent in e.latents if latent.q.penalty is not None]
    if not penalties:
        return loss
    penalty = torch.stack([each.mean() for each in penalties]).sum()
    return Loss(loss.total + penalty, loss.metrics | {"penalty": penalty})
