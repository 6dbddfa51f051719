"""Densities are float32, and bounds bound, whatever precision the networks run in."""

import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import softplus

from vaescape import Study
from vaescape.catalogue import tiny
from vaescape.components import known
from vaescape.distributions.base import as_event
from vaescape.evaluation import annealed_bound, importance_bound
from vaescape.testing import Case

KINDS = ("likelihood", "posterior", "prior")
CASES = [Case(kind, name) for kind in KINDS for name in known(kind)]
NETWORK = {
    ("likelihood", "pixelcnn"): 2e-3,
    ("prior", "autoregressive"): 2e-3,
    ("prior", "two-stage"): math.inf,
}
"""Whose density asks a network, which does run in bfloat16; of the last it is a draw."""


def bfloat16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


@torch.no_grad()
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.spec}")
def test_both_ways_of_scoring_are_float32_under_autocast(case: Case):
    """``log_prob`` and ``pairs`` of one distribution, the same inside as outside."""
    torch.manual_seed(0)
    model, _ = tiny(case.parts())
    batch = case.batch()
    top, *_ = layers = model.eval().infer(batch.x, batch.label, 3)
    with bfloat16():
        decoded = model.decode(tuple(layer.z for layer in layers), batch.label)
        one = model.decode(tuple(layer.z[0] for layer in layers), batch.label)
    rtol = NETWORK.get((case.kind, case.spec), 1e-6)
    asked = {
        "q": lambda: top.q.log_prob(top.z),
        "p": lambda: top.p.log_prob(top.z),
        "likelihood": lambda: decoded.log_prob(batch.x),
        "pairs of images": lambda: as_event(one).pairs(batch.x),
        "pairs of codes": lambda: as_event(top.q).pairs(top.z[0]),
        "kl": top.kl if top.has_kl else lambda: torch.zeros(()),
        "mean": lambda: as_event(top.q).point_estimate,
    }
    if not as_event(top.q).has_density:
        asked = {name: asked[name] for name in ("likelihood", "pairs of images")}
    for name, ask in asked.items():
        outside = ask()
        with bfloat16():
            inside = ask()
        assert inside.dtype == torch.float32, name
        if rtol < math.inf:
            torch.testing.assert_close(inside, outside, rtol=rtol, atol=1e-5, msg=name)


@pytest.fixture(scope="module", params=["paper", "atlas"])
def study(request: pytest.FixtureRequest) -> Study:
    """A plane of codes, learned in bfloat16 until images are told apart by dozens of nats."""
    network = {"paper": "mlp(hidden=128)", "atlas": "fourier(features=16, scale=2.0)"}
    parts = {"network": network[request.param], "data": "shapes", "limit": 600, "threads": 1}
    options = {"epochs": 8, "batch": 40, "precision": "bfloat16"}
    return Study(request.param, **parts, **options).fit()  # pyright: ignore


@torch.no_grad()
def evidence(
    study: Study, images: int, *, exact: bool, bfloat16: bool = True
) -> Float[Tensor, " N"]:
    """Return −log p(x) in nats by quadrature: 300 × 300 points of the plane, within ±6.

    Args:
        study: With the cross-entropy.
        images: The first so many test images.
        exact: Scored in float64, by hand; otherwise as the package scores pairs under autocast.
        bfloat16: Whether the decoder runs in it.
    """
    axis = torch.linspace(-6, 6, 300)
    z, x = torch.cartesian_prod(axis, axis), study.space.floats(study.test[:images])
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1) + 2 * math.log((axis[1] - axis[0]).item())
    found = []
    for part, prior in zip(z.split(500), log_p.split(500), strict=True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            p = study.model.decode((part,))
            score = p.pairs(x).double()
        if exact:
            logits = p.logits.double().flatten(1)
            score = logits @ x.double().flatten(1).T - softplus(logits).sum(1, keepdim=True)
        found.append(score + prior.double()[:, None])
    return -torch.cat(found).logsumexp(0)


def test_pairs_under_autocast_give_the_evidence_of_float64(study: Study):
    """A product in bfloat16 comes in steps of a nat, whose noise log-mean-exp takes for gain."""
    exact, found = (evidence(study, 60, exact=exact) for exact in (True, False))
    torch.testing.assert_close(found, exact, atol=1e-3, rtol=0)


def test_no_bound_exceeds_the_evidence(study: Study):
    images = 60
    exact = evidence(study, images, exact=True).mean().item()
    shared = importance_bound(study, 5000, images=images)
    own = importance_bound(study, 500, images=images, pool=1)
    assert shared["pool"]["largest"] > 1
    assert exact - 0.05 < shared["nats"] < exact + 0.6
    assert exact - 0.05 < own["nats"]


def test_nor_does_annealing_which_is_of_float32_throughout(study: Study):
    exact = evidence(study, 10, exact=True, bfloat16=False).mean().item()
    found = annealed_bound(study, 10, temperatures=100, chains=16)["nats"]
    assert exact - 0.1 < found < exact + 1
