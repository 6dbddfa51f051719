"""What there is to choose from, in the components' own words: their docstrings and signatures."""

import inspect
import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from vaescape.build import build
from vaescape.components import arguments, construct, find, known, spell
from vaescape.conditionals import Measure
from vaescape.errors import ComponentError
from vaescape.recipes import Parts

KINDS = {
    "model": "models",
    "network": "networks",
    "posterior": "posteriors",
    "prior": "priors",
    "likelihood": "likelihoods",
    "objective": "objectives",
}
"""The sets whose members make a model together, and the names of their pages."""

SHAPE, CLASSES, IMAGES = (1, 8, 8), 3, 12
"""Of the pictures on which a combination is tried."""

ANSWERS = ("conditional", "objective", "prior", "posterior", "model")
"""Where to look first for what a part needs beside it."""


@dataclass(frozen=True)
class Argument:
    """What may be written behind a component's name."""

    name: str
    default: Any
    """``inspect.Parameter.empty`` where there is none."""
    meaning: str

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Entry:
    """A component, in its own words."""

    kind: str
    name: str
    summary: str
    details: str
    """Paragraphs: formulas, sources, caveats."""
    arguments: tuple[Argument, ...]
    """Those that are the user's to choose."""
    module: str

    @property
    def example(self) -> str:
        """Text that names it, its first argument spelt out."""
        own = [a for a in self.arguments if not a.required and a.default is not None]
        return spell(self.name, {a.name: a.default for a in own[:1]})

    @property
    def command(self) -> str | None:
        """Command that trains a model with it, where that needs no file of the user's."""
        if self.kind == "figure":
            return f"vaescape figures runs/paper {self.name}"
        if self.kind == "reproduction":
            return f"vaescape reproduce {self.name}"
        if self.kind in KINDS:
            return command(model_with(**{self.kind: self.example}))  # pyright: ignore[reportArgumentType]
        if any(a.required for a in self.arguments):
            return None
        return f"vaescape run --{self.kind} {_quoted(self.example)}"


def entry(kind: str, name: str) -> Entry:
    """Return what a component says of itself.

    Raises:
        ComponentError: If there is none of that name, with the nearest.
    """
    cls = find(kind, name)
    words = (inspect.getdoc(cls) or "").partition("\nArgs:\n")[0]
    summary, _, details = words.strip().partition("\n")
    meanings = dict(pair for base in reversed(cls.__mro__) for pair in _arguments(base))
    own = tuple(
        Argument(key, parameter.default, meanings.get(key, ""))
        for key, parameter in arguments(cls).items()
        if "filled in from the run" not in meanings.get(key, "") and key not in FACTS_OF_DATA
    )
    return Entry(kind, name, summary, details.strip(), own, cls.__module__)


FACTS_OF_DATA = ("data_dir", "cache")
"""What the run knows about files; the other facts are named in ``facts.py``."""


def _arguments(cls: type) -> Iterator[tuple[str, str]]:
    """Yield names and meanings of the section on arguments in a class's docstring."""
    section = re.split(r"\n\S", (inspect.getdoc(cls) or "").partition("\nArgs:\n")[2])[0]
    for found in re.finditer(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE):
        yield found[1], " ".join(found[2].split())


# Models that have a given part in them -----------------------------------------------------------


def tiny(parts: Parts, *, seed: int = 0, **changes: Any) -> tuple[Any, Any]:
    """Return the model and the objective of parts, for twelve pictures of 8 × 8 in three classes.

    Args:
        parts: The component texts.
        seed: Of the starting weights; the pictures are always the same.
        changes: Of what a run knows: see :func:`vaescape.build.build`.
    """
    pixels = pictures(parts)
    facts = {"pixels": pixels, "images": IMAGES, "classes": CLASSES}
    return build(parts, shape=SHAPE, seed=seed, **facts | changes)


def pictures(parts: Parts) -> torch.Tensor:
    """Return twelve pictures that the likelihood of parts can score: bytes, (12, 1, 8, 8)."""
    noise = torch.Generator().manual_seed(0)
    grey = torch.randint(0, 256, (IMAGES, *SHAPE), dtype=torch.uint8, generator=noise)
    return 255 * (grey > 127).byte() if _black_and_white(parts) else grey


def _black_and_white(parts: Parts) -> bool:
    return construct("likelihood", parts.likelihood, shape=SHAPE).measure is Measure.BINARY


def model_with(*, latent: int = 2, conditional: bool = False, **chosen: str) -> Parts:
    """Return the parts nearest to the usual ones that have the chosen ones among them.

    Some parts need others: ``posterior="vq"`` a prior over codes, ``objective="m2"`` model m2 and
    labels. At most two others are changed.

    Raises:
        ComponentError: If nothing goes with them; the reason is why they do not go with the usual.
    """
    usual = Parts(latent=latent, conditional=conditional, **chosen)  # pyright: ignore
    if "prior" not in chosen:
        usual = usual.with_fitting_prior()
    reason = _refusal(usual)
    if reason is None:
        return usual
    free = [kind for kind in ANSWERS if kind not in chosen]
    for number in (1, 2):
        for kinds in itertools.combinations(free, number):
            for values in itertools.product(*map(_choices, kinds)):
                parts = replace(usual, **dict(zip(kinds, values, strict=True)))
                if _refusal(parts) is None:
                    return parts
    raise reason


def _choices(kind: str) -> list[Any]:
    if kind == "conditional":
        return [True]
    plain = ["elbo(beta=0)"] if kind == "objective" else []
    return plain + list(known(kind))


def _refusal(parts: Parts) -> ComponentError | None:
    try:
        tiny(parts)
    except ComponentError as error:
        return error
    return None


def command(parts: Parts) -> str:
    """Return the command that trains these parts."""
    usual = Parts()
    flags = [
        f"--{kind} {_quoted(getattr(parts, kind))}"
        for kind in KINDS
        if getattr(parts, kind) != getattr(usual, kind)
    ]
    flags += ["--conditional"] if parts.conditional else []
    flags += ["--binarise dynamic"] if _black_and_white(parts) else []
    return " ".join(["vaescape run", *flags])


def _quoted(text: str) -> str:
    """Return the text as a shell takes it, in double quotes where it has single ones."""
    return f'"{text}"' if "'" in text else shlex.quote(text)
