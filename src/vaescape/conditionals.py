"""Conditional distributions: modules whose ``forward`` returns a distribution.

A VAE is three of them: the posterior q(z | x, c), the likelihood p(x | z, c) and the prior p(z |
c).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from vaescape.components import Component
from vaescape.conditions import require
from vaescape.distributions.ball import inside
from vaescape.distributions.base import Event, as_event, full_precision
from vaescape.errors import ComponentError
from vaescape.quantities import NEGATIVE_LOG_LIKELIHOOD, Quantity

Label = Int[Tensor, " B"] | Float[Tensor, "B E"] | None
"""The class of each image, or a weight for each class; a model that is not conditional has none."""


class Conditional(nn.Module, ABC):
    """p(· | context)."""

    @abstractmethod
    def forward(self, *context: Any, **named: Any) -> Distribution:
        """Return the distribution, given its context."""

    def __call__(self, *context: Any, **named: Any) -> Event:
        """Return the distribution with the methods of an ``Event``, whoever made it."""
        return as_event(super().__call__(*context, **named))

    def light(self, *context: Any) -> Event:
        """Return the distribution as a page computes it: as always by default."""
        return self(*context)


class Head(nn.Module, Component, ABC):
    """Reads the raw output of a network as the parameters of a distribution."""

    def channels(self, size: int) -> int:
        """Return how many numbers the network gives for ``size`` variables, or image channels.

        By default one for each.
        """
        return size

    @abstractmethod
    def forward(self, raw: Tensor) -> Distribution:
        """Return the distribution, batch (*S), given raw (*S, P); for images (*S, P, H, W)."""

    def __call__(self, raw: Tensor) -> Event:
        """Return the distribution; densities are float32 or better, whatever the network ran in."""
        wide = raw if raw.dtype == torch.float64 else raw.float()
        with full_precision(wide):
            return as_event(super().__call__(wide))


Points = tuple[Float[Tensor, "N D"], Float[Tensor, " N"]]
"""Points of latent space, and the length, area or number that each stands for."""


@dataclass(frozen=True, eq=False)
class Support:
    """Where codes lie: a posterior and a prior have a KL only where these are the same.

    An open set: ``TORUS = Support("on a torus", "my_module:UniformTorus", wrap)`` is one more.
    """

    words: str
    """Where that is, after "puts z"."""
    usual_prior: str
    """The prior of a posterior for which none was chosen, a component text."""
    project: Callable[[Float[Tensor, "*S D"]], Float[Tensor, "*S D"]] | None = None
    """Returns the codes nearest to any points; None: any point serves."""
    reach: float = 3.0
    """How far from the origin geodesics may lead, at least, in each dimension."""
    points: Callable[[], Iterable[Points]] | None = None
    """Returns everywhere that codes of 2 or 3 dimensions can lie, for the laws over densities."""

    SPACE: ClassVar["Support"]
    SPHERE: ClassVar["Support"]
    BALL: ClassVar["Support"]
    CODES: ClassVar["Support"]

    def __str__(self) -> str:
        """Return the words."""
        return self.words

    def nearest(self, z: Float[Tensor, "*S D"]) -> Float[Tensor, "*S D"]:
        """Return the codes nearest to any points of latent space; of discrete ones, the points."""
        return z if self.project is None else self.project(z)


Support.SPACE = Support("anywhere in latent space", "normal")
Support.SPHERE = Support(
    "on the unit sphere", "uniform-sphere", lambda z: nn.functional.normalize(z, dim=-1)
)
Support.BALL = Support("in the unit ball", "wrapped-normal", inside, reach=1.0)
Support.CODES = Support("at discrete codes", "uniform-codes")


class Posterior(Head):
    """q(z | x, c): how a network's output becomes a distribution over codes."""

    kind = "posterior"
    deterministic: ClassVar[bool] = False
    """True for a point: there is no density, so neither KL nor evidence bound."""
    support: ClassVar[Support] = Support.SPACE
    """Where its codes lie."""
    one_draw: ClassVar[bool] = False
    """True where all draws for an image are the same, so that weighing several says no more."""

    amortised: ClassVar[bool] = True
    """Whether an encoder gives its parameters; otherwise :meth:`inference` makes q(z | x)."""

    def inference(self, pieces: Any, likelihood: "Neural") -> "Neural":
        """Return q(z | x, c) as a module: for a posterior with an inference of its own.

        Args:
            pieces: Of the model (``models.base.Pieces``).
            likelihood: p(x | z, c), to :func:`borrow`.
        """
        raise NotImplementedError


class SpherePosterior(Posterior):
    """q(z | x) on the unit sphere of R^D, about a direction μ with a concentration κ.

    Args:
        latent_dim: D, 2 or more.
    """

    support = Support.SPHERE
    family: ClassVar[Callable[[Tensor, Tensor], Distribution]]
    """Takes μ (*S, D), of length one, and κ (*S,)."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        require(lambda v: v >= 2, "2 or more for codes on a sphere", latent=latent_dim)

    def channels(self, size: int) -> int:
        """Return D + 1: the direction μ, of any length, and κ before its softplus."""
        return size + 1

    def forward(self, raw: Float[Tensor, "*S P"]) -> Distribution:
        """Return the distribution: batch (*S), event (D,)."""
        return type(self).family(
            nn.functional.normalize(raw[..., :-1], dim=-1), nn.functional.softplus(raw[..., -1])
        )


class CodePosterior(Posterior):
    """q(code | x): M positions, each one of K codes, laid out as a vector of D numbers."""

    support = Support.CODES
    one_draw = True
    positions: int
    """M, indices that make one code."""
    codes: int
    """K, values of each index."""

    def tables(self) -> Float[Tensor, "T K d"]:
        """Return every code's vector: the D / d parts of z are each a sum of one of every table.

        The indices of a code are part by part, and those of a part table by table.
        """
        here = next(self.buffers(), torch.empty(0)).device
        every = torch.arange(self.codes, device=here)[:, None].expand(-1, self.positions)
        return self.lookup(every).unflatten(-1, (self.positions, -1))[None, :, 0]

    def check(self, pieces: Any) -> None:
        """Refuse objectives that weigh several draws, where all draws for an image are the same."""
        if self.one_draw and pieces.objective.weighs_draws:
            raise ComponentError(
                f"Objective {pieces.objective.name!r} weighs several draws for an image, and those "
                f"of posterior {self.name!r} are all the same. Use objective 'elbo', which it "
                "equals."
            )

    @abstractmethod
    def lookup(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S D"]:
        """Return the vectors of codes."""

    @abstractmethod
    def index(self, z: Float[Tensor, "*S D"]) -> Int[Tensor, "*S M"]:
        """Return the codes of vectors."""


def cut(latent_dim: int, parts: int) -> int:
    """Return D / parts, the size of each of so many equal parts of a code.

    Raises:
        ComponentError: If it is no whole number.
    """
    if parts < 1 or latent_dim % parts:
        raise ComponentError(
            f"The latent size {latent_dim} cannot be cut into {parts} equal parts. "
            "Give a latent size that is a multiple of the parts, 1 or more."
        )
    return latent_dim // parts


class Measure(StrEnum):
    """Where one pixel must lie for exp(log_prob) to add up to one: by an integral or by a sum.

    Every ``log_prob`` is in nats per image, and pixels are in [0, 1]. Numbers under different
    measures do not compare: the same density counts log 255 nats more for each pixel whose unit
    is white than for one whose unit is the 8-bit step.
    """

    UNIT_INTERVAL = "density of pixels in [0, 1]"
    REAL_LINE = "density of pixels on the real line, with black at 0 and white at 1"
    BYTE = "probability of the byte round(255 x)"
    BINARY = "probability of pixels that are 0 or 1"
    NONE = "none: a score, not a density"


class Likelihood(Head):
    """p(x | z, c): how a network's output becomes a distribution over images.

    A constructor with a parameter ``shape`` receives (C, H, W).
    """

    kind = "likelihood"
    measure: Measure
    """What its ``log_prob`` is the logarithm of."""
    pixelwise: ClassVar[bool] = True
    """Whether pixels are independent given z; otherwise a draw is more than the mean with noise."""
    quantity: Quantity = NEGATIVE_LOG_LIKELIHOOD
    """What minus its ``log_prob`` is, wherever it is printed. A score that is no density brings a
    quantity of its own: ``quantity = Quantity("my_error", "my error", "nats", "lower", True)``."""

    def __init__(self) -> None:
        super().__init__()
        if not hasattr(self, "measure"):
            raise ComponentError(
                f"Likelihood {type(self).__name__} does not say what its log_prob is the logarithm "
                f"of. Give the class measure = Measure.{' or Measure.'.join(Measure.__members__)}."
            )

    @property
    def normalised(self) -> bool:
        """Whether exp(log_prob) adds up to one over the pixels of its measure."""
        return self.measure is not Measure.NONE

    def check_images(self, x: Float[Tensor, "*S C H W"]) -> None:
        """Refuse images that it cannot score. Once, before training: it waits for the device.

        Raises:
            DataError: If pixels lie where it has no mass; in [0, 1], most have mass everywhere.
        """


class Prior(Conditional, Component):
    """p(z | c).

    A constructor receives the facts that are its parameters: ``latent_dim``; ``shape`` (C, H, W);
    ``posterior``, q(z | x, c) as a module, to :func:`borrow`; ``classes``, how many or
    None; ``conditional``, whether the model is conditioned on them; ``images``,
    how many there are to train on; ``pixels``, these images as bytes, or None where a trained model
    is rebuilt: whatever a prior makes of them for good, it keeps in a buffer.
    """

    kind = "prior"
    support: ClassVar[Support | None] = Support.SPACE
    """Where its codes lie; None: wherever those of the posterior do."""
    exact: ClassVar[bool] = True
    """Whether ``log_prob`` is its log-density; otherwise the logarithm of an estimate of it whose
    mean is right: enough for a bound, and not for what needs the density itself."""


class OriginPrior(Prior):
    """A prior that is made from zeros (D,), which say where and in which precision to compute.

    Args:
        latent_dim: D.
    """

    origin: Float[Tensor, " D"]

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latent_dim), persistent=False)

    def origins(self, c: Float[Tensor, "B E"] | None) -> Float[Tensor, "*B D"]:
        """Return the zeros, or a row of them for each condition."""
        return self.origin if c is None else self.origin.expand(c.shape[0], -1)


def borrow(owner: nn.Module, **modules: nn.Module) -> None:
    """Give a module others to use that belong to somebody else: its weights are not theirs."""
    for name, module in modules.items():
        object.__setattr__(owner, name, module)


class Neural(Conditional):
    """head(net(input, c)): every learned conditional in the package.

    Args:
        net: Takes (N, *event) and returns (N, P, …), as many numbers as the head needs.
        head: Reads them.
        event_dims: How many trailing dimensions of the input are one event: 3 for an image, 1 for a
            code. What comes before them (images, samples per image) is flattened for the net and
            restored.
    """

    def __init__(self, net: nn.Module, head: Head, event_dims: int) -> None:
        super().__init__()
        self.net = net
        self.head = head
        self.event_dims = event_dims

    def forward(self, given: Tensor, c: Float[Tensor, "B E"] | None = None) -> Distribution:
        """Return the distribution given an image or a code, and a condition if there is one."""
        return self.head(self.raw(given, c))

    def use(self, prior: "Prior") -> None:
        """Take the model's prior: for inference that needs it, which an encoder does not."""

    def coarse(self, given: Tensor) -> Distribution:
        """Return a quick look at the distribution given an image: as :meth:`forward` by default."""
        return self(given)

    def begin_step(self) -> None:
        """Do, once in a training step, what does not depend on its images."""

    def read(self, raw: Tensor) -> Event:
        """Return the distribution, given what :meth:`raw` returned."""
        return self.head(raw)

    def raw(self, given: Tensor, c: Float[Tensor, "B E"] | None = None) -> Tensor:
        """Return what the network says, for the head to read."""
        batch = given.shape[: -self.event_dims]
        if c is not None:
            given = append(given, c, self.event_dims)
        if len(batch) == 1:  # as it is, also where a trace would fix the batch
            return self.net(given)
        return self.net(given.reshape(-1, *given.shape[len(batch) :])).unflatten(0, batch)


def append(given: Tensor, c: Float[Tensor, "B E"], event_dims: int) -> Tensor:
    """Return the input with c as further features: planes of an image, entries of a code."""
    planes = c.reshape(*c.shape, *[1] * (event_dims - 1))
    batch, event = given.shape[:-event_dims], given.shape[-event_dims:]
    return torch.cat([given, planes.expand(*batch, c.shape[-1], *event[1:])], dim=-event_dims)


class OneHot(nn.Module):
    """The condition of a labelled image: (B,) classes become (B, E) indicator vectors.

    Weights (B, E), as between two classes, are taken as they are.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, label: Tensor) -> Float[Tensor, "B E"]:
        """Return one row per label."""
        if label.is_floating_point():
            return label
        return nn.functional.one_hot(label, self.classes).float()
