"""The table of other projects' features: every cell of ours leads to what shows it."""

import csv
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "peers.md"
with (ROOT / "docs" / "lab" / "peers.csv").open(newline="") as table:
    ROWS = list(csv.DictReader(table, strict=True))
PROJECTS = ["PY", "MV", "SC", "DI", "DL", "DV", "AX", "HV", "LV", "VX", "VQ", "PR", "ST", "LX"]
FILES = "95"
"""The row that counts test files."""


def test_there_are_a_hundred_rows_with_a_cell_for_everyone():
    assert [int(row["number"]) for row in ROWS] == [*range(1, 101)]
    columns = {"number", "area", "feature", "vaescape", "shown_by", *PROJECTS, "evidence"}
    for row in ROWS:
        assert set(row) == columns, row["number"]
        assert all(row[name] for name in ("area", "feature", "vaescape", *PROJECTS)), row["number"]


def test_every_cell_of_ours_leads_to_what_shows_it():
    for row in ROWS:
        if row["vaescape"] == "-":
            assert not row["shown_by"], row["number"]
        else:
            assert re.fullmatch(r"Y|~|>\d+", row["vaescape"]), row["number"]
            assert row["shown_by"], row["number"]
            assert (ROOT / row["shown_by"]).exists(), (row["number"], row["shown_by"])


def test_files_of_ours_in_the_evidence_exist():
    named = [path for row in ROWS for path in re.findall(r"\((src/\S+?)\)", row["evidence"])]
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_what_we_have_in_part_only_says_which():
    for row in ROWS:
        if row["vaescape"] == "~":
            assert "ours: " in row["evidence"], row["number"]


def test_there_are_as_many_test_files_as_it_says():
    (row,) = (row for row in ROWS if row["number"] == FILES)
    assert len(list((ROOT / "tests").rglob("test_*.py"))) > int(row["vaescape"].removeprefix(">"))


def test_the_page_counts_what_the_table_has():
    counted = {
        cells[0] or "vaescape": [int(cell) for cell in cells[-3:]]
        for line in PAGE.read_text().splitlines()
        if re.search(r"\| \d+ \| \d+ \| \d+ \|$", line)
        for cells in [[cell.strip() for cell in line.split("|")[1:-1]]]
    }
    assert set(counted) == {"vaescape", *PROJECTS}
    for name, (yes, part, missing) in counted.items():
        cells = [row[name] for row in ROWS if row["number"] != FILES]
        assert (yes, missing) == (cells.count("Y"), cells.count("-")), name
        assert part == len(cells) - yes - missing, name
