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
from vaescape.errors import OptionError
from vaescape.recipes import Parts
from vaescape.testing import combinations, refusal, spread, trains
from vaescape.testing.combinations import choices

SHARDLESS = re.compile(
    r"(?:(\w+ .*) compares the images of a batch with each other|"
    r"(\S+) is updated from each batch), so a batch cannot be cut into shards\. "
    r"Leave out --shards, or choose .*\."
)


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


def test_every_part_trains_in_two_shards_or_says_that_it_cannot():
    """As many combinations as it takes until each part has trained, or a refusal has named it."""
    left = {(axis, value) for axis, values in choices().items() for value in values}
    trained = set()
    for parts in spread()[0]:
        own = {part for part in left if getattr(parts, part[0]) == part[1]}
        if not own:
            continue
        try:
            trains(parts, shards=2)
        except OptionError as error:
            said = SHARDLESS.fullmatch(str(error))
            if not said:
                raise
            buffer = (said[2] or "").split(".")
            left -= {(k, v) for k, v in own if said[1] == f"{k.capitalize()} {v!r}" or k in buffer}
        else:
            left -= own
            trained |= own
    assert not left
    assert {kind for kind, _ in trained} == {"conditional", *KINDS}
    assert ("objective", "elbo(samples=2)") in trained
    assert any(text.startswith("bayes") for kind, text in trained if kind == "posterior")


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
