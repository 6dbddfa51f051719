"""Settings that change during training, as one text: ``"0 beta=1, 120 beta=4, 200 lr=0.01"``."""

import math
import re
from dataclasses import dataclass
from typing import Self

from vaescape.errors import OptionError

NAMES = ("beta", "lr")
"""What can change: the objective's weight of the KL, and the learning rate."""
_ENTRY = re.compile(r"\s*(\d{1,15})\s+([a-z]+)\s*=\s*(\S+)\s*")


@dataclass(frozen=True)
class Changes:
    """Which value each setting has from which step on, in the order of the steps.

    A step is counted from 0. A setting that does not occur is that of the run throughout.
    """

    entries: tuple[tuple[int, str, float], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the changes of a text.

        Raises:
            OptionError: If it is no such text, or its steps are not in order.
        """
        entries = tuple(_entry(part) for part in text.split(",") if text.strip())
        if list(entries) != sorted(entries, key=lambda entry: entry[0]):
            raise OptionError(f"The steps of changes must be in order. Got {text!r}.")
        return cls(entries)

    def __str__(self) -> str:
        """Return the text, from which :meth:`parse` gives the same numbers to the bit."""
        return ", ".join(f"{step} {name}={value!r}" for step, name, value in self.entries)

    def at(self, step: int) -> dict[str, float]:
        """Return the settings of a step."""
        return {name: value for start, name, value in self.entries if start <= step}

    @property
    def last(self) -> dict[str, float]:
        """The settings at the end."""
        return {name: value for _, name, value in self.entries}

    def then(self, step: int, settings: dict[str, float]) -> "Changes":
        """Return the changes followed by whatever is different from a step on."""
        known = self.at(step)
        new = [(step, name, v) for name, v in settings.items() if known.get(name) != v]
        return Changes((*self.entries, *new))


def _entry(part: str) -> tuple[int, str, float]:
    found = _ENTRY.fullmatch(part)
    try:
        value = float(found[3]) if found and found[2] in NAMES else math.nan
    except ValueError:
        value = math.nan
    if found is None or not 0 < value < math.inf:
        raise OptionError(
            f"changes must be like '0 beta=1, 120 beta=4, 200 lr=0.01': a step, then one of "
            f"{', '.join(NAMES)} with a number above 0. Got {part.strip()!r}."
        )
    return int(found[1]), found[2], value
