"""Amortised inference: one encoder for all images (Kingma & Welling 2014)."""

from torch import nn

from vaescape.conditionals import Neural, Posterior


class Amortised(Neural):
    """q(z | x, c) = head(encoder(x, c)).

    Args:
        encoder: Images (N, C + E, H, W), the condition as further planes → (N, P).
        head: Reads the P numbers as a distribution over codes.
    """

    def __init__(self, encoder: nn.Module, head: Posterior) -> None:
        super().__init__(encoder, head, event_dims=3)
