"""What every contestant can be asked, over the command line and one line of JSON.

Standard library and NumPy only: this runs in every peer's environment.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np

BATCH, LATENT, RATE = 128, 2, 1e-3
WARM_UP = 20 * BATCH
"""Images of untimed warm-up, on random bytes."""

Weights = dict[str, np.ndarray]


class Contestant(Protocol):
    """The study's model and its training, as the users of one library write it."""

    versions: dict[str, str]

    def parameters(self) -> int:
        """Return how many numbers are trained."""
        ...

    def load(self, weights: Weights) -> None:
        """Take our weights, in whatever layout the library has."""
        ...

    def loss(self, x: np.ndarray) -> float:
        """Return the negative ELBO of images (N, 28, 28) in [0, 1], nats per image, one draw."""
        ...

    def train(self, pixels: np.ndarray, epochs: int) -> None:
        """Train on bytes (N, 28, 28)."""
        ...


def serve(contestant: Contestant) -> None:
    """Do what the request on the command line asks and print the answer.

    ``check``: parameters, and the loss at our weights. ``train``: the seconds of so many calls of
    ``train``, each after the last; with ``watch`` the test loss after each, outside the clock.
    """
    request = json.loads(sys.argv[1])
    folder = Path(request["folder"])
    train, test = np.load(folder / "train.npy"), np.load(folder / "test.npy")
    answer: dict[str, Any] = {"versions": contestant.versions}
    if request["do"] == "check":
        answer["parameters"] = contestant.parameters()
        contestant.load(dict(np.load(folder / "weights.npz")))
        answer["loss"] = contestant.loss(test[:256] / np.float32(255))
    else:
        noise = np.random.default_rng(0).integers(0, 256, (WARM_UP, 28, 28), dtype=np.uint8)
        contestant.train(noise, 1)
        if "weights" in request:
            contestant.load(dict(np.load(folder / request["weights"])))
        answer["seconds"], answer["loss"] = [], []
        for _ in range(request["parts"]):
            start = time.perf_counter()
            contestant.train(train[: request["images"]], 1)
            answer["seconds"].append(time.perf_counter() - start)
            if request.get("watch"):
                answer["loss"].append(contestant.loss(test / np.float32(255)))
    answer["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(answer))
