import json

import numpy as np
import pytest
from sklearn import manifold, metrics
from sklearn.neighbors import KNeighborsClassifier

from vaescape.errors import OptionError
from vaescape.metrics import neighbours as module
from vaescape.metrics.neighbours import (
    DEFINITIONS,
    knn_correct,
    neighbours,
    preservation,
    probe_correct,
    silhouettes,
)


def clusters(n, seed, spread=1.0, dimensions=2, classes=4):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    centres = 2.0 * np.random.default_rng(99).normal(size=(classes, dimensions))
    return centres[y] + spread * rng.normal(size=(n, dimensions)), y


def images_of(z, seed=0):
    """Images in which the points are hidden under noise."""
    rng = np.random.default_rng(seed)
    flat = np.tanh(z @ rng.normal(size=(z.shape[1], 64))) + 0.3 * rng.normal(size=(len(z), 64))
    return flat.reshape(-1, 1, 8, 8).astype(np.float32)


# Accuracy


@pytest.mark.parametrize("dimensions", [2, 20])
def test_knn_votes_as_scikit_learn_does(dimensions):
    train, test = clusters(400, 0, dimensions=dimensions), clusters(200, 1, dimensions=dimensions)
    found = knn_correct(*train, *test, ks=(1, 4, 5, 15))
    for k, correct in found.items():
        expected = KNeighborsClassifier(k).fit(*train).predict(test[0]) == test[1]
        assert np.array_equal(correct, expected)


def test_knn_finds_separated_classes_and_not_shuffled_ones():
    (train_z, train_y), (test_z, test_y) = clusters(600, 0, 0.05), clusters(300, 1, 0.05)
    assert knn_correct(train_z, train_y, test_z, test_y)[5].mean() == 1
    shuffled = np.random.default_rng(0).permutation(train_y)
    assert knn_correct(train_z, shuffled, test_z, test_y)[5].mean() < 0.4


def test_knn_takes_labels_that_are_not_counted_from_zero():
    train_z, test_z = np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([[0.0], [5.0]])
    found = knn_correct(train_z, np.array([3, 3, 8, 8]), test_z, np.array([3, 3]), ks=(1,))
    assert found[1].tolist() == [True, False]


def test_the_probe_reads_what_is_linear_and_not_what_is_a_ring():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 2))
    halves, ring = (z @ [1, 2] > 0).astype(int), (np.hypot(*z.T) > 1.18).astype(int)
    assert probe_correct(z[:500], halves[:500], z[500:], halves[500:]).mean() > 0.97
    assert probe_correct(z[:500], ring[:500], z[500:], ring[500:]).mean() < 0.65


def test_the_probe_does_not_mind_the_scale_of_a_dimension():
    (train_z, train_y), (test_z, test_y) = clusters(300, 0), clusters(200, 1)
    scale = np.array([1e-4, 1e3])
    plain = probe_correct(train_z, train_y, test_z, test_y)
    assert np.array_equal(plain, probe_correct(train_z * scale, train_y, test_z * scale, test_y))


def test_a_probe_that_has_not_converged_is_scored_without_a_warning(monkeypatch):
    monkeypatch.setattr(module, "_MOST_STEPS", 1)
    assert 0.3 < probe_correct(*clusters(300, 0), *clusters(200, 1)).mean() < 1


def test_a_collapsed_latent_space_scores_at_chance_without_a_warning():
    (train_z, train_y), (test_z, test_y) = clusters(300, 0), clusters(200, 1)
    found = neighbours(0 * train_z, train_y, 0 * test_z, test_y, images_of(test_z))
    for name in ("knn_accuracy", "linear_probe_accuracy"):
        assert found[name]["estimate"] < 0.4
    for name in ("trustworthiness", "continuity"):
        assert found[name]["estimate"] == pytest.approx(0.5, abs=0.06)
    assert found["silhouette"]["estimate"] == 0


# Silhouette


def test_the_silhouette_is_scikit_learns():
    z, y = clusters(300, 0)
    assert silhouettes(z, y).mean() == pytest.approx(metrics.silhouette_score(z, y))


# Neighbourhoods


@pytest.mark.parametrize("k", [1, 5, 20])
def test_trustworthiness_is_scikit_learns_and_continuity_its_converse(k, monkeypatch):
    z, _ = clusters(240, 0)
    x = images_of(z).astype(np.float64)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 50)
    found = preservation(x, z, ks=(k,))
    flat = x.reshape(240, -1)
    trust = manifold.trustworthiness(flat, z, n_neighbors=k)
    continuity = manifold.trustworthiness(z, flat, n_neighbors=k)
    assert found.trustworthiness[k].mean() == pytest.approx(trust, abs=1e-12)
    assert found.continuity[k].mean() == pytest.approx(continuity, abs=1e-12)
    assert abs(trust - continuity) > 1e-4


def test_an_isometry_keeps_every_neighbour():
    z, _ = clusters(100, 0)
    turn = np.array([[0.0, -3.0], [3.0, 0.0]])
    found = preservation(z, z @ turn + 7, ks=(5,))
    assert found.trustworthiness[5].tolist() == found.continuity[5].tolist() == [1.0] * 100


def test_a_projection_is_less_trustworthy_than_continuous_and_a_tear_the_reverse():
    plane = np.random.default_rng(0).uniform(size=(400, 2))
    folded = preservation(plane, plane[:, :1], ks=(5,))
    assert folded.trustworthiness[5].mean() < folded.continuity[5].mean() - 0.05
    ring = np.random.default_rng(0).uniform(0, 2 * np.pi, size=400)
    circle = np.stack([np.cos(ring), np.sin(ring)], axis=1)
    cut = preservation(circle, ring[:, None], ks=(5,))
    assert cut.continuity[5].mean() < cut.trustworthiness[5].mean() - 0.003


def test_unrelated_spaces_score_a_half():
    rng = np.random.default_rng(0)
    found = preservation(rng.normal(size=(600, 9)), rng.normal(size=(600, 2)))
    assert found.trustworthiness[5].mean() == pytest.approx(0.5, abs=0.03)


def test_the_order_of_images_does_not_matter():
    z, _ = clusters(120, 0)
    x, order = images_of(z), np.random.default_rng(0).permutation(120)
    plain, shuffled = preservation(x, z), preservation(x[order], z[order])
    assert np.allclose(plain.trustworthiness[5][order], shuffled.trustworthiness[5])
    assert np.allclose(plain.continuity[5][order], shuffled.continuity[5])


def test_k_of_half_the_images_is_refused():
    z, _ = clusters(10, 0)
    with pytest.raises(OptionError, match="below half the number of images, 10, got 5"):
        preservation(z, z, ks=(5,))


# The whole


def test_the_result_goes_to_json_and_has_every_defined_measure():
    train, test = clusters(500, 0), clusters(300, 1)
    found = neighbours(*train, *test, images_of(test[0]))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == list(DEFINITIONS)
    for record in found.values():
        assert record["low"] < record["estimate"] < record["high"]
    assert list(found["knn_accuracy"]["by_k"]) == ["3", "5", "7", "9", "11", "13", "15"]
    assert list(found["trustworthiness"]["by_k"]) == ["5", "20"]
    for name in ("knn_accuracy", "trustworthiness", "continuity"):
        record = found[name]
        assert record["k"] == 5
        assert record["estimate"] == record["by_k"]["5"]["estimate"]
    expected = KNeighborsClassifier(5).fit(*train).score(*test)
    assert found["knn_accuracy"]["estimate"] == pytest.approx(expected)


def test_a_large_set_is_compared_on_a_seeded_subset(monkeypatch):
    monkeypatch.setattr(module, "MOST_IMAGES", 100)
    train, test = clusters(200, 0), clusters(300, 1)
    first, again, other = (
        neighbours(*train, *test, images_of(test[0]), seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first["silhouette"] != other["silhouette"]
    assert first["trustworthiness"] != other["trustworthiness"]
    assert first["knn_accuracy"] == other["knn_accuracy"]


def test_what_the_data_do_not_allow_is_left_out():
    (train_z, train_y), (test_z, test_y) = clusters(50, 0), clusters(40, 1)
    maps = {"trustworthiness", "continuity"}
    x = images_of(test_z)
    assert neighbours(train_z, None, test_z, None, x).keys() == maps
    assert neighbours(train_z, 0 * train_y, test_z, 0 * test_y, x).keys() == maps
    assert neighbours(train_z, train_y, test_z[:8], test_y[:8], x[:8]).keys() == (
        DEFINITIONS.keys() - maps
    )


def test_progress_sees_every_piece_of_work():
    train, test = clusters(50, 0), clusters(40, 1)
    seen = []
    neighbours(*train, *test, images_of(test[0]), progress=lambda work: seen.extend(work) or work)
    assert len(seen) == 4
