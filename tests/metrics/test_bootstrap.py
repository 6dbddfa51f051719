import numpy as np
import pytest

from vaescape.errors import OptionError
from vaescape.metrics import bootstrap
from vaescape.metrics.bootstrap import Interval, interval


def test_the_estimate_lies_between_its_ends_and_is_the_mean_of_the_values():
    values = np.random.default_rng(0).exponential(size=500)
    found = interval(values)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low < found.estimate < found.high


def test_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = rng.normal(3.0, 2.0, size=(200, 100))
    found = [interval(sample, seed=seed) for seed, sample in enumerate(samples)]
    covered = np.mean([i.low <= 3.0 <= i.high for i in found])
    assert 0.90 <= covered <= 0.99


def test_has_the_width_of_the_normal_interval_for_a_mean_of_many():
    values = np.random.default_rng(1).normal(size=10_000)
    found = interval(values)
    expected = 2 * 1.96 * values.std() / np.sqrt(len(values))
    assert found.high - found.low == pytest.approx(expected, rel=0.1)


def test_the_same_seed_gives_the_same_interval_whatever_the_chunk(monkeypatch):
    values = np.random.default_rng(0).normal(size=300)
    whole = interval(values, seed=3)
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 7 * 300 + 1)
    assert interval(values, seed=3) == whole
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 1)
    assert interval(values, seed=3) == whole
    assert interval(values, seed=4) != whole


def test_equal_values_have_an_interval_of_no_width():
    assert interval(np.full(20, 2.5)) == Interval(2.5, 2.5, 2.5)
    assert interval(np.array([True])) == Interval(1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"at least one value, got an array of shape \(0,\)"),
        ([[1.0, 2.0]], r"got an array of shape \(1, 2\)"),
        ([1.0, np.nan, np.inf], "2 of 3 are not"),
    ],
)
def test_refuses_what_has_no_interval(values, message):
    with pytest.raises(OptionError, match=message):
        interval(values)
