"""The second stage: a prior fitted to the codes of a trained model, which stays as it is.

With the encoder frozen, all that the ELBO still says about a prior is the cross-entropy −E log p(z)
over codes z ~ q(z | x) of the training images; that is what is minimised here. Dai & Wipf (2019,
section 4) argue for it, Ghosh et al. (2020) sample plain autoencoders so, and van den Oord et al.
(2017) the VQ-VAE.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from vaescape.batch import Batch
from vaescape.build import prior_over
from vaescape.components import parse
from vaescape.conditionals import Conditional, Prior, borrow
from vaescape.data import Batches, Images
from vaescape.distributions import Event
from vaescape.errors import ComponentError
from vaescape.latent_space import LatentSpace
from vaescape.models.base import Model
from vaescape.objectives.base import Loss
from vaescape.progress import bar
from vaescape.runs import RunFolder, prior_file
from vaescape.train import TrainOptions, train
from vaescape.train.weights import restore

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
    """The same under the model's own prior, on the test images; None for a plain autoencoder."""


def prior_name(spec: str) -> str:
    """Return the name under which a fitted prior is kept: the component's, without its module."""
    return parse(spec)[0].rpartition(":")[2]


def fit_prior(
    space: LatentSpace, spec: str, train: Images, test: Images, options: TrainOptions
) -> tuple[Prior, Fitted]:
    """Return a prior fitted to the codes of the training images, and what codes cost under it.

    Raises:
        ComponentError: For an unknown prior, one over other codes than the posterior's, or a model
            with several layers.
    """
    if space.model.layers > 1:
        raise ComponentError(
            "A prior is fitted afterwards to a model with one layer of latent variables. This one "
            f"has {space.model.layers}."
        )
    with space.inference(options.seed):
        prior = untrained(space, spec, len(train), train.pixels)
        codes, held_out = encodings(space, train, training=True), encodings(space, test)
    fit(space.model, prior, codes, options)
    prior.eval()

    def cost(prior: Conditional, encodings: Encodings) -> float:
        with space.inference(options.seed):  # the same draws, whatever the prior
            return nats(space.model, prior, encodings)

    own = cost(space.model.prior, held_out) if space.probabilistic else None
    costs = cost(prior, codes), cost(prior, held_out)
    return prior, Fitted(prior_name(spec), prior.spec, *costs, own=own)


def untrained(
    space: LatentSpace, spec: str, images: int, pixels: UInt8[Tensor, "N C H W"] | None = None
) -> Prior:
    """Return a prior over the model's codes, as it starts."""
    made = prior_over(
        space.model.posterior.head,
        spec,
        posterior=space.model.posterior,
        latent_dim=space.latent,
        shape=space.shape,
        pixels=pixels,
        images=images,
        classes=len(space.classes) or None,
        conditional=space.classes.conditional,
    )
    return made.to(space.device)


def kept(space: LatentSpace, folder: RunFolder, spec: str, images: int) -> Prior:
    """Return a prior that was fitted to a run's codes, from its folder.

    Raises:
        RunError: If its file is missing or damaged.
    """
    with space.inference():
        prior = untrained(space, spec, images).eval()
    file = prior_file(prior_name(spec))
    restore(folder.verify(file), prior, folder / file)
    return prior


class Encodings(NamedTuple):
    """The outputs of a frozen encoder for N images, which the head reads, and their labels."""

    raw: Float[Tensor, "N P"]
    labels: Int[Tensor, " N"]
    rows: Int[Tensor, " N"]
    """Which training images they are; −1 for others."""


def encodings(space: LatentSpace, images: Images, training: bool = False) -> Encodings:
    """Return what the encoder says of images, for the posterior's head to read."""
    posterior, condition = space.model.posterior, space.model.condition
    raw = [posterior.raw(x, condition(c)) for x, c in space.batches(images)]
    labels = images.labels.to(space.device)
    rows = torch.arange(len(labels)).to(labels) if training else torch.full_like(labels, -1)
    return Encodings(torch.cat(raw), labels, rows)


class _Batches(Batches):
    """Encodings in batches fixed by (seed, step)."""

    def at(self, step: int) -> Batch:
        """Return the rows of a step, counted from zero."""
        rows = self.rows(step)
        return Batch(self.pixels.index_select(0, rows), self.labels.index_select(0, rows), rows)


class CrossEntropy(nn.Module):
    """−E log p(z | c) over fresh draws z ~ q(z | x, c): the second stage's objective, in nats."""

    model: Model

    def __init__(self, model: Model) -> None:
        super().__init__()
        borrow(self, model=model)

    def forward(self, prior: Prior, batch: Batch, t: Tensor) -> Loss:
        """Return the mean over a batch of encodings."""
        encodings = Encodings(batch.x, batch.label, batch.rows)  # pyright: ignore[reportArgumentType]
        return Loss(costs(self.model, prior, encodings).mean())


def costs(model: Model, prior: Conditional, encodings: Encodings) -> Float[Tensor, " N"]:
    """Return −log p(z | c) at one draw z for each encoding, in nats."""
    q: Event = model.posterior.read(encodings.raw)
    p = prior(model.condition(encodings.labels)).without(encodings.rows)
    # A code that all draws are: its cross-entropy is its KL, exactly.
    closed = q.kl_to(p) if model.posterior.head.one_draw else None
    return -p.log_prob(q.sample()) if closed is None else closed


def fit(model: Model, prior: Prior, encodings: Encodings, options: TrainOptions) -> None:
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
    with bar(desc="second stage", unit="images", unit_scale=batches.batch) as progress:
        for _ in train(prior, CrossEntropy(model), batches, options, every=progress.reach):
            pass


def nats(model: Model, prior: Conditional, encodings: Encodings) -> float:
    """Return the mean −log p(z | c) over one draw for each of N encodings, in nats."""
    parts = zip(*(values.split(TOGETHER) for values in encodings), strict=True)
    return torch.cat([costs(model, prior, Encodings(*part)) for part in parts]).mean().item()
