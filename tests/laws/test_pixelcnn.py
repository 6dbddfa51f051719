"""The autoregressive decoder: its probabilities, its order, its draws and its decoded picture."""

import itertools

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

import vaescape.likelihoods  # noqa: F401 — registers the members
from vaescape import Study
from vaescape.components import construct
from vaescape.conditionals import Measure
from vaescape.errors import ComponentError, OptionError
from vaescape.evaluation import importance_bound
from vaescape.export.onnx import TOLERANCE, networks
from vaescape.likelihoods import pixelcnn
from vaescape.likelihoods.pixelcnn import ChainedPixels


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def chained(*shape: int, batch: int = 1, spread: float = 1.5, **given) -> ChainedPixels:
    """A chain whose pixels matter to each other, in double precision."""
    text = ", ".join(f"{key}={value!r}" for key, value in {"width": 6, **given}.items())
    head = construct("likelihood", f"pixelcnn({text})", shape=shape).double().eval()
    head.requires_grad_(False)
    for parameter in head.parameters():
        parameter *= spread
    return head(torch.randn(batch, head.channels(shape[0]), *shape[1:]).double())


def every_image(*shape: int) -> Tensor:
    """All black and white images."""
    pixels = torch.Size(shape).numel()
    rows = list(itertools.product([0.0, 1.0], repeat=pixels))
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, *shape)


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 2, 2), (1, 1, 6), (3, 3, 1)])
def test_the_probabilities_of_all_images_add_up_to_one(shape):
    d = chained(*shape, batch=4)
    mass = d.log_prob(every_image(*shape)[:, None]).exp()
    assert mass.shape == (len(every_image(*shape)), 4)
    torch.testing.assert_close(mass.sum(0), torch.ones(4).double(), rtol=0, atol=1e-12)
    assert (mass.max(0).values / mass.min(0).values > 10).all()


def test_so_do_those_of_pairs_of_grey_pixels():
    levels = torch.arange(256).double() / 255
    pairs = torch.cartesian_prod(levels, levels).reshape(-1, 1, 1, 2)
    for base in ("categorical", "discretised-logistic", "logistic-mixture(components=2)"):
        mass = chained(1, 1, 2, base=base).log_prob(pairs).exp().sum()
        assert mass.item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 4, 4)])
@pytest.mark.parametrize("layers", [0, 1, 3])
def test_a_pixel_depends_on_those_before_it_and_on_no_other(shape, layers):
    d = chained(*shape, layers=layers)
    x = torch.rand(1, *shape).round().double()
    before, told = d.given(x).logits.flatten(2), []
    for j in range(shape[1] * shape[2]):
        changed = x.flatten(2).clone()
        changed[:, 0, j] = 1 - changed[:, 0, j]
        after = d.given(changed.reshape(x.shape)).logits.flatten(2)
        torch.testing.assert_close(after[..., : j + 1], before[..., : j + 1], rtol=0, atol=0)
        if (j + 1) % shape[2]:
            told.append((after[..., j + 1] != before[..., j + 1]).all())
    assert sum(told) > 0.7 * len(told)  # at some, every unit is at zero


def test_an_image_of_many_pixels_heeds_more_than_its_neighbours():
    """What is far above on the left, and the edge: no pixel is there, not a black one."""
    d = chained(1, 20, 20, layers=3)
    x = torch.zeros(1, 1, 20, 20).double()
    moved = x.clone()
    moved[..., 4, 4] = 1
    seen = d.given(moved).logits != d.given(x).logits
    assert seen[..., 4 + d.stack.reach, 4]
    assert not seen[..., 4 + d.stack.reach + 1 :, :].any()
    edge = chained(1, 20, 20, layers=0)
    edge.features = torch.zeros_like(edge.features)
    black = edge.given(x).logits
    assert not torch.isclose(black[..., 10, 0], black[..., 10, 10]).any()


def test_draws_follow_the_probabilities():
    d, images = chained(1, 2, 3), every_image(1, 2, 3)
    expected = d.log_prob(images).exp()
    draws = d.sample((20_000,)).flatten(1)
    code = (draws * 2.0 ** torch.arange(5, -1, -1)).sum(1).long()
    found = torch.bincount(code, minlength=64)
    assert chisquare(found, 20_000 * expected / expected.sum()).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(1, 9, 12), (2, 12, 9)])
def test_a_draw_looks_no_further_than_it_can_see(shape):
    """Cut out around each pixel or whole, the images are the same."""
    d = chained(*shape, layers=1, batch=3)
    torch.manual_seed(1)
    drawn = d.sample()
    torch.manual_seed(1)
    x = torch.zeros_like(drawn)
    for row, column in itertools.product(range(shape[1]), range(shape[2])):
        logits = d.given(x).logits[..., row, column]
        x[..., row, column] = torch.bernoulli(logits[..., None, None].sigmoid())[..., 0, 0]
    assert torch.equal(drawn, x)
    assert d.sample((2,)).shape == (2, 3, *shape)


def test_the_decoded_picture_takes_each_mean_given_those_before(monkeypatch):
    d = chained(1, 2, 3)
    monkeypatch.setattr(pixelcnn, "SWEEPS", 6)
    x = torch.zeros(1, 1, 2, 3).double()
    for row, column in itertools.product(range(2), range(3)):
        x[..., row, column] = d.given(x).mean[..., row, column]
    torch.testing.assert_close(d.mean, x)


def test_the_decoded_picture_is_near_the_mean_and_exact_where_pixels_are_alone():
    images = every_image(1, 2, 3)
    for spread, within in ((1.0, 0.02), (1.5, 0.1)):
        d = chained(1, 2, 3, spread=spread)
        exact = (d.log_prob(images).exp()[:, None, None, None] * images).sum(0)
        assert (d.mean[0] - exact).abs().max() < within
    torch.nn.init.zeros_(d.stack.first.weight)
    exact = (d.log_prob(images).exp()[:, None, None, None] * images).sum(0)
    torch.testing.assert_close(d.mean[0], exact)


@pytest.mark.parametrize("base", ["cross-entropy", "pixelcnn"])
def test_a_base_without_probabilities_of_single_pixels_is_refused(base):
    with pytest.raises(ComponentError, match=r"single pixels.* Use base 'bernoulli'"):
        construct("likelihood", f"pixelcnn(base={base!r})", shape=(1, 4, 4))


def test_its_measure_and_what_it_refuses_are_those_of_its_base():
    grey = construct("likelihood", "pixelcnn(base='discretised-logistic')", shape=(1, 4, 4))
    assert grey.measure is Measure.BYTE
    assert construct("likelihood", "pixelcnn", shape=(1, 4, 4)).measure is Measure.BINARY


def test_a_study_with_it_decodes_draws_and_is_exported():
    study = Study(
        "first-look",
        likelihood="pixelcnn(layers=1, width=4)",
        network="conv(channels=[4], hidden=5)",
        binarise="dynamic",
        epochs=0.3,
        limit=60,
        batch=20,
    ).fit()
    decoded = study.decode(torch.zeros(2, 2))
    assert ((decoded >= 0) & (decoded <= 1)).all()
    draws = study.sample(3, kind="draws", seed=1)
    assert set(draws.unique().tolist()) <= {0.0, 1.0}
    assert study.metric(torch.zeros(1, 2)).isfinite().all()
    assert importance_bound(study, 3, images=5)["pool"] == {"smallest": 1, "largest": 1}
    with pytest.raises(OptionError, match="pixelcnn"):
        importance_bound(study, 3, images=5, pool=4)
    assert all(network.worst <= TOLERANCE for network in networks(study))
