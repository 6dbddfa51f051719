"""Inference by Bayes' rule on grid points, compared with integrals over latent space."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct
from vaescape.errors import ComponentError
from vaescape.inference.memory import WhileUnchanged
from vaescape.recipes import Parts

SHAPE = (1, 4, 4)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def built(cells: int = 4096, latent: int = 2, **changes):
    """A model in float64 whose images differ with their codes."""
    parts = Parts(network="mlp(hidden=6)", posterior=f"bayes(points={cells})", latent=latent)
    model, objective = build(Parts(**{**vars(parts), **changes}), shape=SHAPE)
    for parameter in model.double().parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return model.eval(), objective


LIKELIHOODS = [
    "cross-entropy",
    "continuous-bernoulli",
    "gaussian(sigma=0.4)",
    "gaussian-pixel",
    "laplace(scale=0.4)",
    "discretised-logistic",
]
PRIORS = ["normal", "mixture(components=3)"]
EVERY = [
    *((latent, "cross-entropy", "normal") for latent in (1, 2)),
    *((1, likelihood, prior) for likelihood in LIKELIHOODS for prior in PRIORS),
    (2, "gaussian(sigma=0.4)", "mixture(components=3)"),
]


@pytest.mark.parametrize(("latent", "likelihood", "prior"), EVERY)
def test_it_is_the_posterior_and_the_bound_is_the_evidence(latent: int, likelihood: str, prior):
    """Against the integral of p(x | z) p(z) over latent space by the trapezoid rule."""
    model, _ = built(latent=latent, likelihood=likelihood, prior=prior)
    x = model.sample(3).mean.round().detach()
    if prior != "normal":
        for _ in range(100):
            model.posterior.begin_step()  # the base follows the prior
    axis = torch.linspace(-8, 8, 401, dtype=torch.float64)
    z = torch.cartesian_prod(*[axis] * latent).reshape(-1, latent)
    with torch.no_grad():
        score = torch.stack([model.decode((z,)).log_prob(image) for image in x])
        joint = score + model.prior().log_prob(z)
        evidence = joint.logsumexp(-1) + latent * math.log(16 / 400)
        q = model.posterior(x)
        exact = (joint - evidence[:, None]).T
        likely = exact > exact.amax(0) - 3
        found = q.log_prob(z[:, None])
        torch.testing.assert_close(found[likely], exact[likely], rtol=0, atol=0.25)
        e = model.evidence(x, samples=4000)
        bound = (e.log_likelihood() - e.kl()).mean(0)
    error = (e.log_likelihood() - e.kl()).std(0) / 4000**0.5
    assert (evidence - bound < 4.5 * error + 4e-3).all()
    assert (bound - evidence < 4.5 * error + 4e-3).all()


@pytest.mark.parametrize("beta", [1 / 16, 1.0, 16.0])
@pytest.mark.parametrize(("likelihood", "prior"), [
    ("cross-entropy", "normal"), ("discretised-logistic", "normal"),
    ("cross-entropy", "mixture(components=3)"),
])  # fmt: skip
def test_with_a_weight_on_the_kl_it_minimises_that_objective(beta: float, likelihood, prior):
    """Against masses on 241 points whose E_q[−log p(x | z)] + β KL(q ‖ p) LBFGS minimises."""
    model, objective = built(
        latent=1, likelihood=likelihood, prior=prior, objective=f"elbo(beta={beta!r})"
    )
    x = model.decode((torch.tensor([[-1.0], [0.2], [1.3]]).double(),)).mean.detach()
    for _ in range(100):
        model.posterior.begin_step()  # the base follows the prior
    z = torch.linspace(-6, 6, 241, dtype=torch.float64)[:, None]
    with torch.no_grad():
        score = torch.stack([model.decode((z,)).log_prob(image) for image in x])
        log_p = model.prior().log_prob(z) + math.log(12 / 240)
    logits = torch.zeros_like(score, requires_grad=True)
    solver = torch.optim.LBFGS([logits], max_iter=2000, tolerance_change=1e-14, history_size=50,
                               line_search_fn="strong_wolfe")  # fmt: skip

    def value() -> Tensor:
        log_q = logits.log_softmax(-1)
        return (log_q.exp() * (beta * (log_q - log_p) - score)).sum(-1)

    def closure() -> Tensor:
        solver.zero_grad()
        total = value().sum()
        total.backward()
        return total

    solver.step(closure)
    least, exact = value().detach(), logits.log_softmax(-1).detach() - math.log(12 / 240)
    with torch.no_grad():
        found = model.posterior(x).log_prob(z[:, None]).T
        e = model.evidence(x, samples=4000)
    likely = exact > exact.amax(-1, keepdim=True) - 2
    torch.testing.assert_close(found[likely], exact[likely], rtol=0, atol=0.1)
    ours = beta * e.kl() - e.log_likelihood()
    error = ours.std(0) / 4000**0.5
    assert ((ours.mean(0) - least).abs() < 4.5 * error + 1e-2).all()
    loss = objective.loss(e, torch.ones(()))  # pyright: ignore[reportCallIssue]
    torch.testing.assert_close(loss.total, ours.mean())
    torch.testing.assert_close(  # what is reported stays the ELBO of β = 1
        loss.metrics["reconstruction"] + loss.metrics["kl"],
        (e.kl() - e.log_likelihood()).mean(),
    )


def test_with_a_weight_on_the_kl_a_code_is_the_mode_of_that_density():
    model, _ = built(cells=144, objective="elbo(beta=4)")
    for parameter in model.likelihood.parameters():
        parameter.data *= 3
    x = model.sample(20).mean.round().detach()
    codes = model.encode(x)[0].requires_grad_()
    log_q = model.decode((codes,)).log_prob(x) / 4 + model.prior().log_prob(codes)
    (slope,) = torch.autograd.grad(log_q.sum(), codes)
    assert (slope.abs() < 0.06).all()
    plain, _ = built(cells=144)
    plain.load_state_dict(model.state_dict())
    assert ((plain.encode(x)[0] - codes).norm(dim=-1) > 0.1).double().mean() > 0.5


def test_a_code_is_the_mode_of_the_continuous_posterior():
    """Against the best of 400² codes, and log p(x | z) + log p(z) is level there."""
    model, _ = built(cells=144)
    for parameter in model.likelihood.parameters():
        parameter.data *= 3
    x = model.sample(40).mean.round().detach()
    codes = model.encode(x)[0]
    assert torch.equal(codes, model.encode(x)[0])
    axis = torch.linspace(-3.5, 3.5, 400, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)

    def log_joint(z: Tensor, image: Tensor) -> Tensor:
        return model.decode((z,)).log_prob(image) + model.prior().log_prob(z)

    with torch.no_grad():
        best = torch.stack([log_joint(z, image).amax() for image in x])
    codes.requires_grad_()
    ours = log_joint(codes, x)
    assert (ours > best - 1e-3).double().mean() > 0.9  # else of two modes the other
    (slope,) = torch.autograd.grad(ours.sum(), codes)
    assert (slope.abs() < 0.1).double().mean() > 0.9  # some would take a fourth step


def distances_to_grid_lines(codes: Tensor, side: int) -> list[np.ndarray]:
    """In each dimension, in half cells: 0 on a line through grid points, 1 midway between two."""
    at = torch.special.ndtr(codes.double()) * side - 0.5
    inside = ((at > 0) & (at < side - 1)).all(-1)
    apart = 2 * (at - at.round()).abs()[inside]
    return [apart[:, d].numpy() for d in range(codes.shape[-1])]


def test_codes_do_not_line_up_in_rows_and_columns():
    """Of 4,000 images drawn from codes of the prior, where q is narrower than a cell."""
    parts = Parts(
        network="fourier(decoder_widths=[32], features=16, scale=1.0)",
        posterior="bayes(points=225)",
    )
    model, _ = build(parts, shape=(1, 12, 12), seed=2)
    model.likelihood.net[-2].weight.data *= 35
    model.eval()
    z = torch.randn(4000, 2)
    x = model.decode((z,)).sample()
    q = model.posterior(x)
    found = {"refined": q.point_estimate, "of the grid": q.quick_estimate}
    worst = {
        name: min(kstest(each, "uniform").pvalue for each in distances_to_grid_lines(codes, 15))
        for name, codes in found.items()
    }
    assert worst["refined"] > 0.01, worst
    assert worst["of the grid"] < 1e-4, worst


def test_an_image_is_found_where_it_was_decoded():
    """In both dimensions, which a grid read in the wrong order would swap."""
    model, _ = built()
    for parameter in model.likelihood.parameters():
        parameter.data *= 6
    z = torch.tensor([[1.0, -0.5], [-0.2, 0.9]]).double()
    x = model.decode((z,)).mean.detach()
    score = model.posterior.net(x)
    best = model.posterior.net.points[score.argmax(-1)]
    torch.testing.assert_close(model.decode((best.double(),)).mean, x, rtol=0, atol=0.06)
    q = model.posterior(x)
    torch.testing.assert_close(q.mean, q.sample((4000,)).mean(0), rtol=0, atol=0.15)


def test_every_image_is_scored_at_every_place():
    model, _ = built(cells=9)
    x, rule = torch.rand(5, *SHAPE).double(), model.posterior.net
    d = model.decode((rule.points,))
    torch.testing.assert_close(rule(x), torch.stack([d.log_prob(image) for image in x]))


@pytest.mark.parametrize("training", [False, True])
def test_scores_are_float32_sums_under_a_bfloat16_network(training: bool):
    model, _ = built(posterior="bayes(points=9, refresh_interval=1)")
    model, x = model.float().train(training), torch.rand(5, *SHAPE)
    with torch.autocast("cpu", torch.bfloat16):
        model.posterior.begin_step()
        found = model.posterior.raw(x)
    with torch.autocast("cpu", torch.bfloat16, enabled=training):  # in use the decoder is exact too
        d = model.decode((model.posterior.net.points,))
    torch.testing.assert_close(found, torch.stack([d.log_prob(image) for image in x]))


def test_there_is_no_encoder():
    model, _ = built(cells=16)
    decoder = list(model.likelihood.parameters())
    assert all(p is q for p, q in zip(model.parameters(), decoder, strict=True))


def test_evaluation_asks_the_decoder_as_it_is():
    model, _ = built(cells=64)
    x = torch.rand(2, *SHAPE).double()
    before = model.posterior(x).mass
    for parameter in model.likelihood.parameters():
        parameter.data *= 1.5
    assert not torch.allclose(before, model.posterior(x).mass)


@pytest.mark.parametrize(("cells", "renew"), [(64, 8), (49, 8), (9, 1), (4, 5)])
def test_training_asks_every_place_anew_in_so_many_steps(cells: int, renew: int):
    model, _ = built(cells=cells, posterior=f"bayes(points={cells}, refresh_interval={renew})")
    x, rule = torch.rand(2, *SHAPE).double(), model.posterior.net
    exact = rule(x)
    rule.train()
    for step in range(1, renew + 1):
        model.posterior.begin_step()
        right = (rule(x) - exact).abs().amax(0) < 1e-4
        assert right.sum() == min(cells, step * math.ceil(cells / renew))
    for parameter in model.likelihood.parameters():
        parameter.data += 0.1
    model.posterior.begin_step()
    renewed = (rule(x) - exact).abs().amax(0) > 1e-4
    assert renewed.sum() == math.ceil(cells / renew)


def test_training_may_have_a_coarser_grid():
    model, objective = built(posterior="bayes(points=64, training_points=9, refresh_interval=1)")
    x, rule = torch.rand(5, *SHAPE).double(), model.posterior.net
    model.posterior.begin_step()
    in_use, in_training = model.posterior(x), model.train().posterior(x)
    assert in_use.mass.shape == (5, 64)
    assert in_training.mass.shape == (5, 9)
    coarse, _ = built(cells=9)
    coarse.likelihood.load_state_dict(model.likelihood.state_dict())
    same = coarse.posterior(x)
    torch.testing.assert_close(in_training.mean, same.mean)
    torch.testing.assert_close(in_training.variance, same.variance)
    assert torch.equal(rule.training_points, coarse.posterior.net.points)
    z, log_q = in_training.joint_rsample((7,))
    torch.testing.assert_close(log_q, same.log_prob(z))
    loss = objective(model, Batch(x, torch.zeros(5, dtype=torch.int64), None), torch.ones(()))
    assert loss.total.isfinite()


@pytest.mark.parametrize("argument", ["points", "training_points"])
@pytest.mark.parametrize("count", [0, 3])
def test_fewer_cells_than_two_along_each_dimension_are_refused(argument: str, count: int):
    with pytest.raises(ComponentError, match=rf"{argument} must be 4 or more for 2 .* Got {count}"):
        construct("posterior", f"bayes({argument}={count})", latent_dim=2)


def test_in_use_the_decoder_is_asked_once_until_its_weights_change(monkeypatch):
    model, _ = built(cells=16)
    rule, asked, x = model.posterior.net, [], torch.rand(2, *SHAPE).double()
    evaluate = rule.evaluate
    monkeypatch.setattr(rule, "evaluate", lambda z: asked.append(len(z)) or evaluate(z))
    first = [model.posterior(x).mass for _ in range(3)][-1]
    assert asked == [16]
    other, _ = built(cells=16)
    parameters = list(model.likelihood.parameters())
    adam = torch.optim.Adam(parameters, lr=0.1, fused=True)
    changes = {
        "a fused optimiser": adam.step,
        ".data": lambda: parameters[0].data.mul_(1.5),
        "other weights": lambda: model.load_state_dict(other.state_dict()),
    }
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    for change in changes.values():
        before = model.posterior(x).mass
        change()
        after = model.posterior(x).mass
        assert not torch.allclose(before, after)
        rule.memory = WhileUnchanged()
        assert torch.equal(after, model.posterior(x).mass)
    assert torch.equal(model.posterior(x).mass, other.posterior(x).mass)
    assert not torch.allclose(first, model.posterior(x).mass)


def test_what_is_remembered_is_saved_with_the_weights():
    one, _ = built(cells=64)
    x = torch.rand(2, *SHAPE).double()
    one.posterior.begin_step()
    other, _ = built(cells=64)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.train().posterior(x).mass, other.train().posterior(x).mass)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"prior": "vamp(components=3)"}, "needs the density of the prior"),
        ({"prior": "two-stage"}, "needs the density of the prior"),
        ({"likelihood": "pixelcnn"}, "depend on one another"),
        ({"objective": "elbo(beta=0)"}, "one β above 0"),
        ({"objective": "elbo(warmup=0.5)"}, "one β above 0"),
        ({"objective": "elbo(free_nats=1)"}, "one β above 0"),
        ({"objective": "mmd"}, "one β above 0"),
        ({"model": "ladder"}, "is for one layer"),
        ({"conditional": True}, "is not for conditional models"),
    ],
    ids=str,
)
def test_what_bayes_rule_is_not_for_is_refused(change: dict, why: str):
    with pytest.raises(ComponentError, match=f"Posterior 'bayes' .*{why}.*posterior 'gaussian'"):
        build(Parts(posterior="bayes", **change), shape=SHAPE, classes=3)


@pytest.mark.parametrize("prior", ["mixture(components=2)", "flow(hidden=4)"])
def test_a_prior_is_learned_along_and_its_base_is_saved(prior: str):
    parts = Parts(
        network="mlp(hidden=6)", posterior="bayes(points=64, refresh_interval=2)", prior=prior
    )
    model, objective = build(parts, shape=SHAPE)
    x = torch.rand(4, *SHAPE)
    model.posterior.begin_step()
    loss = objective(model, Batch(x, torch.zeros(4, dtype=torch.int64), None), torch.ones(()))
    loss.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.prior.parameters())
    base = model.posterior.base()
    again, _ = build(parts, shape=SHAPE, seed=1)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.posterior.base().mean, base.mean)
    assert torch.equal(again.eval().posterior(x).mass, model.eval().posterior(x).mass)


def test_texts_of_older_runs_are_read():
    made = construct("posterior", "lattice(cells=64, train_cells=9, renew=3)", latent_dim=2)
    assert made.spec == "bayes(points=64, training_points=9, refresh_interval=3)"
    assert made.sides == (8, 3)


def test_impossible_grids_are_refused():
    with pytest.raises(ComponentError, match="points must be 1024 or more for 10 dimensions"):
        construct("posterior", "bayes(points=1000)", latent_dim=10)
