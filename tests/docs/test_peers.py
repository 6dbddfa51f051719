"""Every cell of ours in the peers' table leads to what shows it."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE.read_text().splitlines()
    if re.match(r"\| \d+ \|", line)
]


def test_there_are_a_hundred_rows_with_a_cell_for_everyone():
    assert [int(row[0]) for row in ROWS] == [*range(1, 101)]
    assert {len(row) for row in ROWS} == {18}


def test_every_cell_of_ours_leads_to_what_shows_it():
    for number, _, ours, *_ in ROWS:
        if ours != "-":
            found = re.fullmatch(r"\[(Y|~|>\d+)\]\((.+)\)", ours)
            assert found, (number, ours)
            assert (PAGE.parent / found[2]).exists(), (number, found[2])


def test_what_we_have_in_part_only_says_which():
    for number, _, ours, *_, note in ROWS:
        if ours.startswith("[~]"):
            assert "ours: " in note, number


def test_there_are_as_many_test_files_as_it_says():
    (said,) = (int(found[1]) for row in ROWS if (found := re.match(r"\[>(\d+)\]", row[2])))
    assert len(list((PAGE.parents[1] / "tests").rglob("test_*.py"))) > said
