"""Closed forms of the likelihoods: masses, draws, optima, and what they refuse."""

import math
from typing import Any

import pytest
import torch
from scipy.stats import chisquare, laplace
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional as F

import vaescape.likelihoods  # noqa: F401 — registers the members
from vaescape.components import construct, known
from vaescape.conditionals import Likelihood, Measure
from vaescape.distributions import (
    Bernoulli,
    CategoricalLevels,
    DiscretisedLogistic,
    LogisticMixture,
    PseudoBernoulli,
)
from vaescape.errors import ComponentError, DataError
from vaescape.metrics.reconstruction import mirrored, ssim_map

BYTES = torch.arange(256, dtype=torch.float64) / 255
LOCS = [-3.0, -0.001, 0.0, 0.3, 77 / 255, 1.0, 4.0]
FLOOR = math.log(0.1 / 255)
LOG_SCALES = [FLOOR, math.log(1 / 255), -3.0, 0.0, 5.0, 40.0]
SHAPE = (1, 3, 3)
BYTE_MEMBERS = [
    n
    for n in known("likelihood")
    if construct("likelihood", n, shape=SHAPE).measure is Measure.BYTE
]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def logistic(loc: float, log_scale: float, dtype: torch.dtype = torch.float64):
    """One pixel."""
    return DiscretisedLogistic(*torch.tensor([[loc], [log_scale]], dtype=dtype), event_dims=1)


def masses(loc: float, log_scale: float) -> Tensor:
    """The same in so many words: differences of σ, each taken on the side where it is small."""
    scale = math.exp(log_scale)
    lower = ((torch.arange(256) - 0.5).double() / 255 - loc) / scale
    upper = ((torch.arange(256) + 0.5).double() / 255 - loc) / scale
    lower[0], upper[-1] = -torch.inf, torch.inf
    right = lower > 0
    a, b = torch.where(right, -upper, lower), torch.where(right, -lower, upper)
    return b.sigmoid() - a.sigmoid()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_scale", LOG_SCALES)
@pytest.mark.parametrize("loc", LOCS)
def test_the_logistic_sums_to_one_with_its_open_tails(loc, log_scale, dtype):
    log_p = logistic(loc, log_scale, dtype).log_prob(BYTES[:, None].to(dtype))
    assert log_p.dtype == dtype
    assert log_p.isfinite().all()
    within = 2e-5 if dtype == torch.float32 else 1e-12
    assert log_p.double().exp().sum().item() == pytest.approx(1, abs=within)


@pytest.mark.parametrize("log_scale", LOG_SCALES[:-1])
@pytest.mark.parametrize("loc", LOCS)
def test_the_logistic_is_the_difference_of_sigmoids(loc: float, log_scale: float):
    exact = masses(loc, log_scale)
    ours = logistic(loc, log_scale).log_prob(BYTES[:, None])
    seen = exact > 1e-300
    torch.testing.assert_close(ours[seen], exact[seen].log(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("log_scale", [*LOG_SCALES, 200.0])
@pytest.mark.parametrize("loc", [-19.5, 0.3, 20.5])
@pytest.mark.parametrize("byte", [0, 1, 128, 255])
def test_the_logistic_has_finite_gradients_that_pull_inward(loc, log_scale, byte):
    place, spread = (torch.tensor([v], requires_grad=True) for v in (loc, log_scale))
    log_p = DiscretisedLogistic(place, spread, event_dims=1).log_prob(torch.tensor([byte / 255]))
    to_place, to_spread = torch.autograd.grad(log_p, (place, spread))
    assert log_p.isfinite()
    assert to_place.isfinite()
    assert to_spread.isfinite()
    if abs(loc) > 1 and log_scale < 0 and 0 < byte < 255:
        assert to_place.item() * loc < 0
        assert to_spread.item() > 0
    if log_scale == 40 and 0 < byte < 255:
        assert to_spread.item() == pytest.approx(-1, rel=1e-5)


def test_the_gradients_of_the_logistic_are_those_of_its_value():
    k = torch.tensor([0.0, 3.0, 128.0, 255.0]).double() / 255
    place, spread = torch.tensor([[0.1, 0.02, 0.4, 0.9], [-3, -5, -1, -2]]).double()
    inputs = (place.requires_grad_(), spread.requires_grad_())
    assert torch.autograd.gradcheck(lambda m, s: DiscretisedLogistic(m, s, 1).log_prob(k), inputs)


@pytest.mark.parametrize("log_scale", [*LOG_SCALES, -0.001, 0.001])
@pytest.mark.parametrize("loc", LOCS)
def test_the_mean_of_the_logistic_is_within_the_rounding(loc: float, log_scale: float):
    exact = (masses(loc, log_scale) * BYTES).sum().item()
    found = logistic(loc, log_scale).mean.item()
    assert abs(found - exact) <= 0.5 / 255
    if log_scale >= math.log(1 / 255):
        assert found == pytest.approx(exact, abs=0.02 / 255)
    in_float32 = logistic(loc, log_scale, torch.float32).mean.item()
    assert in_float32 == pytest.approx(found, abs=1e-5)


def raw_pixel(name: str) -> tuple[Likelihood, Tensor]:
    """A likelihood of one grey pixel, and a raw output for it that is not symmetric."""
    head = construct("likelihood", name, shape=SHAPE)
    raw = torch.randn(head.channels(1), 1, 1, dtype=torch.float64)
    return head, 3 * raw if name == "categorical" else raw


@pytest.mark.parametrize("name", BYTE_MEMBERS)
def test_a_pixel_counts_as_the_nearest_byte(name: str):
    head, raw = raw_pixel(name)
    inside = BYTES[1:-1, None, None, None]
    for shift in (-0.45, 0.45):
        near = inside + shift / 255
        torch.testing.assert_close(head(raw).log_prob(near), head(raw).log_prob(inside))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", BYTE_MEMBERS)
def test_draws_of_bytes_follow_their_probabilities(name: str, seed: int):
    torch.manual_seed(seed)
    head, raw = raw_pixel(name)
    d = head(raw)
    p = d.log_prob(BYTES[:, None, None, None]).exp()
    draws = d.sample((40_000,)).flatten()
    counts = torch.bincount((255 * draws).round().long(), minlength=256)
    torch.testing.assert_close(draws, (255 * draws).round() / 255, rtol=0, atol=0)
    common = 40_000 * p >= 5
    expected, seen = 40_000 * p[common], counts[common].double()
    if not common.all():
        expected = torch.cat([expected, 40_000 - expected.sum()[None]])
        seen = torch.cat([seen, 40_000 - seen.sum()[None]])
    assert chisquare(seen.numpy(), expected.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("name", BYTE_MEMBERS)
def test_draws_have_the_spread_and_means_do_not(name: str):
    head, raw = raw_pixel(name)
    d = head(raw)
    p = d.log_prob(BYTES[:, None, None, None]).exp()
    mean = (p * BYTES).sum()
    variance = (p * (BYTES - mean) ** 2).sum().item()
    torch.testing.assert_close(d.mean.squeeze(), mean, rtol=0, atol=1e-4)
    assert d.sample((40_000,)).var().item() == pytest.approx(variance, rel=0.05)


def test_a_mixture_of_one_is_the_plain_logistic():
    one = construct("likelihood", "logistic-mixture(components=1)")
    plain = construct("likelihood", "discretised-logistic")
    raw, x = torch.randn(5, 4, 4, 6, 6), torch.rand(4, 2, 6, 6)
    weighted = torch.cat([torch.randn(5, 4, 1, 6, 6), raw], dim=-3)
    torch.testing.assert_close(one(weighted).log_prob(x), plain(raw).log_prob(x))
    torch.testing.assert_close(one(weighted).mean, plain(raw).mean)


def test_a_mixture_is_the_weighted_sum_of_its_components():
    logits, loc, log_scale = torch.randn(3, 1, 1), torch.rand(3, 1, 1, 1), torch.rand(3, 1, 1, 1)
    parts = [masses(m.item(), s.item() - 3) for m, s in zip(loc, log_scale, strict=True)]
    exact = sum(w * p for w, p in zip(logits.double().softmax(0).flatten(), parts, strict=True))
    mixture = LogisticMixture(logits.double(), loc.double(), log_scale.double() - 3)
    torch.testing.assert_close(mixture.log_prob(BYTES[:, None, None, None]).exp(), exact)


def test_the_channels_of_a_mixture_share_the_component():
    """All 65,536 colours sum to one, and the two channels of a draw go together."""
    loc = torch.tensor([[0.2, 0.1], [0.8, 0.9]]).double()[..., None, None]
    mixture = LogisticMixture(torch.zeros(2, 1, 1).double(), loc, torch.full_like(loc, -4))
    colours = torch.cartesian_prod(BYTES, BYTES)
    p = mixture.log_prob(colours[..., None, None]).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-9)
    exact = torch.cov(colours.T, aweights=p, correction=0)
    assert exact[0, 1] / (exact[0, 0] * exact[1, 1]).sqrt() > 0.9
    draws = mixture.sample((20_000,)).flatten(1)
    torch.testing.assert_close(torch.cov(draws.T), exact, rtol=0.05, atol=0)


def test_the_components_of_a_mixture_start_apart():
    d = construct("likelihood", "logistic-mixture(components=4)")(torch.zeros(12, 1, 1))
    assert d.loc.flatten().tolist() == [0.125, 0.375, 0.625, 0.875]


def test_categorical_is_the_cross_entropy_of_256_classes():
    head = construct("likelihood", "categorical")
    raw, bytes_ = torch.randn(4, head.channels(2), 3, 3), torch.randint(256, (4, 2, 3, 3))
    logits = raw.view(4, 2, 256, 3, 3).transpose(1, 2)
    exact = -F.cross_entropy(logits, bytes_, reduction="none").flatten(1).sum(1)
    torch.testing.assert_close(head(raw).log_prob(bytes_ / 255), exact)


def test_categorical_survives_extreme_logits():
    logits = torch.zeros(1, 256)
    logits[0, 7] = 1e4
    d = CategoricalLevels(logits.requires_grad_(), event_dims=1)
    log_p = d.log_prob(torch.tensor([[7 / 255], [8 / 255]]))
    assert log_p.tolist() == [0, -1e4]
    (gradient,) = torch.autograd.grad(log_p.sum(), logits)
    assert gradient.isfinite().all()
    assert d.mean.item() == pytest.approx(7 / 255)


def test_on_black_and_white_the_bernoulli_is_the_cross_entropy_and_on_grey_impossible():
    logits, x = 5 * torch.randn(5, 4, 2, 3, 3), torch.rand(4, 2, 3, 3).round()
    ours = Bernoulli(logits).log_prob(x)
    exact = torch.distributions.Bernoulli(logits=logits).log_prob(x).flatten(-3).sum(-1)
    torch.testing.assert_close(ours, exact)
    torch.testing.assert_close(ours, PseudoBernoulli(logits).log_prob(x))
    x[1, 0, 2, 2] = 0.5
    found = Bernoulli(logits).log_prob(x)
    assert (found[:, 1] == -torch.inf).all()
    assert found[:, [0, 2, 3]].isfinite().all()


def test_grey_images_are_refused_by_the_bernoulli_and_by_no_other():
    grey, binary = torch.rand(4, 1, 3, 3), torch.rand(4, 1, 3, 3).round()
    for name in known("likelihood"):
        head = construct("likelihood", name, shape=SHAPE)
        head.check_images(binary)
        if head.measure is not Measure.BINARY:
            head.check_images(grey)
    with pytest.raises(DataError, match=r"0 or 1\. Got 0\.\d+, and 100% .* grey.*continuous"):
        construct("likelihood", "bernoulli").check_images(grey)


def test_laplace_is_scipys_and_scores_its_draws():
    head = construct("likelihood", "laplace(scale=0.2)")
    raw, x = torch.randn(4, 1, 3, 3).double(), torch.randn(4, 1, 3, 3).double()
    exact = laplace.logpdf(x.numpy(), raw.sigmoid().numpy(), 0.2).sum((1, 2, 3))
    torch.testing.assert_close(head(raw).log_prob(x), torch.from_numpy(exact), rtol=1e-6, atol=0)
    draws = head(raw).sample((20_000,))
    torch.testing.assert_close(draws.var(0), torch.full_like(raw, 2 * 0.2**2), rtol=0.1, atol=0)
    entropy = -head(raw).log_prob(draws)
    exact_entropy = 9 * (1 + math.log(2 * 0.2))
    assert ((entropy.mean(0) - exact_entropy).abs() < 4 * entropy.std(0) / 20_000**0.5).all()


def test_the_learned_scale_of_a_laplace_has_its_optimum_at_the_mean_absolute_error():
    """There the density costs D (log 2e + log MAE) exactly."""
    head = construct("likelihood", "laplace(learned=True)").double()
    raw, x = torch.randn(16, 1, 6, 6).double(), torch.rand(16, 1, 6, 6).double()
    newton = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        newton.zero_grad()
        loss = -head(raw).log_prob(x).mean()
        loss.backward()
        return loss

    newton.step(closure)
    mae = (raw.sigmoid() - x).abs().mean()
    exact = 36 * torch.log(2 * math.e * mae)
    torch.testing.assert_close(-head(raw).log_prob(x).mean(), exact, rtol=1e-9, atol=0)
    torch.testing.assert_close(head.scale, mae, rtol=1e-4, atol=0)


def test_the_learned_laplace_starts_as_the_fixed_one_and_stays_above_its_floor():
    raw, x = torch.randn(4, 1, 3, 3), torch.rand(4, 1, 3, 3)
    fixed, learned = (
        construct("likelihood", f"laplace(scale=0.2, learned={kind})") for kind in (False, True)
    )
    torch.testing.assert_close(learned(raw).log_prob(x), fixed(raw).log_prob(x))
    learned.raw_log_scale.data.fill_(-1e3)
    assert learned.scale.item() == pytest.approx(math.exp(-6))
    with pytest.raises(ComponentError, match=r"scale must be a number above 0\.0025"):
        construct("likelihood", "laplace(scale=0.001, learned=True)")


@pytest.mark.parametrize("error", [0.01, 0.3])
def test_the_sigma_of_a_pixel_has_its_optimum_at_its_error(error: float):
    head = construct("likelihood", "gaussian-pixel")
    spread = torch.linspace(-12, 12, 4001).double()
    raw = torch.stack([torch.zeros_like(spread), spread], dim=1)[..., None, None]
    d = head(raw)
    best = d.log_prob(torch.full((1, 1, 1, 1), 0.5 + error).double()).argmax()
    assert d.scale[best].item() == pytest.approx(error, rel=0.01)


def test_the_sigma_of_a_pixel_has_a_soft_floor():
    head = construct("likelihood", "gaussian-pixel(sigma=0.2)")
    assert head(torch.zeros(2, 1, 1)).scale.item() == pytest.approx(0.2)
    raw = torch.tensor([0.0, -12.0])[:, None, None].requires_grad_()
    d = head(raw)
    assert d.log_scale.item() > -6
    (gradient,) = torch.autograd.grad(d.log_prob(torch.full((1, 1, 1), 0.9)), raw)
    assert gradient.isfinite().all()
    assert gradient[1].item() > 0


def outputs() -> tuple[Tensor, Tensor]:
    """Raw images (K, B, C, H, W) and targets (B, C, H, W)."""
    raw = torch.randn(3, 16, 1, 6, 6).double().requires_grad_()
    return raw, torch.rand(16, 1, 6, 6).double()


def test_the_optimal_sigma_costs_the_logarithm_of_the_error():
    """Value and gradient are those of D/2 (log 2πe + log MSE)."""
    raw, x = outputs()
    loss = -construct("likelihood", "gaussian-optimal")(raw).log_prob(x)
    assert loss.shape == (3, 16)
    exact = 36 / 2 * torch.log(2 * torch.pi * torch.e * ((raw.sigmoid() - x) ** 2).mean())
    torch.testing.assert_close(loss.mean(), exact, rtol=1e-12, atol=0)
    (ours,), (theirs,) = torch.autograd.grad(loss.mean(), raw), torch.autograd.grad(exact, raw)
    torch.testing.assert_close(ours, theirs)


def test_no_other_sigma_does_better_than_the_optimal_one():
    raw, x = outputs()
    best = construct("likelihood", "gaussian-optimal")(raw).log_prob(x).mean()
    rms = ((raw.sigmoid() - x) ** 2).mean().sqrt().item()
    for factor in (0.9, 1.1):
        other = construct("likelihood", f"gaussian(sigma={factor * rms})")
        assert other(raw).log_prob(x).mean() < best


def test_the_optimal_sigma_is_not_fitted_to_what_is_evaluated():
    head, errors = construct("likelihood", "gaussian-optimal"), []
    for _ in range(3):
        raw, x = outputs()
        head(raw).log_prob(x)
        errors.append(((raw.sigmoid() - x) ** 2).mean())
    head.eval()
    before = {key: value.clone() for key, value in head.state_dict().items()}
    raw, x = outputs()
    together = head(raw).log_prob(x)
    alone = [head(raw[:, i : i + 1]).log_prob(x[i : i + 1]) for i in range(16)]
    torch.testing.assert_close(together, torch.cat(alone, dim=1), rtol=1e-12, atol=0)
    expected = torch.stack(errors).mean().float()
    torch.testing.assert_close(head.variance, expected, rtol=1e-6, atol=0)
    assert all(torch.equal(before[key], value) for key, value in head.state_dict().items())


def test_the_running_sigma_forgets():
    head = construct("likelihood", "gaussian-optimal")
    for mse in [1.0] * 500 + [0.01] * 1000:
        head.fit(torch.tensor(mse))
    assert head.variance.item() == pytest.approx(0.01, rel=0.01)


def test_constant_images_have_a_finite_optimum():
    head = construct("likelihood", "gaussian-optimal")
    raw = torch.zeros(4, 1, 6, 6, requires_grad=True)
    log_p = head(raw).log_prob(torch.full((4, 1, 6, 6), 0.5))
    (gradient,) = torch.autograd.grad(log_p.sum(), raw)
    assert log_p.isfinite().all()
    assert gradient.isfinite().all()
    assert head.variance.sqrt().item() == pytest.approx(math.exp(-6))


def test_every_likelihood_says_its_measure():
    class Silent(Likelihood):
        def channels(self, size: int) -> int:
            return size

        def forward(self, raw: Tensor) -> Bernoulli:
            return Bernoulli(raw)

    assert all(
        isinstance(construct("likelihood", n, shape=SHAPE).measure, Measure)
        for n in known("likelihood")
    )
    with pytest.raises(ComponentError, match=r"Silent does not say .* Measure\.BYTE"):
        Silent()


@pytest.mark.parametrize("name", known("likelihood"))
def test_scores_of_all_pairs_are_those_of_each(name: str):
    head = construct("likelihood", name, shape=SHAPE).eval()
    assert isinstance(head, Likelihood)
    p = head(torch.randn(5, head.channels(1), 3, 4))
    x = torch.rand(4, 1, 3, 4)
    x[:2] = x[:2].round()
    pairs = p.pairs(x)
    each = p.log_prob(x[:, None]).T
    assert pairs.shape == (5, 4)
    torch.testing.assert_close(pairs, each, rtol=1e-5, atol=1e-4)


# ---- structural similarity ----------------------------------------------------------------------


def smooth_images(*shape: int) -> Tensor:
    """Logits of images whose neighbouring pixels are alike."""
    noise = 4 * torch.randn(shape, dtype=torch.float64)
    return F.avg_pool2d(noise.flatten(0, -4), 3, stride=1, padding=1).view(shape)


def test_ssim_is_the_sum_of_scikit_images_map():
    raw, x = smooth_images(3, 4, 2, 20, 13), smooth_images(4, 2, 20, 13).sigmoid()
    d = construct("likelihood", "ssim(weight=0.5)")(raw.float())
    found = d.log_prob(x.float())
    for k in range(3):
        for b in range(4):
            similar: Any = structural_similarity(
                raw[k, b].sigmoid().numpy(),
                x[b].numpy(),
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1.0,
                channel_axis=0,
                full=True,
            )
            assert found[k, b].item() == pytest.approx(0.5 * (similar[1] - 1).sum(), rel=1e-4)


def test_ssim_is_zero_at_the_image_itself_and_below_elsewhere():
    raw = smooth_images(5, 1, 9, 9)
    d = construct("likelihood", "ssim")(raw)
    torch.testing.assert_close(d.log_prob(d.mean), torch.zeros(5).double(), atol=1e-10, rtol=0)
    other = smooth_images(5, 1, 9, 9).sigmoid()
    assert ((d.log_prob(other) < -1) & (d.log_prob(other) >= -2 * 81)).all()
    assert torch.equal(d.sample((2,))[1], d.mean)


def test_ssim_has_the_gradient_of_its_formula():
    x, raw = torch.rand(2, 1, 6, 5).double(), smooth_images(2, 1, 6, 5).requires_grad_()
    head = construct("likelihood", "ssim")
    assert torch.autograd.gradcheck(lambda r: head(r).log_prob(x), raw)


def test_ssim_weighs_structure_where_a_squared_error_does_not():
    """Two changes of one size: a brighter image keeps its structure, noise does not."""
    x = smooth_images(1, 1, 28, 28).sigmoid() * 0.5 + 0.25
    noise = 0.1 * (2 * torch.randint_like(x, 2) - 1)
    brighter, noisy = (ssim_map(mirrored(x), mirrored(x + e)).sum() for e in (0.1, noise))
    assert (28**2 - noisy) > 3 * (28**2 - brighter)


def test_ssim_of_no_weight_is_refused():
    with pytest.raises(ComponentError, match="weight must be a number above 0"):
        construct("likelihood", "ssim(weight=0)")
