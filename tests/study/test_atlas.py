"""Recipe ``atlas``, shrunk: a map without an encoder, from training to the explorer's numbers."""

import pytest

from vaescape import Study, draw, evaluate

SHRUNK = {
    "data": "shapes",
    "limit": 400,
    "epochs": 12,
    "batch": 40,
    "threads": 1,
    "network": "fourier(decoder_widths=[64], features=16, scale=2.0, activation='gelu')",
}


@pytest.fixture(scope="module")
def atlas() -> Study:
    return Study("atlas", posterior="lattice(cells=1024, renew=4)", **SHRUNK).fit()


def test_it_is_a_tighter_map_than_the_same_network_with_an_encoder(atlas: Study):
    learnt = Study("atlas", posterior="gaussian", **SHRUNK).fit()
    bounds = [study.score(study.test) for study in (atlas, learnt)]
    exact, amortised = (found["reconstruction"] + found["kl"] for found in bounds)  # pyright: ignore
    assert exact < amortised - 1  # pyright: ignore


def test_everything_is_measured_and_drawn(atlas: Study):
    metrics = evaluate(atlas, bounds=((100, 50),), paths=12)
    test = metrics["test"]
    assert test["negative_elbo"] == pytest.approx(test["cross_entropy"] + test["kl"])
    bound = test["importance_weighted_bound"]["100"]["nats"]
    first = atlas.score(atlas.test[:50])
    assert bound < first["reconstruction"] + first["kl"]  # pyright: ignore
    for name in ("map", "manifold", "reconstructions"):
        assert draw(atlas, name).axes
