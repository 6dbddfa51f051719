"""Variants trace into one graph as well; the components themselves: tests/laws."""

import pytest

from vaescape.recipes import Parts
from vaescape.testing import traces

CONTINUOUS = [
    Parts(posterior="iaf", prior="vamp(components=3)"),
    Parts(posterior="bayes(points=16)", prior="mixture(components=3)"),
    Parts(posterior="bayes(points=16)", likelihood="laplace"),
    *(Parts(prior=f"flow(family={family!r})") for family in ("realnvp", "nsf")),
]
CONDITIONAL = [
    Parts(model=model, network=network, conditional=conditional)
    for model in ("vae", "ladder(levels=3, width=8)")
    for network in ("mlp(hidden=8)", "resnet(channels=[4, 8])")
    for conditional in (False, True)
]
CODES = [
    Parts(posterior=posterior, latent=6, prior=prior)
    for posterior, prior in (
        ("vq(codes=8, positions=3)", "uniform-codes"),
        ("vq(codes=8, positions=3)", "autoregressive(width=8)"),
        ("residual-vq(codes=4, stages=2)", "uniform-codes"),
        ("fsq(levels=[3, 4])", "uniform-codes"),
        ("gumbel-softmax(positions=2)", "uniform-codes"),
    )
]
OBJECTIVES = [
    Parts(objective=text)
    for text in (
        "elbo(beta=2, warmup=0.5)",
        "elbo(warmup=0.5, cycles=4, free_nats=0.5)",
        "mmd(beta=1)",
        "capacity(until=0)",
        "rae(gradient=1.0)",
    )
]


@pytest.mark.parametrize(
    "parts",
    OBJECTIVES + CONDITIONAL + CONTINUOUS + CODES,
    ids=lambda p: "-".join(map(str, vars(p).values())),
)
def test_the_loss_is_one_graph(parts: Parts):
    traces(parts)
