"""Components of somebody else's, one of each kind: no line of the package is changed for them."""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaescape.conditionals import Likelihood, Measure, Neural, Posterior, Prior, Support
from vaescape.conditions import require
from vaescape.data import Data, Images
from vaescape.distributions import Event, Gaussian
from vaescape.models.base import Architecture, Model, Pieces
from vaescape.models.evidence import Evidence, Latent
from vaescape.nets.base import Network, Shape
from vaescape.objectives import EvidenceObjective, Loss
from vaescape.quantities import Quantity
from vaescape.train.optimisers import Optimiser

# A score with a name of its own ------------------------------------------------------------------


class CharbonnierScore(Event):
    """Σ √((x − m)² + ε²), a smooth absolute error."""

    def __init__(self, mean: Tensor, scale: float) -> None:
        self.m, self.scale = mean, scale
        super().__init__(mean.shape, 3)

    @property
    def mean(self) -> Tensor:
        return self.m

    def rsample(self, sample_shape=()) -> Tensor:
        return self.m.expand(self._extended_shape(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        return -self.scale * self.sum_event(((value - self.m).square() + 1e-6).sqrt())


class Charbonnier(Likelihood):
    """A smooth absolute error in the place of a log-density: a score.

    Args:
        scale: What a grey step of 1 costs beside a nat of KL.
    """

    measure = Measure.NONE
    quantity = Quantity("charbonnier", "Charbonnier error", "weighted pixels", "lower", True)

    def __init__(self, scale: float = 10.0) -> None:
        super().__init__()
        require(lambda v: v > 0, "a number above 0", scale=scale)
        self.scale = scale

    def channels(self, size: int) -> int:
        return size

    def forward(self, raw: Tensor) -> CharbonnierScore:
        return CharbonnierScore(raw.sigmoid(), self.scale)


# A posterior whose KL is known --------------------------------------------------------------------


class LaplaceCodes(Event):
    """∏ Laplace(z_d; μ_d, b_d), with KL to a Gaussian in closed form."""

    def __init__(self, mean: Tensor, log_scale: Tensor) -> None:
        self.m, self.log_b = mean, log_scale
        super().__init__(mean.shape, 1)

    @property
    def mean(self) -> Tensor:
        return self.m

    @property
    def variance(self) -> Tensor:
        return 2 * (2 * self.log_b).exp()

    def rsample(self, sample_shape=()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        u = torch.rand(shape, dtype=self.m.dtype, device=self.m.device) - 0.5
        u = u.clamp(-0.5 + 1e-7, 0.5 - 1e-7)
        return self.m - self.log_b.exp() * u.sign() * (1 - 2 * u.abs()).log()

    def log_prob(self, value: Tensor) -> Tensor:
        return self.sum_event(
            -(value - self.m).abs() / self.log_b.exp() - self.log_b - math.log(2.0)
        )

    def kl_per_dimension_to(self, p: Event) -> Tensor | None:
        if not isinstance(p, Gaussian):
            return None
        second = (self.m - p.mean).square() + self.variance
        cross = 0.5 * second / p.variance + 0.5 * p.log_var + 0.5 * math.log(math.tau)
        return cross - (1 + math.log(2.0) + self.log_b)


class LaplacePosterior(Posterior):
    """q(z | x) = ∏ Laplace(z_d): heavier tails than a Gaussian, and a KL in closed form."""

    def channels(self, size: int) -> int:
        return 2 * size

    def forward(self, raw: Tensor) -> LaplaceCodes:
        mean, log_scale = raw.chunk(2, -1)
        return LaplaceCodes(mean, log_scale)


# An inference without the run's network -----------------------------------------------------------


class LinearPosterior(Posterior):
    """q(z | x): a Gaussian whose parameters are affine in the pixels."""

    amortised = False

    def channels(self, size: int) -> int:
        return 2 * size

    def inference(self, pieces: Pieces, likelihood: Neural) -> Neural:
        affine = nn.Linear(math.prod(pieces.conditioned_image), self.channels(pieces.latent))
        return Neural(nn.Sequential(nn.Flatten(), affine), self, event_dims=3)

    def forward(self, raw: Tensor) -> Gaussian:
        mean, log_var = raw.chunk(2, -1)
        return Gaussian(mean, 0.5 * log_var)


# A geometry of latent space -----------------------------------------------------------------------


def _wrap(z: Tensor) -> Tensor:
    return z - 2 * math.pi * ((z + math.pi) / (2 * math.pi)).floor()


def _square():
    axis = (torch.arange(400, dtype=torch.float64) + 0.5) * math.tau / 400 - math.pi
    z = torch.cartesian_prod(axis, axis)
    yield z, torch.full_like(z[:, 0], (math.tau / 400) ** 2)


TORUS = Support("on a torus of angles", "third_party:UniformTorus", _wrap, math.pi, _square)


class WrappedAngles(Event):
    """Normal angles, wrapped onto [−π, π)."""

    def __init__(self, mean: Tensor, log_scale: Tensor) -> None:
        self.m, self.log_scale = mean, log_scale
        super().__init__(mean.shape, 1)

    @property
    def mean(self) -> Tensor:
        return self.m

    def rsample(self, sample_shape=()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.m.dtype, device=self.m.device)
        return _wrap(self.m + self.log_scale.exp() * noise)

    def log_prob(self, value: Tensor) -> Tensor:
        turns = math.tau * torch.arange(-3, 4, dtype=value.dtype, device=value.device)
        base = Normal(self.m[..., None], self.log_scale.exp()[..., None], validate_args=False)
        return self.sum_event(base.log_prob(value[..., None] + turns).logsumexp(-1))


class AnglesPosterior(Posterior):
    """q(z | x): wrapped normal angles, one on each circle of a torus."""

    support = TORUS

    def channels(self, size: int) -> int:
        return 2 * size

    def forward(self, raw: Tensor) -> WrappedAngles:
        mean, log_scale = raw.chunk(2, -1)
        return WrappedAngles(_wrap(mean), log_scale.clamp(-5, 0.7))


class UniformAngles(Event):
    """Even on the torus."""

    def __init__(self, origin: Tensor) -> None:
        self.origin = origin
        super().__init__(origin.shape, 1)

    @property
    def mean(self) -> Tensor:
        return self.origin

    def rsample(self, sample_shape=()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        uniform = torch.rand(shape, dtype=self.origin.dtype, device=self.origin.device)
        return math.tau * uniform - math.pi

    def log_prob(self, value: Tensor) -> Tensor:
        return torch.zeros_like(value).sum(-1) - self.event_shape[0] * math.log(math.tau)


class UniformTorus(Prior):
    """p(z) = (2π)^−D on a torus of D circles.

    Args:
        latent_dim: D, filled in from the run.
    """

    support = TORUS
    origin: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latent_dim), persistent=False)

    def forward(self, c: Tensor | None = None) -> UniformAngles:
        return UniformAngles(self.origin)


# A standard normal by another name ----------------------------------------------------------------


class White(Prior):
    """p(z) = N(0, I), as PyTorch's own distribution.

    Args:
        latent_dim: D, filled in from the run.
    """

    origin: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latent_dim), persistent=False)

    def forward(self, c: Tensor | None = None) -> Independent:
        normal = Normal(self.origin, torch.ones_like(self.origin), validate_args=False)
        return Independent(normal, 1, validate_args=False)


# An objective that reports in its own words -------------------------------------------------------


class Squared(EvidenceObjective):
    """reconstruction + KL²: reports neither by the names that ours have."""

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        rate, distortion = e.kl().mean(), -e.log_likelihood().mean()
        return Loss(distortion + 0.01 * rate.square(), {"rate": rate, "distortion": distortion})


# A hierarchy that is no ladder --------------------------------------------------------------------


class Pair(Model):
    """z₁ and z₂, each inferred from the image alone; p(z₂ | z₁) is learned."""

    layers = 2

    def __init__(self, pieces: Pieces) -> None:
        top = pieces.encoder()
        super().__init__(pieces.prior(top), pieces.embed())
        self.posterior, self.dims = top, 2
        self.second = pieces.network.encoder(pieces.conditioned_image, 2 * self.dims)
        self.below = nn.Linear(pieces.latent, 2 * self.dims)
        self.likelihood = pieces.decoder(pieces.latent + self.dims)

    def _second(self, x: Tensor) -> Gaussian:
        mean, log_scale = self.second(x).chunk(2, -1)
        return Gaussian(mean, log_scale)

    def _prior_of_second(self, z: Tensor) -> Gaussian:
        mean, log_scale = self.below(z).chunk(2, -1)
        return Gaussian(mean, log_scale)

    def infer(self, x, label=None, samples: int = 1) -> tuple[Latent, ...]:
        c = self.condition(label)
        q1, q2 = self.posterior(x, c), self._second(x)
        z1, log_q1 = q1.joint_rsample((samples,))
        z2, log_q2 = q2.joint_rsample((samples,))
        first = Latent(z1, q1, self.prior(c), log_q1)
        return first, Latent(z2, q2, self._prior_of_second(z1), log_q2)

    def evidence(self, x, label=None, samples: int = 1) -> Evidence:
        latents = self.infer(x, label, samples)
        return Evidence(x, self.decode(tuple(latent.z for latent in latents), label), latents)

    def encode(self, x, label=None) -> tuple[Tensor, ...]:
        q1 = self.posterior(x, self.condition(label))
        return q1.point_estimate, self._second(x).mean

    def decode(self, latents, label=None, *, draw: bool = False):
        z1, *rest = latents
        p = self._prior_of_second(z1)
        z2 = rest[0] if rest else (p.sample() if draw else p.mean)
        return self.likelihood(torch.cat([z1, z2], -1), self.condition(label))

    def sample(self, n: int, label=None, temperature: float = 1.0):
        return self.decode((self.draw(n, label, temperature),), label, draw=True)


class PairOf(Architecture):
    """Two layers of latents whose posteriors do not see each other."""

    def assemble(self, pieces: Pieces) -> Pair:
        return Pair(pieces)


# The rest -----------------------------------------------------------------------------------------


class Momentum(Optimiser):
    """Gradient descent with momentum.

    Args:
        momentum: Share of the last step that is kept.
    """

    def __init__(self, momentum: float = 0.5) -> None:
        self.momentum = momentum

    def build(self, parameters, lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(list(parameters), lr=lr, momentum=self.momentum)


class Plain(Network):
    """One hidden layer each way.

    Args:
        hidden: Its width.
    """

    def __init__(self, hidden: int = 32) -> None:
        self.hidden = hidden

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        hidden = nn.Linear(math.prod(shape), self.hidden)
        return nn.Sequential(nn.Flatten(), hidden, nn.SiLU(), nn.Linear(self.hidden, outputs))

    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        last = nn.Linear(self.hidden, math.prod(shape))
        return nn.Sequential(
            nn.Linear(inputs, self.hidden), nn.SiLU(), last, nn.Unflatten(1, shape)
        )


class Stripes(Data):
    """Bars at four heights: four classes of 12 × 12 pixels."""

    title = "stripes"
    classes = ("top", "high", "low", "bottom")

    def read(self, split: str) -> Images:
        count, start = (120, 0) if split == "train" else (60, 7)
        labels = torch.arange(count) % 4
        rows = torch.arange(12)[None] // 3
        bars = (rows == labels[:, None]).float()
        level = 120 + 15 * ((torch.arange(count) + start) % 9)
        pixels = (bars * level[:, None])[:, None, :, None].expand(-1, 1, -1, 12)
        return Images(pixels.byte().contiguous(), labels)
