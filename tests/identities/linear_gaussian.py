"""A model whose evidence is known: z ~ N(0, I), x | z ~ N(W z + b, σ² I)."""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal

from vaescape.conditionals import Conditional
from vaescape.distributions import Gaussian
from vaescape.models import VAE


class LinearGaussian(nn.Module):
    """The decoder of probabilistic PCA (Tipping & Bishop 1999), with its exact evidence."""

    sigma = 0.3

    def __init__(self) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.weight = torch.randn(4, 2, generator=g, dtype=torch.float64)
        self.bias = torch.randn(4, generator=g, dtype=torch.float64)

    def likelihood(self, z, c=None):
        mean = (z @ self.weight.T + self.bias).unflatten(-1, (1, 2, 2))
        return Gaussian(mean, torch.tensor(math.log(self.sigma)).double(), event_dims=3)

    def prior(self, c=None):
        return Gaussian(torch.zeros(2).double(), torch.zeros(2).double())

    def evidence(self, x):
        covariance = self.weight @ self.weight.T + self.sigma**2 * torch.eye(4).double()
        return MultivariateNormal(self.bias, covariance).log_prob(x.flatten(1))

    def exact_posterior_mean(self, x):
        precision = torch.eye(2).double() + self.weight.T @ self.weight / self.sigma**2
        back = (x.flatten(1) - self.bias) @ self.weight / self.sigma**2
        return torch.linalg.solve(precision, back.T).T, precision


class Given(Conditional):
    """A conditional that is a plain function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *context, **named):
        return self.function(*context)


def linear_gaussian():
    """Return the model with a posterior that is a little too wide, its truth, and 50 images."""
    truth = LinearGaussian()

    def posterior(x, c=None):
        mean, precision = truth.exact_posterior_mean(x)
        return Gaussian(mean, (0.4 - 0.5 * precision.diagonal().log()).expand_as(mean))

    draws = torch.randn(50, 2, generator=torch.Generator().manual_seed(1)).double()
    model = VAE(Given(posterior), Given(truth.likelihood), Given(truth.prior))
    return model, truth, truth.likelihood(draws).mean
