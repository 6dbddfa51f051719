"""Encoder and decoder as ONNX, kept only once they have given PyTorch's numbers.

The encoder takes images x in [0, 1] to ``mean``, the code that stands for q(z | x), and to
``log_var`` where q is a diagonal Gaussian; the decoder takes codes z to the mean of p(x | z). A
conditional model also takes c: a weight for each class, 1 for the one and 0 for the others.
A discrete model's encoder gives the indices too, as ``codes``. A ladder's encoder gives the layers
below the top, as ``below``, and its decoder takes them, with ``keep``. A file's decoder also gives
the other parameters of log p(x | z) (docs/export.md). The batch is dynamic.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaescape.errors import VaescapeError
from vaescape.export.parts import COMPARED, Part, parts
from vaescape.extras import require_extra
from vaescape.files import write_atomic, write_json
from vaescape.study import Study
from vaescape.train.weights import digest

if TYPE_CHECKING:
    from onnx import ModelProto

FORMAT = 1
OPSET = 18
TOLERANCE = 1e-3
"""The largest difference that is kept: pixels where white is 1, or units of z."""
FEW = 3
"""Of these, for a second batch."""
WORTH_IT = 256
"""Fewer numbers than this are not worth storing in half the size."""
DESCRIPTION = "onnx.json"


class ExportError(VaescapeError):
    """A network that cannot be exported to ONNX, or differs there from PyTorch."""


@dataclass(frozen=True)
class Exported:
    """One network as ONNX."""

    name: str
    """"encoder" or "decoder"."""
    content: bytes
    inputs: dict[str, list[int | str]]
    """Shapes by name, "batch" the first axis."""
    outputs: dict[str, list[int | str]]
    worst: float
    """The largest difference from PyTorch."""

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.name}.onnx"


MEANING = {
    "x": "images, (batch, channels, height, width): pixels in [0, 1], white is 1; "
    "from the decoder, the mean of p(x | z)",
    "logits": "of p(x | z): logits of the pixels, of their 256 levels, or of mixture weights",
    "loc": "of p(x | z): locations, in pixels",
    "log_scale": "of p(x | z): natural logarithm of the scale (σ, b or s), in pixels",
    "z": "codes, the prior's unit",
    "c": "a weight for each class in the order of classes: 1 for the image's, 0 else",
    "mean": "the code that stands for q(z | x): its mean, where that is a code",
    "log_var": "log variance of q(z | x), natural logarithm",
    "codes": "indices of the discrete code that mean is the vector of",
    "below": "numbers of the layers below the top, one after the other: values from the encoder "
    "for those that are kept, standard normal noise for those to draw (0: the mean)",
    "keep": "1 for each layer below the top that is kept, 0 for those drawn given what is above",
}


def export(study: Study, folder: Path) -> list[Exported]:
    """Write ``encoder.onnx``, ``decoder.onnx`` and what they mean, ``onnx.json``; return them.

    Raises:
        ExportError: If one differs from PyTorch by more than 1e-3; nothing is written then.
    """
    made = networks(study, parameters=True)
    for network in made:
        write_atomic(folder / network.file, network.content)
    write_json(folder / DESCRIPTION, describe(study, made))
    return made


def networks(study: Study, *, half: bool = False, parameters: bool = False) -> list[Exported]:
    """Return the study's encoder and decoder, compared with PyTorch.

    Args:
        study: Trained.
        half: For a page: the weights of a network are stored in half the size, if it stays within
            half of 1e-3, and the encoder starts fast.
        parameters: Whether the decoder also gives the parameters of p(x | z).

    Raises:
        ExportError: If one cannot be exported, or differs by more than 1e-3.
        MissingExtraError: If the packages of ONNX are not installed.
    """
    require_extra("export", "Writing a network as ONNX")
    return [_exported(part, half) for part in parts(study, parameters=parameters, light=half)]


def describe(study: Study, made: list[Exported]) -> dict[str, Any]:
    """Return what someone needs to know to use the files, as plain values."""
    return {
        "format": FORMAT,
        "title": study.splits.title if study.folder is None else study.folder.record["title"],
        "classes": list(study.classes),
        "networks": {
            network.name: {
                "file": network.file,
                "sha256": digest(network.content),
                "inputs": network.inputs,
                "outputs": network.outputs,
                "largest_difference_from_pytorch": network.worst,
            }
            for network in made
        },
        "likelihood": {
            "component": study.configuration.parts.likelihood,
            "measure": str(study.space.likelihood.measure),
        },
        "compared_on": COMPARED,
        "opset": OPSET,
        "type": "float32",
        "meaning": {
            name: MEANING[name] for network in made for name in network.inputs | network.outputs
        },
        "preprocessing": (
            "Divide 8-bit pixels by 255. Nothing is subtracted. Light on dark, as in the data: "
            "fit a picture into height x width, in grey if there is one channel."
        ),
    }


def _exported(part: Part, half: bool) -> Exported:
    name, given, inputs, outputs = part.name, part.given, part.inputs, part.outputs
    with torch.no_grad():
        expected = part.network(*given)
    expected = expected if isinstance(expected, tuple) else (expected,)
    by_name = dict(zip(inputs, given, strict=True))
    content = _onnx(part, by_name, expected)
    worst = difference(content, by_name, expected)
    if half:
        smaller = halved(content)
        if (difference_ := difference(smaller, by_name, expected)) <= TOLERANCE / 2:
            content, worst = smaller, difference_
    if not worst <= TOLERANCE:
        raise ExportError(
            f"The exported {name} differs from PyTorch by {worst:.2g}, more than {TOLERANCE:g}. "
            "Nothing was written. Please report it, with the run's run.json."
        )
    shapes = [["batch", *value.shape[1:]] for value in (*given, *expected)]
    return Exported(
        name,
        content,
        dict(zip(inputs, shapes, strict=False)),
        dict(zip(outputs, shapes[len(given) :], strict=True)),
        worst,
    )


def difference(content: bytes, given: dict[str, Tensor], expected: tuple[Tensor, ...]) -> float:
    """Return the largest difference of ONNX Runtime's outputs from those expected."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found = session.run(None, {name: value.numpy() for name, value in given.items()})
    pairs = zip(found, expected, strict=True)
    return max(float(np.abs(ours - theirs.numpy()).max()) for ours, theirs in pairs)


def _onnx(part: Part, given: dict[str, Tensor], expected: tuple[Tensor, ...]) -> bytes:
    """Return a network as it was traced, or as torch.export captured it where that is not right.

    Tracing, PyTorch's older way, takes a moment; the newer takes seconds, most of them to load. A
    trace may hold for the batch it was made with alone: it is tried on another too.
    """
    if "below" in (*part.inputs, *part.outputs):  # a ladder's descent is more than a trace tells
        return _captured(part)
    with suppress(Exception):
        content = _traced(part)
        few = {name: value[:FEW] for name, value in given.items()}
        apart = (
            difference(content, given, expected),
            difference(content, few, tuple(value[:FEW] for value in expected)),
        )
        if max(apart) <= TOLERANCE:
            return content
    return _captured(part)


def _traced(part: Part) -> bytes:
    names = [*part.inputs, *part.outputs]
    return traced(part.network, part.given, part.inputs, part.outputs, names)


def traced(
    network: nn.Module,
    given: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    batched: list[str],
) -> bytes:
    """Return a network as ONNX, as a call of it was traced; ``batched`` names what has a batch."""
    import onnx

    stream = io.BytesIO()
    with _quiet(), _inputs_of_a_trace(network):
        torch.onnx.export(
            network,
            given,
            stream,  # pyright: ignore[reportArgumentType]
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=False,
            dynamic_axes={name: {0: "batch"} for name in batched},
        )
    return _bare(onnx.load_from_string(stream.getvalue()))


def _captured(part: Part) -> bytes:
    batch = torch.export.Dim("batch")
    shapes = tuple({0: batch} for _ in part.given)
    return program(part, part.network, part.given, part.inputs, shapes)


def program(
    part: Part, network: nn.Module, given: tuple[Any, ...], inputs: list[str], shapes: tuple
) -> bytes:
    """Return a network as ONNX; ``inputs`` and ``shapes`` name what it is given and its batch.

    Raises:
        ExportError: If ONNX cannot say it.
    """
    try:
        with _quiet():
            made = torch.onnx.export(
                network,
                given,
                input_names=inputs,
                output_names=part.outputs,
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=shapes,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ExportError(f"The {part.name} cannot be exported to ONNX: {error}") from error
    assert made is not None
    return _bare(made.model_proto)


def _bare(model: "ModelProto") -> bytes:
    """Return the network without the exporter's notes: they name files of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info,
                 *graph.initializer):  # fmt: skip
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model.SerializeToString()


@contextmanager
def _inputs_of_a_trace(network: nn.Module) -> Iterator[None]:
    """Let a trace take buffers that are not saved, grid points among them, as it takes weights.

    It computes what depends on constants alone and writes that down instead: of 36,864 grid points
    a hundred times the decoder. ONNX Runtime does so when it loads the file.
    """
    before = [(module, module._non_persistent_buffers_set) for module in network.modules()]
    try:
        for module, _ in before:
            module._non_persistent_buffers_set = set()
        yield
    finally:
        for module, names in before:
            module._non_persistent_buffers_set = names


@contextmanager
def _quiet() -> Iterator[None]:
    """No word about packages that we do not use, nor warnings that are for PyTorch's authors."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def halved(content: bytes) -> bytes:
    """Return the same network with its weights stored as 65536 even steps, restored as it loads.

    Half the size for a page to carry; what it computes in stays float32. Even steps between the
    least and the greatest weight are finer than half precision is at the large weights.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(content)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for tensor in list(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= WORTH_IT:
            model.graph.initializer.remove(tensor)
            _restore(model, tensor.name, values)
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def _restore(model: "ModelProto", name: str, values: Float[np.ndarray, "..."]) -> None:
    """Add steps, what they count, and the nodes that make them the values again."""
    from onnx import TensorProto, helper, numpy_helper

    together = tuple(range(values.ndim > 2, values.ndim))  # each kernel of a convolution alone
    low, high = values.min(together, keepdims=True), values.max(together, keepdims=True)
    step = np.maximum((high - low) / 65535, np.finfo(np.float32).tiny)
    parts = {"steps": np.rint((values - low) / step).astype(np.uint16), "step": step, "low": low}
    model.graph.initializer.extend(
        numpy_helper.from_array(value, f"{name}.{part}") for part, value in parts.items()
    )
    model.graph.node.extend(
        [
            helper.make_node("Cast", [f"{name}.steps"], [f"{name}.count"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.count", f"{name}.step"], [f"{name}.above"]),
            helper.make_node("Add", [f"{name}.above", f"{name}.low"], [name]),
        ]
    )
