"""Classes × styles: whether what is asked for is what comes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vaescape import gallery
from vaescape.batch import Batch
from vaescape.data import Batches
from vaescape.metrics.agreement import DEFINITION, Judge, class_agreement
from vaescape.objectives.base import Loss
from vaescape.plots.style import Picture
from vaescape.recipes import Configuration, configuration
from vaescape.reproduce.base import Made, Reproduction, markdown_table
from vaescape.study import Study
from vaescape.train import TrainOptions, train

SAMPLES = 10_000
TARGET = 0.95
JUDGE = TrainOptions(epochs=4, batch=128, lr=4e-3, schedule="one-cycle(warmup=0.2)", device="cpu")


class Classes(Reproduction, name="conditional"):
    """Doersch (2016, section 4): a conditional VAE in which every sample keeps its class."""

    title = "Classes × styles"
    published = f"""
Doersch (2016), *Tutorial on Variational Autoencoders*, section 4: the conditional VAE, p(z | c)
p(x | z, c), on Fashion-MNIST; there is no published number, so the target is our own:
{TARGET:.0%}. {DEFINITION} The classifier has two convolutional layers. Samples are decoder
means at draws of z, {SAMPLES:,} in all, every class equally often.
"""

    def models(self) -> dict[str, Configuration]:
        """Return the conditional model."""
        model = configuration(
            "conditional",
            network="gated-mlp",
            latent=8,
            epochs=12,
            lr=4e-3,
            schedule="one-cycle(warmup=0.1)",
            precision="bfloat16",
        )
        return {"conditional": model}

    def measure(self, study: Study) -> dict[str, Any]:
        """Return how often samples are of the class asked for."""
        judge = classifier(study)
        asked = torch.arange(SAMPLES) % study.conditions
        labels = study.test.labels
        samples, real, again = (
            study.sample(SAMPLES, asked),
            study.test.floats(),
            study.reconstruct(study.test),
        )
        right, still = (judge(x.numpy()) == labels.numpy() for x in (real, again))
        return class_agreement(judge, samples.numpy(), asked.numpy(), study.classes) | {
            "classifier_accuracy": float(right.mean()),
            "reconstructions": float(still.mean()),
            "variety": {
                "samples": variety(samples, asked),
                "reconstructions": variety(again, labels),
                "real": variety(real, labels),
            },
            "test": study.score(study.test),
        }

    def table(self, made: Mapping[str, Made]) -> str:
        """Return the agreement, whole and class by class."""
        n = made["conditional"].numbers
        apart, reconstruction, kl = n["variety"], n["test"]["reconstruction"], n["test"]["kl"]
        whole = [
            ["samples of the class asked for", f"**{n['estimate']:.2%}**"],
            ["95 % interval", f"{n['low']:.2%} to {n['high']:.2%}"],
            ["target", f"{TARGET:.0%}"],
            ["classifier, real test images", f"{n['classifier_accuracy']:.2%}"],
            ["classifier, their reconstructions", f"{n['reconstructions']:.2%}"],
            ["apart, two samples of a class", f"{apart['samples']:.2f}"],
            ["apart, two reconstructions of a class", f"{apart['reconstructions']:.2f}"],
            ["apart, two real test images of a class", f"{apart['real']:.2f}"],
            ["KL, test images, nats", f"{kl:.2f}"],
            ["negative ELBO, test images, nats", f"{reconstruction + kl:.2f}"],
        ]
        classes = [[name, f"{share:.1%}"] for name, share in n["by_class"].items()]
        return "\n\n".join(
            [markdown_table(["", ""], whole), markdown_table(["class", "agreement"], classes)]
        )

    def figures(self, made: Mapping[str, Made]) -> dict[str, Picture]:
        """Return the grid."""
        return {"conditional-classes": gallery.draw(made["conditional"].study, "classes")}


def variety(images: Float[Tensor, "N C H W"], labels: Int[Tensor, " N"]) -> float:
    """Return how far apart two images of a class are: the mean distance in pixels, Euclidean."""
    classes = [images[labels == c].flatten(1) for c in labels.unique()]
    return torch.stack([nn.functional.pdist(rows).mean() for rows in classes]).mean().item()


def classifier(study: Study, options: TrainOptions = JUDGE) -> Judge:
    """Return a function from images to classes: two convolutional layers, fitted to real images."""
    images = study.train
    channels, height, width = images.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        net = nn.Sequential(
            *_halving(channels, 16),
            *_halving(16, 32),
            nn.Flatten(),
            nn.Linear(32 * (height // 4) * (width // 4), 128),
            nn.ReLU(),
            nn.Linear(128, len(study.classes)),
        )
    batch = min(options.batch, len(images))
    batches = Batches(images.pixels, images.labels, batch=batch, seed=options.seed)
    for _ in train(net, _CrossEntropy(), batches, replace(options, batch=batch)):
        pass
    net.eval()

    def judge(x: Any) -> Any:
        with torch.no_grad():
            parts = torch.from_numpy(x).split(1000)
            return torch.cat([net(part).argmax(-1) for part in parts]).numpy()

    return judge


def _halving(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]


class _CrossEntropy(nn.Module):
    def forward(self, net: nn.Module, batch: Batch, t: Tensor) -> Loss:
        assert batch.label is not None
        return Loss(nn.functional.cross_entropy(net(batch.x), batch.label))
