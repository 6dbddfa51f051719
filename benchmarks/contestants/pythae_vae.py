"""The study in pythae, with its own model, trainer and defaults."""

import logging
import os
import tempfile
from importlib.metadata import version

import numpy as np
import torch
from plain import decoder, encoder, load, turned
from protocol import BATCH, LATENT, RATE, Weights, serve
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn

logging.disable(logging.WARNING)
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.latent_dim = LATENT
        self.body = encoder()
        self.mean, self.log_var = nn.Linear(16, LATENT), nn.Linear(16, LATENT)

    def forward(self, x: Tensor) -> ModelOutput:
        h = self.body(x)
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_var(h))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.body = decoder()

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.body(z))


class Pythae:
    versions = {"pythae": version("pythae"), "torch": torch.__version__}

    def __init__(self) -> None:
        torch.manual_seed(0)
        config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
        self.model = VAE(config, encoder=Encoder(), decoder=Decoder())

    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def load(self, weights: Weights) -> None:
        e = self.model.encoder
        load(weights, e.body, e.mean, e.log_var, self.model.decoder.body)

    @torch.no_grad()
    def loss(self, x: np.ndarray) -> float:
        return self.model({"data": turned(x)}).loss.item()

    def train(self, pixels: np.ndarray, epochs: int) -> None:
        from pythae.data.datasets import BaseDataset

        x = torch.from_numpy(pixels).unsqueeze(1).float().div(255)
        with tempfile.TemporaryDirectory() as folder:
            config = BaseTrainerConfig(
                output_dir=folder, num_epochs=epochs, learning_rate=RATE,
                per_device_train_batch_size=BATCH, no_cuda=True,
            )  # fmt: skip
            data = BaseDataset(x, torch.zeros(len(x)))
            BaseTrainer(self.model, train_dataset=data, training_config=config).train()


if __name__ == "__main__":
    serve(Pythae())
