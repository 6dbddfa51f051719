"""A study: a model, the data it is about, and everything one does with the two.

>>> study = Study("first-look", epochs=1, limit=512)
>>> study.fit()                            # doctest: +ELLIPSIS
Study('first-look', ...)
>>> z = study.encode(study.test)           # posterior means
>>> study.decode(z[:4]).shape
torch.Size([4, 1, 28, 28])
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.distributions import Distribution

from vaescape.batch import Batch
from vaescape.build import build, prior_over
from vaescape.components import construct, find, nearest, parse
from vaescape.conditionals import Conditional, Likelihood, Posterior, Prior, Support
from vaescape.data import Batches, Data, Images, Splits, binarised, some_labels, splits
from vaescape.data.base import unit
from vaescape.distributions import Gaussian, centre, draws, information
from vaescape.errors import ComponentError, OptionError
from vaescape.geometry.geodesic import Geodesics
from vaescape.geometry.metric import fisher_rao_metric, pullback_metric
from vaescape.geometry.paths import PathFunction, linear, spherical, traversal
from vaescape.models import VAE
from vaescape.models.memory import WhileUnchanged
from vaescape.progress import bar, track
from vaescape.recipes import Configuration, configuration
from vaescape.runs import OBJECTIVE, WEIGHTS, RunFolder, prior_file
from vaescape.second_stage import Encodings, Fitted, fit, nats
from vaescape.train import CheckpointFolder, Tick, TrainOptions, load_weights, train

AT_ONCE = 500
"""Images encoded or decoded at once: the maps of the study's decoder then stay near the cores."""

REACH = 3.0
"""How far from the origin geodesics may lead, at least: where a standard normal has its mass."""

PATHS = ("linear", "spherical", "geodesic")
"""Ways from one code to another."""

Pictures = Images | UInt8[Tensor, "N C H W"] | Float[Tensor, "N C H W"]
Classes = str | int | Sequence[str | int] | Int[Tensor, "*S"] | Float[Tensor, "*S E"]
"""One class for all, or one for each: names, numbers, or a weight for each of the E classes."""


def prior_name(spec: str) -> str:
    """Return the name under which a fitted prior is kept: the component's, without its module."""
    return parse(spec)[0].rpartition(":")[2]


class Study:
    """A model and its data.

    Args:
        recipe: The name of a recipe, or a whole configuration.
        data_dir: Where the files of the data are, if not where they are looked for.
        read: The data set, if somebody has read it already.
        changes: Whatever should differ from the recipe: ``latent=8``, ``beta=4``, ``epochs=1``, …

    Raises:
        VaescapeError: For unknown names and impossible values, in a sentence.
    """

    def __init__(
        self,
        recipe: str | Configuration = "paper",
        *,
        data_dir: str | Path | None = None,
        read: Data | None = None,
        **changes: Any,
    ) -> None:
        made = configuration(recipe) if isinstance(recipe, str) else recipe
        self.configuration = made.with_changes(**changes)
        self.device = self.configuration.train.resolve_device()
        self.folder: RunFolder | None = None
        self.priors: dict[str, Prior] = {}
        self.memory = WhileUnchanged()
        self._data_dir, self._read = Path(data_dir) if data_dir else None, read

    def __repr__(self) -> str:
        c = self.configuration
        return f"Study({c.recipe!r}, data={c.data!r}, latent={c.parts.latent})"

    @classmethod
    def load(cls, run: str | Path | RunFolder, *, data_dir: str | Path | None = None) -> "Study":
        """Return the study of a finished run, with the weights it ended with, the objective's too.

        Raises:
            RunError: If the run is missing, unfinished, damaged or of a later format.
        """
        folder = RunFolder.open(run.path if isinstance(run, RunFolder) else run, finished=True)
        study = cls(Configuration.from_dict(folder.configuration), data_dir=data_dir)
        study.folder = folder
        digest = folder.record.get("weights_sha256")
        load_weights(folder / WEIGHTS, study.model, expected_sha256=digest)
        if digest := folder.record.get("objective_sha256"):
            load_weights(folder / OBJECTIVE, study.objective, expected_sha256=digest)
        return study

    # What it consists of -------------------------------------------------------------------------

    @cached_property
    def data(self) -> Data:
        """The data set."""
        return self._read or construct(
            "data", self.configuration.data, data_dir=self._data_dir, cache=None
        )

    @cached_property
    def splits(self) -> Splits:
        """The images to train on, to select on and to report on."""
        c = self.configuration
        return binarised(splits(self.data, c.validation, c.limit), c.binarise)

    @property
    def train(self) -> Images:
        """The images to train on."""
        return self.splits.train

    @property
    def training_labels(self) -> Int[Tensor, " N"]:
        """The labels that training is told: −1 for those that are held back.

        Raises:
            OptionError: If there are fewer images than labels asked for, or the model needs all.
        """
        c = self.configuration
        if c.labelled is None:
            return self.train.labels
        if not self.classifies:
            raise OptionError(
                f"Model {c.parts.model!r} cannot do with {c.labelled} labels: only 'm2' (recipe "
                "m2) infers those that are missing. Leave out --labelled."
            )
        return some_labels(self.train.labels, c.labelled)

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
        return self._build(self.folder is not None and self.folder.status == "finished")

    def _build(self, trained: bool) -> tuple[Any, Any]:
        """Return model and objective: from the images, or to load weights that stand for them."""
        c = self.configuration
        images = self.folder.record.get("images") if self.folder else len(self.train)
        model, objective = build(
            c.parts,
            shape=self.shape,
            seed=c.train.seed,
            images=images,
            pixels=None if trained else self.train.pixels,
            classes=len(self.classes),
        )
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

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; a run remembers them."""
        recorded = self.folder.record.get("classes") if self.folder else None
        return tuple(self.data.classes if recorded is None else recorded)

    @property
    def conditions(self) -> int:
        """E, how many classes the model is conditional on: 0 if it is not."""
        return len(self.classes) if self.configuration.parts.conditional else 0

    @property
    def classifies(self) -> bool:
        """Whether the model infers classes: q(y | x)."""
        return hasattr(self.model, "classify")

    @property
    def latent(self) -> int:
        """D, dimensions of z."""
        return self.configuration.parts.latent

    @property
    def probabilistic(self) -> bool:
        """Whether there is a posterior density: false for a plain autoencoder."""
        return not self.model.deterministic

    @property
    def support(self) -> Support:
        """Where its codes lie."""
        posterior = find("posterior", parse(self.configuration.parts.posterior)[0])
        assert issubclass(posterior, Posterior)
        return posterior.support

    @property
    def discrete(self) -> bool:
        """Whether codes are discrete: ``codes`` gives their indices."""
        return self.support is Support.CODES

    @cached_property
    def kl_by_dimension(self) -> bool:
        """Whether its KL is a sum over latent dimensions, each with a closed form."""
        c = torch.eye(self.conditions, device=self.device)[:1]
        with self._inference():
            layers = self.model.infer(torch.zeros(1, *self.shape, device=self.device), c)
            return len(layers) == 1 and layers[0].kl_per_dimension() is not None

    # Training ------------------------------------------------------------------------------------

    def fit(
        self,
        *,
        checkpoints: CheckpointFolder | None = None,
        on_tick: Callable[[Tick], None] = lambda tick: None,
        on_step: Callable[[int], None] = lambda step: None,
        label: str = "training",
    ) -> "Study":
        """Train from the start, or from the newest checkpoint, to the end; return self.

        Args:
            checkpoints: Where the state is kept.
            on_tick: Called at the end of each epoch.
            on_step: Called with 0 before the first step, then after each with the steps done.
            label: Of the progress bar.
        """
        self._built = self._build(trained=False)  # anew, whatever was fitted before
        self.priors.clear()
        on_step(0)
        for part, _ in self._parts(self.train):
            self.likelihood.check_images(part)
        options = self.configuration.train
        grey = self.splits.grey
        batches = Batches(
            (grey or self.train).pixels,
            self.training_labels,
            batch=options.batch,
            seed=options.seed,
            device=self.device,
            channels_last=True,
            binarise=grey is not None,
        )
        with bar(desc=label, unit=" images", unit_scale=options.batch) as progress:

            def every(step: int, steps: int) -> None:
                progress.total = steps
                progress.update(step - progress.n)
                on_step(step)

            ticks = train(
                self.model, self.objective, batches, options, checkpoints=checkpoints, every=every
            )
            for tick in ticks:
                on_tick(tick)
        return self

    def fit_prior(
        self, spec: str, *, epochs: float = 20, batch: int = 128, lr: float = 1e-3, seed: int = 0
    ) -> Fitted:
        """Fit a prior to the codes of the training images, the rest of the model frozen.

        It is kept in ``priors`` under its name, for ``sample``; the model's own stays what it is.

        Args:
            spec: A prior, as a component text: ``"mixture(components=20)"``.
            epochs: Passes over the codes, each with fresh draws from their posteriors.
            batch: Codes per step.
            lr: Learning rate of Adam.
            seed: Of its starting weights, the order of the codes and their draws.

        Raises:
            ComponentError: For an unknown prior, or one over other codes than the posterior's.
            OptionError: For an impossible value.
        """
        as_before = self.configuration.train
        options = TrainOptions(
            epochs=epochs,
            batch=batch,
            lr=lr,
            seed=seed,
            device=as_before.device,
            threads=as_before.threads,
        )
        if not isinstance(self.model, VAE):
            raise ComponentError(
                "A prior is fitted afterwards to a model with one layer of latent variables, and "
                f"model {self.configuration.parts.model!r} is another. Use model 'vae'."
            )
        with self._inference(seed):
            prior = self._prior(spec, self.train.pixels)
            train, test = self._encodings(self.train), self._encodings(self.test)
        fit(self.model, prior, train, options)
        prior.eval()
        own = self._cost_of_codes(self.model.prior, test, seed) if self.probabilistic else None
        costs = [self._cost_of_codes(prior, split, seed) for split in (train, test)]
        name = prior_name(spec)
        self.priors[name] = prior
        return Fitted(name, prior.spec, *costs, own=own)

    def fitted_prior(self, name: str) -> Prior:
        """Return a prior that was fitted afterwards, by its name.

        Raises:
            OptionError: If there is none of that name, with those there are.
            RunError: If its file is missing or damaged.
        """
        recorded = self.folder.record.get("priors", {}) if self.folder else {}
        if name not in self.priors and name not in recorded:
            known = sorted({*self.priors, *recorded})
            raise OptionError(
                f"There is no fitted prior {name!r}.{nearest(name, known)} "
                f"Fitted: {', '.join(known) or 'none'}. `vaescape fit-prior` fits one."
            )
        if name not in self.priors:
            assert self.folder is not None
            with self._inference():
                prior = self._prior(recorded[name]["spec"], None).eval()
            path, digest = self.folder / prior_file(name), recorded[name]["sha256"]
            load_weights(path, prior, expected_sha256=digest)
            self.priors[name] = prior
        return self.priors[name]

    def _prior(self, spec: str, pixels: Tensor | None) -> Prior:
        """Return a prior over the model's codes, as it starts."""
        made = prior_over(
            self.model.posterior.head,
            spec,
            posterior=self.model.posterior,
            latent_dim=self.latent,
            shape=self.shape,
            pixels=pixels,
            images=self.folder.record.get("images") if self.folder else len(self.train),
            classes=len(self.classes) or None,
            conditional=bool(self.conditions),
        )
        return made.to(self.device)

    def _sampler(self, name: str) -> Callable[[int, Tensor, float], Distribution]:
        """Return the model's ``sample`` with a fitted prior in the place of its own."""
        prior, model = self.fitted_prior(name), self.model

        def sample(n: int, label: Tensor, temperature: float) -> Distribution:
            return model.decode((draws(prior(model.condition(label)), n, temperature),), label)

        return sample

    def _encodings(self, images: Images) -> Encodings:
        """Return what the encoder says of images, for the posterior's head to read."""
        posterior, condition = self.model.posterior, self.model.condition
        raw = [posterior.raw(x, condition(c)) for x, c in self._parts(images)]
        labels = images.labels.to(self.device)
        others = torch.full_like(labels, -1)
        rows = torch.arange(len(labels)).to(labels) if images is self.train else others
        return Encodings(torch.cat(raw), labels, rows)

    def _cost_of_codes(self, prior: Conditional, encodings: Encodings, seed: int) -> float:
        """Return −E log p(z) under a prior, in nats: at the same draws, whatever the prior."""
        with self._inference(seed):
            return nats(self.model, prior, encodings)

    def score(self, images: Images, seed: int = 0) -> dict[str, float | list[float]]:
        """Return the loss and its metrics over images, in nats per image, as a tick has them."""
        totals: dict[str, Tensor] = {}
        with self._inference(seed):
            together = max(1, AT_ONCE // getattr(self.objective, "samples", 1))
            rows = torch.arange(len(images), device=self.device)
            for start in track("scoring")(range(0, len(images), together)):
                part = images[start : start + together]
                batch = Batch(
                    unit(part.pixels.to(self.device)),
                    part.labels.to(self.device),
                    rows[start : start + together] if images is self.train else None,
                )
                loss = self.objective(self.model, batch, torch.ones((), device=self.device))
                for name, value in (loss.metrics | {"loss": loss.total}).items():
                    totals[name] = totals.get(name, 0) + value.double() * len(part) / len(images)
        return {name: value.tolist() for name, value in totals.items()}

    # There and back ------------------------------------------------------------------------------

    def posterior(self, images: Pictures, label: Classes | None = None) -> Distribution:
        """Return q(z | x, c) of images that fit in memory at once, on the device of the model.

        Args:
            images: Pictures; those of a data set bring their labels along.
            label: Of a conditional model: the classes of the images.

        Raises:
            OptionError: For images of another shape, or classes that are missing, unknown, or not
                asked for.
        """
        with self._inference():
            ((x, c),) = self._parts(images, label, together=len(images))
            return self.model.posterior(x, c)

    def encode(
        self,
        images: Pictures,
        label: Classes | None = None,
        *,
        draw: bool = False,
        seed: int = 0,
    ) -> Float[Tensor, "N D"]:
        """Return the posterior means of images, or one draw each; as :meth:`posterior`.

        Where a posterior has no mean in closed form, none that is a code, or a better code than
        its mean, it has a ``centre``.
        """
        if not draw:
            return self.encode_with_variance(images, label)[0]
        with self._inference(seed):
            parts = [self.model.posterior(x, c).sample() for x, c in self._parts(images, label)]
        return torch.cat(parts).cpu()

    def encode_with_variance(
        self, images: Pictures, label: Classes | None = None
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"] | None]:
        """Return ``z_mean`` and ``z_log_var`` (None: no diagonal Gaussian)."""
        if label is not None or not self._is_split(images):
            return self._encode(images, label)
        means, log_vars = self.memory.recall(self.model, images, lambda: self._encode(images))
        return means.clone(), None if log_vars is None else log_vars.clone()

    def _is_split(self, images: Pictures) -> bool:
        """Return whether these are all training or all test images; reads nothing to find out."""
        read = "splits" in self.__dict__
        return read and (images is self.train or images is self.test)

    def _encode(
        self, images: Pictures, label: Classes | None = None
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"] | None]:
        means, log_vars = [], []
        with self._inference():
            for x, c in self._parts(images, label):
                q = self.model.posterior(x, c)
                means.append(centre(q).cpu())
                if isinstance(q, Gaussian):
                    log_vars.append(q.variance.log().cpu())
        return torch.cat(means), torch.cat(log_vars) if len(log_vars) == len(means) else None

    def codes(self, images: Pictures, label: Classes | None = None) -> Int[Tensor, "N M"]:
        """Return the discrete codes of images: M indices each, the most probable.

        Raises:
            ComponentError: If the model has none.
        """
        if not self.discrete:
            raise ComponentError(
                f"Posterior {self.configuration.parts.posterior!r} has no discrete codes. "
                "Train with one that has, such as vq, fsq or gumbel-softmax."
            )
        with self._inference():
            found = [self.model.posterior(x, c).index for x, c in self._parts(images, label)]
        return torch.cat(found).cpu()

    def places(self, images: Pictures, label: Classes | None = None) -> Float[Tensor, "N P"]:
        """Return what :meth:`decode` takes: the posterior means and, if conditional, the classes.

        P is D + E; a path between two places moves from class to class too.
        """
        return torch.cat([self.encode(images, label), self.weights_of(images, label)], dim=-1)

    def decode(
        self, z: Float[Tensor, "*S P"], label: Classes | None = None
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
        place = self._place(torch.as_tensor(z, dtype=torch.float32), label)
        with self._inference():
            rows = place.reshape(-1, place.shape[-1]).to(self.device).split(AT_ONCE)
            images = torch.cat([self._mean(part).cpu() for part in rows])
        return images.reshape(*place.shape[:-1], *images.shape[1:])

    def reconstruct(
        self, images: Pictures, label: Classes | None = None
    ) -> Float[Tensor, "N C H W"]:
        """Return images encoded to their posterior means and decoded again."""
        with self._inference():
            found = [
                self.model.decode(self.model.encode(x, c), c).mean.cpu()
                for x, c in self._parts(images, label)
            ]
        return torch.cat(found)

    def vary(
        self,
        images: Pictures,
        label: Classes | None = None,
        *,
        keep: int = 1,
        draws: int = 8,
        seed: int = 0,
    ) -> Float[Tensor, "N T C H W"]:
        """Return images that share the top layers of a ladder, what is below drawn again.

        Args:
            images: Pictures, encoded to their posterior means.
            label: Of a conditional model: the classes of the images.
            keep: How many layers stay as they were, from the top.
            draws: T, how many of each image.
            seed: Of the draws.

        Raises:
            OptionError: If nothing below is left to draw, or draws is below 1.
        """
        layers = self.model.layers
        if not 1 <= keep < layers or draws < 1:
            raise OptionError(
                f"This model has {layers} latent layers. Keep 1 or more and leave some to draw, "
                f"1 or more times. Got keep={keep} and draws={draws}."
            )
        with self._inference(seed):
            found = []
            for x, c in self._parts(images, label):
                kept = self.model.encode(x, c)[:keep]
                varied = [self.model.decode(kept, c, draw=True).mean for _ in range(draws)]
                found.append(torch.stack(varied, dim=1).cpu())
        return torch.cat(found)

    def sample(
        self,
        n: int = 64,
        label: Classes | None = None,
        *,
        seed: int = 0,
        kind: Literal["means", "draws"] = "means",
        prior: str | None = None,
        temperature: float = 1.0,
    ) -> Float[Tensor, "N C H W"]:
        """Return images from draws of the prior: the decoder's means, or draws from the likelihood.

        Args:
            n: How many.
            label: Of a conditional model: the class to draw, or n of them; all in turn by default.
            seed: Of the draws. Under p(z), it gives one class the z's that it gives another.
            kind: "means" or "draws".
            prior: The name of one that ``fit_prior`` fitted; the model's own by default.
            temperature: τ, for the draws of z: Gaussians have their scales times τ, those of a
                mixture and of every layer of a ladder included, as has the noise of a flow; codes
                have their logits divided by τ. Pixels are drawn as they are.

        Raises:
            OptionError: If n is below 1, ``kind`` is another, or there is no such class or prior.
            ComponentError: For a plain autoencoder, which has no prior of its own to draw from, for
                draws from what is no density, and for a temperature that is not above 0 or has no
                meaning for the prior.
        """
        if n < 1 or kind not in ("means", "draws"):
            raise OptionError(f"Give n ≥ 1 and kind 'means' or 'draws'. Got {n} and {kind!r}.")
        if prior is None and not self.probabilistic:
            raise ComponentError(
                "A plain autoencoder has no prior that its codes follow, so nothing can be "
                "sampled. Fit one afterwards (vaescape fit-prior), train a VAE (recipe paper), or "
                "decode points of your own."
            )
        if kind == "draws" and not self.likelihood.normalised:
            raise ComponentError(
                f"{self.likelihood.name} is no density of grey pixels, so there is nothing to draw "
                "from. Take the decoder's means, or train with continuous-bernoulli or gaussian."
            )
        asked = self._in_turn(n) if label is None else label
        weights = self._expand(self.weights(asked), (n,)).to(self.device)
        draw = self._sampler(prior) if prior else self.model.sample
        with self._inference(seed):
            found = [draw(len(part), part, temperature) for part in weights.split(AT_ONCE)]
            images = [x.mean if kind == "means" else x.sample() for x in found]
        return torch.cat(images).cpu()

    def prior(self, label: Classes | None = None) -> Distribution:
        """Return p(z), or p(z | c) of one class, on the device of the model."""
        c = self.weights(label).to(self.device)
        with self._inference():
            return self.model.prior(self.model.condition(c[None]))

    def draw_codes(self, n: int, *, seed: int = 0) -> Float[Tensor, "N D"]:
        """Return draws of z from the prior; of a conditional model, from p(z | c), c in turn."""
        c = self._expand(self.weights(self._in_turn(n)), (n,)).to(self.device)
        with self._inference(seed):
            return self.model.draw(n, c).cpu()

    def prior_log_density(self, z: Float[Tensor, "*S D"]) -> Float[Tensor, "*S"]:
        """Return log p(z) in nats; of a conditional model, of the even mixture of its p(z | c).

        Raises:
            ComponentError: If the prior can only be bounded.
        """
        if not self.model.prior.exact:
            raise ComponentError(
                f"The density of prior {self.configuration.parts.prior!r} is only bounded from "
                "below. Use prior 'flow' or 'mixture' for one that can be computed."
            )
        every = torch.eye(self.conditions, device=self.device)
        with self._inference():
            p, z = self.model.prior(self.model.condition(every)), z.to(self.device)
            if not p.batch_shape:
                rows = z.reshape(-1, z.shape[-1]).split(AT_ONCE)
                return torch.cat([p.log_prob(part) for part in rows]).reshape(z.shape[:-1]).cpu()
            mixed = p.log_prob(z[..., None, :]).logsumexp(-1)
            return (mixed - math.log(self.conditions)).cpu()

    def _in_turn(self, n: int) -> Int[Tensor, " N"] | None:
        return torch.arange(n) % self.conditions if self.conditions else None

    def classify(self, images: Pictures) -> Float[Tensor, "N E"]:
        """Return q(y | x), the probability of each class.

        Raises:
            ComponentError: If the model has no classifier.
        """
        if not self.classifies:
            raise ComponentError("This model does not infer classes. Train one with recipe m2.")
        with self._inference():
            pixels = images.pixels if isinstance(images, Images) else torch.as_tensor(images)
            parts = [self.model.classify(self.floats(part)) for part in pixels.split(AT_ONCE)]
        return torch.cat(parts).exp().cpu()

    # Classes -------------------------------------------------------------------------------------

    def weights(self, label: Classes | None) -> Float[Tensor, "*S E"]:
        """Return the condition c that a label names: one row, or one for each; E may be 0.

        Raises:
            OptionError: If classes are missing, unknown, or given to a model that ignores them.
        """
        if isinstance(label, Tensor) and label.is_floating_point():
            return self._checked(label)
        if not self.conditions:
            if label is not None:
                raise OptionError(
                    f"This model was not told classes, so it cannot be asked for {label!r}. Train "
                    "one with --conditional (recipe conditional)."
                )
            return torch.empty(0)
        if label is None:
            raise OptionError(
                f"This model is conditional on classes. Say which: {', '.join(self.classes)}."
            )
        if not isinstance(label, Tensor):
            one = isinstance(label, str | int)
            numbers = [self.class_number(str(each)) for each in ([label] if one else label)]
            label = torch.tensor(numbers[0] if one else numbers)
        return torch.eye(self.conditions)[label.cpu()]

    def weights_of(self, images: Pictures, label: Classes | None = None) -> Float[Tensor, "N E"]:
        """Return the conditions of images: what the label says, else their own, or inferred."""
        if label is None and isinstance(images, Images) and self.conditions:
            label = images.labels
        if label is None and self.classifies:
            label = self.classify(images).argmax(-1)
        return self._expand(self.weights(label), (len(images),))

    def _checked(self, weights: Float[Tensor, "*S E"]) -> Float[Tensor, "*S E"]:
        if weights.shape[-1] != self.conditions:
            raise OptionError(
                f"Expected {self.conditions} weights, one for each class. "
                f"Got shape {tuple(weights.shape)}."
            )
        return weights

    def _expand(self, weights: Float[Tensor, "*S E"], batch: Sequence[int]) -> Tensor:
        try:
            return weights.expand(*batch, self.conditions)
        except RuntimeError as error:
            raise OptionError(
                f"Expected one class, or {math.prod(batch)} of them. "
                f"Got {math.prod(weights.shape[:-1])}."
            ) from error

    def _place(self, z: Float[Tensor, "*S P"], label: Classes | None) -> Float[Tensor, "*S P"]:
        """Return z with the weights of the classes behind it."""
        size = z.shape[-1] if z.ndim else 0
        if size not in (self.latent, self.latent + self.conditions):
            raise OptionError(
                f"Expected codes of {self.latent} numbers each. Got shape {tuple(z.shape)}."
            )
        if self.conditions and size == self.latent + self.conditions and label is None:
            return z
        z = z[..., : self.latent]
        return torch.cat([z, self._expand(self.weights(label), z.shape[:-1])], dim=-1)

    # Paths ---------------------------------------------------------------------------------------

    def interpolate(
        self,
        a: Tensor,
        b: Tensor,
        label: Classes | None = None,
        *,
        steps: int = 11,
        path: str = "linear",
    ) -> Float[Tensor, "T C H W"]:
        """Return decoded images along a path from a to b, its ends included.

        Args:
            a: A code (D,), a place (D + E,), or an image (C, H, W), which is encoded.
            b: Likewise.
            label: Of a conditional model: one class to stay in, or two to move between; unless the
                ends are places, which bring their own.
            steps: Images on the path, 2 or more.
            path: "linear", "spherical" or "geodesic", the shortest by the images it passes.

        Raises:
            OptionError: For fewer than 2 steps, an unknown path or classes that are missing.
        """
        if steps < 2 or path not in PATHS:
            raise OptionError(
                f"Give 2 or more steps and one of the paths {', '.join(PATHS)}. "
                f"Got {steps} and {path!r}."
            )
        classes = [None, None] if label is None else self._expand(self.weights(label), (2,))
        a, b = (self.place(end, c) for end, c in zip((a, b), classes, strict=True))
        walk = self.along(path, around=torch.stack([a, b]))
        return self.decode(walk(a, b, torch.linspace(0, 1, steps)))

    def along(self, path: str, around: Float[Tensor, "N P"]) -> PathFunction:
        """Return the path between places: as asked for z, linear for the classes.

        Args:
            path: One of ``PATHS``.
            around: Places: geodesics of a plane keep to the rectangle of these and ``REACH``, or of
                the ball, and a margin.
        """
        if path == "geodesic":
            reach = 1.0 if self.support is Support.BALL else REACH
            corners = torch.tensor([[-reach], [reach]]).expand(2, around.shape[1])
            places = torch.cat([around, corners]).to(self.device)
            geodesics = Geodesics(self._mean, places, free=self.latent)
            return lambda a, b, t: geodesics(a.to(self.device), b.to(self.device), t).cpu()
        of_codes = {"linear": linear, "spherical": spherical}[path]

        def walk(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
            z = of_codes(a[..., : self.latent], b[..., : self.latent], t)
            return torch.cat([z, linear(a[..., self.latent :], b[..., self.latent :], t)], dim=-1)

        return walk

    def metric(
        self,
        z: Float[Tensor, "*S P"],
        label: Classes | None = None,
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
        place = self._place(z.float(), label).to(self.device)
        with self._inference():
            if of == "images":
                G = pullback_metric(self._mean, place)
            else:
                G = fisher_rao_metric(lambda p: information(self._at(p)), place)
        return G[..., : self.latent, : self.latent].cpu()

    def _at(self, place: Float[Tensor, "N P"]) -> Distribution:
        """Return p(x | z, c), with derivatives where they are asked for."""
        z = self.support.nearest(place[:, : self.latent])
        return self.model.decode((z,), place[:, self.latent :])

    def _mean(self, place: Float[Tensor, "N P"]) -> Float[Tensor, "N C H W"]:
        return self._at(place).mean

    def place(self, end: Tensor, label: Classes | None = None) -> Float[Tensor, " P"]:
        """Return the place of a code, or of an image at its own.

        Raises:
            OptionError: If it is neither, or its class is missing.
        """
        if end.ndim == 3:
            return self.places(end[None], label)[0]
        if end.shape not in ((self.latent,), (self.latent + self.conditions,)):
            raise OptionError(
                f"Expected a code of {self.latent} numbers or an image (C, H, W). "
                f"Got shape {tuple(end.shape)}."
            )
        return self._place(end.float(), label)

    def traverse(
        self,
        dim: int,
        label: Classes | None = None,
        *,
        steps: int = 11,
        reach: float = 3.0,
        center: Tensor | None = None,
    ) -> Float[Tensor, "T C H W"]:
        """Return decoded images along one dimension from −reach to reach, the others at the center.

        Raises:
            OptionError: If there is no such dimension, for fewer than 2 steps, a reach that is not
                a positive number, or a class that is missing.
        """
        if steps < 2 or not 0 < reach < math.inf:
            raise OptionError(
                f"Give 2 or more steps and a reach above 0. Got {steps} and {reach:g}."
            )
        origin = torch.zeros(self.latent) if center is None else center
        return self.decode(traversal(origin, dim, torch.linspace(-reach, reach, steps)), label)

    def class_number(self, name: str) -> int:
        """Return the number of a class, given its name (in any case) or its number.

        Raises:
            OptionError: If there is none, with all their names.
        """
        names = [known.lower() for known in self.classes]
        if name.isdigit() and int(name) < len(names):
            return int(name)
        if name.lower() not in names:
            raise OptionError(
                f"There is no class {name!r}.{nearest(name.lower(), names)} "
                f"Classes: {', '.join(self.classes)}."
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

    def _parts(
        self, images: Pictures, label: Classes | None = None, together: int = AT_ONCE
    ) -> Iterator[tuple[Float[Tensor, "B C H W"], Float[Tensor, "B E"]]]:
        pixels = images.pixels if isinstance(images, Images) else torch.as_tensor(images)
        weights = self.weights_of(images, label)
        pairs = zip(pixels.split(together), weights.split(together), strict=True)
        for part, c in track("encoding")(list(pairs)):
            yield self.floats(part), c.to(self.device)

    @contextmanager
    def _inference(self, seed: int = 0) -> Iterator[None]:
        """No gradients, and random numbers from a seed of one's own."""
        if not 0 <= seed < 2**63:
            raise OptionError(f"The seed must be between 0 and 2⁶³ − 1. Got {seed}.")
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
