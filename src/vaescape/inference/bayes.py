"""Inference by Bayes' rule on grid points: q(z | x) ∝ p(x | z)^(1/β) p(z), without an encoder."""

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.conditionals import Neural, Posterior, Prior, borrow
from vaescape.distributions import Gaussian, Lattice
from vaescape.distributions.base import Event, full_precision
from vaescape.inference.memory import WhileUnchanged
from vaescape.inference.newton import maximum

UNKNOWN = -1e4
"""Log-likelihood, in nats, of a grid point that has not been decoded yet: no image lies there."""
ROUNDS = 5
"""Newton steps from the best grid point to the mode, at most; most images need two."""
STEP, STEPS = 0.2, (0.02, 0.2)
"""Step of the finite differences, in widths of the mode, and its limits: where the density is flat
a small step would measure rounding errors."""
REACH = 0.3
"""The longest Newton step. Like the limits above in standard deviations of the base."""
PAGE_POINTS = 10_000
"""Grid points at most at which a page decodes before it encodes the first picture: seconds."""
DRAWS, MEMORY = 256, 100
"""Draws in each training step of a prior without quantiles, and steps that are averaged over."""


class Weighted(Protocol):
    """An objective: reconstruction + β KL."""

    kl_weight: float | None
    """β, above 0."""


class GridPosterior(Posterior):
    """A posterior component that says where the grid points are."""

    amortised = False
    size: int
    """D."""
    tents: Float[Tensor, "3 n"]
    """Of the grid in use (``distributions.lattice.tents_of``)."""
    training_tents: Float[Tensor, "3 m"]
    """Of the grid in training."""

    @abstractmethod
    def check_prior(self, prior: Prior) -> None:
        """Refuse a prior whose density is not known."""


class GridLikelihood(nn.Module):
    """Takes images to log p(x | z) at grid points, up to a constant of each image.

    In training the decoder is evaluated at some of the points in every step, spread over all of
    them, and its outputs elsewhere are at most ``refresh_interval`` steps old. In use they are
    computed once, as long as the decoder's weights stay the same.

    What is remembered of a grid point is a row of numbers and an offset (``logits`` and ``level``
    in the weights): where log p(x | z) is a product, A and b of ``Event.product``; else the output
    of the decoder and 0. An offset of ``UNKNOWN`` says that the point has not been decoded.

    Args:
        likelihood: p(x | z), borrowed: its weights are the decoder's.
        points: Grid points, in standard deviations of the base from its mean.
        training_points: The same in training.
        numbers: How many are remembered of each point.
        product: Whether log p(x | z) is a product of matrices (``Event.product``).
        refresh_interval: In training steps.
    """

    likelihood: Neural
    points: Float[Tensor, "C D"]
    training_points: Float[Tensor, "T D"]
    logits: Float[Tensor, "T P"]
    level: Float[Tensor, " T"]
    asked: Int[Tensor, ""]

    def __init__(
        self,
        likelihood: Neural,
        points: Float[Tensor, "C D"],
        training_points: Float[Tensor, "T D"],
        *,
        numbers: int,
        product: bool,
        refresh_interval: int,
    ) -> None:
        super().__init__()
        borrow(self, likelihood=likelihood)
        self.memory, self.product = WhileUnchanged(), product
        count = len(training_points)
        self.at_once = math.ceil(count / refresh_interval)
        self.stride = spread(count)
        self.register_buffer("points", points, persistent=False)
        self.register_buffer("training_points", training_points, persistent=False)
        self.register_buffer("logits", torch.zeros(count, numbers))  # the names in saved weights
        self.register_buffer("level", torch.full((count,), UNKNOWN))
        self.register_buffer("asked", torch.zeros((), dtype=torch.int64))

    def forward(
        self, x: Float[Tensor, "N K H W"], base: Gaussian | None = None
    ) -> Float[Tensor, "N C"]:
        """Return the log-likelihoods in nats, at grid points scaled by a base."""
        rows, level = (self.logits, self.level) if self.training else self.known(base)
        with full_precision(x):
            return self.scored(x, rows, level)

    def scored(
        self, x: Float[Tensor, "N K H W"], rows: Float[Tensor, "C P"], level: Float[Tensor, " C"]
    ) -> Float[Tensor, "N C"]:
        """Return log-likelihoods by what the decoder says at grid points (:meth:`evaluate`)."""
        if self.product:
            return F.linear(x.flatten(1), rows, level)
        raw = rows.unflatten(1, (-1, *x.shape[-2:]))
        log_likelihood = self.likelihood.head(raw).pairs(x).T
        return log_likelihood.masked_fill(level <= UNKNOWN, UNKNOWN)

    def known(self, base: Gaussian | None, *, coarse: bool = False) -> tuple[Tensor, Tensor]:
        """Return the decoder's output at all points in use, or in training if ``coarse``.

        It is evaluated once for the same weights.
        """
        key = None if base is None else tuple(torch.cat([base.loc, base.scale]).tolist())
        points = self.training_points if coarse else self.points
        with full_precision(points):
            return self.memory.recall(
                self.likelihood, (key, coarse), lambda: self.evaluate(scaled(points, base))
            )

    def renew(self, base: Gaussian | None) -> None:
        """Evaluate the next few of the remembered outputs anew."""
        turn = self.asked + torch.arange(self.at_once, device=self.asked.device)
        rows = turn * self.stride % len(self.training_points)
        numbers, level = self.evaluate(scaled(self.training_points[rows], base))
        self.logits.index_copy_(0, rows, numbers)
        self.level.index_copy_(0, rows, level)
        self.asked.add_(self.at_once)

    def evaluate(self, z: Float[Tensor, "C D"]) -> tuple[Float[Tensor, "C P"], Float[Tensor, " C"]]:
        """Return the factors of a product at codes, or the decoder's output itself."""
        raw = self.likelihood.raw(z)
        if not self.product:
            return raw.flatten(1).to(z), torch.zeros_like(z[:, 0])
        factors = self.likelihood.head(raw).product()
        assert factors is not None
        return factors


class BayesRule(Neural):
    """q(z | x) by Bayes' rule at grid points, linear between them relative to a base distribution.

    With a weight β on the KL, q is proportional to p(x | z)^(1/β) p(z): of all densities that one
    minimises E_q[−log p(x | z)] + β KL(q ‖ p). At β = 1 it is the posterior.

    The grid points are at even quantiles of the base. That is the prior itself where it is a
    Gaussian that factorises; for any other prior with a density it is a Gaussian whose standard
    deviation reaches over nine tenths of the prior's draws, and the weights of the grid points are
    p(x | z)^(1/β) p(z) / base(z).

    No gradient passes through q: it minimises the objective, whose derivative with respect to q is
    zero.

    The point estimate of q is the mode of p(x | z)^(1/β) p(z), between the grid points too:
    Newton's method from the best of them, with the decoder.

    Args:
        net: Scores images at the grid points.
        head: The posterior component, with the grid.
        objective: Brings β, as it is now.
    """

    net: GridLikelihood
    head: GridPosterior
    objective: Weighted
    prior: Prior
    loc: Float[Tensor, " D"]
    scale: Float[Tensor, " D"]

    def __init__(self, net: GridLikelihood, head: GridPosterior, objective: Weighted) -> None:
        super().__init__(net, head, event_dims=3)
        object.__setattr__(self, "objective", objective)

    def use(self, prior: Prior) -> None:
        """Take the model's prior.

        Raises:
            ComponentError: If its density is not known.
        """
        self.head.check_prior(prior)
        borrow(self, prior=prior)
        p = prior()
        self.quantiles = isinstance(p, Gaussian)
        fixed = self.quantiles and not list(prior.parameters())
        self.standard = fixed and not (p.mean.any() or (p.variance != 1).any())
        if not self.quantiles:  # by name in the weights, so that use is what training left
            self.register_buffer("loc", torch.zeros(self.head.size))
            self.register_buffer("scale", torch.full((self.head.size,), 1.5))

    @torch.no_grad()
    def begin_step(self) -> None:
        """Let the base follow the prior, and what is remembered the decoder."""
        if not self.quantiles:
            self._follow_the_prior()
        self.net.renew(self.base())

    def forward(self, given: Float[Tensor, "*S C H W"], c: Tensor | None = None) -> Lattice:
        """Return the posterior of images: batch (*S), event (D,)."""
        with torch.no_grad():
            return self.read(self.raw(given, c), given)

    def raw(
        self, given: Float[Tensor, "*S C H W"], c: Tensor | None = None
    ) -> Float[Tensor, "*S C"]:
        """Return log p(x | z) at the grid points, up to a constant of each image."""
        base = self.base()
        images = given.reshape(-1, *given.shape[-3:])
        return self.net(images, base).unflatten(0, given.shape[:-3])

    def coarse(self, given: Float[Tensor, "*S C H W"]) -> Lattice:
        """Return a quick look at the posterior in use: on the grid of training, decoded now.

        What training remembers of its grid stays as it is.
        """
        with torch.no_grad(), full_precision(given):
            raw = self.net.scored(given, *self.net.known(self.base(), coarse=True))
        return self.read(raw, coarse=True)

    def light(self, *context: Any) -> Event:
        """Return the posterior on the grid of training, if the one in use has too many points."""
        few = len(self.net.points) <= PAGE_POINTS
        return self(*context) if few else self.coarse(context[0])

    def read(
        self,
        raw: Float[Tensor, "*S C"],
        x: Float[Tensor, "*S C H W"] | None = None,
        *,
        coarse: bool = False,
    ) -> Lattice:
        """Return the posterior, given the log-likelihoods at the grid points.

        Args:
            raw: From :meth:`raw`.
            x: The images, for the point estimate; without them it lies on the grid's parabola.
            coarse: Whether they are at the grid points of training, in use too.
        """
        base, coarse = self.base(), coarse or self.training
        tents = self.head.training_tents if coarse else self.head.tents
        raw = raw / self.beta
        mode = None if x is None else partial(self.mode, x)
        if base is None:
            return Lattice(raw, tents, self.head.size, mode=mode)
        points = self.net.training_points if coarse else self.net.points
        z = scaled(points, base)
        weight = self.prior().log_prob(z) - base.log_prob(z)
        return Lattice(raw + weight, tents, self.head.size, base=base, mode=mode)

    @property
    def beta(self) -> float:
        """β, the objective's weight of the KL."""
        beta = self.objective.kl_weight
        assert beta is not None
        return beta

    def base(self) -> Gaussian | None:
        """Return the distribution whose quantiles are the grid points; None: a standard normal."""
        if self.standard:
            return None
        if not self.quantiles:
            return Gaussian(self.loc, self.scale.log())
        p = self.prior().stopped()
        return Gaussian(p.mean, 0.5 * p.variance.log())

    def _follow_the_prior(self) -> None:
        """Let the base cover what nine tenths of the prior's draws covered in the last steps."""
        z = self.prior().sample(torch.Size((DRAWS,))).sort(0).values
        low, high = z[DRAWS // 20], z[-DRAWS // 20]
        share = (self.net.at_once / (self.net.asked + self.net.at_once)).clamp_min(1 / MEMORY)
        self.loc.lerp_((low + high) / 2, share.to(z))
        self.scale.lerp_((high - low) / 2, share.to(z))

    @torch.no_grad()
    def mode(
        self, x: Float[Tensor, "*S C H W"], z: Float[Tensor, "*S D"], width: Float[Tensor, "*S D"]
    ) -> Float[Tensor, "*S D"]:
        """Return the mode of p(x | z)^(1/β) p(z) near z, which is about so wide."""
        base = self.base()
        scale = 1.0 if base is None else base.scale
        prior, images, batch = self.prior(), x.reshape(-1, *x.shape[-3:]), z.shape[:-1]

        def log_joint(rows: Int[Tensor, " n"]) -> Callable[[Tensor], Tensor]:
            some = images if len(rows) == len(images) else images[rows]
            likelihood, beta = self.net.likelihood, self.beta
            return lambda z: likelihood(z).log_prob(some) / beta + prior.log_prob(z)

        with full_precision(z):
            step = (STEP * width).clamp(*STEPS) * scale
            found = maximum(
                log_joint, z.flatten(0, -2), step=step.flatten(0, -2), reach=REACH * scale,
                rounds=ROUNDS,
            )  # fmt: skip
        return found.unflatten(0, batch)


def scaled(z: Float[Tensor, "C D"], base: Gaussian | None) -> Float[Tensor, "C D"]:
    """Return points given in standard deviations of a base from its mean."""
    return z if base is None else base.loc + base.scale * z


def spread(count: int) -> int:
    """Return a stride that takes in all of so many rows, each time far from the last (golden)."""
    stride = max(1, round(count * (5**0.5 - 1) / 2))
    while math.gcd(stride, count) > 1:
        stride += 1
    return stride
