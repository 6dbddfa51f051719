"""Metrics summed on the device and read once per tick."""

from typing import Any

import torch
from torch import Tensor

Metrics = dict[str, float | list[float]]


class Sums:
    """The sums of loss and metrics over a tick's steps; only ``means`` waits for the device.

    They are added to in place, for a captured step knows tensors by their memory.
    """

    def __init__(self, totals: dict[str, Tensor] | None = None) -> None:
        self.totals = totals or {}

    @torch.no_grad()
    def add(self, loss: Any) -> None:
        """Add a step's loss and metrics.

        ``finite`` counts the steps at which the sum of the losses is finite. Once it is not, it
        never is again: so the count names the first bad step, and no step waits for the device.
        """
        values = loss.metrics | {"loss": loss.total}
        values["finite"] = (self.totals.get("loss", 0) + loss.total).isfinite()
        for name, value in values.items():
            if name not in self.totals:
                self.totals[name] = torch.zeros_like(value, dtype=torch.float32)
            self.totals[name] += value.float()

    def clear(self) -> None:
        """Begin a tick."""
        for total in self.totals.values():
            total.zero_()

    def means(self, steps: int) -> tuple[Metrics, int]:
        """Return the means over so many steps, and how many of these had a finite loss.

        One transfer from the device.
        """
        flat = torch.cat([total.reshape(-1) for total in self.totals.values()]).cpu()
        parts = flat.split([total.numel() for total in self.totals.values()])
        means: Metrics = {
            name: (part / steps).view(total.shape).tolist()
            for (name, total), part in zip(self.totals.items(), parts, strict=True)
            if name != "finite"
        }
        finite = parts[list(self.totals).index("finite")]
        return means, int(finite)
