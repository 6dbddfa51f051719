"""Every objective and model traces into one graph, and gives the eager loss at the same seed."""

import pytest
import torch

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import known
from vaescape.recipes import Parts

WARM = "elbo(beta=2, warmup=0.5)"
MODELS = [
    *(Parts(network=network, objective=WARM) for network in known("network")),
    *(Parts(likelihood=likelihood, objective=WARM) for likelihood in known("likelihood")),
    Parts(posterior="point", objective="elbo(beta=0)"),
]
CONTINUOUS = [
    *(Parts(posterior=posterior) for posterior in ("full-rank", "iaf", "spline")),
    Parts(posterior="power-spherical", prior="uniform-sphere"),
    Parts(posterior="iaf", prior="vamp(components=3)"),
    *(Parts(prior=prior) for prior in ("mixture", "vamp(components=3)", "exemplar", "class")),
    *(Parts(prior=f"flow(family={family!r})") for family in ("maf", "realnvp", "nsf")),
]
CONDITIONAL = [
    Parts(model=model, network=network, conditional=conditional)
    for model in ("vae", "ladder(levels=3, width=8)")
    for network in ("mlp(hidden=8)", "resnet(channels=[4, 8])")
    for conditional in (False, True)
] + [Parts(model="m2", objective="m2", conditional=True)]
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
OBJECTIVES = [Parts(objective=name) for name in known("objective") if name != "m2"] + [
    Parts(objective=text)
    for text in ("elbo(warmup=0.5, cycles=4, free_nats=0.5)", "mmd(beta=1)", "capacity(until=0)")
]


@pytest.mark.parametrize(
    "parts",
    MODELS + OBJECTIVES + CONDITIONAL + CONTINUOUS + CODES,
    ids=lambda p: "-".join(map(str, vars(p).values())),
)
def test_the_loss_is_one_graph(parts: Parts):
    torch._dynamo.reset()
    pixels = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8)
    model, objective = build(parts, shape=(1, 8, 8), images=100, pixels=pixels, classes=3)
    both = torch.nn.ModuleList([model, objective])
    start = {name: tensor.clone() for name, tensor in both.state_dict().items()}

    def loss(x, t):
        return objective(model, Batch(x, label, torch.arange(4)), t).total

    def step(loss, t):
        both.load_state_dict(start)
        torch.manual_seed(0)
        total = loss(x, t)
        weights = [*model.parameters(), *objective.parameters()]
        buffers = (buffer.clone() for buffer in both.buffers())
        return total, *torch.autograd.grad(total, weights), *buffers

    label = torch.tensor([0, 2, 1, 0])
    x = torch.rand(4, 1, 8, 8).round()  # black and white, which every likelihood scores
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    for t in (torch.tensor(0.1), torch.tensor(0.9)):
        torch.testing.assert_close(step(compiled, t), step(loss, t), rtol=1e-6, atol=1e-6)
