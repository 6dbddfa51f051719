"""The study in vaescape, in the precision that the environment asks for."""

import os
from dataclasses import replace

import numpy as np
import torch
from protocol import Weights, serve

import vaescape
from vaescape.data import Batches
from vaescape.evaluation import elbo
from vaescape.recipes import configuration
from vaescape.study import Study
from vaescape.train import train

THREADS = int(os.environ["OMP_NUM_THREADS"])
PRECISION = os.environ.get("VAESCAPE_BENCHMARK_PRECISION", "float32")


class Ours:
    versions = {"vaescape": vaescape.__version__, "torch": torch.__version__}

    def __init__(self) -> None:
        self.study = Study(configuration("paper", device="cpu", precision=PRECISION))

    def parameters(self) -> int:
        return sum(p.numel() for p in self.study.model.parameters())

    def load(self, weights: Weights) -> None:
        tensors = [torch.from_numpy(value) for value in weights.values()]
        with torch.no_grad():
            for parameter, value in zip(self.study.model.parameters(), tensors, strict=True):
                parameter.copy_(value)

    def loss(self, x: np.ndarray) -> float:
        pixels = torch.from_numpy((x * 255).round().astype(np.uint8))[:, None]
        return elbo(self.study, pixels)["negative_elbo"]

    def train(self, pixels: np.ndarray, epochs: int) -> None:
        options = replace(self.study.configuration.train, epochs=epochs, threads=THREADS)
        images = torch.from_numpy(pixels)[:, None]
        batches = Batches(
            images, torch.zeros(len(images), dtype=torch.int64), batch=options.batch,
            seed=options.seed, channels_last=True,
        )  # fmt: skip
        for _ in train(self.study.model, self.study.objective, batches, options):
            pass


if __name__ == "__main__":
    serve(Ours())
