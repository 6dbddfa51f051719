"""pythae's ``get_nll`` with the decoder of recipe ``swift``, and a small encoder of its own."""

import json
import os
import sys
import time

import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import Tensor, nn

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.latent_dim = 2
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 128), nn.GELU(), nn.Linear(128, 64), nn.GELU()
        )
        self.mean, self.log_var = nn.Linear(64, 2), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> ModelOutput:
        h = self.body(x)
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_var(h))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2 * torch.randn(2, 96))
        self.body = nn.Sequential(
            nn.Linear(194, 192), nn.GELU(),
            nn.Linear(192, 784), nn.Sigmoid(), nn.Unflatten(-1, (1, 28, 28)),
        )  # fmt: skip

    def forward(self, z: Tensor) -> ModelOutput:
        phase = z @ self.frequencies
        seen = torch.cat([z, phase.sin(), phase.cos()], -1)
        return ModelOutput(reconstruction=self.body(seen))


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=2, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder())
    x = torch.rand(request["images"], 1, 28, 28)
    model.get_nll(x[:1], n_samples=100, batch_size=100)
    start = time.perf_counter()
    value = model.get_nll(x, n_samples=request["samples"], batch_size=100)
    print(json.dumps({"seconds": time.perf_counter() - start, "value": float(value)}))
