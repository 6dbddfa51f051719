"""A variational autoencoder, the whole method in one file of plain PyTorch.

It is the model of Kingma & Welling (2014) as the study builds it, without the package: same
layers, same loss, same numbers at the same seed.

    python examples/vae_in_one_file.py FOLDER [EPOCHS]

where FOLDER holds Fashion-MNIST's train-images-idx3-ubyte.gz.
"""

import gzip
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


class Encoder(nn.Module):
    """q(z | x): an image to z_mean and z_log_var."""

    def __init__(self, latent: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.dense = nn.Linear(7 * 7 * 64, 16)
        self.out = nn.Linear(16, 2 * latent)
        start(self)

    def forward(self, x):
        # Turned by 180°, PyTorch's padding=1 is TensorFlow's "same".
        h = F.relu(self.conv2(F.relu(self.conv1(x.flip(2, 3)))))
        h = F.relu(self.dense(h.permute(0, 2, 3, 1).flatten(1)))
        return self.out(h).chunk(2, dim=-1)


class Decoder(nn.Module):
    """p(x | z): a code to the logits of an image."""

    def __init__(self, latent: int = 2) -> None:
        super().__init__()
        self.dense = nn.Linear(latent, 7 * 7 * 64)
        self.up1 = nn.ConvTranspose2d(64, 64, 3, stride=2, padding=1, output_padding=1)
        self.up2 = nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)
        self.out = nn.ConvTranspose2d(32, 1, 3, padding=1)
        start(self)

    def forward(self, z):
        h = F.relu(self.dense(z)).unflatten(1, (7, 7, 64)).permute(0, 3, 1, 2)
        h = F.relu(self.up2(F.relu(self.up1(h))))
        return self.out(h).flip(2, 3)


def start(net):
    """He-uniform weights, zero biases."""
    for layer in net.children():
        mode = "fan_out" if isinstance(layer, nn.ConvTranspose2d) else "fan_in"
        nn.init.kaiming_uniform_(layer.weight, mode=mode, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


def loss(encoder, decoder, x, beta=1.0):
    """The negative evidence lower bound in nats per image: reconstruction + β·KL."""
    mean, log_var = encoder(x)
    z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)  # the reparameterisation trick
    reconstruction = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / len(x)
    kl = 0.5 * (mean**2 + log_var.exp() - log_var - 1).sum() / len(x)
    return reconstruction + beta * kl


def train(images, epochs=20, batch=128, seed=0):
    """Train on images (N, 1, 28, 28) in [0, 1]; return the encoder and the decoder."""
    torch.manual_seed(seed)
    encoder, decoder = Encoder(), Decoder()
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, eps=1e-7)
    for epoch in range(1, epochs + 1):
        total = torch.zeros(())
        for index in torch.randperm(len(images)).split(batch):
            adam.zero_grad()
            nats = loss(encoder, decoder, images[index])
            nats.backward()
            adam.step()
            total += nats.detach() * len(index)
        print(f"epoch {epoch}: {total.item() / len(images):.1f} nats")
    return encoder, decoder


if __name__ == "__main__":
    raw = gzip.decompress((Path(sys.argv[1]) / "train-images-idx3-ubyte.gz").read_bytes())
    pixels = torch.frombuffer(bytearray(raw[16:]), dtype=torch.uint8).reshape(-1, 1, 28, 28)
    train(pixels / 255, epochs=int(sys.argv[2]) if len(sys.argv) > 2 else 20)
