"""The moving average of a model's weights, which training saves if it is enabled."""

import torch
from torch import Tensor, nn


class Average:
    """Keeps a moving average of a module's parameters.

    After n steps it is Σ_s d^(n−s) θ_s / Σ_s d^(n−s) over the weights θ_s after the steps s = 1, …,
    n: corrected for its start as Adam's averages are (Kingma & Ba 2015, section 3), so the initial
    weights have no part in it. In a training of few steps a copy of them would be most of it.

    Buffers have no average. Those of ours that learn are one already (codebooks, a fitted σ) or are
    made of the weights when training pauses (the codes of exemplars).

    Args:
        module: Its parameters change in place, and stay where they are in memory.
        decay: d, per step.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: p.detach() for name, p in module.named_parameters()}
        self.means = {name: weight.clone() for name, weight in self.weights.items()}

    def follow(self, steps: int) -> None:
        """Take in the weights after so many steps, 1 or more."""
        share = (1 - self.decay) / (1 - self.decay**steps)
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            [*self.means.values()], [*self.weights.values()], share
        )

    def exchange(self) -> None:
        """Give the module its average, and keep its weights in the place of it; or back."""
        for name, weight in self.weights.items():
            kept = weight.clone()
            weight.copy_(self.means[name])
            self.means[name].copy_(kept)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint holds of it, by the names of the parameters."""
        return {f"{PREFIX}{name}": mean for name, mean in self.means.items()}


PREFIX = "average."
"""Of the averages' names in a checkpoint."""
