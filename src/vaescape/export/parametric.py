"""Parametric ONNX: a network whose weights are inputs, so that one file serves a whole training."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from vaescape.export.onnx import TOLERANCE, ExportError, difference, program
from vaescape.export.parts import Part, parts
from vaescape.study import Study

PREFIX = "model."
"""Of a weight's name: networks are exported from a wrapper that has the model as ``model``."""


@dataclass(frozen=True)
class Parametric:
    """A network whose weights are inputs, besides its usual inputs."""

    name: str
    """"encoder" or "decoder"."""
    content: bytes
    names: tuple[str, ...]
    """The weights that it takes, by their names in the network."""
    shapes: tuple[tuple[int, ...], ...]

    def about(self) -> list[list[Any]]:
        """Return names and shapes, in the order of :meth:`weights`, as plain values."""
        return [[name, list(shape)] for name, shape in zip(self.names, self.shapes, strict=True)]

    def weights(self, model: nn.Module) -> Float[np.ndarray, " W"]:
        """Return the weights that a model has now, one after the other."""
        found = _weights(model)
        parts = (found[name.removeprefix(PREFIX)].cpu().numpy().ravel() for name in self.names)
        return np.concatenate(list(parts))


class _Bound(nn.Module):
    """A network that is given its weights with every call."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, given: tuple[Tensor, ...], weights: list[Tensor]) -> Any:
        """Return what the network returns with these weights."""
        return functional_call(self.network, dict(zip(self.names, weights, strict=True)), given)


def parametric(study: Study, name: str = "decoder") -> Parametric:
    """Return one of a study's networks with its weights as inputs, compared with PyTorch.

    Raises:
        ExportError: If it cannot be exported to ONNX, or differs by more than 1e-3.
    """
    part = _part(study, name)
    weights = _weights(part.network)
    names, values = list(weights), [weights[name].clone() for name in weights]
    content, names = _without_unused(_export(part, names, values), names, part.inputs)
    with torch.no_grad():
        expected = part.network(*part.given)
    fed = dict(zip(part.inputs, part.given, strict=True)) | {n: weights[n] for n in names}
    worst = difference(content, fed, expected if isinstance(expected, tuple) else (expected,))
    if not worst <= TOLERANCE:
        raise ExportError(
            f"The {name} without its weights differs from PyTorch by {worst:.2g}, more than "
            f"{TOLERANCE:g}. Please report it, with the run's run.json."
        )
    return Parametric(name, content, tuple(names), tuple(tuple(weights[n].shape) for n in names))


def _part(study: Study, name: str) -> Part:
    return next(part for part in parts(study) if part.name == name)


def _weights(network: nn.Module) -> dict[str, Float[Tensor, "..."]]:
    """Return the numbers that a training may change: parameters, and what layers keep."""
    every = dict(network.named_parameters()) | dict(network.named_buffers())
    return {name: v.detach() for name, v in every.items() if v.dtype == torch.float32}


def _export(part: Part, names: list[str], values: list[Tensor]) -> bytes:
    batch = torch.export.Dim("batch")
    bound = _Bound(copy.deepcopy(part.network), names).eval()
    shapes = (tuple({0: batch} for _ in part.given), [None for _ in values])
    return program(part, bound, (part.given, values), [*part.inputs, *names], shapes)


def _without_unused(
    content: bytes, names: list[str], given: Sequence[str]
) -> tuple[bytes, list[str]]:
    """Return the network without inputs that nothing reads, and the names of those that stay."""
    import onnx

    model = onnx.load_from_string(content)
    read = {name for node in model.graph.node for name in node.input}
    inputs = [value for value in model.graph.input if value.name in read | set(given)]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return model.SerializeToString(), [name for name in names if name in read]
