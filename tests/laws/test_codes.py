"""Discrete posteriors and priors, held to closed forms and to counting."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from vaescape.batch import Batch
from vaescape.build import build, prior_over
from vaescape.components import construct
from vaescape.conditionals import CodePosterior, Neural
from vaescape.data import Batches
from vaescape.distributions import OneHot, Quantised, UniformCodes
from vaescape.errors import ComponentError
from vaescape.recipes import Parts, configuration
from vaescape.train import CheckpointFolder, TrainOptions, train

SHAPE = (1, 8, 8)
QUANTISERS = (
    "vq(codes=5, positions=2)",
    "residual-vq(codes=5, stages=3, positions=2)",
    "fsq(levels=[3, 4])",
    "fsq(levels=2)",
    "lfq(positions=2)",
    "sim-vq(codes=5, positions=2)",
)
DISCRETE = (*QUANTISERS, "gumbel-softmax(positions=2)")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def head_of(spec: str, latent_dim: int = 4) -> Any:
    return construct("posterior", spec, latent_dim=latent_dim)


def every_code(head: CodePosterior) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(head.codes), repeat=head.positions)))


def prior(spec: str, head: CodePosterior, latent_dim: int = 4) -> Any:
    posterior = Neural(torch.nn.Identity(), head, 1)
    return prior_over(head, spec, posterior=posterior, latent_dim=latent_dim)


# Codes and vectors -------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", DISCRETE)
def test_a_code_is_looked_up_as_the_vector_that_it_stands_for(spec: str):
    head = head_of(spec).train()
    head(torch.randn(64, 4))  # codebooks start from data
    q = head.eval()(torch.randn(7, 4))
    assert q.index.shape == (7, head.positions)
    assert ((q.index >= 0) & (q.index < head.codes)).all()
    if isinstance(q, Quantised):
        torch.testing.assert_close(head.lookup(q.index), q.mean)
    else:
        assert torch.equal(head.lookup(q.index), F.one_hot(q.index, 2).float().flatten(-2))
    tables = head.tables()
    parts = q.index.unflatten(-1, (-1, len(tables))).unbind(-1)
    summed = torch.stack([table[i] for table, i in zip(tables, parts, strict=True)]).sum(0)
    torch.testing.assert_close(summed.flatten(-2).float(), head.lookup(q.index).float())


@pytest.mark.parametrize("spec", [s for s in DISCRETE if not s.startswith("residual")])
def test_vectors_tell_their_codes(spec: str):
    head = head_of(spec)
    index = every_code(head)
    assert torch.equal(head.index(head.lookup(index)), index)


def test_a_sum_of_residual_codes_is_not_taken_apart_by_guessing():
    with pytest.raises(ComponentError, match="does not tell which they were"):
        head_of(QUANTISERS[1]).index(torch.randn(2, 4))


@pytest.mark.parametrize(("levels", "count"), [(2, 2), (5, 5), (8, 8)])
def test_fsq_has_as_many_levels_as_it_says_evenly_from_end_to_end(levels: int, count: int):
    head = head_of(f"fsq(levels={levels})", latent_dim=1)
    z = head(torch.linspace(-9, 9, 4001)[:, None]).mean
    torch.testing.assert_close(z.unique(), torch.linspace(-1, 1, count))


def test_fsq_codes_are_numbered_as_mixed_digits():
    head = head_of("fsq(levels=[3, 4])")
    assert (head.positions, head.codes) == (2, 12)
    z = head.lookup(torch.tensor([[7, 0]]))  # 7 = 1 + 2 · 3
    torch.testing.assert_close(z, torch.tensor([[0.0, 1 / 3, -1.0, -1.0]]))


def test_vq_takes_the_nearest_vector():
    head = head_of("vq(codes=5, positions=2)").eval()
    raw = torch.randn(50, 4)
    brute = torch.cdist(raw.view(50, 2, 2), head.books[0].vectors).argmin(-1)
    assert torch.equal(head(raw).index, brute)


def test_a_residual_codebook_quantises_what_is_left():
    head = head_of("residual-vq(codes=5, stages=3, positions=1)").eval()
    raw = torch.randn(6, 4)
    left, chosen, penalty = raw, [], 0.0
    for book in head.books:
        nearest = torch.cdist(left, book.vectors).argmin(-1)
        left = left - book.vectors[nearest]
        penalty = penalty + left.square().sum(-1)
        chosen.append(nearest)
    q = head(raw)
    assert torch.equal(q.index, torch.stack(chosen, -1))
    torch.testing.assert_close(q.mean, raw - left)
    torch.testing.assert_close(q.penalty, 0.25 * penalty)


def test_lfq_codes_are_the_signs_numbered_bit_by_bit():
    head = head_of("lfq(positions=2)")
    assert (head.positions, head.codes) == (2, 4)
    raw = torch.tensor([[0.3, -2.0, 0.0, 1e-9]])
    q = head(raw)
    assert q.mean.tolist() == [[1.0, -1.0, -1.0, 1.0]]
    assert q.index.tolist() == [[1, 2]]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_lfq_asks_for_the_entropies_of_a_softmax_over_all_codes(temperature: float):
    """Yu et al. 2024, eq. 5, where q(code | x) ∝ exp(−|f(x) − code|² / temperature)."""
    head = head_of(f"lfq(positions=2, entropy=3, commitment=0, temperature={temperature})", 6)
    raw = torch.randn(7, 6).double()
    table = head.tables()[0].double()
    apart = (raw.view(7, 2, 1, 3) - table).square().sum(-1)
    q = (-apart / temperature).softmax(-1)
    mean = q.mean(0)
    sure = -(q * q.log()).sum((-2, -1))
    even = -(mean * mean.log()).sum()
    torch.testing.assert_close(head(raw).penalty, 3 * (sure - even))


def test_lfq_asks_least_where_all_codes_are_used_alike_and_each_image_is_sure():
    head = head_of("lfq(commitment=0)", latent_dim=3)
    every = head.lookup(every_code(head))
    torch.testing.assert_close(head(20 * every).penalty, torch.full((8,), -math.log(8)))
    torch.testing.assert_close(head(torch.zeros(5, 3)).penalty, torch.zeros(5))
    torch.testing.assert_close(head(20 * every[:1].expand(5, 3)).penalty, torch.zeros(5))


def test_lfq_has_a_finite_gradient_where_codes_are_never_used():
    raw = torch.tensor([[90.0, 80.0, -70.0, 0.3]]).expand(5, 4).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(head_of("lfq")(raw).penalty.sum(), raw)
    assert gradient.isfinite().all()


def test_lfq_commits_as_vq_does():
    head = head_of("lfq(positions=2, entropy=0, commitment=0.5)")
    raw = torch.randn(6, 4)
    torch.testing.assert_close(head(raw).penalty, 0.5 * (raw - raw.sign()).square().sum(-1))


def test_sim_vq_takes_the_nearest_vector_of_the_turned_codebook():
    head = head_of("sim-vq(codes=5, positions=2)")
    torch.nn.init.normal_(head.turn)
    raw = torch.randn(50, 4)
    brute = torch.cdist(raw.view(50, 2, 2), head.frozen @ head.turn).argmin(-1)
    assert torch.equal(head(raw).index, brute)
    torch.testing.assert_close(head.tables()[0], (head.frozen @ head.turn).detach())


def test_sim_vq_moves_its_whole_codebook_for_one_encoding():
    """Σ_i |sg f_i − c_i W|² has the gradient Σ_i 2 c_iᵀ (c_i W − f_i) with respect to W."""
    head = head_of("sim-vq(codes=5, positions=2, commitment=0.5)").train()
    torch.nn.init.normal_(head.turn)
    raw = torch.randn(1, 4, requires_grad=True)
    before, frozen = head.vectors.detach(), head.frozen.clone()
    q = head(raw)
    to_raw, to_turn = torch.autograd.grad(q.penalty.sum(), [raw, head.turn])
    c, apart = frozen[q.index[0]], q.mean.view(2, 2) - raw.view(2, 2)
    torch.testing.assert_close(to_turn, 2 * c.T @ apart)
    torch.testing.assert_close(to_raw, -2 * 0.5 * apart.view(1, 4))
    torch.testing.assert_close(q.penalty, 1.5 * apart.square().sum()[None])
    with torch.no_grad():
        head.turn -= 0.1 * to_turn
    assert ((head.vectors - before).abs() > 0).all()
    assert torch.equal(head.frozen, frozen)
    assert [name for name, _ in head.named_parameters()] == ["turn"]


# Gradients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", QUANTISERS)
def test_the_gradient_goes_straight_through(spec: str):
    """To the encodings of a codebook as it is; to what FSQ rounds, tanh, likewise."""
    head = head_of(spec)
    raw, weight = torch.randn(6, 4, requires_grad=True), torch.randn(3, 6, 4)
    z = head(raw).rsample((3,))
    (got,) = torch.autograd.grad((weight * z).sum(), raw)
    smooth = raw.tanh() if spec.startswith("fsq") else raw
    (expected,) = torch.autograd.grad((weight * smooth).sum(), raw)
    torch.testing.assert_close(got, expected)


def test_the_commitment_pulls_encodings_and_nothing_else():
    head = head_of("vq(codes=5, positions=2, commitment=0.5)").eval()
    raw = torch.randn(6, 4, requires_grad=True)
    q = head(raw)
    (got,) = torch.autograd.grad(q.penalty.sum(), raw)
    torch.testing.assert_close(got, 2 * 0.5 * (raw - q.mean).detach())
    assert not list(head.parameters())


def test_the_commitment_is_summed_over_positions_and_averaged_over_images():
    parts = Parts(network="mlp(hidden=4)", posterior="vq(codes=3)", prior="uniform-codes")
    model, objective = build(parts, shape=SHAPE)
    x, t = torch.rand(6, *SHAPE), torch.tensor(1.0)
    loss = objective(model.eval(), Batch(x), t)
    q = model.posterior(x)
    raw = model.posterior.net(x)
    by_hand = 0.25 * (raw - q.mean).square().sum(-1).mean()
    torch.testing.assert_close(loss.metrics["penalty"], by_hand)
    kept = loss.metrics["reconstruction"] + loss.metrics["kl"]
    torch.testing.assert_close(loss.total, kept + by_hand)


# The codebook ------------------------------------------------------------------------------------


def test_the_codebook_follows_the_moving_averages():
    """Against van den Oord et al. 2017, appendix A.1, in a loop."""
    book = head_of("vq(codes=3, decay=0.9)", latent_dim=2).books[0].train()
    book(torch.randn(30, 2))
    count, total = book.count.clone(), book.total.clone()
    for _ in range(3):
        e = torch.randn(30, 2)
        index = torch.cdist(e, book.vectors).argmin(-1)
        for k in range(3):
            mine = e[index == k]
            count[k] = 0.9 * count[k] + 0.1 * len(mine)
            total[k] = 0.9 * total[k] + 0.1 * mine.sum(0)
        book(e)
        torch.testing.assert_close(book.count, count)
        torch.testing.assert_close(book.total, total)
        torch.testing.assert_close(book.vectors, total / count[:, None])


def test_every_code_starts_on_an_encoding():
    book = head_of("vq(codes=8, decay=0.999999)", latent_dim=2).books[0].train()
    e = torch.randn(40, 2)
    book(e)
    distances = torch.cdist(book.vectors, e).min(1)
    assert (distances.values < 1e-3).all()
    assert len(distances.indices.unique()) == 8


def test_a_moved_code_has_its_counts_reset_and_survives_the_next_step():
    book = head_of("vq(codes=4)", latent_dim=2).books[0].train()
    e = 5 + torch.randn(40, 2)
    book(e)
    book.count[2] = 1e-4  # of hardly any use, far away
    book.vectors[2] = 50.0
    book.total[2] = 50.0 * 1e-4
    book(e)
    moved = book.vectors[2].clone()
    assert (moved - e).norm(dim=-1).min() < 0.1
    assert book.count[2] > 9  # an even share of 40 is 10
    torch.testing.assert_close(book.total[2] / book.count[2], book.vectors[2])
    book(e)
    assert (book.vectors[2] - moved).norm() < 0.1
    assert (book.nearest(e) == 2).any()


def test_the_codebook_learns_in_training_alone():
    head = head_of("vq(codes=4)")
    head.eval()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head(torch.randn(20, 4))
    assert all(torch.equal(before[name], value) for name, value in head.state_dict().items())
    head.train()(torch.randn(20, 4))
    assert not torch.equal(before["books.0.vectors"], head.state_dict()["books.0.vectors"])


def test_codes_are_float32_under_bfloat16():
    head = head_of("vq(codes=5, positions=2)").eval()
    raw = torch.randn(50, 4)
    plain = head(raw).index
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head(raw).index, plain)


# Densities ---------------------------------------------------------------------------------------


def test_a_point_mass_has_all_of_it_at_its_code():
    q = Quantised(torch.tensor([[1.0, 2.0]]), torch.tensor([[3]]))
    assert q.log_prob(q.sample((2,))).tolist() == [[0.0], [0.0]]
    assert q.log_prob(torch.tensor([[1.0, 2.5]])).item() == -math.inf


def test_the_kl_of_a_quantiser_is_the_log_of_the_number_of_codes():
    head = head_of("vq(codes=5, positions=2)")
    q, p = head(torch.randn(3, 4)), prior("uniform-codes", head)()
    found = q.kl_to(p)
    assert found is not None
    torch.testing.assert_close(found, torch.full((3,), 2 * math.log(5)))
    z = q.rsample((7,))
    torch.testing.assert_close(q.log_prob(z) - p.log_prob(z), found.expand(7, 3))


def test_gumbel_softmax_kl_against_the_sum_over_all_codes():
    head = head_of("gumbel-softmax(positions=2)", latent_dim=6).eval().double()
    q = head(torch.randn(4, 6, dtype=torch.float64))
    p = prior("uniform-codes", head, 6)()
    z = head.lookup(every_code(head)).double()[:, None]
    log_q = q.log_prob(z)
    torch.testing.assert_close(log_q.exp().sum(0), torch.ones(4, dtype=torch.float64))
    brute = (log_q.exp() * (log_q + 2 * math.log(3))).sum(0)
    torch.testing.assert_close(q.kl_to(p), brute)


@pytest.mark.parametrize("temperature", [None, 0.5])
def test_gumbel_softmax_draws_fall_where_the_probabilities_say(temperature: float | None):
    """The largest entry of a relaxed draw is the exact draw (Maddison et al. 2017, prop. 1b)."""
    logits = torch.tensor([[[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]])
    z = OneHot(logits, temperature).rsample((20_000,)).unflatten(-1, (2, 3))
    torch.testing.assert_close(z.sum(-1), torch.ones(20_000, 1, 2))
    if temperature is None:
        assert set(z.unique().tolist()) == {0.0, 1.0}
    shares = F.one_hot(z.argmax(-1), 3).float().mean(0)
    torch.testing.assert_close(shares, logits.softmax(-1), atol=0.015, rtol=0)


def test_relaxed_draws_have_the_gumbel_softmax_density():
    """Two categories: log-odds of z are logistic about the logits' difference, at 1/τ the scale.

    Jang et al. 2017, appendix B, integrated.
    """
    tau, gap = 0.7, 0.8
    z = OneHot(torch.tensor([[gap, 0.0]]), tau).rsample((40_000,))[:, 0]
    for threshold in (0.1, 0.5, 0.9):
        exact = torch.sigmoid(torch.tensor(gap - tau * math.log(threshold / (1 - threshold))))
        assert (z > threshold).float().mean().item() == pytest.approx(exact.item(), abs=0.01)


def test_relaxed_draws_carry_a_gradient_and_no_probability():
    logits = torch.zeros(1, 1, 3, requires_grad=True)
    q = OneHot(logits, 0.5)
    z = q.rsample()
    (gradient,) = torch.autograd.grad(z[0, 0], logits)
    assert gradient.abs().sum() > 0
    with pytest.raises(ComponentError, match="only an exact KL"):
        q.log_prob(z)


def test_improbable_categories_leave_the_gradient_finite():
    logits = torch.tensor([[[0.0, -500.0]]], requires_grad=True)
    OneHot(logits).entropy().sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


# Priors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["uniform-codes", "autoregressive(width=8, heads=2)"])
@pytest.mark.parametrize("posterior", ["vq(codes=3, positions=4)", "fsq(levels=3)"])
def test_probabilities_of_all_codes_sum_to_one(spec: str, posterior: str):
    head = head_of(posterior)
    p = prior(spec, head)()
    index = every_code(head)
    log_mass = p.log_mass(index)
    assert log_mass.exp().sum().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(p.log_prob(head.lookup(index)), log_mass)


def test_the_autoregressive_prior_sees_only_earlier_positions():
    net = prior("autoregressive(width=8, heads=2)", head_of("fsq(levels=3)")).net
    index = torch.randint(3, (5, 4))
    logits = net(index)
    for position in range(4):
        other = index.clone()
        other[:, position] = (other[:, position] + 1) % 3
        same = (net(other) == logits).all(-1).all(0)
        assert same[: position + 1].all()
        assert not same[position + 1 :].any()


def test_the_autoregressive_prior_draws_what_it_scores():
    head = head_of("fsq(levels=3)", latent_dim=2)
    made = prior("autoregressive(width=8, heads=2)", head, 2)
    for parameter in made.parameters():  # far from uniform
        torch.nn.init.normal_(parameter, std=0.7)
    p, index = made(), every_code(head)
    probability = p.log_mass(index).exp()
    drawn = head.index(p.sample((20_000,)))
    shares = torch.stack([(drawn == code).all(-1).float().mean() for code in index])
    assert probability.max() > 2 / 9
    torch.testing.assert_close(shares, probability, atol=0.015, rtol=0)


def test_a_learned_prior_over_residual_codes_scores_the_codes_that_were_chosen():
    head = head_of("residual-vq(codes=3, stages=2)")
    p, q = prior("autoregressive(width=8, heads=2)", head)(), head(torch.randn(5, 4))
    torch.testing.assert_close(q.kl_to(p), -p.log_mass(q.index))


# What has a meaning ------------------------------------------------------------------------------


def test_a_posterior_brings_its_prior_unless_one_is_chosen():
    def chosen(**changes):
        return configuration("paper", **changes).parts.prior

    assert chosen() == "normal"
    assert chosen(posterior="vq(codes=8)") == "uniform-codes"
    assert chosen(posterior="vq", prior="autoregressive") == "autoregressive"
    assert configuration("paper", posterior="fsq").baseline().parts.prior == "normal"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"posterior": "vq"}, "at discrete codes.*'normal'.*Use prior 'uniform-codes'"),
        ({"prior": "uniform-codes"}, "anywhere in latent space.*Use prior 'normal'"),
        ({"prior": "autoregressive"}, "anywhere in latent space.*Use prior 'normal'"),
        (
            {"posterior": "vq", "prior": "uniform-codes", "objective": "iwae"},
            "all the same.*Use objective 'elbo'",
        ),
        (
            {"posterior": "gumbel-softmax", "prior": "uniform-codes", "objective": "miwae"},
            "relaxed.*Use objective 'elbo'",
        ),
        (
            {"posterior": "gumbel-softmax", "prior": "autoregressive"},
            "cannot score.*fit-prior",
        ),
        ({"posterior": "vq", "prior": "uniform-codes", "model": "ladder"}, "Use model .vae."),
        ({"posterior": "vq(positions=2)", "latent": 3}, "3 cannot be cut into 2 equal parts"),
        ({"posterior": "fsq(levels=[3, 3])", "latent": 3}, "3 cannot be cut into 2 equal parts"),
        ({"posterior": "fsq(levels=1)"}, "levels must be whole numbers of 2 or more"),
        ({"posterior": "vq(codes=1)"}, "codes must be 2 or more"),
        ({"posterior": "sim-vq(codes=1)"}, "codes must be 2 or more"),
        ({"posterior": "lfq", "latent": 15}, "latent_over_positions must be 14 or less"),
        ({"posterior": "lfq(temperature=0)"}, "temperature must be a number above 0"),
        ({"posterior": "gumbel-softmax(temperature=0)"}, "temperature must be a number above 0"),
        ({"posterior": "gumbel-softmax(positions=2)"}, "must be 2 categories or more"),
    ],
)
def test_what_has_no_meaning_is_refused_with_the_reason(change: dict, words: str):
    with pytest.raises(ComponentError, match=words):
        build(Parts(**change), shape=SHAPE)


@pytest.mark.parametrize("objective", ["elbo", "elbo(free_nats=0.5)", "capacity", "geco", "mmd"])
@pytest.mark.parametrize("posterior", DISCRETE)
def test_objectives_of_one_draw_train_discrete_posteriors(objective: str, posterior: str):
    parts = Parts(
        network="mlp(hidden=4)", posterior=posterior, objective=objective, latent=4
    ).with_fitting_prior()
    model, loss = build(parts, shape=SHAPE)
    found = loss(model, Batch(torch.rand(6, *SHAPE)), torch.tensor(0.5))
    found.total.backward()
    assert found.total.isfinite()
    assert isinstance(model.prior(), UniformCodes)


def test_a_resumed_codebook_has_the_bits_of_one_never_stopped(tmp_path):
    images = (255 * torch.rand(40, *SHAPE)).byte()
    options = TrainOptions(epochs=2, batch=10, threads=1, checkpoint_seconds=0)
    parts = Parts(network="mlp(hidden=4)", posterior="vq(codes=4)", prior="uniform-codes")

    def training(checkpoints=None):
        model, objective = build(parts, shape=SHAPE)
        batches = Batches(images, torch.zeros(40, dtype=torch.long), batch=10, seed=0)
        return model, train(model, objective, batches, options, checkpoints=checkpoints)

    model, ticks = training()
    list(ticks)
    _, stopped = training(CheckpointFolder(tmp_path, {}))
    next(stopped)
    stopped.close()
    resumed, ticks = training(CheckpointFolder(tmp_path, {}))
    assert [tick.final for tick in ticks][-1]
    found = resumed.state_dict()
    assert "posterior.head.books.0.count" in found
    assert all(torch.equal(value, found[name]) for name, value in model.state_dict().items())
