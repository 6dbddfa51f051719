"""Eight-bit Fashion-MNIST, in bits per dimension."""

import math
from collections.abc import Mapping
from typing import Any

from vaescape import figures
from vaescape.evaluation import elbo, importance_bound
from vaescape.metrics.likelihood import bits_per_dimension
from vaescape.plots.style import Picture
from vaescape.recipes import Configuration, Parts
from vaescape.reproduce.base import Made, Reproduction, markdown_table
from vaescape.study import Study
from vaescape.train import TrainOptions

PUBLISHED = {
    "Sparse PC": 3.27,
    "Bit-Swap, a hierarchical VAE": 3.28,
    "IDF, a flow": 3.47,
    "BB-ANS, a VAE of one layer": 3.66,
}
"""Bits per dimension on the test images."""

SAMPLES, IMAGES = 20, 1000


class Bits(Reproduction, name="bits"):
    """Dang et al. (2022), table 1: bits per dimension of 8-bit Fashion-MNIST, by a ladder."""

    title = "Bits per dimension of 8-bit Fashion-MNIST"
    published = """
Dang, Liu & Van den Broeck (2022), *Sparse Probabilistic Circuits via Pruning and Growing*,
table 1, which also has the numbers of others: bits per dimension of the test images, all 256
levels, lower is better. Ours is a ladder of latent maps with a mixture of discretised logistics
for each pixel.
"""

    def models(self) -> dict[str, Configuration]:
        """Return the ladder."""
        parts = Parts(
            model="ladder(levels=3, dims=6)",
            network="resnet(channels=[16, 32, 32], attention=0)",
            likelihood="logistic-mixture",
            objective="elbo(warmup=0.1)",
            latent=16,
        )
        train = TrainOptions(
            epochs=4,
            batch=64,
            lr=3e-3,
            schedule="one-cycle(warmup=0.1)",
            precision="bfloat16",
        )
        return {"ladder": Configuration("bits", parts=parts, train=train)}

    def measure(self, study: Study) -> dict[str, Any]:
        """Return the ELBO of all test images, and a tighter bound of the first."""
        first = study.test[:IMAGES]
        return {
            "test": elbo(study, study.test),
            "images": len(study.test),
            "first": elbo(study, first),
            "importance_weighted_bound": importance_bound(study, SAMPLES, images=IMAGES),
        }

    def table(self, made: Mapping[str, Made]) -> str:
        """Return the published numbers, then ours."""
        numbers, dims = made["ladder"].numbers, math.prod(made["ladder"].study.shape)
        bound = numbers["importance_weighted_bound"]

        def bits(nats: float) -> str:
            return f"{bits_per_dimension(nats, dims):.3f}"

        rows = [[name, f"{value:.2f}", ""] for name, value in PUBLISHED.items()]
        test, first = (numbers[split]["negative_elbo"] for split in ("test", "first"))
        few = f"first {bound['images']:,} test images"
        rows += [
            ["**ours, ELBO**", f"**{bits(test)}**", f"all {numbers['images']:,} test images"],
            ["ours, ELBO", bits(first), few],
            [f"ours, {SAMPLES} importance samples", bits(bound["nats"]), few],
        ]
        return markdown_table(["model", "bits per dimension", "measured on"], rows)

    def figures(self, made: Mapping[str, Made]) -> dict[str, Picture]:
        """Return the figure of samples."""
        return {"bits-samples": figures.draw(made["ladder"].study, "draws")}
