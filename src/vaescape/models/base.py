"""What a model is made of, and what makes it: an open set, one file each."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
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
from vaescape.distributions import Event, draws
from vaescape.errors import ComponentError
from vaescape.facts import Facts
from vaescape.inference import Amortised
from vaescape.models.evidence import Evidence, Latent
from vaescape.nets.base import Network, Shape


@dataclass(frozen=True)
class Pieces:
    """What a run's component texts and its data give a model to be made of."""

    network: Network
    posterior: Posterior
    likelihood: Likelihood
    objective: Any
    prior: Callable[[Conditional], Prior]
    """Returns p(z | c), given q(z | x, c), which some priors borrow."""
    facts: Facts
    model: Any = None
    """What they were assembled into, for :meth:`Component.check`."""

    @property
    def shape(self) -> Shape:
        """(C, H, W)."""
        return self.facts.shape

    @property
    def latent(self) -> int:
        """D, dimensions of z; in a hierarchy, of its top layer."""
        return self.facts.latent_dim

    @property
    def classes(self) -> int:
        """E, entries of the condition c; 0 for a model that is not conditional."""
        return self.facts.conditions

    @property
    def q(self) -> Event:
        """The posterior where the network's output is zero, in evaluation mode."""
        head = self.posterior
        training = head.training
        q = head.eval()(torch.zeros(1, head.channels(self.latent)))
        head.train(training)
        return q

    @property
    def p(self) -> Event:
        """The prior as it starts, for one condition."""
        return self.model.prior(torch.eye(self.classes)[:1] if self.classes else None)

    @property
    def likelihood_of_an_image(self) -> Event:
        """The likelihood where the network's output is zero."""
        return self.likelihood(torch.zeros(self.raw_image))

    @property
    def conditioned_image(self) -> Shape:
        """(C + E, H, W): what the encoder sees."""
        c, h, w = self.shape
        return c + self.classes, h, w

    @property
    def raw_image(self) -> Shape:
        """(P, H, W): what the likelihood reads."""
        c, h, w = self.shape
        return self.likelihood.channels(c), h, w

    def encoder(self) -> Amortised:
        """Return q(z | x, c)."""
        net = self.network.encoder(self.conditioned_image, self.posterior.channels(self.latent))
        return Amortised(net, self.posterior)

    def inference_and_decoder(self) -> tuple[Neural, Neural]:
        """Return q(z | x, c), from an encoder or as the posterior brings it, and p(x | z, c)."""
        if self.posterior.amortised:
            return self.encoder(), self.decoder(self.latent)  # in the order of the random weights
        likelihood = self.decoder(self.latent)
        return self.posterior.inference(self, likelihood), likelihood

    def decoder(self, inputs: int) -> Neural:
        """Return p(x | z, c) from codes of so many numbers, c not counted."""
        net = self.network.decoder(inputs + self.classes, self.raw_image)
        return Neural(net, self.likelihood, event_dims=1)

    def embed(self) -> OneHot | None:
        """Return what turns labels into conditions, or None."""
        return OneHot(self.classes) if self.classes else None


class Model(nn.Module, ABC):
    """The base of all models: what objectives and everything after training may use.

    A conditional model takes labels (B,) or class weights (B, E); every other ignores them.

    Args:
        prior: p(z | c).
        embed: Turns labels (B,), or class weights (B, E), into conditions c (B, E): Doersch's
            conditional VAE (2016, section 4). None: the labels are ignored.
    """

    posterior: Any
    """q(z | x, c), a conditional with a ``head``; in a hierarchy, of the top layer."""
    likelihood: Any
    """p(x | z, c), a conditional with a ``head``."""
    layers: int = 1
    """L, how many stochastic layers there are."""
    classifies: bool = False
    """Whether it infers classes: q(y | x)."""

    def __init__(self, prior: Conditional, embed: nn.Module | None) -> None:
        super().__init__()
        self.prior, self.embed = prior, embed

    @property
    def deterministic(self) -> bool:
        """Whether q has no density: a plain autoencoder."""
        return self.posterior.head.deterministic

    def classify(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B E"]:
        """Return log q(y | x) of every class, in nats.

        Raises:
            ComponentError: If the model has no classifier.
        """
        raise ComponentError("This model does not infer classes. Train one with recipe m2.")

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

    @abstractmethod
    def infer(
        self, x: Float[Tensor, "B C H W"], label: Label = None, samples: int = 1
    ) -> tuple[Latent, ...]:
        """Return ``samples`` draws of z per image, layer by layer: the record without decoding."""

    @abstractmethod
    def evidence(
        self, x: Float[Tensor, "B C H W"], label: Label = None, samples: int = 1
    ) -> Evidence:
        """Return the record of one batch, with ``samples`` draws of z per image."""

    @abstractmethod
    def encode(self, x: Float[Tensor, "B C H W"], label: Label = None) -> tuple[Tensor, ...]:
        """Return the point estimate of each layer, the top first: two calls, the same codes."""

    @abstractmethod
    def decode(self, latents: tuple[Tensor, ...], label: Label = None) -> Event:
        """Return p(x | z), batch (*S)."""

    @abstractmethod
    def sample(self, n: int, label: Label = None, temperature: float = 1.0) -> Event:
        """Return p(x | z) at ``n`` draws of z from the prior, one for each label if any."""


class Architecture(Component, ABC):
    """How a model is put together; an optional argument of it is an option of the model."""

    kind = "model"

    @abstractmethod
    def assemble(self, pieces: Pieces) -> Model:
        """Return the model."""
