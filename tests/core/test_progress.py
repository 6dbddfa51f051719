"""The display of progress: bars of what goes on, under that of the whole run."""

import io

import pytest
from rich.console import Console

from vaescape import progress
from vaescape.progress import Stages, bar, track


@pytest.fixture
def terminal(monkeypatch) -> io.StringIO:
    """A terminal to draw on, and bars that show at once."""
    output = io.StringIO()
    make = progress._progress

    def drawn():
        shown = make()
        assert shown is not None
        shown.live.console = Console(file=output, force_terminal=True, width=110)
        return shown

    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "_progress", drawn)
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    return output


def test_a_bar_says_how_many_of_how_many(terminal):
    with bar(desc="training", unit="images", unit_scale=20) as shown:
        shown.total = 1000
        for _ in range(500):
            shown.update()
        assert progress._screen.progress is not None
        (task,) = progress._screen.progress.tasks
        assert (task.completed, task.total, task.description) == (10_000, 20_000, "training")
        progress._screen.progress.refresh()
    assert "10,000/20,000 images" in terminal.getvalue()
    assert progress._screen.progress is None


def test_the_bar_of_a_whole_run_stays_above_those_of_its_stages(terminal):
    with Stages(3) as shown:
        shown.at(2, "evaluation")
        for _ in track("smoothness")([1, 2, 3]):
            assert progress._screen.progress is not None
            first, *_ = progress._screen.progress.tasks
            assert (first.completed, first.total) == (1, 3)
            assert "[2 of 3] evaluation" in first.description.replace("\\", "")
    assert progress._screen.progress is None


def test_an_error_takes_the_bars_away(terminal):
    def work() -> None:
        with Stages(2) as shown:
            shown.at(1, "training")
            for number in bar([2, 1, 0], desc="division"):
                assert 2 / number

    with pytest.raises(ZeroDivisionError):
        work()
    assert progress._screen.progress is None
    assert progress._screen.open == 0


def test_nothing_is_shown_where_nobody_looks(capsys, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    assert list(track("work")(range(3))) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
