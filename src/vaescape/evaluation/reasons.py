"""The numbers of an evaluation, and those that were left out with the reason."""

from collections.abc import Callable
from typing import Any


class Results:
    """Collects numbers by name, and the reasons why others have no meaning or too few images.

    Attributes:
        numbers: By name.
        left_out: Reasons by name, dotted where it is one of several numbers.
    """

    def __init__(self, left_out: dict[str, str] | None = None) -> None:
        self.numbers: dict[str, Any] = {}
        self.left_out: dict[str, str] = {} if left_out is None else left_out

    def add(self, name: str, why_not: str | None, compute: Callable[[], Any]) -> None:
        """Compute a number, unless there is a reason to leave it out."""
        if why_not is None:
            self.numbers[name] = compute()
        else:
            self.leave_out(name, why_not)

    def leave_out(self, name: str, why: str) -> None:
        """Say why a number is not there."""
        self.left_out[name] = why
