"""What every test leaves as it was."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `served`


@pytest.fixture(autouse=True)
def signal_handlers_come_back():
    """A command that ran in this process has put its own in place, which note signals for good."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
