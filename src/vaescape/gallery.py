"""The figures of a study: what is encoded, decoded or sampled for each, and what draws it.

``draw(study, "map")`` returns one; ``render(study, folder)`` leaves all of them in a folder.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import ArrayLike
from torch import Tensor

from vaescape import plots
from vaescape.components import nearest
from vaescape.conditionals import Support
from vaescape.distributions import Gaussian
from vaescape.errors import OptionError
from vaescape.evaluation import elbo
from vaescape.geometry.paths import linear, quantile_grid
from vaescape.metrics.codes import usage
from vaescape.metrics.reconstruction import mse
from vaescape.metrics.smoothness import cross_fade
from vaescape.progress import track
from vaescape.study import PATHS, Study
from vaescape.train.weights import digest, pack

MAPPED = 10_000
"""Encoded images on a map, at most."""

Draw = Callable[..., plots.Picture]
FIGURES: dict[str, Draw] = {}


def figure(name: str) -> Callable[[Draw], Draw]:
    """Register a function as the figure of that name."""

    def register(function: Draw) -> Draw:
        FIGURES[name] = function
        return function

    return register


def draw(study: Study, name: str, **options: Any) -> plots.Picture:
    """Return a figure by name.

    Raises:
        OptionError: If there is no such figure, with the nearest name; or it has no meaning here.
    """
    return _find(study, name)(study, **options)


def drawable(study: Study) -> list[str]:
    """Return the names of the figures that have a meaning for this study."""
    return [name for name in FIGURES if _unmet(study, name) is None]


def _find(study: Study, name: str) -> Draw:
    if name not in FIGURES:
        raise OptionError(
            f"There is no figure {name!r}.{nearest(name, FIGURES)} Known: {', '.join(FIGURES)}."
        )
    if (need := _unmet(study, name)) is not None:
        raise OptionError(
            f"The figure {name!r} needs {need}. Here there are: {', '.join(drawable(study))}."
        )
    return FIGURES[name]


def _unmet(study: Study, name: str) -> str | None:
    """Return what a figure needs and this study lacks, or None."""
    if name in ("samples", "draws", "kl", "classes") and not study.probabilistic:
        return "a prior, and a plain autoencoder has none"
    if name == "kl" and not study.kl_by_dimension:
        return "a KL for each latent dimension: posterior 'gaussian' with a Gaussian prior"
    if name == "codes" and not study.discrete:
        return "a posterior with discrete codes"
    bounded = study.support in (Support.SPHERE, Support.BALL)
    if name in ("manifold", "manifold_map", "traversals") and bounded:
        return f"codes anywhere in latent space, and here they lie {study.support}"
    if name == "draws" and not study.likelihood.normalised:
        return "a likelihood that is a density of grey pixels"
    if name == "classes" and not study.conditions:
        return "a conditional model, which can be asked for a class"
    if name == "regions" and (len(study.classes) < 2 or study.latent < 2):
        return "two classes and two latent dimensions, or more"
    if name == "manifold_map" and study.latent != 2:
        return "a latent space of two dimensions"
    if name == "curves" and (study.folder is None or not study.folder.history()):
        return "the log of a run folder, as `vaescape run` leaves it"
    return None


def render(
    study: Study, folder: Path, names: list[str] | None = None, *, theme: str = "light"
) -> dict[str, Path]:
    """Write figures as PNG and SVG, and the animation as GIF; return the SVG (or GIF) of each.

    Args:
        study: Trained.
        folder: Where to.
        names: Which; all that have a meaning by default.
        theme: "light" or "dark".

    Raises:
        OptionError: As :func:`draw`, before anything is written.
    """
    chosen = names or [*drawable(study), "animation"]
    for name in chosen:
        if name != "animation":
            _find(study, name)
    written: dict[str, Path] = {}
    for name in track("figures")(chosen):
        if name == "animation":
            written[name] = animation(study, folder / "animation.gif")
        else:
            written[name] = plots.save_figure(draw(study, name, theme=theme), folder / name)[-1]
    return written


# What the figures need ---------------------------------------------------------------------------


class Encoded(NamedTuple):
    """The test images in latent space, and in the plane that is drawn."""

    z: Float[Tensor, "N D"]
    log_var: Float[Tensor, "N D"] | None
    labels: Int[np.ndarray, " N"]
    plane: Float[Tensor, "N 2"]
    projection: str | None
    axes_names: tuple[str, str]
    to_latent: Callable[[Float[Tensor, "*S 2"]], Float[Tensor, "*S D"]]
    colours: list[str]
    layer: str
    """Which layer of a hierarchy this is; empty where there is but one."""

    @property
    def note(self) -> str:
        """What a map has to say of itself."""
        return _notes(self.projection, self.layer)


def encoded(study: Study) -> Encoded:
    """Return what all maps of a study share: one encoding, one projection, one colour per class."""
    return _encoded(study, digest(pack(study.model.state_dict(), {})))


@lru_cache(maxsize=2)
def _encoded(study: Study, weights: str) -> Encoded:
    images = study.test[:MAPPED]
    z, log_var = study.encode_with_variance(images)
    labels, classes = images.labels.numpy(), study.classes
    colours = plots.class_colours(z.numpy(), labels, len(classes))
    if study.latent <= 2:
        return Encoded(
            z, log_var, labels, z, None, plots.AXES_NAMES, lambda p: p, colours, _layer(study)
        )
    mean = z.mean(0)
    _, spread, directions = torch.linalg.svd(z - mean, full_matrices=False)
    share = spread[:2].square().sum() / spread.square().sum()
    axes = directions[:2]
    names = ("first principal component", "second principal component")
    projection = f"PCA: the plane shows {share:.0%} of the variance of {study.latent} dimensions"
    return Encoded(
        z,
        log_var,
        labels,
        (z - mean) @ axes.T,
        projection,
        names,
        lambda p: mean + p @ axes,
        colours,
        _layer(study),
    )


def _layer(study: Study) -> str:
    layers, lower = study.model.layers, "the others stand at the means of their priors"
    return f"the top layer of {layers}; {lower}" if layers > 1 else ""


def _exemplars(study: Study, count: int, seed: int) -> list[tuple[str, UInt8[Tensor, "C H W"]]]:
    """Return test images with the names of their classes: random ones, all classes in turn."""
    rng = np.random.default_rng(seed)
    labels, names = study.test.labels.numpy(), study.classes
    order = islice(cycle(rng.permutation(np.unique(labels)).tolist()), count)
    return [
        (names[c], study.test.pixels[int(rng.choice(np.flatnonzero(labels == c)))]) for c in order
    ]


def _class(study: Study, label: str | int | None = None) -> tuple[str | int | None, str]:
    """Return the class that a figure of one class shows, the first by default, and says so."""
    if not study.conditions:
        return label, ""
    number = study.classes.number(label or 0)
    return number, f"all of class {study.classes[number]}"


def _notes(*notes: str | None) -> str:
    return "; ".join(filter(None, notes))


def _classes(study: Study, numbers: ArrayLike) -> Tensor | None:
    """Return the class of each code, for a model that asks."""
    return torch.as_tensor(numbers) if study.conditions else None


def _grid(
    study: Study, cells: int, reach: float | None = None, label: str | int | None = None
) -> tuple[Float[Tensor, "n n C H W"], Float[np.ndarray, " n"]]:
    """Return the decoded plane, row 0 the lowest, and its coordinates.

    Through the prior's quantiles where the plane is the latent space, evenly elsewhere.
    """
    shared = encoded(study)
    if reach is None and (quantiles := _quantiles(study, label)):
        grid = quantile_grid(cells, quantiles).flip(0).cpu()
        return study.decode(grid, label), grid[0, :, 0].numpy()
    reach = reach or float(shared.plane.abs().quantile(0.99))
    axis = torch.linspace(-reach, reach, cells)
    if study.latent == 1:
        return study.decode(axis[None, :, None], label), axis.numpy()
    plane = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    return study.decode(shared.to_latent(plane), label), axis.numpy()


def _quantiles(study: Study, label: str | int | None) -> Callable[[Tensor], Tensor] | None:
    """Return the prior's quantile function, where the plane is the latent space and it has one."""
    prior = study.prior(label)
    has_quantiles = study.latent == 2 and study.probabilistic and isinstance(prior, Gaussian)
    return prior.icdf if has_quantiles else None


# The figures -------------------------------------------------------------------------------------


@figure("map")
def latent_map(study: Study, *, theme: str = "light") -> plots.Picture:
    """Encoded test images coloured by class, z_mean and z_log_var side by side."""
    e = encoded(study)
    log_var = None if e.projection or e.log_var is None else e.log_var
    return plots.latent_map(
        e.plane, log_var, e.labels, study.classes,
        colours=e.colours, projection=e.note, theme=theme, axes_names=e.axes_names,
    )  # fmt: skip


@figure("manifold")
def manifold(
    study: Study, *, cells: int = 20, label: str | int | None = None, theme: str = "light"
) -> plots.Picture:
    """The decoded grid through the prior's quantiles (Kingma & Welling 2014, figure 4)."""
    e, (label, asked) = encoded(study), _class(study, label)
    images, z = _grid(study, cells, label=label)
    return plots.manifold(
        images, z, scale="quantile" if _quantiles(study, label) else "linear",
        note=_notes(e.note, asked), theme=theme, axes_names=e.axes_names,
    )  # fmt: skip


@figure("manifold_map")
def manifold_map(
    study: Study, *, cells: int = 30, label: str | int | None = None, theme: str = "light"
) -> plots.Picture:
    """The decoded plane with the encoded test images over it."""
    e, (label, asked) = encoded(study), _class(study, label)
    images, z = _grid(study, cells, float(e.plane.abs().quantile(0.995)), label)
    return plots.manifold_with_map(
        images, z, e.plane, e.labels, study.classes,
        scale="linear", colours=e.colours, note=_notes(e.layer, asked), theme=theme,
    )  # fmt: skip


@figure("samples")
def samples(study: Study, *, n: int = 98, seed: int = 0, theme: str = "light") -> plots.Picture:
    """Decoder means at draws of the prior."""
    return plots.samples(
        study.sample(n, seed=seed), note=f"z from the prior, seed {seed}", theme=theme
    )


@figure("draws")
def draws(study: Study, *, n: int = 98, seed: int = 0, theme: str = "light") -> plots.Picture:
    """Draws from the likelihood at draws of the prior: pixel noise and all."""
    images = study.sample(n, seed=seed, kind="draws")
    note = f"z from the prior, seed {seed}"
    return plots.samples(images, kind="draws from the likelihood", note=note, theme=theme)


@figure("codes")
def codes(
    study: Study, *, most: int = 12, label: str | int | None = None, theme: str = "light"
) -> plots.Picture:
    """The most used codes decoded; with several positions, one row for each."""
    label, _ = _class(study, label)
    head, index = study.model.posterior.head, study.codes(study.test[:MAPPED])
    order = usage(index, head.codes).argsort(descending=True, stable=True)
    usual = index.mode(0).values
    rows = [(0, part) for part in order[0].split(most)]
    if head.positions > 1:
        rows = [(position, row[:most]) for position, row in enumerate(order)]
    images, names = [], []
    for position, row in rows[:most]:
        chosen = usual.repeat(len(row), 1)
        chosen[:, position] = row
        images.append(study.decode(head.lookup(chosen.to(study.device)), label))
        used = (index[:, position, None] == row).any(-1).double().mean()
        names.append(f"position {position + 1}: {used:.0%}" if len(usual) > 1 else f"{used:.0%}")
    return plots.codes(images, names, theme=theme)


@figure("interpolations")
def interpolations(
    study: Study, *, steps: int = 11, pairs: int = 5, seed: int = 0, theme: str = "light"
) -> plots.Picture:
    """Between test images of different classes: linear, spherical, geodesic, pixel cross-fade."""
    names, images = zip(*_exemplars(study, 2 * pairs, seed), strict=True)
    label = _classes(study, [study.class_number(name) for name in names])
    x, t = study.floats(torch.stack(images)).cpu(), torch.linspace(0, 1, steps)
    (a, b), (from_, to) = (
        (of[::2], of[1::2]) for of in (study.places(torch.stack(images), label), x)
    )
    strips = {name: study.decode(study.along(name, torch.cat([a, b]))(a, b, t)) for name in PATHS}
    strips["pixel cross-fade"] = cross_fade(x).path(from_, to, t)
    rows = [(name, strip[pair]) for pair in range(pairs) for name, strip in strips.items()]
    ends = [(from_[pair], to[pair]) for pair in range(pairs) for _ in strips]
    note = "; ".join(f"{a} to {b}" for a, b in zip(names[::2], names[1::2], strict=True))
    return plots.interpolation_strips(
        rows, originals=ends, note=note, group=len(strips), theme=theme
    )


@figure("interpolation_grid")
def interpolation_grid(
    study: Study, *, steps: int = 9, seed: int = 1, theme: str = "light"
) -> plots.Picture:
    """Between four test images of different classes."""
    names, images = zip(*_exemplars(study, 4, seed), strict=True)
    label = _classes(study, [study.class_number(name) for name in names])
    corners = study.places(torch.stack(images), label)
    t = torch.linspace(0, 1, steps)
    left, right = linear(corners[0], corners[2], t), linear(corners[1], corners[3], t)
    return plots.interpolation_grid(study.decode(linear(left, right, t)), theme=theme)


@figure("traversals")
def traversals(
    study: Study,
    *,
    steps: int = 11,
    reach: float = 3.0,
    most: int = 12,
    label: str | int | None = None,
    theme: str = "light",
) -> plots.Picture:
    """Each latent dimension moved from −reach to reach, the others at zero; the most used first."""
    order, (label, asked) = _by_use(study)[:most], _class(study, label)
    images = torch.stack([study.traverse(int(d), label, steps=steps, reach=reach) for d in order])
    names = [plots.latent_name(d) for d in order]
    note = _notes("each row moves one latent dimension, the others stay", asked)
    return plots.traversals(
        images, np.linspace(-reach, reach, steps), names=names, note=note, theme=theme
    )


def _by_use(study: Study) -> list[int]:
    """Return the latent dimensions, those that vary most over the test images first."""
    if study.latent <= 2:
        return list(range(study.latent))
    return encoded(study).z.var(0).argsort(descending=True).tolist()


@figure("reconstructions")
def reconstructions(study: Study, *, theme: str = "light") -> plots.Picture:
    """The best, the median and the worst reconstructions of the test set."""
    images = study.test[:MAPPED]
    x, y = images.floats(), study.reconstruct(images)
    return plots.reconstructions(x, y, mse(y, x), theme=theme)


@figure("regions")
def regions(study: Study, *, theme: str = "light") -> plots.Picture:
    """Which class each part of the map holds, what class centres decode to, what overlaps."""
    e, classes = encoded(study), study.classes
    middle = plots.class_medoids(e.z, e.labels, len(classes))
    centroids = torch.from_numpy(plots.class_centroids(e.z, e.labels, len(classes)))
    each = _classes(study, np.arange(len(classes)))
    return plots.regions(
        e.plane, e.labels, classes,
        latents=e.z if e.projection else None,
        centroids=study.decode(centroids, each), medoids=study.decode(e.z[middle], each),
        originals=study.test[torch.from_numpy(middle)].floats(),
        colours=e.colours, projection=e.note, theme=theme, axes_names=e.axes_names,
    )  # fmt: skip


@figure("classes")
def classes(
    study: Study, *, styles: int = 12, seed: int = 0, theme: str = "light"
) -> plots.Picture:
    """Every class in the same styles: rows are classes, a column has one draw of the noise of z."""
    rows = [study.sample(styles, name, seed=seed) for name in study.classes]
    return plots.traversals(
        torch.stack(rows), np.arange(1, styles + 1), names=study.classes, title="Classes × styles",
        note=f"rows: the class asked for; columns: z from the prior, seed {seed}", theme=theme,
    )  # fmt: skip


@figure("kl")
def kl(study: Study, *, theme: str = "light") -> plots.Picture:
    """The KL of each latent dimension over the test images."""
    return plots.kl_bars(elbo(study, study.test)["kl_per_dimension"], theme=theme)


@figure("curves")
def curves(study: Study, *, theme: str = "light") -> plots.Picture:
    """Training curves: loss, reconstruction term, KL, KL per dimension; train and held-out."""
    assert study.folder is not None
    term, held_out = study.likelihood.quantity, study.held_out[0]
    return plots.training_curves(study.folder.history(), term=term, held_out=held_out, theme=theme)


def animation(study: Study, path: Path, *, steps: int = 24, seed: int = 0) -> Path:
    """Write a walk through the classes' medoids and back to the first, as a GIF."""
    e = encoded(study)
    middle = plots.class_medoids(e.z, e.labels, len(study.classes))
    places = torch.cat([e.z, study.weights_of(study.test[: len(e.z)])], dim=-1)
    stops = places[torch.from_numpy(middle[middle >= 0])]
    t = torch.linspace(0, 1, steps)
    legs = [linear(a, b, t)[:-1] for a, b in zip(stops, stops.roll(-1, 0), strict=True)]
    return plots.animated_gif(study.decode(torch.cat(legs)), path, ping_pong=False)


def describe(name: str) -> str:
    """Return the first line of what a figure shows."""
    return (inspect.getdoc(FIGURES[name]) or "").partition("\n")[0]
