"""The exemplar prior."""

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from vaescape.conditionals import Neural, Prior, borrow
from vaescape.conditions import require
from vaescape.distributions import Exemplars
from vaescape.errors import ComponentError

AT_ONCE = 500
"""Exemplars encoded at once outside of training."""


class ExemplarPrior(Prior, name="exemplar"):
    """p(z) = Σ_m N(z; E[q(z | x_m)], σ² I) / M, x_m training images (Norouzi et al. 2020).

    In training, a step draws ``at_once`` of the exemplars and encodes them, with gradients, and no
    image counts among its own. Otherwise it is all of them, encoded when training paused.
    Their codes are part of the weights, so that a trained model samples without the data.

    Args:
        latent_dim: D, filled in from the run.
        posterior: q(z | x, c), filled in from the run.
        images: How many there are to train on, filled in from the run.
        pixels: The training images, filled in from the run.
        conditional: Whether the model is conditional, filled in from the run.
        components: M, spread evenly over the training images; all of them where there are fewer.
        at_once: Exemplars that a step of training encodes.
    """

    posterior: Neural
    rows: Tensor
    centres: Tensor
    exemplars: Tensor | None

    def __init__(
        self,
        latent_dim: int,
        posterior: Neural,
        images: int | None = None,
        pixels: UInt8[Tensor, "N C H W"] | None = None,
        conditional: bool = False,
        components: int = 25_000,
        at_once: int = 500,
    ) -> None:
        super().__init__()
        require(
            lambda v: v >= 2, "2 or more: one is left out", components=components, at_once=at_once
        )
        if conditional:
            raise ComponentError(
                "Prior 'exemplar' knows its images, not their classes, so it cannot follow a "
                "condition. Use prior 'vamp', 'class' or 'normal' for a conditional model."
            )
        available = images if pixels is None else len(pixels)
        if available is None:
            raise ComponentError(
                "Prior 'exemplar' is made of training images, and was given none: "
                "build(parts, shape=…, pixels=…)."
            )
        require(lambda v: v >= 2, "2 or more: one is left out", images=available)
        borrow(self, posterior=posterior)
        kept = min(components, available)
        self.at_once = min(at_once, kept)
        self.log_scale = nn.Parameter(torch.zeros(()))
        rows = torch.arange(kept) * available // kept
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("centres", torch.zeros(kept, latent_dim))
        exemplars = None if pixels is None else pixels[rows]
        self.register_buffer("exemplars", exemplars, persistent=False)

    def forward(self, c: Tensor | None = None) -> Exemplars:
        """Return the mixture: batch (). Its ``without`` leaves images out of their own.

        Raises:
            ComponentError: In training without the images.
        """
        if not self.training:
            return Exemplars(self.centres, self.log_scale, self.rows)
        some = torch.randperm(len(self.rows), device=self.rows.device)[: self.at_once]
        return Exemplars(self._encode(some), self.log_scale, self.rows[some])

    def train(self, mode: bool = True) -> "ExemplarPrior":
        """Switch between training and use, for which all exemplars are encoded anew."""
        super().train(mode)
        if not mode and self.exemplars is not None:
            with torch.no_grad():
                parts = torch.arange(len(self.rows), device=self.rows.device).split(AT_ONCE)
                self.centres.copy_(torch.cat([self._encode(part) for part in parts]))
        return self

    def _encode(self, chosen: Tensor) -> Tensor:
        if self.exemplars is None:
            raise ComponentError(
                "Prior 'exemplar' trains on images, and this model was rebuilt without them. "
                "Fit the study again, or build(parts, shape=…, pixels=…)."
            )
        pixels = self.exemplars[chosen].to(self.log_scale.dtype)
        return self.posterior(pixels / 255).point_estimate
