"""Progress bars: rate and time left on a terminal, silence elsewhere. Each item is a safe point."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

from vaescape.signals import stop_if_requested

T = TypeVar("T")


def track(label: str) -> Callable[[Iterable[T]], Iterable[T]]:
    """Return a function that wraps a sequence in a progress bar of that name."""
    return lambda items: _safe(bar(items, desc=label))


def bar(*args: Any, **options: Any) -> tqdm:
    """Return a bar that shows after a second, and only where somebody can see it."""
    return tqdm(*args, disable=None, leave=False, delay=1, dynamic_ncols=True, **options)


def _safe(items: Iterable[T]) -> Iterator[T]:
    for item in items:
        stop_if_requested()
        yield item
