"""A conditional model whose evidence is known, class by class."""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal

from vaescape.conditionals import Conditional, OneHot, Prior
from vaescape.distributions import Gaussian
from vaescape.models import VAE


class Given(Conditional):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *context, **named):
        return self.function(*context)


class TrueModel:
    """z ~ N(m_c, I), x | z, c ~ N(W z + V c, σ² I): three classes, everything known."""

    sigma = 0.4

    def __init__(self) -> None:
        g = torch.Generator().manual_seed(0)
        self.w, self.v, self.m = (
            torch.randn(shape, generator=g, dtype=torch.float64)
            for shape in ((4, 2), (4, 3), (3, 2))
        )
        self.w = 1.5 * torch.linalg.qr(self.w).Q  # so that posteriors are diagonal

    def likelihood(self, z, c):
        mean = (z @ self.w.T + c.double() @ self.v.T).unflatten(-1, (1, 2, 2))
        return Gaussian(mean, torch.tensor(math.log(self.sigma)).double(), event_dims=3)

    def prior(self, c):
        mean = c.double() @ self.m
        return Gaussian(mean, torch.zeros_like(mean))

    def evidence(self, x, label):
        covariance = self.w @ self.w.T + self.sigma**2 * torch.eye(4).double()
        c = nn.functional.one_hot(label, 3).double()
        return MultivariateNormal(c @ self.m @ self.w.T + c @ self.v.T, covariance).log_prob(
            x.flatten(1)
        )

    def posterior(self, x, c, width):
        """Around the exact mean, and as wide as exact if ``width`` is 1."""
        precision = torch.eye(2).double() + self.w.T @ self.w / self.sigma**2
        c = c.double()
        back = (x.flatten(1) - c @ self.v.T) @ self.w / self.sigma**2 + c @ self.m
        mean = torch.linalg.solve(precision, back.T).T
        return Gaussian(mean, (math.log(width) - 0.5 * precision.diagonal().log()).expand_as(mean))

    def vae(self, width: float = math.exp(0.3)) -> VAE:
        posterior = Given(lambda x, c: self.posterior(x, c, width))
        return VAE(posterior, Given(self.likelihood), Given(self.prior), OneHot(3))


class Shifted(Prior):
    """N(5 k, I) for class k: a prior that listens to the class, and nothing else."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def forward(self, c=None) -> Gaussian:
        assert c is not None
        mean = 5.0 * c.argmax(-1, keepdim=True).expand(-1, self.latent_dim)
        return Gaussian(mean, torch.zeros_like(mean))
