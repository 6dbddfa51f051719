"""Every objective and model traces into one graph, and gives the eager loss at the same seed."""

import pytest
import torch

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import known
from vaescape.recipes import Parts

MODELS = [
    Parts(network=network, likelihood=likelihood, objective="elbo(beta=2, warmup=0.5)")
    for network in known("network")
    for likelihood in known("likelihood")
] + [Parts(posterior="point", objective="elbo(beta=0)")]


@pytest.mark.parametrize("parts", MODELS, ids=lambda p: f"{p.network}-{p.posterior}-{p.likelihood}")
def test_the_loss_is_one_graph(parts: Parts):
    torch._dynamo.reset()
    model, objective = build(parts, shape=(1, 8, 8))

    def loss(x, t):
        return objective(model, Batch(x), t).total

    x = torch.rand(4, 1, 8, 8)
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    for t in (torch.tensor(0.1), torch.tensor(0.9)):
        torch.manual_seed(0)
        eager = loss(x, t)
        torch.manual_seed(0)
        torch.testing.assert_close(compiled(x, t), eager, rtol=1e-6, atol=1e-6)
