"""Component texts: what they mean, and what a wrong one is told."""

import pytest

from vaescape.components import Component, construct, known, parse, spell
from vaescape.errors import ComponentError


class Toy(Component):
    kind = "toy"


class Bear(Toy, name="bear"):
    def __init__(self, size: int, softness: float = 1.0, colour: str | None = None) -> None:
        self.size, self.softness, self.colour = size, softness, colour


class Plain(Toy, name="plain-toy"):
    pass


def test_the_text_rebuilds_the_component():
    bear = construct("toy", " bear( softness = 2 , colour='red')", size=3)
    assert (bear.size, bear.softness, bear.colour) == (3, 2, "red")
    again = construct("toy", bear.spec, size=3)
    assert again.spec == bear.spec == "bear(softness=2, colour='red')"
    assert parse(spell(*parse(bear.spec))) == parse(bear.spec)


def test_facts_reach_only_the_constructors_that_ask():
    assert isinstance(construct("toy", "plain-toy", size=3, weather="fine"), Plain)


def test_known_lists_the_members_of_a_kind():
    assert set(known("toy")) >= {"bear", "plain-toy"}


def test_a_dotted_path_needs_no_registration():
    assert isinstance(construct("toy", f"{__name__}:Bear(softness=1)", size=1), Bear)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("beer", "no toy named 'beer'. Did you mean 'bear'? Known: bear, plain-toy."),
        ("bear(softnes=1)", "no argument 'softnes'. Did you mean 'softness'? It takes: softness"),
        ("bear(size=1)", "size is set by the run itself"),
        ("bear(softness='much')", "softness must be float. Got 'much'"),
        ("bear(softness=True)", "softness must be float. Got True"),
        ("bear(colour=3)", "colour must be str or None"),
        ("bear(1)", "Expected a component such as"),
        ("bear(softness=size)", "Expected a component such as"),
        ("bear(softness=__import__('os'))", "Expected a component such as"),
        ("bear(**{})", "Expected a component such as"),
        ("bear(", "Expected a component such as"),
        ("", "Expected a component such as"),
        ("no_such_module:Bear", "`PYTHONPATH=. vaescape …` adds this one"),
        ("collections:OrderedDict", "Expected a toy class"),
    ],
)
def test_a_wrong_text_is_told_what_was_expected(text: str, message: str):
    with pytest.raises(ComponentError, match="^") as caught:
        construct("toy", text, size=3)
    assert message in str(caught.value)


def test_a_missing_argument_is_named():
    with pytest.raises(ComponentError, match="needs the argument 'size'"):
        construct("toy", "bear")


def test_two_classes_cannot_share_a_name():
    with pytest.raises(ComponentError, match="'bear' is taken by"):

        class Other(Toy, name="bear"):
            pass
