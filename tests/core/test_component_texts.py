"""Whatever is typed for a component ends in a component or in a sentence."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import vaescape.build  # noqa: F401 — registers the members
from vaescape.catalogue import KINDS
from vaescape.components import construct, known, parse, spell
from vaescape.conditionals import Neural
from vaescape.errors import ComponentError
from vaescape.facts import Facts

CODES = Neural(nn.Identity(), construct("posterior", "fsq(levels=3)", latent_dim=4), 1)
FACTS = Facts(shape=(1, 8, 8), latent_dim=4, images=100, classes=3, posterior=CODES)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
NAMES = st.sampled_from([
    "hidden", "samples", "beta", "scale", "sigma", "layers", "channels", "levels", "critic",
    "components", "estimator", "kind", "positions", "codes", "widths", "activation", "seed", "x",
])  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":X",
        "X:",
        "..a:X",
        "no.such.module:X",
        "normal(x={[]:1})",
        "normal(" + 3_000 * "-" + "1)",
        "normal(x=" + 9_000 * "-" + "1)",
        "normal(x=" + 900 * "[" + 900 * "]" + ")",
        "normal(x=" + 5_000 * "9" + ")",
        "normal(\0)",
        "a" * 100_000,
        "normal(**{'x': 1})",
        "normal(x=1, x=2)",
        "normal(x=__import__('os'))",
        "flow(family={})",
        "mixture(components=0x7fffffff)",
        "flow(transforms=100000)",
    ],
    ids=lambda text: text[:20].encode("unicode_escape").decode(),
)
def test_odd_texts_end_in_a_sentence(text: str):
    with pytest.raises(ComponentError) as caught:
        construct("prior", text, FACTS)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("network", "mlp(layers=100000)", "layers must be at most 1,000. Got 100000"),
        ("likelihood", "pixelcnn(layers=0x7fffffff)", "layers must be at most 1,000"),
        ("network", "conv(channels=[8, 99999999])", "channels must be at most 10,000,000"),
    ],
)
def test_sizes_that_no_machine_has_are_refused_at_once(kind: str, text: str, message: str):
    with pytest.raises(ComponentError, match=message):
        construct(kind, text, FACTS)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str):
    try:
        name, arguments = parse(text)
    except ComponentError:
        return
    assert parse(spell(name, arguments)) == (name, arguments) or "nan" in text.lower()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_arguments_make_a_component_or_a_sentence(data: st.DataObject):
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    name = data.draw(st.sampled_from(list(known(kind))))
    small = st.integers(-3, 40)
    chosen = data.draw(st.dictionaries(NAMES, VALUES | small, max_size=2))
    with suppress(ComponentError):
        construct(kind, spell(name, chosen), FACTS)
