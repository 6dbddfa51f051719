"""A network that distinguishes two samples of codes, for adversarial objectives."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from vaescape.conditions import ONE_OR_MORE, require


class Critic(nn.Module):
    """Trained on two samples, it returns the logarithm of the ratio of their densities.

    Goodfellow et al. 2014, proposition 1. It shares one backward pass and one optimiser with the
    model: gradients are routed by stopping, so that neither player receives the other's.

    Args:
        latent_dim: D.
        hidden: Width of its two hidden layers.
    """

    def __init__(self, latent_dim: int, hidden: int) -> None:
        super().__init__()
        require(*ONE_OR_MORE, hidden=hidden)
        self.net = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def log_ratio(self, z: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """Return the estimate of log first(z) − log second(z); its gradient reaches z alone."""
        return frozen(self.net, z).squeeze(-1).to(z)

    def cross_entropy(
        self, first: Float[Tensor, "B D"], second: Float[Tensor, "B D"]
    ) -> Float[Tensor, ""]:
        """Return its loss, in nats: log 2 where it is at chance. No gradient reaches the codes."""
        of_first, of_second = (self.net(z.detach()).to(z) for z in (first, second))
        return 0.5 * (F.softplus(-of_first) + F.softplus(of_second)).mean()


def frozen(module: nn.Module, x: Tensor) -> Any:
    """Return what a module makes of x, with a gradient to x alone."""
    return functional_call(module, {name: p.detach() for name, p in module.named_parameters()}, x)


def gradient_only(loss: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Return zero with the gradient of the loss, so that it trains without changing the total."""
    return loss - loss.detach()
