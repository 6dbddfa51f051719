"""Colours: distinct, dealt so that neighbours differ most, the same each time."""

from itertools import pairwise

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from vaescape import plots
from vaescape.plots.palette import PETROFF10, colour_distances, palette


def delta_e(one, other):
    rgb = [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in (one, other)]
    return float(deltaE_ciede2000(*rgb2lab(np.array(rgb))))


@pytest.fixture
def chain():
    """Ten clusters in a row, each mixing only with the next."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 80)
    points = np.column_stack([2.0 * labels, np.zeros(800)]) + rng.normal(size=(800, 2))
    return points, labels


def test_adjacent_clusters_get_distinct_colours(chain):
    colours = plots.class_colours(chain[0], chain[1], 10)
    neighbours = [delta_e(a, b) for a, b in pairwise(colours)]
    in_order = [delta_e(a, b) for a, b in pairwise(PETROFF10)]
    assert min(neighbours) > 30 > min(in_order)
    assert np.mean(neighbours) > np.mean(in_order)


def test_the_deal_is_a_permutation_and_repeats(chain):
    colours = plots.class_colours(chain[0], chain[1], 10)
    assert sorted(colours) == sorted(PETROFF10)
    assert plots.class_colours(chain[0], chain[1], 10) == colours


def test_a_row_of_mixing_classes_beats_random_deals(chain):
    points, labels = chain
    overlap = plots.class_overlap(points, labels, 10, k=30)
    near = (overlap + overlap.T) * (1 - np.eye(10))

    def confusion(colours):
        return (near * np.exp(-colour_distances(colours) / 0.1)).sum()

    rng = np.random.default_rng(0)
    random = [confusion(rng.permutation(PETROFF10)) for _ in range(300)]
    assert confusion(plots.class_colours(points, labels, 10)) <= min(random)


@pytest.mark.parametrize("n", [1, 2, 10, 11, 30])
def test_as_many_different_colours_as_classes(n):
    colours = palette(n)
    assert len(set(colours)) == n
    if n > 1:
        assert min(delta_e(a, b) for i, a in enumerate(colours) for b in colours[:i]) > 5


@pytest.mark.parametrize("n", [1, 2, 12])
def test_few_points_and_empty_classes_are_dealt_too(n):
    assert len(set(plots.class_colours([[0.0, 0.0]], [0], n))) == n


def test_distance_is_that_of_the_worst_off_eye():
    red_green = colour_distances(["#c00000", "#5a6e00"])[0, 1]
    blue_yellow = colour_distances(["#0040c0", "#e0d000"])[0, 1]
    assert red_green < 0.1 < blue_yellow
