"""Pieces of classes, and the images that stand for them."""

import numpy as np
import pytest

from vaescape.geometry.islands import called, ends, islands


def cloud(seed, n, at, size=0.3):
    return np.random.default_rng(seed).normal(at, size, (n, len(at)))


@pytest.fixture
def pieces():
    """Class 0 left (600) and right (300) of class 1 (500): its mean lies in class 1."""
    z = np.concatenate([cloud(0, 600, (-4, 0)), cloud(1, 300, (5, 0)), cloud(2, 500, (-1, 0))])
    return z, np.repeat([0, 1], [900, 500])


@pytest.mark.parametrize("more", [0, 4])  # the same in the plane and in six dimensions
def test_a_class_in_two_pieces_has_two_islands_each_in_its_place(pieces, more):
    z, label = pieces
    z = np.concatenate([z, cloud(3, len(z), (0,) * more)], axis=1) if more else z
    found = islands(z, label)
    assert [island.label for island in found] == [0, 0, 1]
    assert [island.share for island in found] == pytest.approx([2 / 3, 1 / 3, 1], abs=0.06)
    places = z[[island.medoid for island in found], 0]
    assert places == pytest.approx([-4, 5, -1], abs=0.3)
    assert all((label[island.members] == island.label).all() for island in found)


def test_a_bent_class_is_one_island_whose_medoid_lies_in_it():
    angle = np.random.default_rng(0).uniform(0, np.pi, 800)
    z = np.stack([np.cos(angle), np.sin(angle)], 1) * 3 + cloud(1, 800, (0, 0), 0.1)
    (found,) = islands(z, np.zeros(800, int))
    assert found.share == 1
    assert np.linalg.norm(z[found.medoid]) == pytest.approx(3, abs=0.3)


def test_few_strays_are_no_island_and_few_points_are_one():
    z = np.concatenate([cloud(0, 400, (0, 0)), cloud(1, 20, (9, 9))])
    assert len(islands(z, np.zeros(420, int))) == 1
    for n in (1, 2, 5):
        (found,) = islands(cloud(0, n, (0, 0)), np.full(n, 3))
        assert (found.label, len(found.members)) == (3, round(0.8 * n) or 1)
    assert islands(np.zeros((4, 2)), np.full(4, -1)) == []
    (same,) = islands(np.zeros((40, 2)), np.zeros(40, int))
    assert same.share == 1


def test_a_class_is_stood_for_by_an_image_that_is_decoded_as_it(pieces):
    z, label = pieces
    found = islands(z, label)
    right = ends(found, lambda rows: label[rows])
    assert right == {0: found[0].medoid, 1: found[2].medoid}
    # what the left piece decodes to is called class 1: the right piece stands for the class
    other = ends(found, lambda rows: np.where(z[rows, 0] < 0, 1, 0))
    assert other == {0: found[1].medoid, 1: found[2].medoid}
    # all but its very middle is called right: the next member does
    off = ends(found, lambda rows: np.where(rows == found[0].medoid, -1, label[rows]))
    assert off[0] == found[0].members[1]
    assert ends(found, lambda rows: np.full(len(rows), -1)) == right  # none: the medoids


def test_a_place_is_called_what_most_of_its_neighbours_are(pieces):
    z, label = pieces
    assert called([[-4, 0], [5, 0], [-1, 0]], z, label).tolist() == [0, 0, 1]
    assert called([[0, 0]], [[1, 0], [-1, 0]], [1, 0]).tolist() == [0]  # a tie, and k above N
