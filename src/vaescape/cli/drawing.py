"""What the drawing commands share: ends of a path, pictures, and files by their endings."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vaescape import plots
from vaescape.errors import OptionError
from vaescape.files import write_atomic
from vaescape.geometry.density import Weight
from vaescape.geometry.paths import linear
from vaescape.latent_space import MOST_STEPS
from vaescape.metrics.reconstruction import mse
from vaescape.representatives import representatives
from vaescape.study import PATHS, Study, density

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
    is_picture = _number(end) is not None or Path(end).is_file()
    named_by_numbers = any(name.isdecimal() for name in study.classes)
    if end.isdecimal() and named_by_numbers and end not in study.classes:
        raise OptionError(
            f"There is no class {end!r}, and classes are named by numbers here. Classes: "
            f"{', '.join(study.classes)}. The test image is test:{end}."
        )
    if is_picture and end not in study.classes:
        images, _ = pictures(study, [end], invert=invert)
        return study.places(images, own_classes(study, [end], label))[0]
    number = study.classes.number(end)
    chosen = representatives(study, [number])
    if number not in chosen:
        raise OptionError(f"There is no test image of class {study.classes[number]!r}.")
    return study.places(study.test[chosen[number] : chosen[number] + 1])[0]


def own_classes(study: Study, names: list[str], label: str | None) -> list[str | int] | str | None:
    """Return the classes of test images, by their numbers, and ``label`` for picture files.

    Raises:
        OptionError: If the class of a file is missing for a conditional model.
    """
    if not study.space.conditions:
        return label
    found = [label if _number(name) is None else _label(study, name) for name in names]
    if None in found:
        raise OptionError(
            f"This model is conditional: give the class of {names[found.index(None)]} with "
            f"--class. Classes: {', '.join(study.classes)}."
        )
    return [each for each in found if each is not None]


def _label(study: Study, name: str) -> int:
    return int(study.test[_test_image(study, name)].labels)


def _number(name: str) -> int | None:
    """Return the number of the test image that a text such as 12 or test:12 names, or None."""
    digits = name.removeprefix("test:")
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None


def _test_image(study: Study, name: str) -> int:
    number = _number(name)
    if number is None or number >= len(study.test):
        raise OptionError(f"There is no test image {name}: they are 0 to {len(study.test) - 1}.")
    return number


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


def pictures(
    study: Study, names: list[str], *, invert: bool | None = None
) -> tuple[UInt8[Tensor, "N C H W"], list[str | None]]:
    """Return test images by their numbers, and picture files prepared as the training images.

    With them comes what was done to each file, in words. ``invert`` exchanges light and dark of
    files, or not; None leaves it to the preparation.

    Raises:
        OptionError: If there is no such test image.
        ImageError: If a file cannot be read as a picture.
    """
    found = [_picture(study, name, invert) for name in names]
    return torch.stack([pixels for pixels, _ in found]), [done for _, done in found]


def _picture(
    study: Study, name: str, invert: bool | None
) -> tuple[UInt8[Tensor, "C H W"], str | None]:
    if _number(name) is None:
        return study.preparation.picture(Path(name), invert=invert)
    return study.test.pixels[_test_image(study, name)], None


def interpolation(
    study: Study, names: list[str], places: list[Tensor], steps: int, path: str, follow: float
) -> tuple["Figure", Float[Tensor, "*S C H W"]]:
    """Return the figure and the frames of a strip between two ends, or of a grid between four.

    Raises:
        OptionError: For another number of ends, fewer than 2 steps, an unknown path, or a weight
            of the density that is negative or has nothing to act on.
    """
    if not 2 <= steps <= MOST_STEPS or path not in (*PATHS, "all"):
        raise OptionError(
            f"Give 2 or more steps, at most {MOST_STEPS:,}, and one of the paths "
            f"{', '.join(PATHS)}, all. "
            f"Got {steps} and {path!r}."
        )
    title = " → ".join(names)
    if len(places) == 4:
        if path not in ("linear", "all") or follow:
            option = "--follow" if follow else f"--path {path}"
            raise OptionError(f"A grid between four corners is linear. Leave out {option}.")
        t = torch.linspace(0, 1, steps)
        left, right = linear(places[0], places[2], t), linear(places[1], places[3], t)
        images = study.decode(linear(left, right, t))
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
    study: Study,
    names: list[str],
    images: UInt8[Tensor, "N C H W"],
    prepared: list[str | None],
    label: list[str | int] | str | None = None,
) -> list[dict[str, Any]]:
    """Return of each picture its code, the error of its reconstruction, and how it was prepared."""
    z = study.encode(images, label)
    errors = mse(study.reconstruct(images, label), study.space.floats(images).cpu()).tolist()
    return [
        {"picture": name, "z": [round(value, 4) for value in code], "mse": error}
        | ({} if done is None else {"prepared": done})
        for name, code, error, done in zip(names, z.tolist(), errors, prepared, strict=True)
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
        write_atomic(out, _npz(np.asarray(images)))
    else:
        endings = ".png or .svg" if images is None else ".png, .svg, .gif or .npz"
        raise OptionError(f"Expected a name ending in {endings}. Got {out}.")


def _npz(images: np.ndarray) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    np.savez_compressed(buffer, images=images)
    return buffer.getvalue()
