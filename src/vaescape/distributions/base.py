"""The base class of our distributions, with methods that a distribution may override."""

import math
from typing import ClassVar, NoReturn, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size

from vaescape.errors import ComponentError

Information = tuple[Float[Tensor, "*batch P"], Float[Tensor, "*batch P"]]
"""Parameters θ, and the diagonal of the Fisher information in them."""

NUMBERS_AT_ONCE = 2**22
"""Numbers compared at once where all pairs are scored: so many fit in the cache."""


class Event(Distribution):
    """A distribution whose last ``event_dims`` dimensions are one event, with validation off.

    Every method has a default except ``rsample``, which returns draws (*sample_shape, *batch,
    *event) with gradients to the parameters, and ``log_prob``, which returns the log-density in
    nats, (*S, *batch), of values (*S, *batch, *event). ``mean``, (*batch, *event), is needed where
    nothing overrides ``point_estimate``. A default either works for any distribution (by draws, or
    pair by pair) or raises an error that says that it is not available.

    Validation would cost a device sync per object; shapes and ranges are checked at the border
    instead.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}  # pyright: ignore
    has_rsample = True
    has_density: ClassVar[bool] = True
    """Whether ``log_prob`` has a meaning; a point has none, and so no KL."""
    scores_pairs: ClassVar[bool] = True
    """Whether scoring many codes under many images needs no network evaluation for each pair."""
    penalty: Tensor | None = None
    """What it adds to a loss besides the KL, in nats (*batch): a quantiser's commitment."""

    def __init__(self, shape: torch.Size, event_dims: int) -> None:
        split = len(shape) - event_dims
        super().__init__(shape[:split], shape[split:], validate_args=False)

    @property
    def event_dims(self) -> int:
        """How many trailing dimensions make one event."""
        return len(self.event_shape)

    @property
    def point_estimate(self) -> Tensor:
        """The one code that stands for all of them, (*batch, *event): the mean by default."""
        return self.mean

    @property
    def quick_estimate(self) -> Tensor:
        """The point estimate without iterations, for an exported network: by default the same."""
        return self.point_estimate

    def sum_event(self, terms: Tensor) -> Tensor:
        """Return the sum over one event: (*S, *batch, *event) to (*S, *batch)."""
        return terms.flatten(-self.event_dims).sum(-1)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws, without gradients: (*sample_shape, *batch, *event)."""
        with torch.no_grad():
            return self.rsample(torch.Size(sample_shape))

    def joint_rsample(self, shape: _size = ()) -> tuple[Tensor, Float[Tensor, "*S B"] | None]:
        """Return reparameterised draws, and their log-density where it comes free, else None."""
        return self.rsample(torch.Size(shape)), None

    def pairs(self, values: Float[Tensor, "J *event"]) -> Float[Tensor, "S J"]:
        """Return the log-density, in nats, of J values under each of a batch of S distributions."""
        numbers = math.prod((*self.batch_shape, *self.event_shape))
        parts = values.split(max(1, NUMBERS_AT_ONCE // max(1, numbers)))
        return torch.cat([self.log_prob(part.unsqueeze(1)) for part in parts]).T

    def product(self) -> tuple[Float[Tensor, "S P"], Float[Tensor, " S"]] | None:
        """Return A and b with log pₛ(x) = x·Aₛ + bₛ + f(x) for a batch of S, f the same for all.

        None where it is not of that form: then all pairs are scored by :meth:`pairs`.
        """
        return None

    def mixed(self) -> "Event | None":
        """Return the even mixture over the batch, (B,) to (1,), where it has a closed form."""
        return None

    def kl_to(self, p: "Event") -> Float[Tensor, "*S B"] | None:
        """Return KL(self ‖ p) in nats in closed form; None: it is estimated from draws."""
        terms = self.kl_per_dimension_to(p)
        return p.kl_from(self) if terms is None else terms.sum(-1)

    def kl_from(self, q: "Event") -> Float[Tensor, "*S B"] | None:
        """Return KL(q ‖ self) in nats in closed form, where q itself knows none; else None."""
        del q
        return None

    def kl_per_dimension_to(self, p: "Event") -> Float[Tensor, "*S B D"] | None:
        """Return KL(self ‖ p) in nats where it is a closed form for each dimension, else None."""
        del p
        return None

    def parameters(self) -> dict[str, Tensor]:
        """Return the parameters of ``log_prob`` besides ``mean``, by name, each (*batch, …).

        An exported decoder gives these too. Nothing by default.
        """
        return {}

    def information(self) -> Information:
        """Return parameters θ in which the Fisher information is diagonal, and that diagonal.

        In nats: KL(p_θ ‖ p_θ₊dθ) = ½ Σ I dθ² + O(|dθ|³).

        Raises:
            ComponentError: Where it is not known in closed form.
        """
        _refuse(
            self,
            "The Fisher information of {} is not known in closed form. Take the "
            "pull-back metric of the decoded images, or another likelihood.",
        )

    def tempered(self, temperature: float) -> Self:
        """Return the distribution at a temperature above 0: closer to its modes below 1.

        What has a scale has it times the temperature (Kingma & Dhariwal 2018, section 6): a
        Gaussian, each Gaussian of a mixture or of a hierarchy, the noise of a flow. On a sphere the
        concentration is divided by its square, which is the same for a narrow distribution. The
        logits of categorical variables are divided by it.

        Raises:
            ComponentError: If there is nothing that a temperature changes.
        """
        _refuse(
            self,
            f"A temperature of {temperature:g} has no meaning for {{}}, which has "
            "neither a scale nor logits that it could change. Use a temperature of 1, or a prior "
            "such as 'normal', 'mixture' or 'autoregressive'.",
        )

    def without(self, rows: Int[Tensor, " B"]) -> "Event":
        """Return, for B training images, the distribution that is made of all the others.

        By default it is made of no images and stays what it is.
        """
        del rows
        return self

    def stopped(self) -> Self:
        """Return the same distribution with its parameters detached from the graph.

        Raises:
            ComponentError: If that is not possible, as for a flow, whose maps are networks.
        """
        _refuse(
            self,
            "The parameters of {} cannot be detached, so there is no gradient by the path alone. "
            "Use objective 'iwae' or 'elbo', or posterior 'gaussian'.",
        )

    def component(self, index: Tensor) -> "Event":
        """Return the distributions at an index into the last batch dimension: of a mixture.

        Raises:
            ComponentError: If they cannot be picked out.
        """
        del index
        _refuse(self, "{} cannot be the component of a mixture. Use prior 'normal' or 'flow'.")

    @property
    def type_name(self) -> str:
        """Name of its class; of an adapted one, of the other library's."""
        return type(self).__name__


class Adapted(Event):
    """A distribution of PyTorch's own, or of another library's, with the methods of ours.

    Args:
        base: Whose event is a code or an image: ``Independent(Normal(mean, scale), 1)``.
    """

    def __init__(self, base: Distribution) -> None:
        self.base, self.has_rsample = base, base.has_rsample
        super().__init__(base.batch_shape + base.event_shape, len(base.event_shape))

    @property
    def mean(self) -> Tensor:
        return self.base.mean

    @property
    def variance(self) -> Tensor:
        return self.base.variance

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws, with gradients where the distribution has any."""
        draw = self.base.rsample if self.base.has_rsample else self.base.sample
        return draw(torch.Size(sample_shape))

    def sample(self, sample_shape: _size = ()) -> Tensor:
        return self.base.sample(torch.Size(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return self.base.log_prob(value)

    def entropy(self) -> Tensor:
        return self.base.entropy()

    @property
    def type_name(self) -> str:
        return type(self.base).__name__


def _refuse(p: Event, sentence: str) -> NoReturn:
    raise ComponentError(sentence.format(p.type_name))


def as_event(p: Distribution) -> Event:
    """Return a distribution itself if it has the methods of an ``Event``, else an adapter."""
    return p if isinstance(p, Event) else Adapted(p)


def full_precision(like: Tensor) -> torch.autocast:
    """Return a context in which matrix products are float32 or better, also under autocast."""
    return torch.autocast(like.device.type, enabled=False)
