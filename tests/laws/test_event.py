"""A distribution of one's own: its closed forms are used everywhere, the rest has defaults."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Laplace, Normal

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.conditionals import Posterior, Prior
from vaescape.distributions import Event, Gaussian, as_event, draws
from vaescape.errors import ComponentError
from vaescape.recipes import Parts

SHAPE = (1, 4, 4)


class Box(Event):
    """Uniform from low to high, (*batch, D): a density with a KL to Gaussians that we know."""

    def __init__(self, low: Tensor, high: Tensor) -> None:
        self.low, self.high = low, high
        super().__init__(low.shape, 1)

    @property
    def mean(self) -> Tensor:
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low).square() / 12

    def rsample(self, sample_shape=()) -> Tensor:
        u = torch.rand(self._extended_shape(torch.Size(sample_shape)))
        return self.low + (self.high - self.low) * u

    def log_prob(self, value: Tensor) -> Tensor:
        inside = ((value >= self.low) & (value <= self.high)).all(-1)
        log_density = -(self.high - self.low).log().sum(-1)
        return torch.where(inside, log_density, -math.inf)

    def kl_to(self, p: Event) -> Tensor | None:
        if not isinstance(p, Gaussian):
            return super().kl_to(p)
        squares = (self.mean - p.mean).square() + self.variance
        cross = p.log_scale + 0.5 * math.log(2 * math.pi) + squares / (2 * p.variance)
        return (cross - (self.high - self.low).log()).sum(-1)


class BoxPosterior(Posterior):
    """A box around each image's code."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()

    def channels(self, size: int) -> int:
        return 2 * size

    def forward(self, raw: Tensor) -> Box:
        low, width = raw.chunk(2, dim=-1)
        return Box(low, low + width.exp())


class Slab(Event):
    """A standard normal that knows its KL from boxes only, and is no ``Gaussian``."""

    def __init__(self, size: int) -> None:
        super().__init__(torch.Size((size,)), 1)

    @property
    def normal(self) -> Gaussian:
        return Gaussian(torch.zeros(self.event_shape), torch.zeros(self.event_shape))

    def rsample(self, sample_shape=()) -> Tensor:
        return self.normal.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.normal.log_prob(value)

    def kl_from(self, q: Event) -> Tensor | None:
        return q.kl_to(self.normal)


class SlabPrior(Prior):
    """The standard normal under another name."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.size = latent_dim

    def forward(self, c: Tensor | None = None) -> Slab:
        return Slab(self.size)


class TorchPosterior(Posterior):
    """PyTorch's own Gaussian."""

    def channels(self, size: int) -> int:
        return 2 * size

    def forward(self, raw: Tensor) -> Independent:
        mean, log_scale = raw.chunk(2, dim=-1)
        return Independent(Normal(mean, log_scale.exp()), 1)


class TorchPrior(Prior):
    """PyTorch's own Laplace."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.size = latent_dim

    def forward(self, c: Tensor | None = None) -> Independent:
        return Independent(Laplace(torch.zeros(self.size), torch.ones(self.size)), 1)


def evidence(posterior: type[Posterior], prior: str | type[Prior] = "normal", samples: int = 2000):
    torch.manual_seed(0)
    named = [
        each if isinstance(each, str) else f"{__name__}:{each.__name__}"
        for each in (posterior, prior)
    ]
    parts = Parts(network="mlp(hidden=6)", posterior=named[0], prior=named[1])
    model, objective = build(parts, shape=SHAPE)
    x = torch.rand(3, *SHAPE)
    loss = objective(model, Batch(x, torch.zeros(3, dtype=torch.int64), None), torch.ones(()))
    assert loss.total.isfinite()
    return model.evidence(x, samples=samples)


@pytest.mark.parametrize("prior", ["normal", SlabPrior])
def test_a_closed_form_kl_from_outside_is_used_whichever_side_knows_it(prior):
    e = evidence(BoxPosterior, prior)
    latent = e.latents[0]
    assert e.kl().shape == (3,)
    estimate = latent.log_q() - latent.log_p()
    error = estimate.std(0) / len(estimate) ** 0.5
    assert ((estimate.mean(0) - e.kl()).abs() < 4.5 * error).all()


@pytest.mark.parametrize("prior", ["normal", TorchPrior])
def test_distributions_of_pytorch_serve_as_they_are(prior):
    e = evidence(TorchPosterior, prior)
    assert e.kl().shape == (2000, 3)
    q, p = e.latents[0].q, e.latents[0].p
    torch.testing.assert_close(e.kl(), q.log_prob(e.latents[0].z) - p.log_prob(e.latents[0].z))
    torch.testing.assert_close(q.point_estimate, q.mean)
    values = torch.randn(7, 2)
    torch.testing.assert_close(q.pairs(values), q.log_prob(values[:, None]).T)
    assert draws(p, 4).shape == (4, 2)
    assert p.without(torch.arange(3)) is p


def test_what_a_distribution_does_not_offer_is_refused_by_its_own_name():
    p = as_event(Independent(Laplace(torch.zeros(2), torch.ones(2)), 1))
    assert as_event(p) is p
    with pytest.raises(ComponentError, match=r"temperature of 0\.5 has no meaning for Independent"):
        draws(p, 3, 0.5)
    with pytest.raises(ComponentError, match="information of Box is not known"):
        Box(torch.zeros(2), torch.ones(2)).information()
    with pytest.raises(ComponentError, match="parameters of Box cannot be detached"):
        Box(torch.zeros(2), torch.ones(2)).stopped()


def test_an_objective_by_the_path_alone_names_what_cannot_be_detached():
    parts = Parts(network="mlp(hidden=6)", posterior="iaf(hidden=4)", objective="iwae-stl")
    with pytest.raises(ComponentError, match="parameters of Flow cannot be detached"):
        build(parts, shape=SHAPE)


@pytest.mark.parametrize("name", ["full-rank", "iaf(hidden=4)", "spline(hidden=4)"])
def test_densities_keep_float32_under_a_bfloat16_network(name: str):
    """The draw, its density and the sums that lead to them, maps of flows included."""
    parts = Parts(network="mlp(hidden=6)", posterior=name)
    torch.manual_seed(0)
    model, _ = build(parts, shape=SHAPE)
    head = model.posterior.head.eval()
    raw = torch.randn(4, head.channels(2))
    found = []
    for low in (True, False):
        torch.manual_seed(1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=low):
            q = head(raw)
            z, _ = q.joint_rsample((5,))
            found.append((z, q.log_prob(z)))
    for cheap, exact in zip(*found, strict=True):
        assert cheap.dtype == torch.float32
        torch.testing.assert_close(cheap, exact, rtol=1e-5, atol=1e-5)
