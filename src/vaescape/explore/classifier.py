"""An image classifier of the user's, as an ONNX file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import softmax
from torch import Tensor

from vaescape.errors import OptionError
from vaescape.extras import require_extra
from vaescape.latent_space import AT_ONCE

FLOATS = "tensor(float)"

Classify = Callable[[Float[Tensor, "N C H W"]], Float[np.ndarray, "N E"]]
"""From images, pixels in [0, 1], to a probability for each class."""


def onnx_classifier(path: Path, shape: tuple[int, int, int], classes: Sequence[str]) -> Classify:
    """Return the classifier in an ONNX file.

    Its one input takes images (batch, C, H, W), float32 pixels in [0, 1]; its first output of
    float32 gives a number for each class, (batch, E). Numbers that are no probabilities are taken
    for logits.

    Args:
        path: The file.
        shape: (C, H, W) of the run's images.
        classes: Names of the run's classes, in the order of the output.

    Raises:
        OptionError: If the file is no ONNX network, or its input or output is of another shape.
        MissingExtraError: If ONNX Runtime is not installed.
    """
    require_extra("export", "A classifier as ONNX")
    session = _opened(path)
    images, scores = _input(path, session, shape), _output(path, session, classes)
    fixed = images.shape[0]
    step = fixed if isinstance(fixed, int) else AT_ONCE

    def classify(x: Float[Tensor, "N C H W"]) -> Float[np.ndarray, "N E"]:
        whole = torch.cat([x, x[:1].expand(-len(x) % step, *x.shape[1:])])  # in full batches
        try:
            parts = [
                session.run([scores.name], {images.name: part.numpy()})[0]
                for part in whole.split(step)
            ]
        except Exception as error:  # ONNX Runtime's errors have no common class but this
            raise OptionError(
                f"{path} could not be run on {step} images of shape {shape}: {_line(error)}"
            ) from error
        found = np.concatenate(parts)[: len(x)].astype(np.float64)
        if found.shape != (len(x), len(classes)):
            raise _miscounted(path, found.shape[1:], classes)
        if not np.isfinite(found).all():
            raise OptionError(f"{path} gives numbers that are not finite. Give another classifier.")
        probable = (found >= 0).all() and np.allclose(found.sum(1), 1, atol=1e-3)
        return found if probable else softmax(found, axis=1)

    return classify


def _opened(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OptionError(f"Could not read {path}: {error.strerror or error}.") from error
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise OptionError(
            f"{path} is not an ONNX network that ONNX Runtime can open: {_line(error)} Give the "
            ".onnx file of an image classifier."
        ) from error


def _input(path: Path, session: Any, shape: tuple[int, int, int]) -> Any:
    """Return its one input, which takes the run's images."""
    inputs, (c, h, w) = session.get_inputs(), shape
    expected = f"one input of float32 images (batch, {c}, {h}, {w}), as this run's are"
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs)
        raise OptionError(f"A classifier must have {expected}. {path} has {len(inputs)}: {names}.")
    (given,) = inputs
    fits = len(given.shape) == 4 and all(
        not isinstance(found, int) or found == size
        for found, size in zip(given.shape[1:], shape, strict=True)
    )
    if given.type != FLOATS or not fits:
        raise OptionError(
            f"A classifier must have {expected}. {path} takes {given.type} of shape "
            f"({', '.join(map(str, given.shape))})."
        )
    return given


def _output(path: Path, session: Any, classes: Sequence[str]) -> Any:
    """Return its first output of float32, a number for each class."""
    found = next((each for each in session.get_outputs() if each.type == FLOATS), None)
    if found is None:
        raise OptionError(f"{path} has no output of float32. Give an image classifier.")
    sizes = found.shape[1:]
    if len(sizes) != 1 or (isinstance(sizes[0], int) and sizes[0] != len(classes)):
        raise _miscounted(path, sizes, classes)
    return found


def _miscounted(path: Path, sizes: Sequence[Any], classes: Sequence[str]) -> OptionError:
    given = " × ".join(map(str, sizes)) or "1"
    return OptionError(
        f"A classifier must give a number for each of this run's {len(classes)} classes "
        f"({', '.join(classes[:4])}{', …' if len(classes) > 4 else ''}). {path} gives {given} "
        "for each image."
    )


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
