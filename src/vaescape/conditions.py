"""Conditions on the arguments of components, with the error that says which one is not met."""

import math
from collections.abc import Callable, Collection
from typing import Any

from vaescape.errors import ComponentError


def require(condition: Callable[[Any], bool], must: str, **values: Any) -> None:
    """Raise a :class:`ComponentError` for the first named value that breaks the condition.

    ``require(lambda v: v % 2 == 0, "even", width=width)``, or one of the usual conditions,
    ``require(*NOT_NEGATIVE, beta=beta)``.
    """
    for key, value in values.items():
        if not condition(value):
            raise ComponentError(f"{key} must be {must}. Got {value!r}.")


Condition = tuple[Callable[[Any], bool], str]
"""What must hold, and how an error puts it."""

NOT_NEGATIVE: Condition = (lambda v: 0 <= v < math.inf, "a number, zero or more")
POSITIVE: Condition = (lambda v: 0 < v < math.inf, "a number above 0")
ZERO_OR_MORE: Condition = (lambda v: v >= 0, "0 or more")
ONE_OR_MORE: Condition = (lambda v: v >= 1, "1 or more")
TWO_OR_MORE: Condition = (lambda v: v >= 2, "2 or more")


def one_of(names: Collection[str]) -> Condition:
    """Return the condition that a value is one of some names."""
    return (lambda v: v in names, f"one of {', '.join(names)}")
