"""Classes × styles: how often samples belong to the requested class."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vaescape import figures
from vaescape.batch import Batch
from vaescape.data import Batches
from vaescape.evaluation import elbo
from vaescape.metrics.agreement import DEFINITION, Judge, class_agreement
from vaescape.nets.base import Convolution
from vaescape.objectives.base import Loss
from vaescape.plots.style import Picture
from vaescape.recipes import Configuration, configuration
from vaescape.reproduce.base import Made, Reproduction, markdown_table
from vaescape.study import Study
from vaescape.train import TrainOptions, train

SAMPLES = 10_000
TARGET = 0.95
TEMPERATURES = 1.0, 0.5, 0.35
"""Of the draws of z: the prior's own, and narrower."""
JUDGE = TrainOptions(epochs=6, batch=128, lr=4e-3, schedule="one-cycle(warmup=0.2)", device="cpu")


class Classes(Reproduction, name="conditional"):
    """Doersch (2016, section 4): a conditional VAE in which every sample keeps its class."""

    title = "Classes × styles"
    published = f"""
Doersch (2016), *Tutorial on Variational Autoencoders*, section 4: the conditional VAE, p(z | c)
p(x | z, c), on Fashion-MNIST; there is no published number, so the target is our own:
{TARGET:.0%}. {DEFINITION} The classifier has two convolutional layers, and two in three of the
images that it was trained on were blurred, because decoder means are blurred: it classifies
images regardless of their sharpness. Samples are decoder means at draws of z from p(z | c),
{SAMPLES:,} in all, every class equally often. At a temperature below 1 they vary less.
"""

    def models(self) -> dict[str, Configuration]:
        """Return the conditional model."""
        model = configuration(
            "conditional",
            prior="class",
            network="gated-mlp",
            latent=8,
            epochs=12,
            lr=4e-3,
            schedule="one-cycle(warmup=0.1)",
            precision="bfloat16",
        )
        return {"conditional": model}

    def measure(self, study: Study) -> dict[str, Any]:
        """Return how often samples belong to the requested class."""
        judge = classifier(study)
        labels, real, again = study.test.labels, study.test.floats(), study.reconstruct(study.test)
        right, still = (judge(x.numpy()) == labels.numpy() for x in (real, again))
        return {
            "samples": {str(at): _sampled(study, judge, at) for at in TEMPERATURES},
            "classifier_accuracy": float(right.mean()),
            "reconstructions": {"estimate": float(still.mean()), "apart": variety(again, labels)},
            "real": {"apart": variety(real, labels)},
            "test": elbo(study, study.test),
        }

    def table(self, made: Mapping[str, Made]) -> str:
        """Return the agreement, whole and class by class, and how much images of a class vary."""
        n = made["conditional"].numbers
        rows = [
            [
                f"samples at temperature {at}",
                f"**{found['estimate']:.2%}**",
                f"{found['low']:.2%} to {found['high']:.2%}",
                f"{found['apart']:.2f}",
            ]
            for at, found in n["samples"].items()
        ]
        again, real = n["reconstructions"], n["real"]
        rows += [
            ["reconstructions", f"{again['estimate']:.2%}", "", f"{again['apart']:.2f}"],
            ["real test images", f"{n['classifier_accuracy']:.2%}", "", f"{real['apart']:.2f}"],
        ]
        header = ["images", "of the class", "95 % interval", "two of a class apart, pixels"]
        classes = list(next(iter(n["samples"].values()))["by_class"])
        shares = [
            [at, *(f"{found['by_class'][name]:.1%}" for name in classes)]
            for at, found in n["samples"].items()
        ]
        return "\n\n".join(
            [
                markdown_table(header, rows),
                markdown_table(["temperature", *classes], shares),
                f"Target: {TARGET:.0%}. Negative ELBO of the test images: "
                f"{n['test']['negative_elbo']:.2f} nats, of which {n['test']['kl']:.2f} are KL.",
            ]
        )

    def figures(self, made: Mapping[str, Made]) -> dict[str, Picture]:
        """Return the grid."""
        return {"conditional-classes": figures.draw(made["conditional"].study, "classes")}


def _sampled(study: Study, judge: Judge, temperature: float) -> dict[str, Any]:
    """Return the agreement of samples at a temperature, and how far apart they are."""
    asked = torch.arange(SAMPLES) % study.space.conditions
    images = study.sample(SAMPLES, asked, temperature=temperature)
    found = class_agreement(judge, images.numpy(), asked.numpy(), study.classes)
    return found | {"apart": variety(images, asked)}


def variety(images: Float[Tensor, "N C H W"], labels: Int[Tensor, " N"]) -> float:
    """Return how far apart two images of a class are: the mean distance in pixels, Euclidean."""
    classes = [images[labels == c].flatten(1) for c in labels.unique()]
    return torch.stack([nn.functional.pdist(rows).mean() for rows in classes]).mean().item()


def classifier(study: Study, options: TrainOptions = JUDGE) -> Judge:
    """Return a function from images to classes: two convolutional layers, fitted to real images.

    Two in three of them blurred, so that it does not take a decoder's blur for another class.
    """
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
    return [Convolution(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]


class _CrossEntropy(nn.Module):
    def forward(self, net: nn.Module, batch: Batch, t: Tensor) -> Loss:
        assert batch.label is not None
        return Loss(nn.functional.cross_entropy(net(blurred(batch.x)), batch.label))


def blurred(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Return images: a third unchanged, a third blurred, a third blurred twice."""
    once = nn.functional.avg_pool2d(x, 3, stride=1, padding=1)
    twice = nn.functional.avg_pool2d(once, 3, stride=1, padding=1)
    times = torch.randint(3, (len(x), 1, 1, 1), device=x.device)
    return torch.where(times == 0, x, torch.where(times == 1, once, twice))
