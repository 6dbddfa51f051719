"""The study as a PyTorch loop with a DataLoader, as most people write it."""

import os

import numpy as np
import torch
from plain import decoder, encoder, load, turned
from protocol import BATCH, LATENT, RATE, Weights, serve
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


class Pictures(Dataset):
    """Bytes that become a tensor in [0, 1] one image at a time, as torchvision's ToTensor does."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.pixels[index]).unsqueeze(0).float().div(255)


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder(), decoder()
        self.mean, self.log_var = nn.Linear(16, LATENT), nn.Linear(16, LATENT)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(x)
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return self.decoder(z), mean, log_var


def negative_elbo(y: Tensor, x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    cross_entropy = F.binary_cross_entropy(y, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
    return (cross_entropy + kl) / len(x)


class Loop:
    versions = {"torch": torch.__version__}

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = VAE()
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=RATE)

    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def load(self, weights: Weights) -> None:
        m = self.model
        load(weights, m.encoder, m.mean, m.log_var, m.decoder)

    @torch.no_grad()
    def loss(self, x: np.ndarray) -> float:
        images = turned(x)
        return negative_elbo(self.model(images)[0], images, *self.model(images)[1:]).item()

    def train(self, pixels: np.ndarray, epochs: int) -> None:
        loader = DataLoader(Pictures(pixels), batch_size=BATCH, shuffle=True)
        for _ in range(epochs):
            total = 0.0
            for x in loader:
                self.optimiser.zero_grad()
                y, mean, log_var = self.model(x)
                loss = negative_elbo(y, x, mean, log_var)
                loss.backward()
                self.optimiser.step()
                total += loss.item()


if __name__ == "__main__":
    serve(Loop())
