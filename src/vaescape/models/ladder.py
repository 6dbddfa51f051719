"""A hierarchy of latent layers, inferred and generated from the top down."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaescape.conditionals import Conditional, Label, Neural, Support, append
from vaescape.conditions import ONE_OR_MORE, TWO_OR_MORE, require
from vaescape.distributions import Event, Gaussian, draws
from vaescape.errors import ComponentError
from vaescape.models.base import Architecture, Model, Pieces
from vaescape.models.evidence import Choose, Evidence, Latent
from vaescape.nets.base import Layer, Tower


class Ladder(Model):
    """Layers z₁ … z_L, each given those above it, in p and in q (Sønderby et al. 2016).

    One descent serves inference, generation and decoding; they differ in where z comes from.

    Args:
        posterior: The way up, and q(z₁ | x, c) at its top.
        prior: p(z₁ | c).
        start: From z₁ and c, joined, to the state.
        steps: The layers below the top, of ``Rung``.
        likelihood: p(x | z₁ … z_L), from the last state.
        embed: As in ``Model``.
    """

    def __init__(
        self,
        posterior: "Top",
        prior: Conditional,
        start: nn.Module,
        steps: nn.ModuleList,
        likelihood: Conditional,
        embed: nn.Module | None = None,
    ) -> None:
        super().__init__(prior, embed)
        self.posterior, self.start = posterior, start
        self.steps = cast(Sequence[Rung], steps)
        self.likelihood = likelihood
        self.layers = 1 + len(steps)

    def infer(
        self, x: Float[Tensor, "B C H W"], label: Label = None, samples: int = 1
    ) -> tuple[Latent, ...]:
        return self._infer(x, label, samples)[1]

    def evidence(
        self, x: Float[Tensor, "B C H W"], label: Label = None, samples: int = 1
    ) -> Evidence:
        state, latents = self._infer(x, label, samples)
        return Evidence(x, self.likelihood(state), latents)

    def encode(self, x: Float[Tensor, "B C H W"], label: Label = None) -> tuple[Tensor, ...]:
        """Return the posteriors' point estimates, each layer's given those above."""
        means: list[Tensor] = []

        def mean(level: int, q: Event, p: Event) -> Tensor:
            means.append(q.point_estimate)
            return means[-1]

        self.descend(label, self._from_posterior(x, label, mean))
        return tuple(means)

    def decode(
        self, latents: tuple[Tensor, ...], label: Label = None, *, draw: bool = False
    ) -> Event:
        """Return p(x | z); of the lower layers as many may be left out as one likes.

        Those stand at the means of their priors, given what is above; or are drawn from them.
        """

        def given(level: int, h: Tensor | None, p: Event) -> Tensor:
            if level < len(latents):
                return latents[level]
            return p.sample() if draw else p.mean

        return self.likelihood(self.descend(label, given))

    def sample(self, n: int, label: Label = None, temperature: float = 1.0) -> Event:
        """Return p(x | z) at ``n`` draws of all layers from their priors, all at a temperature."""
        return self.likelihood(self.descend(label, lambda _, h, p: draws(p, n, temperature)))

    def descend(self, label: Label, choose: Choose) -> Tensor:
        """Return the last state, from the top down, z chosen layer by layer."""
        c = self.condition(label)
        z = choose(0, None, self.prior(c))
        h = over(self.start, 1, z, *(() if c is None else (c,)))
        for level, step in enumerate(self.steps, start=1):
            h = step.down(h)
            h = step.merge(h, choose(level, h, step.prior(h)))
        return h

    def _infer(self, x: Tensor, label: Label, samples: int) -> tuple[Tensor, tuple[Latent, ...]]:
        latents: list[Latent] = []

        def drawn(level: int, q: Event, p: Event) -> Tensor:
            z, log_q = q.joint_rsample(() if level else (samples,))
            latents.append(Latent(z, q, p, log_q))
            return z

        state = self.descend(label, self._from_posterior(x, label, drawn))
        return state, tuple(latents)

    def _from_posterior(
        self,
        x: Tensor,
        label: Label,
        take: Callable[[int, Event, Event], Tensor],
    ) -> Choose:
        features = self.posterior.up(x, self.condition(label))

        def choose(level: int, h: Tensor | None, p: Event) -> Tensor:
            if h is None:
                return take(level, self.posterior.head(features[0]), p)
            return take(level, self.steps[level - 1].posterior(h, features[level], p), p)

        return choose


class Top(Conditional):
    """q(z₁ | x, c): the head of the top layer, over the features of all.

    Args:
        up: From an image and c to the features of each layer, the top first.
        head: Reads those of the top.
    """

    def __init__(self, up: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.up, self.head = up, head

    def forward(self, x: Float[Tensor, "B C H W"], c: Float[Tensor, "B E"] | None = None) -> Event:
        batch = x.shape[:-3]
        c = None if c is None else c.flatten(0, -2)
        features = self.up(x.reshape(-1, *x.shape[-3:]), c)[0]
        return self.head(features.unflatten(0, batch))


class Climb(nn.Module):
    """x and c → the features of each layer, the top first."""

    def __init__(self, stages: list[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Float[Tensor, "B C H W"], c: Tensor | None = None) -> list[Tensor]:
        x = x if c is None else append(x, c, event_dims=3)
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found[::-1]


class Rung(nn.Module):
    """A Gaussian layer whose posterior is a change of its prior (Vahdat & Kautz 2020, section 3.2).

    q = N(μ + Δμ, (σ Δσ)²), where p = N(μ, σ²); Δ is read from the state and the image's features.

    Args:
        down: From the state above to the state here.
        layer: Makes a dense or convolutional layer of so many inputs and outputs.
        width: Of the state.
        dims: Numbers in z, at each place if the state is a map.
        axes: 1 if the state is a vector, 3 if it is a map.
    """

    def __init__(self, down: nn.Module, layer: Layer, width: int, dims: int, axes: int) -> None:
        super().__init__()
        self.way, self.axes = down, axes
        self.p = nn.Sequential(nn.SiLU(), layer(width, 2 * dims))
        self.q = nn.Sequential(layer(2 * width, width), nn.SiLU(), layer(width, 2 * dims))
        self.take = nn.Sequential(layer(width + dims, width), nn.SiLU(), layer(width, width))

    def down(self, h: Tensor) -> Tensor:
        """Return the state at this layer's resolution."""
        return over(self.way, self.axes, h)

    def prior(self, h: Tensor) -> Gaussian:
        """Return p(z | what is above)."""
        mean, log_scale = over(self.p, self.axes, h).chunk(2, dim=-self.axes)
        return Gaussian(mean, log_scale, self.axes)

    def posterior(self, h: Tensor, features: Tensor, p: Any) -> Gaussian:
        """Return q(z | x, what is above), given the Gaussian p of :meth:`prior`."""
        mean, log_scale = over(self.q, self.axes, h, features).chunk(2, dim=-self.axes)
        return Gaussian(p.mean + mean, p.log_scale + log_scale, self.axes)

    def merge(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the state, z taken in."""
        return h + over(self.take, self.axes, h, z)


def over(module: nn.Module, axes: int, h: Tensor, *more: Tensor) -> Tensor:
    """Return what a module makes of events of so many axes, joined, whatever batch is before."""
    batch = h.shape[:-axes]
    joined = torch.cat([h, *(m.expand(*batch, *m.shape[-axes:]) for m in more)], dim=-axes)
    return module(joined.flatten(0, len(batch) - 1)).unflatten(0, batch)


class LadderOf(Architecture, name="ladder"):
    """Layers of latents from the top down, each conditioned on those above (Sønderby et al. 2016).

    p(z₁ … z_L) = p(z₁) ∏ p(z_l | z₁ … z_(l−1)), and q(z₁ … z_L | x) likewise; q of a lower layer is
    a change of its p (Vahdat & Kautz 2020). The top has the run's posterior, prior and latent size;
    the layers below it are Gaussian. Which maps or vectors they are is the network's: ``resnet``
    has maps, from coarse to fine.

    Args:
        levels: Layers, the top included: 2 or more.
        dims: Dimensions of each layer below the top; with maps, at each place of them.
        width: Of the state between layers, where it is a vector.
    """

    def __init__(self, levels: int = 2, dims: int = 8, width: int = 128) -> None:
        require(*TWO_OR_MORE, levels=levels)
        require(*ONE_OR_MORE, dims=dims, width=width)
        self.levels, self.dims, self.width = levels, dims, width

    def assemble(self, pieces: Pieces) -> Ladder:
        """Return the model.

        Raises:
            ComponentError: For a posterior without a density, or over discrete codes.
        """
        if pieces.posterior.support is Support.CODES:
            raise ComponentError(
                f"Model {self.name!r} has no place for the discrete codes of posterior "
                f"{pieces.posterior.name!r}. Use model 'vae', or posterior 'gaussian'."
            )
        if pieces.posterior.deterministic:
            raise ComponentError(
                f"A ladder draws each layer, and posterior {pieces.posterior.name!r} has nothing "
                "to draw. Use posterior 'gaussian', or model 'vae'."
            )
        tower: Tower = pieces.network.tower(
            pieces.conditioned_image,
            pieces.posterior.channels(pieces.latent),
            pieces.latent + pieces.classes,
            pieces.raw_image,
            self.levels,
            self.width,
        )
        steps = [
            Rung(way, tower.layer, width, self.dims, tower.axes)
            for way, width in zip(tower.down[1:], tower.widths, strict=True)
        ]
        top = Top(Climb(tower.up), pieces.posterior)
        return Ladder(
            top,
            pieces.prior(top),
            tower.down[0],
            nn.ModuleList(steps),
            Neural(tower.out, pieces.likelihood, event_dims=tower.axes),
            pieces.embed(),
        )
