"""Progress bars: rate and time left on a terminal, silence elsewhere. Each item is a safe point."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from vaescape.signals import stop_if_requested

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

DELAY = 1.0
"""Seconds after which a bar shows: what is done sooner needs none."""

PAUSE = 0.1
"""Seconds between two changes of a bar, at least."""


def track(label: str) -> Callable[[Iterable[T]], Iterable[T]]:
    """Return a function that wraps a sequence in a progress bar of that name."""
    return lambda items: _safe(Bar(items, desc=label))


class Bar(Generic[T]):
    """A bar that shows after a second, and only where somebody can see it.

    Args:
        items: To iterate over; or none, to call ``update`` instead.
        desc: What is going on.
        total: How many items; the length of ``items`` by default.
        unit: Of the numbers that are shown.
        unit_scale: How many units an item is.
    """

    def __init__(
        self,
        items: Iterable[T] = (),
        *,
        desc: str,
        total: float | None = None,
        unit: str = "",
        unit_scale: int = 1,
    ) -> None:
        self.items, self.label, self.unit, self.scale = items, desc, unit, unit_scale
        self.total = len(items) if total is None and isinstance(items, Sized) else total
        self.n = 0
        self.began = self.drawn = time.monotonic()
        self.task: Any = None

    def __iter__(self) -> Iterator[T]:
        with self:
            for item in self.items:
                yield item
                self.update()

    def __enter__(self) -> "Bar[T]":
        self.began = self.drawn = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """Count items that are done."""
        self.n += count
        now = time.monotonic()
        if now - self.drawn < (PAUSE if self.task is not None else DELAY):
            return
        self.drawn = now
        if self.task is None:
            self.task = _screen.add(self.label, self.unit, self.n * self.scale)
        _screen.move(self.task, self.n * self.scale, self.total and self.total * self.scale)

    def reach(self, done: int, total: int) -> None:
        """Count up to so many items of so many."""
        self.total = total
        self.update(done - self.n)

    def close(self) -> None:
        """Take the line away."""
        if self.task is not None:
            _screen.remove(self.task)
            self.task = None


bar = Bar


class Stages:
    """The bar of a whole run, while its stages are done: which of how many."""

    def __init__(self, count: int) -> None:
        self.count, self.task = count, None

    def __enter__(self) -> "Stages":
        return self

    def __exit__(self, *error: object) -> None:
        if self.task is not None:
            _screen.remove(self.task)

    def at(self, number: int, label: str) -> None:
        """Show that a stage, counted from 1, has begun."""
        if self.task is None:
            self.task = _screen.add("", "", 0)
        name = f"[{number} of {self.count}] {label}".replace("[", "\\[")
        _screen.move(self.task, number - 1, self.count, name)


class _Screen:
    """All bars that are shown, on standard error or in a notebook: there while there are any."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.lock, self.open, self.silent = RLock(), 0, False

    def add(self, label: str, unit: str, done: int) -> Any:
        with self.lock:
            if not self.open:
                self.progress = _progress()
                if self.progress:
                    self.progress.start()
            self.open += 1
            progress = self.progress
            if progress is None:
                return 0
            return progress.add_task(label, total=None, completed=done, unit=unit)

    def move(self, task: Any, done: float, total: float | None, label: str | None = None) -> None:
        if self.progress:
            self.progress.update(task, completed=done, total=total, description=label)

    def remove(self, task: Any) -> None:
        with self.lock:
            self.open -= 1
            if self.progress:
                self.progress.remove_task(task)
                if not self.open:
                    self.progress.stop()
                    self.progress = None


_screen = _Screen()


def _progress() -> "Progress | None":
    """Return rich's display, or None where nobody sees it."""
    notebook = "ipykernel" in sys.modules
    if _screen.silent or not (notebook or sys.stderr.isatty()):
        return None
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Counts(ProgressColumn):
        """How many of how many, and how many a second."""

        def render(self, task: Task) -> Text:
            unit = task.fields["unit"]
            if not unit:
                return Text("")
            whole = "" if task.total is None else f"/{task.total:,.0f}"
            rate = f", {task.speed:,.0f} {unit}/s" if task.speed else ""
            return Text(f"{task.completed:,.0f}{whole} {unit}{rate}")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        Counts(),
        TimeLeft(elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=4,
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=True,
    )


def silence() -> None:
    """Show no bars in this process: somebody else has the terminal."""
    _screen.silent = True


def _safe(items: Iterable[T]) -> Iterator[T]:
    for item in items:
        stop_if_requested()
        yield item
