"""Arrays about classes, against brute force."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from vaescape import plots


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return rng.normal(size=(120, 3)), rng.integers(0, 3, 120)


def test_centroids_and_medoids(points):
    z, label = points
    centroids, medoids = plots.class_centroids(z, label, 4), plots.class_medoids(z, label, 4)
    for c in range(3):
        members = np.flatnonzero(label == c)
        assert medoids[c] in members
        sums = cdist(z[members], z[members]).sum(axis=1)
        assert (sums < sums[members == medoids[c]]).mean() < 0.3  # of its dense part
        np.testing.assert_allclose(centroids[c], z[members].mean(axis=0))
    assert medoids[3] == -1
    assert np.isnan(centroids[3]).all()


def test_a_medoid_lies_in_the_largest_piece_of_its_class():
    rng = np.random.default_rng(1)
    z = np.concatenate([rng.normal((-4, 0), 0.3, (500, 2)), rng.normal((4, 0), 0.3, (300, 2))])
    medoid = plots.class_medoids(z, np.zeros(800, int), 1)[0]
    np.testing.assert_allclose(z[medoid], (-4, 0), atol=0.15)


def test_overlap_against_brute_force(points):
    z, label = points
    distance = cdist(z, z)
    np.fill_diagonal(distance, np.inf)
    near = label[np.argsort(distance, axis=1)[:, :7]]
    wanted = np.stack([[(near[label == a] == b).mean() for b in range(3)] for a in range(3)])
    np.testing.assert_allclose(plots.class_overlap(z, label, 3, k=7), wanted)


def test_overlap_never_counts_a_point_as_its_own_neighbour():
    z = np.zeros((6, 2))  # all equal: the tree may list a point anywhere among its own neighbours
    label = np.arange(6)
    assert np.diag(plots.class_overlap(z, label, 6, k=3)).max() == 0.0


def test_overlap_of_one_point_is_empty():
    assert plots.class_overlap([[0.0, 0.0]], [0], 2).sum() == 0.0


def test_field_of_two_clusters():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 200)
    z = rng.normal(size=(400, 2)) * 0.5 + np.where(label == 0, -2.0, 2.0)[:, None] * [1.0, 0.0]
    field = plots.neighbour_field(z, label, 2, k=15, resolution=60, limits=(-4, 4, -4, 4))
    row, left, middle, right = 30, 15, 30, 45
    assert field.majority[row, left] == 0
    assert field.majority[row, right] == 1
    assert field.entropy[row, left] == pytest.approx(0.0)
    assert field.entropy.max() <= np.log(2) + 1e-12
    assert field.entropy[row, middle] > field.entropy[row, left] - 1e-12
    assert field.supported[row, left]
    assert not field.supported[0, 0]


def test_field_rows_grow_upwards():
    z = np.array([[0.0, -1.0], [0.0, 1.0]])
    field = plots.neighbour_field(z, [0, 1], 2, k=1, resolution=4, limits=(-1, 1, -2, 2))
    assert field.majority[0, 0] == 0
    assert field.majority[-1, 0] == 1
    assert field.y[0] < field.y[-1]


def test_mismatched_labels_are_refused():
    with pytest.raises(ValueError, match="labels"):
        plots.class_centroids([[0.0, 0.0]], [0, 1], 2)
