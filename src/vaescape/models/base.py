"""What a model is made of, and what makes it: an open set, one file each."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from vaescape.components import Component
from vaescape.conditionals import (
    Conditional,
    Label,
    Likelihood,
    Neural,
    OneHot,
    Posterior,
    Prior,
)
from vaescape.distributions import draws
from vaescape.errors import ComponentError
from vaescape.models.bayes import BayesRule
from vaescape.nets.base import Network, Shape


@dataclass(frozen=True)
class Pieces:
    """What a run's component texts and its data give a model to be made of."""

    network: Network
    posterior: Posterior
    likelihood: Likelihood
    prior: Callable[[Conditional], Prior]
    """Returns p(z | c), given q(z | x, c), which some priors borrow."""
    shape: Shape
    """(C, H, W)."""
    latent: int
    """D, dimensions of z; in a hierarchy, of its top layer."""
    classes: int = 0
    """E, entries of the condition c; 0 for a model that is not conditional."""

    @property
    def told_image(self) -> Shape:
        """(C + E, H, W): what the encoder sees."""
        c, h, w = self.shape
        return c + self.classes, h, w

    @property
    def raw_image(self) -> Shape:
        """(P, H, W): what the likelihood reads."""
        c, h, w = self.shape
        return self.likelihood.channels(c), h, w

    def encoder(self) -> Neural:
        """Return q(z | x, c)."""
        net = self.network.encoder(self.told_image, self.posterior.channels(self.latent))
        return Neural(net, self.posterior, event_dims=3)

    def by_bayes(self, likelihood: Neural, places: Float[Tensor, "C D"]) -> Neural:
        """Return q(z | x) that asks the decoder, and no encoder."""
        pixels, posterior = math.prod(self.raw_image), self.posterior
        fewer = posterior.asks_in_training
        rule = BayesRule(likelihood, places, fewer, pixels=pixels, renew=posterior.renew)
        return Neural(rule, self.posterior, event_dims=3)

    def decoder(self, inputs: int) -> Neural:
        """Return p(x | z, c) from codes of so many numbers, c not counted."""
        net = self.network.decoder(inputs + self.classes, self.raw_image)
        return Neural(net, self.likelihood, event_dims=1)

    def embed(self) -> OneHot | None:
        """Return what turns labels into conditions, or None."""
        return OneHot(self.classes) if self.classes else None


class Model(nn.Module):
    """What all models share: a prior, and classes if they are told them.

    Args:
        prior: p(z | c).
        embed: Turns labels (B,), or class weights (B, E), into conditions c (B, E): Doersch's
            conditional VAE (2016, section 4). None: the labels are ignored.
    """

    layers: int = 1
    """L, how many stochastic layers there are."""

    def __init__(self, prior: Conditional, embed: nn.Module | None) -> None:
        super().__init__()
        self.prior, self.embed = prior, embed

    def condition(self, label: Label) -> Float[Tensor, "B E"] | None:
        """Return c, or None for a model that is not conditional.

        Raises:
            ComponentError: If the model is conditional and there are no labels.
        """
        if self.embed is None:
            return None
        if label is None:
            raise ComponentError("This model is conditional on classes. Give it the labels.")
        return self.embed(label)

    def draw(self, n: int, label: Label = None, temperature: float = 1.0) -> Float[Tensor, "n D"]:
        """Return ``n`` draws of z from the prior, one for each label if any."""
        return draws(self.prior(self.condition(label)), n, temperature)


class Architecture(Component, ABC):
    """How a model is put together; an optional argument of it is an option of the model."""

    kind = "model"
    classifies: ClassVar[bool] = False
    """Whether the model has q(y | x), which only some objectives train."""
    takes_codes: ClassVar[bool] = True
    """Whether it has a place for posteriors over discrete codes."""

    @abstractmethod
    def assemble(self, pieces: Pieces) -> Model:
        """Return the model, a ``LatentVariableModel``."""
