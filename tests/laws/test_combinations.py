"""Whatever can be combined works: enumerated from what is registered, never listed.

pytest -m combinations tests/laws    # all of them: hours
pytest -m combinations tests/laws -k vamp
"""

import itertools
import re

import pytest

import vaescape.build  # noqa: F401 — registers the members
from vaescape.catalogue import KINDS
from vaescape.components import known
from vaescape.recipes import Parts
from vaescape.testing import combinations, refusal, spread, trains
from vaescape.testing.combinations import choices


def failures(parts: Parts) -> str | None:
    """Return what is wrong with a combination: it is neither refused nor does it work."""
    try:
        if refusal(parts) is None:
            trains(parts)
    except Exception as error:  # whatever it is, it belongs in the list
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None


def assert_none_fails(tried: list[Parts]) -> None:
    found = {str(parts): failures(parts) for parts in tried}
    wrong = {parts: what for parts, what in found.items() if what}
    assert not wrong, f"{len(wrong)} of {len(found)} fail: " + "\n".join(
        f"{parts}: {what}" for parts, what in itertools.islice(wrong.items(), 20)
    )


def test_every_part_and_every_pair_of_parts_that_go_together_work():
    tried, apart = spread()
    assert_none_fails(tried)
    for kind in KINDS:
        texts = {getattr(parts, kind) for parts in tried}
        assert {text.partition("(")[0] for text in texts} == set(known(kind))
    assert {parts.conditional for parts in tried} == {False, True}
    for one, other in apart:  # a network goes with everything
        assert "network" not in (one[0], other[0]), (one, other)


def test_what_is_refused_says_what_to_do_instead():
    """Over one network and one likelihood; one in thirteen."""
    some = combinations(network="mlp(hidden=16, layers=1)", likelihood="gaussian")
    refused = {s for parts in itertools.islice(some, 0, None, 13) if (s := refusal(parts))}
    assert len(refused) > 10
    for sentence in refused:
        assert re.search(r"\. .*(Use|Add|Train) .*\.$", sentence), sentence


def groups() -> list[dict[str, str]]:
    axes = {kind: choices()[kind] for kind in ("model", "posterior", "prior")}
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


@pytest.mark.combinations
@pytest.mark.timeout(0)
@pytest.mark.parametrize("only", groups(), ids=lambda only: "-".join(only.values()))
def test_all_of_them(only: dict[str, str]):
    assert_none_fails(list(combinations(**only)))
