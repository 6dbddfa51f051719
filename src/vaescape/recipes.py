"""Recipes: a run is a function that returns its whole configuration; a variant changes it."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from vaescape import schema
from vaescape.components import find, nearest, parse, spell, text_of
from vaescape.errors import ComponentError, OptionError, RunError
from vaescape.train.options import TrainOptions
from vaescape.trust import check_recorded


@dataclass(frozen=True)
class Parts:
    """The component texts that rebuild a model and its objective."""

    model: str = "vae"
    network: str = "conv"
    posterior: str = "gaussian"
    likelihood: str = "cross-entropy"
    prior: str = "normal"
    objective: str = "elbo"
    latent: int = 2
    """D, dimensions of z."""
    conditional: bool = False
    """Whether the model is conditioned on the class: q(z | x, c), p(x | z, c) and p(z | c)."""

    def __post_init__(self) -> None:
        """Turn classes and instances of components into the texts that name them."""
        for kind in ("model", "network", "posterior", "likelihood", "prior", "objective"):
            object.__setattr__(self, kind, text_of(kind, getattr(self, kind)))

    def with_fitting_prior(self) -> "Parts":
        """Return the parts, the prior replaced if it is not over the posterior's kind of codes."""
        import vaescape.posteriors
        import vaescape.priors  # noqa: F401 — importing an open set registers its members
        from vaescape.conditionals import Posterior, Prior

        posterior, prior = (
            find(kind, parse(getattr(self, kind))[0]) for kind in ("posterior", "prior")
        )
        assert issubclass(posterior, Posterior)
        assert issubclass(prior, Prior)
        if prior.support in (None, posterior.support):
            return self
        return replace(self, prior=posterior.support.usual_prior)


@dataclass(frozen=True)
class Configuration:
    """A run, whole: what is trained, on what, and how."""

    recipe: str = "paper"
    data: str = "fashion-mnist"
    """The data set, a component text."""
    validation: int = 0
    """How many training images are held out for model selection."""
    binarise: str = "none"
    """Black and white pixels: none; fixed, drawn once; dynamic, drawn anew for every batch."""
    labelled: int | None = None
    """How many training images keep their label, for semi-supervised learning; None: all."""
    limit: int | None = None
    """Use only so many images of each split: for a quick look."""
    parts: Parts = field(default_factory=Parts)
    train: TrainOptions = field(default_factory=lambda: TrainOptions(precision="auto"))
    """A recipe that bfloat16 makes no faster is in float32 (``docs/results/precision.md``)."""
    chosen: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    """The fields that the user set; the others are defaults, which adapt to a small set."""

    def __post_init__(self) -> None:
        """Turn a class or an instance of a data set into the text that names it."""
        object.__setattr__(self, "data", text_of("data", self.data))

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values, the inverse of :meth:`from_dict`."""
        return {name: value for name, value in asdict(self).items() if name != "chosen"}

    def adapted(
        self, name: Literal["validation", "labelled", "batch"], images: int
    ) -> "Configuration":
        """Return a copy in which a default number of images fits a set, having said what changed.

        What the user chose stays; it is refused where it is used.

        Args:
            name: The field.
            images: How many training images there are.
        """
        value = self.train.batch if name == "batch" else getattr(self, name)
        if value is None or value <= images - (name == "validation") or name in self.chosen:
            return self
        instead = {"validation": images // 6, "labelled": max(1, images // 2), "batch": images}
        warnings.warn(
            f"{images:,} training images are too few for {name} {value:,}: "
            f"{name} is {instead[name]:,} now.",
            stacklevel=3,
        )
        return replace(self.with_changes(**{name: instead[name]}), chosen=self.chosen)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Configuration":
        """Return the configuration that a run folder recorded.

        Raises:
            RunError: If fields are missing, unknown or of the wrong kind, or if a text names code
                that nobody has named in this process: see :func:`vaescape.trust.trusting`.
        """
        try:
            check_recorded(values)
            whole = {"parts": None, "train": None, **values}
            if found := schema.wrong(whole, Configuration):
                raise TypeError(str(found))
            nested = {"parts": Parts(**values["parts"]), "train": TrainOptions(**values["train"])}
            return cls(**{**values, **nested})
        except (AttributeError, KeyError, TypeError) as error:
            raise RunError(
                f"The recorded configuration is damaged: {error}. Train again, or restore run.json."
            ) from error

    def with_changes(self, **changes: Any) -> "Configuration":
        """Return a copy with fields changed, wherever they live; ``beta`` is the objective's.

        Raises:
            OptionError: For an unknown field, with the nearest name.
            ComponentError: For ``beta`` with an objective that has none.
        """
        beta = changes.pop("beta", None)
        homes = {
            field.name: home for home in ("parts", "train") for field in fields(getattr(self, home))
        }
        own = {field.name for field in fields(self)} - {"parts", "train", "recipe", "chosen"}
        new: dict[str, Any] = {"parts": {}, "train": {}}
        for name, value in changes.items():
            if name in own:
                new[name] = value
            elif name in homes:
                new[homes[name]][name] = value
            else:
                every = sorted(own | set(homes) | {"beta"})
                raise OptionError(
                    f"There is no option {name!r}.{nearest(name, every)} Known: {', '.join(every)}."
                )
        parts, train = (
            replace(getattr(self, home), **new.pop(home)) for home in ("parts", "train")
        )
        if beta is not None:
            name, given = parse(parts.objective)
            parts = replace(parts, objective=spell(name, given | {"beta": beta}))
        if "posterior" in changes and "prior" not in changes:
            parts = parts.with_fitting_prior()
        chosen = self.chosen | changes.keys()
        return replace(self, parts=parts, train=train, chosen=chosen, **new)

    def resolved(self) -> "Configuration":
        """Return a copy with the arithmetic of this machine in the place of ``auto``."""
        precision = self.train.precision
        if precision == "auto":
            precision = self.train.resolve_precision(self.train.resolve_device())
        return replace(self, train=replace(self.train, precision=precision))

    def baseline(self) -> "Configuration":
        """Return the plain autoencoder of the same network, data and training."""
        parts = replace(
            self.parts,
            model="vae",
            posterior="point",
            prior="normal",
            objective="elbo(beta=0)",
        )
        train = replace(self.train, film=0)
        return replace(self, recipe="autoencoder", parts=parts, train=train, labelled=None)


Recipe = Callable[[], Configuration]
RECIPES: dict[str, Recipe] = {}


def recipe(name: str) -> Callable[[Recipe], Recipe]:
    """Register a function as a recipe."""

    def register(function: Recipe) -> Recipe:
        RECIPES[name] = function
        return function

    return register


def configuration(name: str, **changes: Any) -> Configuration:
    """Return the configuration of a recipe, with changes.

    Raises:
        ComponentError: For an unknown recipe, with the nearest name.
    """
    if name not in RECIPES:
        raise ComponentError(
            f"There is no recipe named {name!r}.{nearest(name, RECIPES)} "
            f"Known: {', '.join(RECIPES)}."
        )
    return replace(RECIPES[name](), recipe=name).with_changes(**changes)


def summary(name: str) -> str:
    """Return the first line of a recipe's docstring."""
    return (inspect.getdoc(RECIPES[name]) or "").partition("\n")[0]


@recipe("paper")
def paper() -> Configuration:
    """The study: conv VAE, two latent dimensions, Adam, 20 epochs of Fashion-MNIST."""
    return Configuration()


@recipe("aevb")
def aevb() -> Configuration:
    """Kingma & Welling (2014): one tanh layer of 500, batch 100, Adagrad; on Fashion-MNIST."""
    train = TrainOptions(batch=100, optimiser="adagrad", lr=0.02)
    return Configuration(parts=Parts(network="mlp"), train=train)


@recipe("autoencoder")
def autoencoder() -> Configuration:
    """The study's network as a plain autoencoder: no noise, no KL. The baseline for smoothness."""
    return paper().baseline()


@recipe("conditional")
def conditional() -> Configuration:
    """Doersch's conditional VAE (2016, section 4): the study, conditioned on the class."""
    return Configuration(parts=Parts(conditional=True))


@recipe("m2")
def m2() -> Configuration:
    """Semi-supervised learning (Kingma et al. 2014, M2): 1,000 of the labels are known."""
    return Configuration(
        labelled=1000,
        parts=Parts(model="m2", objective="m2", conditional=True, latent=8),
    )


@recipe("exemplar/vae")
def exemplar() -> Configuration:
    """The plain VAE of the Exemplar VAE paper (Norouzi et al. 2020) on binarised Fashion-MNIST.

    The last 10,000 training images are for validation. Training images are binarised anew in
    every batch, the others once; z has 40 dimensions, each side two gated layers of 300, and the
    KL warms up. Differences from the paper: plain Adam, without normalised gradients; a fixed
    number of epochs (the paper: up to 2,000, stopped when validation no longer improves), of
    which 100 warm up.
    """
    return Configuration(
        validation=10_000,
        binarise="dynamic",
        parts=Parts(
            network="gated-mlp", likelihood="bernoulli", objective="elbo(warmup=0.25)", latent=40
        ),
        train=TrainOptions(epochs=400, batch=100, lr=5e-4),
    )


@recipe("swift")
def swift() -> Configuration:
    """A better map than the study's in a second: a small decoder, codes by Bayes' rule."""
    network = "fourier(decoder_widths=[192], features=96, scale=2.0, activation='gelu')"
    train = TrainOptions(
        precision="auto",
        epochs=0.35,
        batch=256,
        lr=3e-2,
        optimiser="adam(beta1=0.8, beta2=0.9)",
        schedule="one-cycle(warmup=0.3)",
    )
    posterior = "bayes(points=2304, training_points=576, refresh_interval=4)"
    return Configuration(parts=Parts(network=network, posterior=posterior), train=train)


@recipe("atlas")
def atlas() -> Configuration:
    """The best map, in less than the study's training time: a decoder, codes by Bayes' rule."""
    network = (
        "fourier(decoder_widths=[512], features=64, scale=2.0, grids=[6, 12, 24, 48, 96], "
        "activation='gelu')"
    )
    train = TrainOptions(
        precision="auto",
        epochs=10,
        batch=512,
        lr=1.2e-2,
        optimiser="adam(beta2=0.95)",
        schedule="one-cycle(warmup=0.1)",
    )
    posterior = "bayes(points=36864, training_points=9216, refresh_interval=16)"
    return Configuration(parts=Parts(network=network, posterior=posterior), train=train)


@recipe("first-look")
def first_look() -> Configuration:
    """Shapes of four kinds, two factors in two latents: no download, under a minute on one core."""
    network = "fourier(decoder_widths=[256], features=64, scale=0.8, activation='gelu')"
    train = TrainOptions(
        epochs=40,
        batch=64,
        lr=5e-3,
        optimiser="adam(beta2=0.9)",
        schedule="one-cycle(warmup=0.2)",
    )
    data = "shapes(images=2048, vary=['scale', 'x'])"
    return Configuration(data=data, parts=Parts(network=network), train=train)
