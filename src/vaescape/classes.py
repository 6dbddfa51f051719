"""The classes of a data set, and the condition c that a label stands for."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaescape.components import nearest
from vaescape.errors import OptionError

ClassSpec = str | int | Sequence[str | int] | Int[Tensor, "*S"] | Float[Tensor, "*S E"]
"""One class for all, or one for each: names, indices, or a weight for each of the E classes.

A text is a name: exactly, else in any case if that is unambiguous; ``"#3"`` is an index, and so is
the number 3.
"""


@dataclass(frozen=True)
class Classes(Sequence[str]):
    """Names of classes, in the order of their indices.

    Args:
        names: The names.
        conditional: Whether the model is conditioned on the class. Otherwise E is 0 and every
            condition is empty.
    """

    names: tuple[str, ...]
    conditional: bool = False

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: Any) -> Any:
        return self.names[index]

    @property
    def conditions(self) -> int:
        """E, entries of the condition c: 0 if the model is not conditional."""
        return len(self.names) if self.conditional else 0

    def number(self, name: str | int) -> int:
        """Return the index of a class, given its name, its index, or ``"#index"``.

        Raises:
            OptionError: If there is none, or several names differ from it in case only.
        """
        if not isinstance(name, str):
            return self._index(int(name), repr(name))
        if name in self.names:
            return self.names.index(name)
        if name[:1] == "#" and name[1:].isdecimal():
            return self._index(int(name[1:]), repr(name))
        alike = [i for i, known in enumerate(self.names) if known.lower() == name.lower()]
        if len(alike) == 1:
            return alike[0]
        if alike:
            several = ", ".join(repr(self.names[i]) for i in alike)
            raise OptionError(f"The class {name!r} could be {several}. Write it exactly.")
        as_index = f" An index is written #{name}." if name.isdecimal() else ""
        lower = {known.lower(): known for known in self.names}
        close = nearest(name.lower(), lower)
        raise OptionError(
            f"There is no class {name!r}.{close}{as_index} Classes: {', '.join(self.names)}."
        )

    def _index(self, index: int, given: str) -> int:
        if not 0 <= index < len(self.names):
            raise OptionError(
                f"There is no class {given}: there are {len(self.names)} classes, with indices "
                f"from 0. Classes: {', '.join(self.names)}."
            )
        return index

    def weights(self, label: ClassSpec | None) -> Float[Tensor, "*S E"]:
        """Return the condition c that a label names: one row, or one for each; E may be 0.

        Raises:
            OptionError: If classes are missing, unknown, or given to a model that ignores them.
        """
        if isinstance(label, Tensor) and label.is_floating_point():
            return self._checked(label)
        if not self.conditional:
            if label is not None:
                raise OptionError(
                    "This model is not conditioned on the class, so it cannot be asked for "
                    f"{label!r}. Train one with --conditional (recipe conditional)."
                )
            return torch.empty(0)
        if label is None:
            raise OptionError(
                f"This model is conditional on classes. Say which: {', '.join(self.names)}."
            )
        if isinstance(label, Tensor):
            outside = label[(label < 0) | (label >= len(self.names))]
            if outside.numel():
                self._index(int(outside.flatten()[0]), repr(int(outside.flatten()[0])))
            return torch.eye(self.conditions)[label.cpu()]
        if isinstance(label, str | int):
            return torch.eye(self.conditions)[self.number(label)]
        return torch.eye(self.conditions)[[self.number(each) for each in label]]

    def _checked(self, weights: Float[Tensor, "*S E"]) -> Float[Tensor, "*S E"]:
        if weights.shape[-1] != self.conditions:
            raise OptionError(
                f"Expected {self.conditions} weights, one for each class. "
                f"Got shape {tuple(weights.shape)}."
            )
        return weights

    def expand(self, weights: Float[Tensor, "*S E"], batch: Sequence[int]) -> Tensor:
        """Return conditions for a batch, from one for all or one for each.

        Raises:
            OptionError: If there are neither one nor as many as the batch.
        """
        try:
            return weights.expand(*batch, self.conditions)
        except RuntimeError as error:
            raise OptionError(
                f"Expected one class, or {math.prod(batch)} of them. "
                f"Got {math.prod(weights.shape[:-1])}."
            ) from error

    def in_turn(self, n: int) -> Int[Tensor, " N"] | None:
        """Return n class indices, all classes in turn; None for an unconditional model."""
        return torch.arange(n) % self.conditions if self.conditional else None
