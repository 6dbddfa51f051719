"""A study: a configuration, its data, and the latent space that training leaves.

>>> study = Study("first-look", epochs=1, limit=512)
>>> study.fit()                            # doctest: +ELLIPSIS
Study('first-look', ...)
>>> z = study.encode(study.test)           # posterior means
>>> study.decode(z[:4]).shape
torch.Size([4, 1, 28, 28])
"""

from collections.abc import Callable
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaescape import second_stage
from vaescape.batch import Batch
from vaescape.build import build
from vaescape.classes import ClassSpec
from vaescape.components import nearest, text_of
from vaescape.conditionals import Prior
from vaescape.data import Batches, Images, some_labels
from vaescape.errors import OptionError
from vaescape.generation import interpolate, sample, traverse
from vaescape.geometry.density import AggregateDensity
from vaescape.latent_space import AT_ONCE, LatentSpace, Pictures
from vaescape.objectives import Objective
from vaescape.progress import bar, track
from vaescape.recipes import Configuration, configuration
from vaescape.runs import LATENTS, OBJECTIVE, WEIGHTS, RunFolder
from vaescape.study_data import StudyData, in_hand
from vaescape.train import CheckpointFolder, Tick, TrainOptions, train
from vaescape.train.loop import Settings
from vaescape.train.weights import pack, restore
from vaescape.trust import check_recorded, trusting

P = ParamSpec("P")
R = TypeVar("R")


def _in_space(
    method: Callable[Concatenate[LatentSpace, P], R],
) -> Callable[Concatenate["Study", P], R]:
    """Return a method of a study that asks its latent space."""

    @wraps(method)
    def ask(self: "Study", *args: P.args, **kwargs: P.kwargs) -> R:
        return method(self.space, *args, **kwargs)

    return ask


class Study(StudyData):
    """A configuration and its data and, once trained, a latent space.

    Args:
        recipe: The name of a recipe, or a configuration.
        data_dir: Folder with the files of the data set, if they are in no usual place.
        read: A data set that has been read already, or images as for ``data``.
        changes: Settings that differ from the recipe: ``latent=8``, ``beta=4``, ``epochs=1``, …
            ``data`` is a component text, a path, or images in hand: an array, ``(images, labels)``,
            a dataset of PyTorch or Hugging Face, a list of PIL images
            (:func:`vaescape.data.given.as_data`).

    Raises:
        VaescapeError: For unknown names and impossible values.
    """

    def __init__(
        self,
        recipe: str | Configuration = "paper",
        *,
        data_dir: str | Path | None = None,
        read: Any = None,
        **changes: Any,
    ) -> None:
        made = configuration(recipe) if isinstance(recipe, str) else recipe
        read, changes = in_hand(read, changes)
        super().__init__(made.with_changes(**changes), data_dir, read)
        self.device = self.configuration.train.resolve_device()
        self.priors: dict[str, Prior] = {}
        self.last_tick: Tick | None = None

    def __repr__(self) -> str:
        c = self.configuration
        return f"Study({c.recipe!r}, data={c.data!r}, latent={c.parts.latent})"

    @classmethod
    def load(
        cls,
        run: str | Path | RunFolder,
        *,
        data_dir: str | Path | None = None,
        device: str | None = None,
        trust_code: bool = False,
        data: Any = None,
    ) -> "Study":
        """Return the study of a finished run, with the final weights of model and objective.

        Args:
            run: The run, or its folder.
            data_dir: Folder with the files of the data set.
            device: Device to compute on. Default: the one it was trained on.
            trust_code: Import the classes outside of vaescape that the run names.
            data: The images, if the run was trained on images in memory.

        Raises:
            RunError: If the run is missing, unfinished, damaged or of a later format, or if it
                names code that is not trusted.
        """
        folder = RunFolder.open(run.path if isinstance(run, RunFolder) else run, finished=True)
        with trusting(trust_code):
            study = cls.of(folder, data_dir=data_dir, device=device, data=data)
            check_recorded(folder.record.get("priors", {}))
        restore(folder.verify(WEIGHTS), study.model, folder / WEIGHTS)
        if study.objective.state_dict():
            restore(folder.verify(OBJECTIVE), study.objective, folder / OBJECTIVE)
        return study

    @classmethod
    def of(
        cls,
        folder: RunFolder,
        *,
        data_dir: str | Path | None = None,
        device: str | None = None,
        data: Any = None,
    ) -> "Study":
        """Return the study that a run folder records, as it was before training.

        The arguments are those of :meth:`load`.
        """
        changes = {} if device is None else {"device": device}
        made = Configuration.from_dict(folder.configuration)
        study = cls(made, data_dir=data_dir, read=data, **changes)
        study.folder = folder
        return study

    # Data ----------------------------------------------------------------------------------------

    @property
    def training_labels(self) -> Int[Tensor, " N"]:
        """The labels given to training: −1 for those that are withheld.

        Raises:
            OptionError: If more labels are requested than there are images, or the model needs all.
        """
        labels = self.train.labels
        c = self.configuration = self.configuration.adapted("labelled", len(labels))
        if c.labelled is None:
            return labels
        if not self.model.classifies:
            raise OptionError(
                f"Model {c.parts.model!r} cannot do with {c.labelled} labels: only 'm2' (recipe "
                "m2) infers those that are missing. Leave out --labelled."
            )
        return some_labels(labels, c.labelled)

    # Model and objective -------------------------------------------------------------------------

    @cached_property
    def _built(self) -> tuple[LatentSpace, Objective]:
        return self._build(self.folder is not None and self.folder.status == "finished")

    def _build(self, trained: bool) -> tuple[LatentSpace, Objective]:
        """Return model and objective: from the images, or to load weights that stand for them."""
        c = self.configuration
        model, objective = build(
            c.parts,
            shape=self.shape,
            seed=c.train.seed,
            images=self.images,
            pixels=None if trained else self.train.pixels,
            classes=len(self.classes),
        )
        layout = torch.channels_last  # as in training, so that loaded weights give the same bits
        model.to(self.device).to(memory_format=layout)  # pyright: ignore[reportCallIssue]

        def remembers(images: Pictures) -> bool:
            """All training or all test images. The question alone reads no data."""
            return "splits" in self.__dict__ and (images is self.train or images is self.test)

        space = LatentSpace(
            model.eval(), self.classes, self.shape, c.parts.latent, self.device, remembers
        )
        return space, objective.to(self.device).eval()

    @property
    def space(self) -> LatentSpace:
        """The latent space of the model."""
        return self._built[0]

    @property
    def model(self) -> Any:
        """The model, a :class:`vaescape.models.base.Model`: posterior, likelihood and prior."""
        return self.space.model

    @property
    def objective(self) -> Objective:
        """What training minimises."""
        return self._built[1]

    def fit(
        self,
        *,
        checkpoints: CheckpointFolder | None = None,
        on_tick: Callable[[Tick], None] = lambda tick: None,
        on_step: Callable[[int], None] = lambda step: None,
        settings: Settings | None = None,
        label: str = "training",
    ) -> "Study":
        """Train from the start, or from the newest checkpoint, to the end; return self.

        Args:
            checkpoints: Where to save checkpoints.
            on_tick: Called at the end of each epoch.
            on_step: Called with 0 before the first step, then after each with the steps done.
            settings: As :func:`vaescape.train.train` takes them.
            label: Label of the progress bar.
        """
        self._built = self._build(trained=False)  # anew, whatever was fitted before
        self.priors.clear()
        on_step(0)
        for part, _ in self.space.batches(self.train):
            self.space.likelihood.check_images(part)
        labels, grey = self.training_labels, self.splits.grey
        self.configuration = self.configuration.adapted("batch", len(labels))
        options = self.configuration.train
        batches = Batches(
            (grey or self.train).pixels,
            labels,
            batch=options.batch,
            seed=options.seed,
            device=self.device,
            channels_last=True,
            binarise=grey is not None,
        )
        with bar(desc=label, unit="images", unit_scale=options.batch) as progress:

            def every(step: int, steps: int) -> None:
                progress.reach(step, steps)
                on_step(step)

            ticks = train(
                self.model,
                self.objective,
                batches,
                options,
                checkpoints=checkpoints,
                every=every,
                settings=settings,
            )
            for tick in ticks:
                self.last_tick = tick
                on_tick(tick)
        return self

    def score(self, images: Images, seed: int = 0) -> dict[str, float | list[float]]:
        """Return the loss and its metrics over images, in nats per image, as a tick has them."""
        totals: dict[str, Tensor] = {}
        with self.space.inference(seed):
            together = max(1, AT_ONCE // getattr(self.objective, "samples", 1))
            for rows in track("scoring")(torch.arange(len(images)).split(together)):
                part, mine = images[rows], rows.to(self.device) if images is self.train else None
                batch = Batch(self.space.floats(part), part.labels.to(self.device), mine)
                loss = self.objective(self.model, batch, torch.ones((), device=self.device))
                for name, value in (loss.metrics | {"loss": loss.total}).items():
                    totals[name] = totals.get(name, 0) + value.double() * len(part) / len(images)
        return {name: value.tolist() for name, value in totals.items()}

    # Run folders ---------------------------------------------------------------------------------

    def save(self, path: str | Path, *, overwrite: bool = False) -> RunFolder:
        """Write what training left into a run folder, and return it: :meth:`load` opens it.

        Args:
            path: The folder, which must not be there yet.
            overwrite: Replace the run that is there.

        Raises:
            OptionError: If the study is not trained.
            RunError: If the folder is taken, or cannot be written.
        """
        if self.last_tick is None:
            raise OptionError("There is nothing to save yet. Call fit() first.")
        told = self.record() | {"stages": {"train": self.last_tick.seconds}}
        folder = RunFolder.create(path, self.configuration.to_dict(), overwrite=overwrite, **told)
        with folder.locked():
            folder.append(self.row(self.last_tick))
            self.write(folder)
        self.folder = folder
        return folder

    def row(self, tick: Tick) -> dict[str, Any]:
        """Return a row of the training log: what was minimised, on both splits, in nats.

        The reconstruction term stands under the name that the likelihood gives it.
        """
        term, (split, images) = self.space.likelihood.quantity.name, self.held_out
        both = {"train": tick.metrics, "held_out": self.score(images)}
        named = {
            key: {term if name == "reconstruction" else name: v for name, v in metrics.items()}
            for key, metrics in both.items()
        }
        begin = {"step": tick.step, "epoch": tick.epoch, "seconds": tick.seconds}
        return begin | named | {"held_out_split": split}

    def write(self, folder: RunFolder) -> None:
        """Leave weights and latents in a run folder, which is finished then."""
        folder.keep(WEIGHTS, pack(self.model.state_dict(), {}))
        if self.objective.state_dict():
            folder.keep(OBJECTIVE, pack(self.objective.state_dict(), {}))
        tensors = {}
        for split, images in (("train", self.train), ("test", self.test)):
            mean, log_var = self.encode_with_variance(images)
            tensors |= {f"{split}.mean": mean, f"{split}.label": images.labels}
            tensors |= {} if log_var is None else {f"{split}.log_var": log_var}
        about = {"mean": "point estimate of q(z | x)", "log_var": "log σ²"}
        folder.keep(LATENTS, pack(tensors, about))
        folder.update(status="finished")

    # Priors that are fitted afterwards -----------------------------------------------------------

    def fit_prior(
        self,
        spec: str | Prior | type[Prior],
        *,
        epochs: float = 20,
        batch: int = 128,
        lr: float = 1e-3,
        seed: int = 0,
    ) -> second_stage.Fitted:
        """Fit a prior to the codes of the training images, the rest of the model frozen.

        It is kept in ``priors`` under its name, for ``sample``; the model's own stays what it is.

        Args:
            spec: A prior: a component text such as ``"mixture(components=20)"``, a class or an
                instance.
            epochs: Passes over the codes, each with fresh draws from their posteriors.
            batch: Codes per step.
            lr: Learning rate of Adam.
            seed: Of its starting weights, the order of the codes and their draws.

        Raises:
            ComponentError: For an unknown prior, or one over other codes than the posterior's.
            OptionError: For an impossible value.
        """
        own = self.configuration.train
        options = TrainOptions(
            epochs=epochs, batch=batch, lr=lr, seed=seed, device=own.device, threads=own.threads
        )
        spec = text_of("prior", spec)
        prior, fitted = second_stage.fit_prior(self.space, spec, self.train, self.test, options)
        self.priors[fitted.name] = prior
        return fitted

    def fitted_prior(self, name: str) -> Prior:
        """Return a prior that was fitted afterwards, by its name.

        Raises:
            OptionError: If there is none of that name, with those there are.
            RunError: If its file is missing or damaged.
        """
        recorded = self._recorded("priors") or {}
        if self.folder and name in recorded and name not in self.priors:
            spec = recorded[name]["spec"]
            self.priors[name] = second_stage.kept(self.space, self.folder, spec, self.images)
        if name not in self.priors:
            known = sorted({*self.priors, *recorded})
            raise OptionError(
                f"There is no fitted prior {name!r}.{nearest(name, known)} "
                f"Fitted: {', '.join(known) or 'none'}. `vaescape fit-prior` fits one."
            )
        return self.priors[name]

    def sample(
        self,
        n: int = 64,
        label: ClassSpec | None = None,
        *,
        prior: str | None = None,
        **options: Any,
    ) -> Float[Tensor, "N C H W"]:
        """Return images from draws of the prior.

        Args:
            n: How many.
            label: Of a conditional model: the class to draw, or n of them; all in turn by default.
            prior: The name of one that :meth:`fit_prior` fitted; the model's own by default.
            options: ``seed``, ``kind`` ("means" or "draws") and ``temperature``, as
                :func:`vaescape.generation.sample` takes them.
        """
        other = self.fitted_prior(prior) if prior else None
        return sample(self.space, n, label, prior=other, **options)

    # The latent space ----------------------------------------------------------------------------

    encode = _in_space(LatentSpace.encode)
    encode_with_variance = _in_space(LatentSpace.encode_with_variance)
    decode = _in_space(LatentSpace.decode)
    reconstruct = _in_space(LatentSpace.reconstruct)
    interpolate = _in_space(interpolate)
    traverse = _in_space(traverse)
    metric = _in_space(LatentSpace.metric)


def density(study: Study) -> AggregateDensity | None:
    """Return the density of a study's codes; None where codes are discrete.

    The aggregate posterior of training images, or of a plain autoencoder a kernel estimate.
    """
    if study.space.discrete:
        return None
    if not study.space.probabilistic:
        return AggregateDensity.around(study.encode(study.train))
    return AggregateDensity.of(study.space, study.train, study.test)
