"""Pictures that a command names: files, folders of them, test images by number, whole splits."""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from vaescape.data import Images
from vaescape.data.folder import visible_files
from vaescape.data.picture import UnknownFormat
from vaescape.data.values import note
from vaescape.errors import ImageError, OptionError
from vaescape.study import Study


class Pictures(NamedTuple):
    """Some pictures, prepared as the training images."""

    names: list[str]
    images: UInt8[Tensor, "N C H W"]
    classes: list[str | int] | str | None
    """The class of each, of a conditional model; otherwise what was given."""
    prepared: list[str | None]
    """What was done to each file, in words; None for images of the data set."""


def gathered(
    study: Study, given: list[str], label: str | None, invert: bool | None = None
) -> Pictures:
    """Return everything that was named.

    Args:
        study: Whose preparation and test images these are.
        given: Names.
        label: The class of files.
        invert: Exchange light and dark of files, or not; None leaves it to the preparation.

    Raises:
        OptionError: If there is no picture at all, no such test image, or a class is missing.
        ImageError: If a picture is damaged.
    """
    names: list[str] = []
    images: list[Tensor] = []
    classes: list[str | int | None] = []
    prepared: list[str | None] = []
    skipped = 0

    def take(named: list[str], split: Images) -> None:
        names.extend(named)
        images.append(split.pixels)
        classes.extend(split.labels.tolist())
        prepared.extend([None] * len(split))

    for name in given:
        path = Path(name)
        if name in ("train", "test") and not path.exists():
            split = study.train if name == "train" else study.test
            take([f"{name}:{n}" for n in range(len(split))], split)
        elif number(name) is not None and not path.is_dir():
            take([name], test_image(study, name))
        else:
            for file in visible_files(path) if path.is_dir() else [path]:
                try:
                    pixels, done = study.preparation.picture(file, invert=invert)
                except ImageError as error:
                    if file is path or (file.exists() and not isinstance(error, UnknownFormat)):
                        raise
                    skipped += 1
                    continue
                names.append(name if file is path else str(file))
                images.append(pixels[None])
                classes.append(label)
                prepared.append(done)
    if skipped:
        note(f"skipped {skipped} files that are not pictures.")
    if not names:
        raise OptionError(
            f"No pictures found in {', '.join(given)}. Give picture files or folders of them."
        )
    if not study.space.conditions:
        return Pictures(names, torch.cat(images), label, prepared)
    if None in classes:
        raise OptionError(
            f"This model is conditional: give the class of {names[classes.index(None)]} with "
            f"--class. Classes: {', '.join(study.classes)}."
        )
    known = [each for each in classes if each is not None]
    return Pictures(names, torch.cat(images), known, prepared)


def number(name: str) -> int | None:
    """Return the number of the test image that a text such as 12 or test:12 names, or None."""
    digits = name.removeprefix("test:")
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None


def test_image(study: Study, name: str) -> Images:
    """Return the test image of a number.

    Raises:
        OptionError: If there is none.
    """
    index = number(name)
    if index is None or index >= len(study.test):
        raise OptionError(f"There is no test image {name}: they are 0 to {len(study.test) - 1}.")
    return study.test[index : index + 1]
