"""What the drawing commands share: ends of a path, pictures, and files by their endings."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vaescape import plots
from vaescape.cli.pictures import Pictures, gathered, number
from vaescape.errors import OptionError
from vaescape.files import npz, write_atomic
from vaescape.generation import PATHS, check_steps
from vaescape.geometry.density import Weight
from vaescape.geometry.paths import grid
from vaescape.metrics.reconstruction import mse
from vaescape.representatives import representatives
from vaescape.study import Study, density

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def place(
    study: Study, end: str, label: str | None = None, *, invert: bool | None = None
) -> Float[Tensor, " P"]:
    """Return the place of an end: a point, a class, a test image's number or a picture file.

    A name that is exactly that of a class is the class; ``test:3`` is always a test image. A class
    is the test image in the middle of its largest island that is decoded as that class. In a
    conditional model test images and classes are decoded as what they are, unless ``label`` says
    another class.

    Raises:
        OptionError: If it is none of these, or a class is missing.
    """
    if "," in end:
        return study.space.place(_point(study, end), label)
    here = _of_image_or_class(study, end, label, invert)
    return here if label is None else study.space.place(here[: study.space.latent], label)


def _of_image_or_class(
    study: Study, end: str, label: str | None, invert: bool | None
) -> Float[Tensor, " P"]:
    is_picture = number(end) is not None or Path(end).is_file()
    named_by_numbers = any(name.isdecimal() for name in study.classes)
    if end.isdecimal() and named_by_numbers and end not in study.classes:
        raise OptionError(
            f"There is no class {end!r}, and classes are named by numbers here. Classes: "
            f"{', '.join(study.classes)}. The test image is test:{end}."
        )
    if is_picture and end not in study.classes:
        found = gathered(study, [end], label, invert)
        return study.space.places(found.images, found.classes)[0]
    wanted = study.classes.number(end)
    chosen = representatives(study, [wanted])
    if wanted not in chosen:
        raise OptionError(f"There is no test image of class {study.classes[wanted]!r}.")
    return study.space.places(study.test[chosen[wanted] : chosen[wanted] + 1])[0]


def _point(study: Study, text: str) -> Float[Tensor, " D"]:
    try:
        point = torch.tensor([float(part) for part in text.split(",")])
    except ValueError as error:
        raise OptionError(f"Expected a point such as 0.5,-1.2. Got {text!r}.") from error
    if not point.isfinite().all():
        raise OptionError(f"The numbers of a point must be finite. Got {text!r}.")
    if len(point) != study.space.latent:
        raise OptionError(
            f"A point of this latent space has {study.space.latent} numbers. "
            f"Got {len(point)} in {text!r}."
        )
    return point


def interpolation(
    study: Study, names: list[str], places: list[Tensor], steps: int, path: str, follow: float
) -> tuple["Figure", Float[Tensor, "*S C H W"]]:
    """Return the figure and the frames of a strip between two ends, or of a grid between four.

    Raises:
        OptionError: For another number of ends, fewer than 2 steps, an unknown path, or a weight
            of the density that is negative or has nothing to act on.
    """
    check_steps(steps)
    title = " → ".join(names)
    if len(places) == 4:
        if path not in ("linear", "all") or follow:
            option = "--follow" if follow else f"--path {path}"
            raise OptionError(f"A grid between four corners is linear. Leave out {option}.")
        images = study.decode(grid(places, steps))
        return plots.interpolation_grid(images, title=", ".join(names), note=""), images
    if len(places) != 2:
        raise OptionError(f"Give two ends, or four corners of a grid. Got {len(places)}.")
    weight = _weight(study, follow, path) if follow else None
    kinds = list(PATHS) if path == "all" else [path]
    strips = [
        (kind, study.interpolate(*places, steps=steps, path=kind, weight=weight)) for kind in kinds
    ]
    return plots.interpolation_strips(strips, title=title), strips[0][1]


def _weight(study: Study, follow: float, path: str) -> Weight:
    """Return the weight of codes under which geodesics follow the data."""
    if not 0 < follow < math.inf or path not in ("geodesic", "all"):
        raise OptionError(
            "--follow is a number, zero or more, for --path geodesic. "
            f"Got {follow:g} for path {path}."
        )
    codes = density(study)
    if codes is None:
        raise OptionError("Discrete codes have no density to follow. Leave out --follow.")
    return codes.weight(follow)


def traversal(
    study: Study, dims: list[int] | None, steps: int, reach: float, label: str | None = None
) -> tuple["Figure", Float[Tensor, "D T C H W"]]:
    """Return the figure and the frames of one row per latent dimension."""
    chosen = dims or list(range(study.space.latent))
    images = torch.stack([study.traverse(dim, label, steps=steps, reach=reach) for dim in chosen])
    names = [plots.latent_name(dim) for dim in chosen]
    return plots.traversals(images, np.linspace(-reach, reach, steps), names=names), images


def reconstruction(
    study: Study, some: Pictures, again: Float[Tensor, "N C H W"]
) -> list[dict[str, Any]]:
    """Return of each picture its code, the error of its reconstruction, and how it was prepared."""
    z = study.encode(some.images, some.classes)
    errors = mse(again, study.space.floats(some.images).cpu()).tolist()
    return [
        {"picture": name, "z": [round(value, 4) for value in code], "mse": error}
        | ({} if done is None else {"prepared": done})
        for name, code, error, done in zip(
            some.names, z.tolist(), errors, some.prepared, strict=True
        )
    ]


def write(out: Path, figure: "Figure", images: Any = None) -> None:
    """Write a figure (.png, .svg), frames as an animation (.gif), or the arrays (.npz).

    Raises:
        OptionError: For another ending.
    """
    if out.suffix == ".png":
        write_atomic(out, plots.style.png_bytes(figure))
    elif out.suffix == ".svg":
        write_atomic(out, plots.style.svg_text(figure))
    elif out.suffix == ".gif" and images is not None:
        plots.animated_gif(images.flatten(0, -4), out)
    elif out.suffix == ".npz" and images is not None:
        write_atomic(out, npz({"images": np.asarray(images)}))
    else:
        endings = ".png or .svg" if images is None else ".png, .svg, .gif or .npz"
        raise OptionError(f"Expected a name ending in {endings}. Got {out}.")
