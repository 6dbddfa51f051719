"""The latent space of a model: encode, decode, prior, metric. No data set, no run folder."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor
from torch.distributions import Distribution

from vaescape.classes import Classes, ClassSpec
from vaescape.conditionals import Likelihood, Support
from vaescape.data import Images
from vaescape.data.values import pixels, tensor
from vaescape.distributions import Event, Gaussian
from vaescape.errors import ComponentError, OptionError
from vaescape.geometry.metric import fisher_rao_metric, pullback_metric
from vaescape.inference.memory import WhileUnchanged
from vaescape.models.base import Model
from vaescape.precision import float32
from vaescape.progress import track

AT_ONCE = 500
"""Images encoded or decoded at once: the maps of the study's decoder then fit in the cache."""

Array = Tensor | np.ndarray

Pictures = Images | UInt8[Tensor, "N C H W"] | Float[Tensor, "N C H W"]


class LatentSpace:
    """What can be asked of a trained model.

    A *place* is a code z (D,) followed by the weights of the E classes, (P,) with P = D + E: a path
    between two places moves from class to class too. Results are on the CPU.

    Args:
        model: Posterior, likelihood and prior.
        classes: The names of the classes, and whether the model is conditioned on them.
        shape: (C, H, W) of an image.
        latent: D, dimensions of z.
        device: Of the model.
        remembers: Whether the codes of these images are kept until the weights change.
    """

    def __init__(
        self,
        model: Model,
        classes: Classes,
        shape: tuple[int, int, int],
        latent: int,
        device: torch.device,
        remembers: Callable[[Pictures], bool] = lambda images: False,
    ) -> None:
        self.model, self.classes, self.shape = model, classes, shape
        self.latent, self.device = latent, device
        self._remembers, self.memory = remembers, WhileUnchanged()

    def copy(self) -> "LatentSpace":
        """Return a copy with weights of its own, for another state of the same training."""
        other = copy.copy(self)
        other.model, other.memory = copy.deepcopy(self.model), WhileUnchanged()
        return other

    # What the model is ---------------------------------------------------------------------------

    @property
    def likelihood(self) -> Likelihood:
        """How the decoder's output becomes a distribution over images."""
        return self.model.likelihood.head

    @property
    def conditions(self) -> int:
        """E, how many classes the model is conditional on: 0 if it is not."""
        return self.classes.conditions

    @property
    def probabilistic(self) -> bool:
        """Whether there is a posterior density: false for a plain autoencoder."""
        return not self.model.deterministic

    @property
    def support(self) -> Support:
        """Where its codes lie."""
        return self.model.posterior.head.support

    @property
    def discrete(self) -> bool:
        """Whether codes are discrete: ``codes`` gives their indices."""
        return self.support is Support.CODES

    # From images to codes ------------------------------------------------------------------------

    def posterior(self, images: Pictures, label: ClassSpec | None = None) -> Event:
        """Return q(z | x, c) of images that fit in memory at once, on the device of the model.

        Args:
            images: Pictures; those of a data set bring their labels along.
            label: Of a conditional model: the classes of the images.

        Raises:
            OptionError: For images of another shape, or classes that are missing, unknown, or not
                asked for.
        """
        with self.inference():
            ((x, c),) = self.batches(images, label, together=len(images))
            return self.model.posterior(x, c)

    def encode(
        self,
        images: Pictures,
        label: ClassSpec | None = None,
        *,
        draw: bool = False,
        seed: int = 0,
    ) -> Float[Tensor, "N D"]:
        """Return the point estimates of q(z | x, c), or one draw each; as :meth:`posterior`.

        The point estimate is the mean, or what stands for a posterior better, such as the mode.
        """
        if not draw:
            return self.encode_with_variance(images, label)[0]
        with self.inference(seed):
            parts = [self.model.posterior(x, c).sample() for x, c in self.batches(images, label)]
        return torch.cat(parts).cpu()

    def encode_with_variance(
        self, images: Pictures, label: ClassSpec | None = None
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"] | None]:
        """Return point estimates, and log σ² of diagonal Gaussians or None."""

        def encoded() -> tuple[Tensor, Tensor | None]:
            means, log_vars = [], []
            with self.inference():
                for x, c in self.batches(images, label):
                    q = self.model.posterior(x, c)
                    means.append(q.point_estimate.cpu())
                    if isinstance(q, Gaussian):
                        log_vars.append(q.variance.log().cpu())
            whole = len(log_vars) == len(means)
            return torch.cat(means), torch.cat(log_vars) if whole else None

        if label is not None or not self._remembers(images):
            return encoded()
        means, log_vars = self.memory.recall(self.model, images, encoded)
        return means.clone(), None if log_vars is None else log_vars.clone()

    def codes(self, images: Pictures, label: ClassSpec | None = None) -> Int[Tensor, "N M"]:
        """Return the discrete codes of images: M indices each, the most probable.

        Raises:
            ComponentError: If the model has none.
        """
        if not self.discrete:
            raise ComponentError(
                f"Posterior {self.model.posterior.head.spec!r} has no discrete codes. "
                "Train with one that has, such as vq, fsq or gumbel-softmax."
            )
        with self.inference():
            found = [self.model.posterior(x, c).index for x, c in self.batches(images, label)]
        return torch.cat(found).cpu()

    def classify(self, images: Pictures) -> Float[Tensor, "N E"]:
        """Return q(y | x), the probability of each class.

        Raises:
            ComponentError: If the model has no classifier.
        """
        with self.inference():
            parts = [self.model.classify(self.floats(part)) for part in _raw(images).split(AT_ONCE)]
        return torch.cat(parts).exp().cpu()

    def weights_of(self, images: Pictures, label: ClassSpec | None = None) -> Float[Tensor, "N E"]:
        """Return the conditions of images: what the label says, else their own, or inferred."""
        if label is None and isinstance(images, Images) and self.conditions:
            label = images.labels
        if label is None and self.model.classifies:
            label = self.classify(images).argmax(-1)
        return self.classes.expand(self.classes.weights(label), (len(images),))

    def places(self, images: Pictures, label: ClassSpec | None = None) -> Float[Tensor, "N P"]:
        """Return what :meth:`decode` takes: the posterior means and, if conditional, the classes.

        P is D + E; a path between two places moves from class to class too.
        """
        return torch.cat([self.encode(images, label), self.weights_of(images, label)], dim=-1)

    # From codes to images ------------------------------------------------------------------------

    def place(self, z: Float[Tensor, "*S P"], label: ClassSpec | None) -> Float[Tensor, "*S P"]:
        """Return codes, or places, with the weights of the classes behind them.

        Raises:
            OptionError: If they have another size than the latent space, or classes are missing.
        """
        size = z.shape[-1] if z.ndim else 0
        if size not in (self.latent, self.latent + self.conditions):
            raise OptionError(
                f"Expected codes of {self.latent} numbers each. Got shape {tuple(z.shape)}."
            )
        if self.conditions and size == self.latent + self.conditions and label is None:
            return z
        z = z[..., : self.latent]
        weights = self.classes.expand(self.classes.weights(label), z.shape[:-1])
        return torch.cat([z, weights], dim=-1)

    def decode(
        self, z: Float[Array, "*S P"], label: ClassSpec | None = None
    ) -> Float[Tensor, "*S C H W"]:
        """Return decoded images: the mean of p(x | z, c), pixels in [0, 1].

        Args:
            z: Codes of D numbers. A conditional model also takes places, where the weights of the
                E classes follow.
            label: Of a conditional model: the classes, if z does not bring them along.

        Where the codes of the model lie on a sphere or in a ball, points elsewhere count as the
        nearest there.

        Raises:
            OptionError: If the codes have another size than the model's latent space, or classes
                are missing, unknown, or not asked for.
        """
        place = self.place(torch.as_tensor(z, dtype=torch.float32), label)
        with self.inference():
            rows = place.reshape(-1, place.shape[-1]).to(self.device).split(AT_ONCE)
            images = torch.cat([self.mean(part).cpu() for part in rows])
        return images.reshape(*place.shape[:-1], *images.shape[1:])

    def reconstruct(
        self, images: Pictures, label: ClassSpec | None = None
    ) -> Float[Tensor, "N C H W"]:
        """Return images encoded to their posterior means and decoded again."""
        if self.model.layers == 1:  # else an image comes from all layers
            return self.decode(self.places(images, label))
        with self.inference():
            found = [
                self.model.decode(self.model.encode(x, c), c).mean.cpu()
                for x, c in self.batches(images, label)
            ]
        return torch.cat(found)

    def at(self, place: Float[Tensor, "N P"]) -> Event:
        """Return p(x | z, c) at places on the model's device, with derivatives if asked for."""
        z = self.support.nearest(place[:, : self.latent])
        return self.model.decode((z,), place[:, self.latent :])

    def mean(self, place: Float[Tensor, "N P"]) -> Float[Tensor, "N C H W"]:
        """Return the mean of :meth:`at`."""
        return self.at(place).mean

    def metric(
        self,
        z: Float[Array, "*S P"],
        label: ClassSpec | None = None,
        *,
        of: Literal["images", "likelihood"] = "images",
    ) -> Float[Tensor, "*S D D"]:
        """Return the metric at codes: how far images, or what p(x | z, c) says, change with z.

        Args:
            z: Codes or places, as in :meth:`decode`.
            label: Likewise.
            of: "images" for JᵀJ of the decoded images, in squared pixels; "likelihood" for the
                Fisher–Rao metric of p(x | z, c), in nats.

        Raises:
            OptionError: For another ``of``, and as :meth:`decode`.
            ComponentError: If the likelihood's Fisher information has no closed form.
        """
        if of not in ("images", "likelihood"):
            raise OptionError(f"A metric is of 'images' or of the 'likelihood'. Got {of!r}.")
        place = self.place(torch.as_tensor(z, dtype=torch.float32), label).to(self.device)
        with self.inference():
            if of == "images":
                G = pullback_metric(self.mean, place)
            else:
                G = fisher_rao_metric(lambda p: self.at(p).information(), place)
        return G[..., : self.latent, : self.latent].cpu()

    # The prior -----------------------------------------------------------------------------------

    def prior(self, label: ClassSpec | None = None) -> Distribution:
        """Return p(z), or p(z | c) of one class, on the device of the model."""
        c = self.classes.weights(label).to(self.device)
        with self.inference():
            return self.model.prior(self.model.condition(c[None]))

    def prior_log_density(self, z: Float[Array, "*S D"]) -> Float[Tensor, "*S"]:
        """Return log p(z) in nats; of a conditional model, of the even mixture of its p(z | c).

        Raises:
            ComponentError: If the prior can only be bounded.
        """
        if not self.model.prior.exact:
            raise ComponentError(
                f"The density of prior {self.model.prior.spec!r} is only bounded from below. Use "
                "prior 'flow' or 'mixture' for one that can be computed."
            )
        every, z = torch.eye(self.conditions, device=self.device), tensor(z).float()
        with self.inference():
            p, z = self.model.prior(self.model.condition(every)), z.to(self.device)
            if not p.batch_shape:
                rows = z.reshape(-1, z.shape[-1]).split(AT_ONCE)
                return torch.cat([p.log_prob(part) for part in rows]).reshape(z.shape[:-1]).cpu()
            mixed = p.log_prob(z[..., None, :]).logsumexp(-1)
            return (mixed - math.log(self.conditions)).cpu()

    # Inside --------------------------------------------------------------------------------------

    def floats(self, images: Pictures) -> Float[Tensor, "N C H W"]:
        """Return images as the model takes them: in [0, 1], on its device.

        Raises:
            OptionError: If they have another shape than the data, or another range.
        """
        return pixels(_raw(images).to(self.device), self.shape)

    def batches(
        self, images: Pictures, label: ClassSpec | None = None, together: int = AT_ONCE
    ) -> Iterator[tuple[Float[Tensor, "B C H W"], Float[Tensor, "B E"]]]:
        """Yield images as :meth:`floats`, with their conditions, so many at once.

        Without conditions E is 0, which adds nothing to the input of a network: c = None likewise.
        """
        weights = self.weights_of(images, label)
        pairs = zip(_raw(images).split(together), weights.split(together), strict=True)
        for part, c in track("encoding")(list(pairs)):
            yield self.floats(part), c.to(self.device)

    @contextmanager
    def inference(self, seed: int = 0) -> Iterator[None]:
        """Disable gradients, and use random numbers from a separate seed."""
        if not 0 <= seed < 2**63:
            raise OptionError(f"The seed must be between 0 and 2⁶³ − 1. Got {seed}.")
        devices = [self.device] if self.device.type == "cuda" else []
        with float32(), torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield


def _raw(images: Pictures) -> Shaped[Tensor, "N C H W"]:
    return images.pixels if isinstance(images, Images) else tensor(images)
