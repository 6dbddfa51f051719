"""A component on trial, and the small models that it is tried in."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from vaescape.batch import Batch
from vaescape.catalogue import CLASSES, model_with, pictures, tiny
from vaescape.components import Component, arguments, construct, find, parse, spell, text_of
from vaescape.recipes import Parts

SMALL = {
    "channels": [8, 8],
    "hidden": 16,
    "width": 16,
    "encoder_widths": [16],
    "decoder_widths": [16],
    "features": 4,
    "layers": 1,
    "dims": 2,
    "components": 8,
    "at_once": 6,
    "points": 16,
    "codes": 5,
    "stages": 2,
    "context": 3,
    "transforms": 2,
    "samples": 2,
}
"""Sizes at which anything is tried, for arguments of these names."""


def small(kind: str, spec: str) -> str:
    """Return the text with the sizes that it leaves open made small."""
    name, given = parse(text_of(kind, spec))
    cls = find(kind, name)
    return spell(name, {k: v for k, v in SMALL.items() if k in arguments(cls)} | given)


@dataclass(frozen=True)
class Case:
    """A component on trial.

    Args:
        kind: Such as "prior".
        spec: Such as "vamp(components=3)" or "my_module:MyPrior"; also a class or an instance.
        beside: Other parts that it needs, where ours do not serve: ``(("posterior", "my:Own"),)``.
    """

    kind: str
    spec: str
    beside: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Turn a class or an instance into the text that names it."""
        object.__setattr__(self, "spec", text_of(self.kind, self.spec))

    @property
    def cls(self) -> type[Component]:
        """Its class."""
        return find(self.kind, parse(self.spec)[0])

    def construct(self, **facts: Any) -> Any:
        """Return it, alone."""
        if self.kind == "data":
            return construct("data", self.spec, **{"data_dir": None, "cache": None} | facts)
        return construct(self.kind, small(self.kind, self.spec), **facts)

    def parts(self, latent: int = 3, **chosen: Any) -> Parts:
        """Return the parts of the smallest sensible model that has it in it."""
        return _parts(self.kind, self.spec, latent, **dict(self.beside) | chosen)

    def batch(self, images: int = 6) -> Batch:
        """Return a few images that such a model can score, with their classes."""
        parts = self.parts()
        label = torch.arange(images) % CLASSES
        if tiny(parts)[0].classifies:
            label[0] = -1
        return Batch(pictures(parts)[:images] / 255, label)


@lru_cache
def _parts(kind: str, spec: str, latent: int, **chosen: Any) -> Parts:
    chosen = {"network": "conv(channels=[4], hidden=5)"} | chosen | {kind: small(kind, spec)}
    return model_with(latent=latent, **chosen)


def scattered(parts: Parts, by: float = 0.2) -> Any:
    """Return the model in double precision, its weights far enough from zero to matter.

    What has four axes is left: images that a prior has learned are no weights.
    """
    model = tiny(parts)[0].double()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim != 4:
                parameter += by * torch.randn_like(parameter)
    return model.eval()


def losses(parts: Parts, batch: Batch, t: Tensor) -> Any:
    """Return the loss of a fresh model."""
    model, objective = tiny(parts)
    return objective(model, batch, t)
