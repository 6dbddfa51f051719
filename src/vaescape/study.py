"""A study: a model, the data it is about, and everything one does with the two.

>>> study = Study("first-look", epochs=1, limit=512)
>>> study.fit()                            # doctest: +ELLIPSIS
Study('first-look', ...)
>>> z = study.encode(study.test)           # posterior means
>>> study.decode(z[:4]).shape
torch.Size([4, 1, 28, 28])
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.distributions import Distribution

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct, nearest
from vaescape.conditionals import Likelihood
from vaescape.data import Batches, Data, Images, Splits, splits
from vaescape.data.base import unit
from vaescape.errors import ComponentError, OptionError
from vaescape.geometry.paths import linear, spherical, traversal
from vaescape.progress import bar, track
from vaescape.recipes import Configuration, configuration
from vaescape.runs import WEIGHTS, RunFolder
from vaescape.train import CheckpointFolder, Tick, load_weights, train

AT_ONCE = 500
"""Images encoded or decoded at once: the maps of the study's decoder then stay near the cores."""

PATHS = {"linear": linear, "spherical": spherical}
Pictures = Images | UInt8[Tensor, "N C H W"] | Float[Tensor, "N C H W"]


class Study:
    """A model and its data.

    Args:
        recipe: The name of a recipe, or a whole configuration.
        data_dir: Where the files of the data are, if not where they are looked for.
        changes: Whatever should differ from the recipe: ``latent=8``, ``beta=4``, ``epochs=1``, …

    Raises:
        VaescapeError: For unknown names and impossible values, in a sentence.
    """

    def __init__(
        self,
        recipe: str | Configuration = "paper",
        *,
        data_dir: str | Path | None = None,
        **changes: Any,
    ) -> None:
        made = configuration(recipe) if isinstance(recipe, str) else recipe
        self.configuration = made.with_changes(**changes)
        self.device = self.configuration.train.resolve_device()
        self.folder: RunFolder | None = None
        self._data_dir = Path(data_dir) if data_dir else None

    def __repr__(self) -> str:
        c = self.configuration
        return f"Study({c.recipe!r}, data={c.data!r}, latent={c.parts.latent})"

    @classmethod
    def load(cls, run: str | Path | RunFolder, *, data_dir: str | Path | None = None) -> "Study":
        """Return the study of a finished run, with the weights it ended with.

        Raises:
            RunError: If the run is missing, unfinished, damaged or of a later format.
        """
        folder = RunFolder.open(run.path if isinstance(run, RunFolder) else run, finished=True)
        study = cls(Configuration.from_dict(folder.configuration), data_dir=data_dir)
        study.folder = folder
        digest = folder.record.get("weights_sha256")
        load_weights(folder / WEIGHTS, study.model, expected_sha256=digest)
        return study

    # What it consists of -------------------------------------------------------------------------

    @cached_property
    def data(self) -> Data:
        """The data set."""
        return construct("data", self.configuration.data, data_dir=self._data_dir, cache=None)

    @cached_property
    def splits(self) -> Splits:
        """The images to train on, to select on and to report on."""
        return splits(self.data, self.configuration.validation, self.configuration.limit)

    @property
    def train(self) -> Images:
        """The images to train on."""
        return self.splits.train

    @property
    def test(self) -> Images:
        """The images to report on: never trained on."""
        return self.splits.test

    @property
    def held_out(self) -> tuple[str, Images]:
        """The name and the images of the split that training is watched on."""
        validation = self.splits.validation
        return ("test", self.test) if validation is None else ("validation", validation)

    @cached_property
    def _built(self) -> tuple[Any, Any]:
        c = self.configuration
        images = self.folder.record.get("images") if self.folder else len(self.train)
        model, objective = build(c.parts, shape=self.shape, seed=c.train.seed, images=images)
        layout = torch.channels_last  # as in training, so that loaded weights give the same bits
        model.to(self.device).to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        return model.eval(), objective.to(self.device).eval()

    @property
    def model(self) -> Any:
        """The model: posterior, likelihood and prior."""
        return self._built[0]

    @property
    def objective(self) -> Any:
        """What training minimises."""
        return self._built[1]

    @property
    def likelihood(self) -> Likelihood:
        """How the decoder's output becomes a distribution over images."""
        return self.model.likelihood.head

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W); a run remembers it, so that its decoder needs no data."""
        recorded = self.folder.record.get("shape") if self.folder else None
        c, h, w = recorded or self.train.shape
        return c, h, w

    @property
    def latent(self) -> int:
        """D, dimensions of z."""
        return self.configuration.parts.latent

    @property
    def probabilistic(self) -> bool:
        """Whether there is a posterior density: false for a plain autoencoder."""
        return not self.model.posterior.head.deterministic

    # Training ------------------------------------------------------------------------------------

    def fit(
        self,
        *,
        checkpoints: CheckpointFolder | None = None,
        on_tick: Callable[[Tick], None] = lambda tick: None,
        label: str = "training",
    ) -> "Study":
        """Train from the start, or from the newest checkpoint, to the end; return self.

        Args:
            checkpoints: Where the state is kept.
            on_tick: Called at the end of each epoch.
            label: Of the progress bar.
        """
        self.__dict__.pop("_built", None)  # to start anew, whatever was fitted before
        for part in self._parts(self.train):
            self.likelihood.check(part)
        options = self.configuration.train
        batches = Batches(
            self.train.pixels,
            self.train.labels,
            batch=options.batch,
            seed=options.seed,
            device=self.device,
            channels_last=True,
        )
        with bar(desc=label, unit=" images", unit_scale=options.batch) as progress:

            def every(step: int, steps: int) -> None:
                progress.total = steps
                progress.update(step - progress.n)

            ticks = train(
                self.model, self.objective, batches, options, checkpoints=checkpoints, every=every
            )
            for tick in ticks:
                on_tick(tick)
        return self

    def score(self, images: Images, seed: int = 0) -> dict[str, float | list[float]]:
        """Return the loss and its metrics over images, in nats per image, as a tick has them."""
        totals: dict[str, Tensor] = {}
        with self._inference(seed):
            together = max(1, AT_ONCE // getattr(self.objective, "samples", 1))
            for start in track("scoring")(range(0, len(images), together)):
                part = images[start : start + together]
                batch = Batch(unit(part.pixels.to(self.device)), part.labels.to(self.device))
                loss = self.objective(self.model, batch, torch.ones((), device=self.device))
                for name, value in (loss.metrics | {"loss": loss.total}).items():
                    totals[name] = totals.get(name, 0) + value.double() * len(part) / len(images)
        return {name: value.tolist() for name, value in totals.items()}

    # There and back ------------------------------------------------------------------------------

    def posterior(self, images: Pictures) -> Distribution:
        """Return q(z | x) of images that fit in memory at once, on the device of the model."""
        with self._inference():
            return self.model.posterior(self.floats(images))

    def encode(
        self, images: Pictures, *, draw: bool = False, seed: int = 0
    ) -> Float[Tensor, "N D"]:
        """Return the posterior means of images, or one draw each from their posteriors."""
        with self._inference(seed):
            parts = [
                self.model.posterior(part).sample() if draw else self.model.encode(part)[0]
                for part in self._parts(images)
            ]
        return torch.cat(parts).cpu()

    def encode_with_variance(
        self, images: Pictures
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"] | None]:
        """Return ``z_mean`` and ``z_log_var`` (None where the posterior has none)."""
        with self._inference():
            found = [self.model.posterior(part) for part in self._parts(images)]
        means = torch.cat([q.mean for q in found]).cpu()
        if not self.probabilistic:
            return means, None
        return means, torch.cat([q.variance.log() for q in found]).cpu()

    def decode(self, z: Float[Tensor, "*S D"]) -> Float[Tensor, "*S C H W"]:
        """Return decoded images: the mean of p(x | z), pixels in [0, 1].

        Raises:
            OptionError: If the codes have another size than the model's latent space.
        """
        z = torch.as_tensor(z, dtype=torch.float32)
        if not z.ndim or z.shape[-1] != self.latent:
            raise OptionError(
                f"Expected codes of {self.latent} numbers each. Got shape {tuple(z.shape)}."
            )
        with self._inference():
            rows = z.reshape(-1, self.latent).to(self.device).split(AT_ONCE)
            images = torch.cat([self.model.decode((part,)).mean.cpu() for part in rows])
        return images.reshape(*z.shape[:-1], *images.shape[1:])

    def reconstruct(self, images: Pictures) -> Float[Tensor, "N C H W"]:
        """Return images encoded to their posterior means and decoded again."""
        return self.decode(self.encode(images))

    def sample(
        self, n: int = 64, *, seed: int = 0, kind: Literal["means", "draws"] = "means"
    ) -> Float[Tensor, "N C H W"]:
        """Return images from draws of the prior: the decoder's means, or draws from the likelihood.

        Raises:
            OptionError: If n is below 1, or ``kind`` is another.
            ComponentError: For a plain autoencoder, which has no prior to draw from, and for draws
                from what is no density.
        """
        if n < 1 or kind not in ("means", "draws"):
            raise OptionError(f"Give n ≥ 1 and kind 'means' or 'draws'. Got {n} and {kind!r}.")
        if not self.probabilistic:
            raise ComponentError(
                "A plain autoencoder has no prior that its codes follow, so nothing can be "
                "sampled. Train a VAE (recipe paper), or decode points of your own."
            )
        if kind == "draws" and not self.likelihood.normalised:
            raise ComponentError(
                f"{self.likelihood.name} is no density of grey pixels, so there is nothing to draw "
                "from. Take the decoder's means, or train with continuous-bernoulli or gaussian."
            )
        with self._inference(seed):
            z = self.model.prior().sample((n,))
            found = [self.model.decode((part,)) for part in z.split(AT_ONCE)]
            images = [x.mean if kind == "means" else x.sample() for x in found]
        return torch.cat(images).cpu()

    # Paths ---------------------------------------------------------------------------------------

    def interpolate(
        self, a: Tensor, b: Tensor, *, steps: int = 11, path: str = "linear"
    ) -> Float[Tensor, "T C H W"]:
        """Return decoded images along a path from a to b, its ends included.

        Args:
            a: A code (D,), or an image (C, H, W), which is encoded.
            b: Likewise.
            steps: Images on the path, 2 or more.
            path: "linear" or "spherical".

        Raises:
            OptionError: For fewer than 2 steps or an unknown path.
        """
        if steps < 2 or path not in PATHS:
            raise OptionError(
                f"Give 2 or more steps and one of the paths {', '.join(PATHS)}. "
                f"Got {steps} and {path!r}."
            )
        ends = [self.place(end) for end in (a, b)]
        return self.decode(PATHS[path](ends[0], ends[1], torch.linspace(0, 1, steps)))

    def place(self, end: Tensor) -> Float[Tensor, " D"]:
        """Return a code as it is, and an image at its posterior mean.

        Raises:
            OptionError: If it is neither.
        """
        if end.ndim == 3:
            return self.encode(end[None])[0]
        if end.shape != (self.latent,):
            raise OptionError(
                f"Expected a code of {self.latent} numbers or an image (C, H, W). "
                f"Got shape {tuple(end.shape)}."
            )
        return end.float()

    def traverse(
        self, dim: int, *, steps: int = 11, reach: float = 3.0, center: Tensor | None = None
    ) -> Float[Tensor, "T C H W"]:
        """Return decoded images along one dimension from −reach to reach, the others at the center.

        Raises:
            OptionError: If there is no such dimension, for fewer than 2 steps, or a reach that is
                not a positive number.
        """
        if steps < 2 or not 0 < reach < math.inf:
            raise OptionError(
                f"Give 2 or more steps and a reach above 0. Got {steps} and {reach:g}."
            )
        origin = torch.zeros(self.latent) if center is None else center
        return self.decode(traversal(origin, dim, torch.linspace(-reach, reach, steps)))

    def class_number(self, name: str) -> int:
        """Return the number of a class, given its name (in any case) or its number.

        Raises:
            OptionError: If there is none, with all their names.
        """
        names = [known.lower() for known in self.splits.classes]
        if name.isdigit() and int(name) < len(names):
            return int(name)
        if name.lower() not in names:
            raise OptionError(
                f"There is no class {name!r}.{nearest(name.lower(), names)} "
                f"Classes: {', '.join(self.splits.classes)}."
            )
        return names.index(name.lower())

    # Inside --------------------------------------------------------------------------------------

    def floats(self, images: Pictures) -> Float[Tensor, "N C H W"]:
        """Return images as the model takes them: in [0, 1], on its device.

        Raises:
            OptionError: If they have another shape than the data.
        """
        pixels = images.pixels if isinstance(images, Images) else torch.as_tensor(images)
        if pixels.ndim != 4 or pixels.shape[1:] != self.shape:
            raise OptionError(
                f"Expected images of shape (N, C, H, W) = (N, {', '.join(map(str, self.shape))}). "
                f"Got {tuple(pixels.shape)}."
            )
        pixels = pixels.to(self.device)
        return unit(pixels) if pixels.dtype == torch.uint8 else pixels.float()

    def _parts(self, images: Pictures) -> Iterator[Float[Tensor, "B C H W"]]:
        pixels = images.pixels if isinstance(images, Images) else torch.as_tensor(images)
        for part in track("encoding")(pixels.split(AT_ONCE)):
            yield self.floats(part)

    @contextmanager
    def _inference(self, seed: int = 0) -> Iterator[None]:
        """No gradients, and random numbers from a seed of one's own."""
        if not 0 <= seed < 2**63:
            raise OptionError(f"The seed must be between 0 and 2⁶³ − 1. Got {seed}.")
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
