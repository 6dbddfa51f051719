"""Recipe ``atlas``, shrunk: a map without an encoder, from training to the explorer's numbers."""

from itertools import pairwise

import pytest
import torch

from vaescape import Study, draw, evaluate
from vaescape.evaluation import elbo
from vaescape.inference.memory import WhileUnchanged
from vaescape.train import Tick

SHRUNK = {
    "data": "shapes",
    "limit": 400,
    "epochs": 12,
    "batch": 40,
    "threads": 1,
    "network": "fourier(decoder_widths=[64], features=16, scale=2.0, activation='gelu', "
    "grids=[4, 8], grid_features=8)",
}


@pytest.fixture(scope="module")
def atlas() -> Study:
    return Study("atlas", posterior="bayes(points=1024, refresh_interval=4)", **SHRUNK).fit()


def test_it_is_a_tighter_map_than_the_same_network_with_an_encoder(atlas: Study):
    learnt = Study("atlas", posterior="gaussian", **SHRUNK).fit()
    exact, amortised = (elbo(each, each.test)["negative_elbo"] for each in (atlas, learnt))
    assert exact < amortised - 1


def test_everything_is_measured_and_drawn(atlas: Study):
    metrics = evaluate(atlas, bounds=((100, 50),), paths=12)
    test = metrics["test"]
    assert test["negative_elbo"] == pytest.approx(test["cross_entropy"] + test["kl"])
    bound = test["importance_weighted_bound"]["100"]["nats"]
    assert bound < elbo(atlas, atlas.test[:50])["negative_elbo"]
    for name in ("map", "manifold", "reconstructions"):
        assert draw(atlas, name).axes


def test_codes_of_the_images_are_kept_until_the_weights_change(monkeypatch):
    study = Study("swift", **SHRUNK)
    at_ticks: list[torch.Tensor] = []

    def keep(tick: Tick) -> None:
        kept = study.encode(study.test)
        study.space.memory = WhileUnchanged()
        at_ticks.append(kept)
        assert torch.equal(kept, study.encode(study.test))

    study.fit(on_tick=keep)
    assert all(not torch.equal(one, other) for one, other in pairwise(at_ticks))
    before = study.encode(study.test)
    before.zero_()  # what a user does with them is the user's own affair
    own, asked = study.model.posterior.forward, []
    monkeypatch.setattr(study.model.posterior, "forward", lambda *x: asked.append(x) or own(*x))
    for split in (study.test, study.train) * 2:
        assert study.encode(split).any()
    calls = len(asked)
    study.encode(study.test)
    study.space.places(study.train)
    assert len(asked) == calls
    some = study.encode(study.test[:3])
    assert len(asked) == calls + 1
    together = study.encode(study.test)[:3]
    torch.testing.assert_close(some, together, rtol=0, atol=2e-3)  # a search in float32
