"""Names and texts that are not ours are printed as they are, and command no terminal."""

import json
from dataclasses import replace

import pytest
from cli_tools import assert_mistake, tell

from vaescape.cli import plain
from vaescape.recipes import configuration
from vaescape.runs import RunFolder

RED = "\x1b[31mred\x9b0m\u202e"


@pytest.mark.parametrize("name", ["[b]", "[bold red]", "a[link=x]b", ":smile:"])
def test_a_name_is_no_markup(elsewhere, name):
    c = configuration("first-look")
    folder = RunFolder.create(elsewhere / name, replace(c, data=f"[bold]{RED}").to_dict())
    told = tell("show", str(folder))
    assert told.code == 0
    assert name in told.out
    assert "[bold]\\x1b[31mred\\x9b0m\\u202e" in told.out.replace("\n", "")
    assert "\x1b" not in told.out


def test_what_closes_nothing_is_no_error(elsewhere):
    RunFolder.create(elsewhere / "[" / "b]", configuration("first-look").to_dict())
    told = tell("show", "[/b]")
    assert told.code == 0
    assert "[/b]" in told.out
    assert_mistake(tell("show", "[/c]"), "There is no run [/c].")


def test_an_error_shows_what_it_quotes(elsewhere):
    folder = RunFolder.create(elsewhere / "x", configuration("first-look").to_dict())
    record = folder.record
    record["configuration"]["train"]["device"] = RED
    (folder / "run.json").write_text(json.dumps(record))
    told = tell("resume", "x")
    assert told.code == 2
    assert "\x1b" not in told.err
    assert "\x9b" not in told.err


def test_what_is_printable_stays():
    text = "β\u00a0= 4\u2009·\u200d σ²\tx\n"
    assert plain(text) == text
