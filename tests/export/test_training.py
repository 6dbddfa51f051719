"""The training step as ONNX takes the steps of the package's objective and of PyTorch's Adam."""

import gzip

import onnxruntime
import pytest
import torch
from torch import Tensor

from vaescape import Study
from vaescape.batch import Batch
from vaescape.components import construct
from vaescape.distributions.lattice import Lattice
from vaescape.export.training import UNKNOWN, Look, quantile, trainable
from vaescape.recipes import configuration

DATA = "shapes(images=400, size=12, vary=['scale', 'x'])"
BATCH, LR = 40, 0.02


def made(**changes) -> Study:
    """A swift of small parts."""
    given = {
        "data": DATA,
        "network": "fourier(decoder_widths=[24], features=8, scale=1.0, activation='gelu')",
        "posterior": "bayes(points=144, training_points=64, refresh_interval=4)",
        "batch": BATCH,
        "threads": 1,
        "precision": "float32",
        "optimiser": "adam(beta1=0.8, beta2=0.9)",
    }
    return Study(configuration("swift", **given | changes))


class Session:
    """A graph, called with tensors by name."""

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, **given: Tensor) -> list[Tensor]:
        fed = {name: value.detach().numpy() for name, value in given.items()}
        return [torch.from_numpy(found) for found in self.session.run(None, fed)]


def weights_of(study: Study) -> Tensor:
    """The decoder's numbers as the state has them: frequencies, then weights and biases."""
    waves, *layers = study.model.likelihood.net
    parts = [waves.frequencies, *(p for layer in layers for p in layer.parameters())]
    return torch.cat([part.detach().flatten() for part in parts])


def state_of(study: Study, mean: Tensor, square: Tensor) -> Tensor:
    net = study.model.posterior.net
    return torch.cat([weights_of(study), mean, square, net.logits.flatten(), net.level])


@pytest.mark.parametrize(
    ("beta", "changes"),
    [
        (1.0, {}),
        (4.0, {}),
        (0.25, {}),
        (1.0, {"network": "fourier(decoder_widths=[16, 24], features=8, activation='gelu')"}),
        (2.0, {"latent": 1}),
    ],
    ids=["1", "4", "1/4", "deeper", "a line"],
)
def test_twenty_steps_are_those_of_pytorch(beta: float, changes: dict):
    study = made(beta=beta, **changes)
    found = trainable(study)
    assert found is not None
    step = Session(found.graphs["step"])
    model, objective = study.model.train(), study.objective.train()
    parameters = list(model.likelihood.net.parameters())
    betas, eps = (0.8, 0.9), construct("optimiser", "adam").eps
    adam = torch.optim.Adam(parameters, lr=LR, betas=betas, eps=eps)
    none = torch.zeros(sum(p.numel() for p in parameters))
    start = state_of(study, none, none)
    state = start.clone()
    assert found.about["weights"] == len(weights_of(study))
    pixels = study.train.floats()
    for done in range(20):
        x = pixels[torch.arange(BATCH) * 7 + done]
        torch.manual_seed(done)  # as Lattice draws: a cell, then a place in its tent
        cell = torch.empty(BATCH, 1).uniform_()
        noise = torch.cat([cell, torch.rand(2, 1, BATCH, study.space.latent).sum(0)[0]], 1)
        settings = torch.tensor([beta, LR, float(done)])
        state, terms = step(x=x.flatten(1), noise=noise, settings=settings, state=state)

        torch.manual_seed(done)
        adam.zero_grad()
        model.posterior.begin_step()
        loss = objective(model, Batch(x, torch.zeros(BATCH), None), torch.ones(()))
        loss.total.backward()
        adam.step()
        expected = torch.stack([loss.metrics["reconstruction"], loss.metrics["kl"]])
        torch.testing.assert_close(terms, expected, rtol=1e-4, atol=1e-3)
        assert (terms[0] + beta * terms[1]).item() == pytest.approx(loss.total.item(), rel=1e-4)
    moments = [
        torch.cat([adam.state[p][name].flatten() for p in parameters])
        for name in ("exp_avg", "exp_avg_sq")
    ]
    torch.testing.assert_close(state, state_of(study, *moments), rtol=1e-3, atol=1e-3)
    learned = slice(0, len(weights_of(study)))
    assert (state - start)[learned].abs().max() > 10 * LR  # it has moved further than that


def test_a_look_is_the_quick_look_at_codes():
    study = made(beta=2.0, schedule="constant", epochs=4).fit()
    found = trainable(study)
    assert found is not None
    x, weights = study.test.floats()[:50], weights_of(study)
    noise = torch.rand(50, 3) * torch.tensor([1.0, 2.0, 2.0])
    look = Session(found.graphs["look"])
    z, terms = look(x=x.flatten(1), noise=noise, beta=torch.tensor([2.0]), weights=weights)
    q = study.model.eval().posterior.coarse(x)
    torch.testing.assert_close(z, q.quick_estimate, rtol=1e-3, atol=1e-3)
    draws, ratio = Look(study).draw(q, noise)
    with torch.no_grad():
        score = study.model.likelihood(draws).log_prob(x)
    expected = torch.stack([-score.mean(), ratio.mean()])
    torch.testing.assert_close(terms, expected, rtol=1e-3, atol=1e-3)

    codes = torch.randn(7, 2)
    (images,) = Session(found.graphs["decoder"])(z=codes, weights=weights)
    torch.testing.assert_close(images, study.decode(codes), rtol=0, atol=1e-5)


def test_draws_follow_q():
    """Many draws have the mean and the variance of q, and its KL divergence."""
    study = made(schedule="constant", epochs=4).fit()
    x = study.test.floats()[:1]
    q = study.model.eval().posterior.coarse(x)
    torch.manual_seed(0)
    count = 20_000
    noise = torch.cat([torch.rand(count, 1), torch.rand(2, count, 2).sum(0)], 1)
    many = Lattice(q.log_mass.expand(count, -1), q.tents, 2)
    z, ratio = Look(study).draw(many, noise)
    torch.testing.assert_close(z.mean(0), q.mean[0], rtol=0, atol=0.02)
    torch.testing.assert_close(z.var(0), q.variance[0], rtol=0.05, atol=1e-3)
    expected = q.log_prob(z[:, None])[:, 0] - study.model.prior().log_prob(z)
    torch.testing.assert_close(ratio, expected, rtol=1e-3, atol=2e-3)


def test_quantiles_are_those_of_the_normal():
    u = torch.cat([torch.logspace(-6.5, -0.31, 400), torch.tensor([0.5])])
    u = torch.cat([u, 1 - u[:300]])
    torch.testing.assert_close(quantile(u), torch.special.ndtri(u), rtol=2e-5, atol=2e-6)


def test_the_state_begins_as_the_study_does():
    """Each part has the spread of PyTorch's, and the last bias is the mean image's logit."""
    study = made(network="fourier(decoder_widths=[64], features=32, scale=2.0, activation='gelu')")
    found = trainable(study)
    assert found is not None
    start = found.about["start"]
    none = torch.zeros(sum(p.numel() for p in study.model.likelihood.net.parameters()))
    state = state_of(study, none, none)
    assert sum(count for _, _, count in start) == len(state)
    assert [kind for kind, _, _ in start] == [
        "normal", *["uniform"] * 3, "mean", "constant", "constant"
    ]  # fmt: skip
    for (kind, number, _), part in zip(
        start, state.split([count for _, _, count in start]), strict=True
    ):
        if kind == "normal":
            assert part.std() == pytest.approx(number, rel=0.3)
        elif kind == "uniform":
            assert 0.8 * number < part.abs().max() <= number
        elif kind == "mean":
            image = study.train.floats().mean(0).flatten().clamp(number, 1 - number)
            torch.testing.assert_close(part, image.logit(), rtol=1e-4, atol=1e-4)
        else:
            assert (part == number).all()
    assert start[-1][1] == UNKNOWN
    assert found.about["knobs"] == {"beta": 1.0, "lr": pytest.approx(0.01), "seed": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {"likelihood": "continuous-bernoulli"},
        {"prior": "mixture(components=3)"},
        {"network": "fourier(decoder_widths=[24], features=8)"},
        {"network": "fourier(decoder_widths=[24], features=8, blocks=1, activation='gelu')"},
        {"network": "mlp(hidden=24)"},
        {"posterior": "gaussian"},
        {"posterior": "bayes(points=2304)"},
        {"objective": "elbo(samples=2)"},
        {"optimiser": "adagrad"},
        {"binarise": "dynamic"},
    ],
    ids=str,
)
def test_other_models_are_not_offered(changes: dict):
    assert trainable(made(**changes)) is None


def test_swift_is_and_its_graphs_are_small():
    found = trainable(Study(configuration("swift", data=DATA, threads=1)))
    assert found is not None
    assert found.about["batch"] == 256
    assert sum(len(gzip.compress(content)) for content in found.graphs.values()) < 30_000
