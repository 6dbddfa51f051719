"""Errors that a user can correct, each with a message that says how.

Every one carries what was expected, what came and what to do. The command line prints the message
without a traceback and leaves with ``exit_code``.
"""


class VaescapeError(Exception):
    """The base of all: catch it to catch everything that this package raises on purpose."""

    exit_code = 2


class ComponentError(VaescapeError, ValueError):
    """An unknown component, a wrong argument, or parts that have no meaning together."""


class OptionError(VaescapeError, ValueError):
    """An option with an impossible value."""


class MissingExtraError(VaescapeError, ImportError):
    """A package that only some people need, and that is not installed."""


class DataError(VaescapeError):
    """Data that are missing, damaged or not what they should be."""


class ImageError(DataError):
    """A picture that cannot be read or does not fit."""


class RunError(VaescapeError):
    """A run folder that is missing, unfinished, damaged, in use, finished or of a later format."""


class LostRunError(RunError):
    """A run folder that was moved, deleted or replaced while it was in use."""


class CheckpointError(RunError):
    """A checkpoint that is damaged or does not belong to this run."""


class DivergedError(VaescapeError):
    """A loss that is not a finite number: training has stopped, the last good state stays."""


class InterruptedRun(VaescapeError):
    """A run stopped by a signal, its state saved: 75 (try again) for SIGTERM, 130 for Ctrl-C."""

    def __init__(self, message: str, exit_code: int = 75) -> None:
        super().__init__(message)
        self.exit_code = exit_code
