"""Code that a run's recorded texts name: imported only if somebody trusts it.

A component that somebody names on the command line or in Python is theirs; one that a run folder
names may be anybody's.
"""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from vaescape.components import named_by_the_user, parse
from vaescape.errors import ComponentError, RunError

_trusting: ContextVar[bool] = ContextVar("trusting", default=False)


@contextmanager
def trusting(trust: bool = True) -> Iterator[None]:
    """Let runs that are opened inside import the code that they name."""
    token = _trusting.set(trust or _trusting.get())
    try:
        yield
    finally:
        _trusting.reset(token)


def check_recorded(texts: Any) -> None:
    """Check that a run's recorded texts import no code, or only trusted code.

    Args:
        texts: Component texts, in lists and dictionaries of any depth.

    Raises:
        RunError: For a ``module:Class`` in a text, or in its arguments, that nobody has named in
            this process.
    """
    foreign = sorted(set(_code_in(texts)) - named_by_the_user)
    if not foreign:
        return
    if not _trusting.get():
        raise RunError(
            f"This run names code that is not part of vaescape: {', '.join(map(repr, foreign))}. "
            "Opening it would import that code, which can do whatever you can, so nothing was "
            "imported. If you trust it, add --trust-code (in Python: trust_code=True)."
        )
    for name in foreign:
        module = name.partition(":")[0]
        try:
            importlib.import_module(module)
        except (ImportError, ValueError) as error:
            raise RunError(f"The run's {name!r} could not be imported: {error}.") from error
    named_by_the_user.update(foreign)


_CODE = re.compile(r"\s*(\w[\w.]*:\w+)\s*(\(.*)?", re.DOTALL)


def _code_in(value: Any) -> Iterator[str]:
    """Yield every ``module:Class`` in a component text, arguments that are texts included."""
    if isinstance(value, str) and (match := _CODE.fullmatch(value)):
        yield match[1]
    if isinstance(value, str) and "(" in value:
        with suppress(ComponentError):  # what cannot be read is refused where it is used
            yield from _code_in(parse(value)[1])
    if isinstance(value, dict | list | tuple | set):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _code_in(item)
