"""What a person can turn while a training goes on, and the run that it makes of a recipe."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from vaescape.components import parse, spell
from vaescape.errors import OptionError
from vaescape.recipes import Configuration
from vaescape.train.changes import Changes

LIVE = ("beta", "lr")
"""Knobs that change the training as it goes on; the others start it again."""
ENDLESS = 100_000
"""Epochs of a training that goes on until somebody has seen enough."""
SNAPSHOTS = 20
"""Of the film of a run that is kept."""
LIMITS: dict[str, tuple[float, float]] = {
    "beta": (1 / 1024, 1024),
    "lr": (1e-6, 1.0),
    "seed": (0, 2**31 - 1),
    "images": (2, 10**9),
    "latent": (1, 2),
    "width": (1, 4096),
    "scale": (1e-3, 100),
}


@dataclass(frozen=True)
class Knobs:
    """The present settings of a training."""

    beta: float
    """Weight of the KL."""
    lr: float
    seed: int
    images: int
    """How many training images are used."""
    latent: int
    width: int | None = None
    """Of each hidden layer of the decoder; None: the network has none to turn."""
    scale: float | None = None
    """Standard deviation of the frequencies; None: the network has none."""

    @classmethod
    def of(cls, configuration: Configuration, images: int) -> Self:
        """Return the knobs as a recipe has them, for a set of so many training images.

        Raises:
            OptionError: If the weight of the KL is not one number above 0.
        """
        parts, train = configuration.parts, configuration.train
        name, objective = parse(parts.objective)
        beta = objective.get("beta", 1.0)
        if name != "elbo" or set(objective) - {"beta", "samples"} or not beta > 0:
            raise OptionError(
                f"Objective {parts.objective!r} is not reconstruction + β KL with one β above 0, "
                "which `vaescape play` changes. Use objective 'elbo', e.g. recipe swift or paper."
            )
        if parts.latent > 2 or parts.conditional or parts.model != "vae":
            raise OptionError(
                "`vaescape play` shows latent spaces of one or two dimensions, of model 'vae' "
                "without conditions. Use recipe swift, atlas or paper, with --latent 2."
            )
        widths = _network(parts.network).get("decoder_widths")
        return cls(
            beta=float(beta),
            lr=train.constant_lr,
            seed=train.seed,
            images=images - configuration.validation,
            latent=parts.latent,
            width=widths[0] if widths else None,
            scale=_network(parts.network).get("scale"),
        )

    def changed(self, given: dict[str, Any], most: int) -> "Knobs":
        """Return the knobs with some turned.

        Args:
            given: By their names.
            most: How many training images there are.

        Raises:
            OptionError: For an unknown knob, or an impossible value.
        """
        for name, value in given.items():
            low, high = LIMITS.get(name, (0, 0))
            high = min(high, most) if name == "images" else high
            whole = name not in ("beta", "lr", "scale")
            fits = type(value) is int or (type(value) is float and not whole)
            if name not in LIMITS or getattr(self, name) is None:
                raise OptionError(
                    f"There is no knob {name!r} here. Known: {', '.join(self.values)}."
                )
            if not fits or not low <= value <= high:
                raise OptionError(f"{name} must be from {low:g} to {high:g}. Got {value!r}.")
        return replace(self, **{k: v if k not in LIVE else float(v) for k, v in given.items()})

    @property
    def values(self) -> dict[str, float]:
        """The knobs there are."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def live(self) -> dict[str, float]:
        """Those that change the training as it goes on."""
        return {name: getattr(self, name) for name in LIVE}

    def restarts(self, other: "Knobs") -> bool:
        """Return whether a training with the other knobs starts again."""
        mine, theirs = asdict(self), asdict(other)
        return any(mine[name] != theirs[name] for name in mine if name not in LIVE)

    def configuration(self, recipe: Configuration, most: int) -> Configuration:
        """Return the run that is trained: the recipe with these knobs, at a constant rate."""
        changes: dict[str, Any] = {
            "beta": self.beta,
            "lr": self.lr,
            "seed": self.seed,
            "latent": self.latent,
            "validation": most - self.images,
            "batch": min(recipe.train.batch, self.images),
            "schedule": "constant",
            "epochs": ENDLESS,
            "film": 0,
        }
        name, network = parse(recipe.parts.network)
        if self.width is not None:
            network["decoder_widths"] = [self.width] * len(network["decoder_widths"])
        if self.scale is not None:
            network["scale"] = self.scale
        if self.width is not None or self.scale is not None:
            changes["network"] = spell(name, network)
        return recipe.with_changes(**changes)


def kept(configuration: Configuration, changes: Changes, steps: int, images: int) -> Configuration:
    """Return the run that ends where a training is now.

    Args:
        configuration: What is trained, with its present knobs.
        changes: Of the knobs, from step 0 on.
        steps: Done.
        images: How many are trained on.
    """
    return configuration.with_changes(
        epochs=steps * configuration.train.batch / images,
        film=min(SNAPSHOTS, steps + 1),
        changes="" if all(step == 0 for step, _, _ in changes.entries) else str(changes),
        **changes.last,
    )


def _network(text: str) -> dict[str, Any]:
    return parse(text)[1]
