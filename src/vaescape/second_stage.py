"""The second stage: a prior fitted to the codes of a trained model, which stays as it is.

With the encoder frozen, all that the ELBO still says about a prior is the cross-entropy −E log p(z)
over codes z ~ q(z | x) of the training images; that is what is minimised here. Dai & Wipf (2019,
section 4) argue for it, Ghosh et al. (2020) sample plain autoencoders so, and van den Oord et al.
(2017) the VQ-VAE.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from vaescape.batch import Batch
from vaescape.conditionals import Conditional, Prior, borrow
from vaescape.data import Batches
from vaescape.distributions import Quantised, without
from vaescape.distributions.codes import CodePrior
from vaescape.models import VAE
from vaescape.objectives.base import Loss
from vaescape.progress import bar
from vaescape.train import TrainOptions, train

TOGETHER = 5_000
"""Codes scored at once."""


@dataclass(frozen=True)
class Fitted:
    """A prior that was fitted afterwards, and what its codes cost, in nats per image."""

    name: str
    spec: str
    train: float
    """−E log p(z) over the training images; of a prior that can only be bounded, from above."""
    test: float
    """The same over the test images."""
    own: float | None
    """What the model's own prior asks for the test images; None for a plain autoencoder."""


class Encodings(NamedTuple):
    """What a frozen encoder says of N images, for the head to read, and their labels."""

    raw: Float[Tensor, "N P"]
    labels: Int[Tensor, " N"]
    rows: Int[Tensor, " N"]
    """Which training images they are; −1 for others."""


class _Batches(Batches):
    """Encodings in batches fixed by (seed, step)."""

    def at(self, step: int) -> Batch:
        """Return the rows of a step, counted from zero."""
        rows = self.rows(step)
        return Batch(self.pixels.index_select(0, rows), self.labels.index_select(0, rows), rows)


class CrossEntropy(nn.Module):
    """−E log p(z | c) over fresh draws z ~ q(z | x, c): the second stage's objective, in nats."""

    model: VAE

    def __init__(self, model: VAE) -> None:
        super().__init__()
        borrow(self, model=model)

    def forward(self, prior: Prior, batch: Batch, t: Tensor) -> Loss:
        """Return the mean over a batch of encodings."""
        encodings = Encodings(batch.x, batch.label, batch.rows)  # pyright: ignore[reportArgumentType]
        return Loss(costs(self.model, prior, encodings).mean())


def costs(model: VAE, prior: Conditional, encodings: Encodings) -> Float[Tensor, " N"]:
    """Return −log p(z | c) at one draw z for each encoding, in nats."""
    q: Distribution = model.posterior.head(encodings.raw)  # pyright: ignore[reportCallIssue]
    p = without(prior(model.condition(encodings.labels)), encodings.rows)
    return cross_entropy(q, p)


def cross_entropy(q: Distribution, p: Distribution) -> Float[Tensor, " B"]:
    """Return −log p(z) at one draw z ~ q, in nats; for a quantiser at its code, exactly."""
    if isinstance(q, Quantised) and isinstance(p, CodePrior):
        return -p.log_mass(q.index)
    return -p.log_prob(q.sample())


def fit(model: VAE, prior: Prior, encodings: Encodings, options: TrainOptions) -> None:
    """Fit a prior in place to a model's codes of N images, to the same bits at the same seed.

    One that has nothing to learn, such as the standard normal, stays as it is.
    """
    if not list(prior.parameters()):
        return
    batches = _Batches(
        encodings.raw,
        encodings.labels,
        batch=min(options.batch, len(encodings.raw)),
        seed=options.seed,
        device=encodings.raw.device,
    )
    with bar(desc="second stage", unit=" images", unit_scale=batches.batch) as progress:

        def every(step: int, steps: int) -> None:
            progress.total = steps
            progress.update(step - progress.n)

        for _ in train(prior, CrossEntropy(model), batches, options, every=every):
            pass


def nats(model: VAE, prior: Conditional, encodings: Encodings) -> float:
    """Return the mean −log p(z | c) over one draw for each of N encodings, in nats."""
    parts = zip(*(values.split(TOGETHER) for values in encodings), strict=True)
    return torch.cat([costs(model, prior, Encodings(*part)) for part in parts]).mean().item()
