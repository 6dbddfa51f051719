"""Names of classes: exactly, else in any case if unambiguous; an index only as #3 or a number."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vaescape.classes import Classes
from vaescape.errors import OptionError

FOLDERS = Classes(tuple(sorted(str(n) for n in range(1, 11))), conditional=True)


def test_a_name_that_is_a_number_is_the_name():
    assert FOLDERS.names[FOLDERS.number("1")] == "1"
    assert FOLDERS.names[FOLDERS.number("10")] == "10"
    assert FOLDERS.number("#1") == FOLDERS.number(1) == 1
    signed = Classes(("-1", "0", "1"), conditional=True)
    assert [signed.number(name) for name in ("-1", "0", "1")] == [0, 1, 2]


def test_names_that_differ_in_case_stay_apart():
    letters = Classes(("a", "A", "b"), conditional=True)
    assert (letters.number("a"), letters.number("A"), letters.number("B")) == (0, 1, 2)
    with pytest.raises(OptionError, match="could be 'Ab', 'aB'. Write it exactly"):
        Classes(("Ab", "aB")).number("AB")


@pytest.mark.parametrize("name", ["²", "#²", "#10", "x", "", "11"])
def test_what_is_no_class_is_refused_with_the_names(name: str):
    with pytest.raises(OptionError, match="There is no class"):
        FOLDERS.number(name)


def test_a_bare_number_says_how_an_index_is_written():
    with pytest.raises(OptionError, match="An index is written #3"):
        Classes(("Coat", "Bag", "Shirt", "Dress")).number("3")


@given(st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_every_name_finds_itself_and_every_index_its_name(names: list[str]):
    classes = Classes(tuple(names), conditional=True)
    for i, name in enumerate(names):
        assert classes.number(name) == classes.number(i) == i
        if f"#{i}" not in names:
            assert classes.number(f"#{i}") == i


def test_weights_are_indicator_vectors_and_missing_labels_are_refused():
    classes = Classes(("a", "b", "c"), conditional=True)
    assert classes.weights("b").tolist() == [0, 1, 0]
    assert classes.weights(["c", 0]).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert classes.weights(torch.tensor([1])).tolist() == [[0, 1, 0]]
    with pytest.raises(OptionError, match="There is no class -1"):
        classes.weights(torch.tensor([0, -1]))
    assert classes.in_turn(4).tolist() == [0, 1, 2, 0]  # pyright: ignore
    assert Classes(("a", "b")).in_turn(4) is None
