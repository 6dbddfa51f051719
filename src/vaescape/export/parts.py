"""The networks of a study as modules with named inputs and outputs, and inputs to try them on."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaescape.conditionals import Support
from vaescape.distributions import Gaussian
from vaescape.models.evidence import Hierarchy
from vaescape.study import Study

COMPARED = 64
"""Inputs on which ONNX Runtime is compared with PyTorch."""
NEARLY = 1e-4
"""Standard deviation of a change of pixels: codes that it moves least are compared."""


@dataclass(frozen=True)
class Part:
    """One network of a study, with inputs to try it on."""

    name: str
    """"encoder" or "decoder"."""
    network: nn.Module
    given: tuple[Tensor, ...]
    inputs: list[str]
    outputs: list[str]


def names(study: Study, *, parameters: bool = False) -> dict[str, tuple[list[str], list[str]]]:
    """Return the inputs and the outputs of each network.

    Args:
        study: Trained or not.
        parameters: Whether the decoder returns the parameters of p(x | z) besides its mean.
    """
    told = ["c"] if study.space.conditions else []
    ladder = isinstance(study.model, Hierarchy)
    head = study.model.posterior.head
    with study.space.inference():
        q = head(torch.zeros(1, head.channels(study.space.latent), device=study.device))
        p = _pixels(study) if parameters else []
    normal = isinstance(q, Gaussian)
    found = {"mean": True, "log_var": normal, "codes": study.space.discrete, "below": ladder}
    below = ["below", "keep"] if ladder else []
    return {
        "encoder": (["x", *told], [name for name, there in found.items() if there]),
        "decoder": (["z", *below, *told], ["x", *p]),
    }


def _pixels(study: Study) -> list[str]:
    """Return the names of the parameters of p(x | z)."""
    channels, *size = study.shape
    raw = torch.zeros(1, study.space.likelihood.channels(channels), *size, device=study.device)
    return list(study.space.likelihood(raw).parameters())


class Encoder(nn.Module):
    """x (and c) → the requested outputs, by their names in ``MEANING``.

    Args:
        model: A model.
        outputs: Their names.
        light: Whether it must start fast (``Conditional.light``).
    """

    def __init__(self, model: Any, outputs: list[str], light: bool = False) -> None:
        super().__init__()
        self.model, self.outputs, self.light = model, outputs, light

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return (N, D) each; for codes (N, M), for the layers below (N, their numbers)."""
        posterior, told = self.model.posterior, self.model.condition(c)
        q = posterior.light(x, told) if self.light else posterior(x, told)
        found = {
            "mean": lambda: q.quick_estimate,
            "log_var": lambda: q.variance.log(),
            "codes": lambda: q.index,
            "below": lambda: joined(self.model.encode(x, c)[1:]),
        }
        return tuple(found[name]() for name in self.outputs)


def joined(layers: tuple[Tensor, ...]) -> Float[Tensor, "N Z"]:
    """Return the numbers of several layers side by side."""
    return torch.cat([layer.flatten(1) for layer in layers], 1)


def outputs_of(p: Any, outputs: list[str]) -> Tensor | tuple[Tensor, ...]:
    """Return the mean of p(x | z), and those of its parameters that are asked for."""
    if outputs == ["x"]:
        return p.mean
    found = {"x": p.mean} | p.parameters()
    return tuple(found[name] for name in outputs)


class Decoder(nn.Module):
    """z (and c) → the mean of p(x | z), and its parameters where they are asked for.

    z counts as the nearest place where codes can lie. The lower layers of a hierarchy stand at
    their means.
    """

    def __init__(self, model: Any, support: Support, outputs: list[str]) -> None:
        super().__init__()
        self.model, self.support, self.outputs = model, support, outputs

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """Return decoded images, pixels in [0, 1], and parameters."""
        return outputs_of(self.model.decode((self.support.nearest(z),), c), self.outputs)


class HierarchyDecoder(nn.Module):
    """z of the top layer, those below it (and c) → what :class:`Decoder` gives.

    Args:
        model: A hierarchy.
        support: Where codes of the top layer lie.
        shapes: Of z in each layer below the top.
        outputs: "x" and parameters of p(x | z).
    """

    def __init__(
        self, model: Any, support: Support, shapes: list[torch.Size], outputs: list[str]
    ) -> None:
        super().__init__()
        self.model, self.support, self.shapes = model, support, shapes
        self.outputs = outputs

    def forward(
        self,
        z: Float[Tensor, "N D"],
        below: Float[Tensor, "N Z"],
        keep: Float[Tensor, "N L-1"],
        c: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """Return decoded images, each layer kept or drawn: z = μ + σ ε under its prior."""
        parts = below.split([shape.numel() for shape in self.shapes], 1)

        def choose(level: int, h: Tensor | None, p: Distribution) -> Tensor:
            if level == 0:
                return self.support.nearest(z)
            given = parts[level - 1].unflatten(1, self.shapes[level - 1])
            kept = keep[:, level - 1].reshape(-1, *(1 for _ in self.shapes[level - 1]))
            return kept * given + (1 - kept) * (p.mean + p.stddev * given)

        return outputs_of(self.model.likelihood(self.model.descend(c, choose)), self.outputs)


def parts(study: Study, *, parameters: bool = False, light: bool = False) -> list[Part]:
    """Return copies of the study's encoder and decoder, with 64 inputs for each.

    The images are those of twice as many whose codes depend least on rounding.

    Args:
        study: Trained or not.
        parameters: Whether the decoder returns the parameters of p(x | z) besides its mean.
        light: Whether the encoder must start fast, as in a page.
    """
    model = copy.deepcopy(study.model).cpu().to(memory_format=torch.contiguous_format).eval()
    generator = torch.Generator().manual_seed(0)
    z = 2 * torch.randn(2 * COMPARED, study.space.latent, generator=generator)
    turn = torch.arange(len(z)) % max(study.space.conditions, 1)
    told = (study.classes.weights(turn),) if study.space.conditions else ()
    named = names(study, parameters=parameters)
    encoder = Encoder(model, named["encoder"][1], light)
    with torch.no_grad():
        x = model.decode((z,), *told).mean
        nearly = x + NEARLY * torch.randn(x.shape, generator=generator)
        moved = (encoder(nearly, *told)[0] - encoder(x, *told)[0]).abs().amax(1)
        steady = moved.argsort()[:COMPARED]  # rounding may decide which mode of q is the higher
        x, z, told = x[steady], z[steady], tuple(c[steady] for c in told)
        lower = model.encode(x, *told)[1:]
    outputs = named["decoder"][1]
    decoder, below = Decoder(model, study.space.support, outputs), ()
    if "below" in named["decoder"][0]:
        shapes = [layer.shape[1:] for layer in lower]
        decoder = HierarchyDecoder(model, study.space.support, shapes, outputs)
        keep = torch.rand(COMPARED, len(lower), generator=generator).round()
        below = (joined(lower), keep)
    return [
        Part("encoder", encoder.eval(), (x, *told), *named["encoder"]),
        Part("decoder", decoder.eval(), (z, *below, *told), *named["decoder"]),
    ]
