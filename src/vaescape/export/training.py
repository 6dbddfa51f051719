"""A training step as ONNX, so that a page can train a small VAE without a server.

Three graphs of one model: dense layers over random Fourier features as decoder, Bayes' rule on grid
points as inference (``inference/bayes.py``), cross-entropy, and Adam. The state of the training is
one vector, which a step takes and returns: the decoder's weights, Adam's two moments, and what
inference remembers of the grid points.

- ``step``: x (B, P), noise (B, 1 + D), settings (β, learning rate, steps done) and the state to the
  next state and the terms of the batch: reconstruction and KL in nats per image;
- ``look``: x (N, P), noise (N, 1 + D), β (1,) and the weights, to the codes z (N, D) of images and
  their terms;
- ``decoder``: z (N, D) and the weights, to images x (N, C, H, W).

Noise is uniform: for each image a number in [0, 1) that chooses the grid point, and for each
dimension the sum of two.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.components import construct
from vaescape.distributions import Lattice
from vaescape.export.onnx import traced
from vaescape.extras import require_extra
from vaescape.inference.bayes import UNKNOWN, BayesRule
from vaescape.likelihoods.cross_entropy import CrossEntropy
from vaescape.nets.fourier import DARKEST, Fourier, Waves
from vaescape.objectives.elbo import ELBO
from vaescape.study import Study
from vaescape.train.optimisers import Adam

MOST_POINTS, MOST_PIXELS = 1024, 4096
"""Grid points in training and numbers of an image, at most: every step compares each image of the
batch with each grid point."""
LAYERS = (Waves, nn.Linear, nn.GELU, nn.Unflatten)
"""What the decoder may be made of."""
FOLDS = 5
"""Halvings of a row of factors, at most: the product of 2⁵ of them is 2³² at most."""
SIZED = 64
"""Images with which the graphs of any number are traced."""
CENTRAL = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 2.1858087e-04,
           -1.25372503e-03, -4.17768164e-03, 2.46640727e-01, 1.50140941)  # fmt: skip
TAIL = (-2.00214257e-04, 1.00950558e-04, 1.34934322e-03, -3.67342844e-03, 5.73950773e-03,
        -7.6224613e-03, 9.43887047e-03, 1.00167406, 2.83297682)  # fmt: skip
"""Polynomials of the inverse error function, from the highest power (Giles 2010, table 5)."""

Tape = list[tuple[Tensor, Tensor, Tensor | None]]
"""Of each dense layer: its weight, its input, and what GELU made the input of."""


@dataclass(frozen=True)
class Trainable:
    """The graphs, and how a training with them begins."""

    graphs: dict[str, bytes]
    """``step``, ``look`` and ``decoder``."""
    about: dict[str, Any]
    """``batch``: images of a step; ``weights``: how many numbers of the state, its first, are the
    decoder's; ``points``: of the grid; ``knobs``: β, learning rate and seed; ``start``: the parts
    of the state before the first step, each as kind, number and length. "normal": from
    N(0, number²); "uniform": between ± number; "mean": logits of the mean training image, kept so
    far from black and white; "constant": the number."""


def trainable(study: Study) -> Trainable | None:
    """Return the training of a study's model as ONNX; None where it is of another kind.

    Raises:
        MissingExtraError: If the packages of ONNX are not installed.
    """
    if not supported(study):
        return None
    require_extra("export", "Writing a training step as ONNX")
    step, look, options = Step(study), Look(study), study.configuration.train
    state = torch.zeros(sum(step.sizes))
    x = torch.zeros(options.batch, math.prod(study.shape))
    noise, settings = torch.full((len(x), 1 + step.latent), 0.5), torch.tensor([1.0, 1e-3, 0.0])
    some = torch.zeros(SIZED, x.shape[1]), torch.full((SIZED, 1 + step.latent), 0.5)
    weights, z = state[: step.weights], torch.zeros(SIZED, step.latent)
    return Trainable(
        {
            "step": traced(
                step, (x, noise, settings, state), STEP_INPUTS, ["next", "terms"], []
            ),
            "look": traced(
                look, (*some, settings[:1], weights), ["x", "noise", "beta", "weights"],
                ["z", "terms"], ["x", "noise", "z"],
            ),
            "decoder": traced(
                Decoder(study), (z, weights), ["z", "weights"], ["x"], ["z", "x"]
            ),
        },
        {
            "batch": options.batch,
            "weights": step.weights,
            "points": len(step.points),
            "knobs": {
                "beta": study.objective.kl_weight,
                "lr": options.constant_lr,
                "seed": options.seed,
            },
            "start": step.start(study),
        },
    )  # fmt: skip


STEP_INPUTS = ["x", "noise", "settings", "state"]


def supported(study: Study) -> bool:
    """Return whether a study's model is of the one kind that the graphs train."""
    rule, objective, options = study.model.posterior, study.objective, study.configuration.train
    if not (isinstance(rule, BayesRule) and isinstance(objective, ELBO)):
        return False
    net = rule.net.likelihood.net
    return (
        rule.standard
        and rule.head.size <= 2
        and len(rule.net.training_points) <= MOST_POINTS
        and math.prod(study.shape) <= MOST_PIXELS
        and isinstance(rule.net.likelihood.head, CrossEntropy)
        and isinstance(net, nn.Sequential)
        and all(type(layer) in LAYERS for layer in net)
        and objective.samples == 1
        and isinstance(construct("optimiser", options.optimiser), Adam)
        and study.configuration.binarise == "none"
    )


class Graph(nn.Module):
    """What the graphs share: the decoder as a function of a row of numbers, and draws from q.

    Args:
        study: Whose model it is; only its shapes count.
    """

    def __init__(self, study: Study) -> None:
        super().__init__()
        rule = cast(BayesRule, study.model.posterior)
        waves, *layers = cast(nn.Sequential, rule.net.likelihood.net)
        layers = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self.image, self.latent = study.shape, rule.head.size
        self.points, self.tents = rule.net.training_points.cpu(), rule.head.training_tents.cpu()
        self.at_once, self.stride = rule.net.at_once, rule.net.stride
        trained = [p.shape for layer in layers for p in (layer.weight, layer.bias)]
        self.shapes = [cast(Tensor, waves.frequencies).shape, *trained]
        fixed, count = self.shapes[0].numel(), len(self.points)
        learned = sum(shape.numel() for shape in trained)
        self.sizes = [fixed, learned, learned, learned, count * math.prod(self.image), count]
        """Of the parts of the state: frequencies, weights, their two moments, and the decoder's
        outputs at the grid points with their level (``GridLikelihood``)."""
        self.weights = fixed + learned

    def decode(
        self, z: Float[Tensor, "N D"], weights: Float[Tensor, " W"]
    ) -> tuple[Float[Tensor, "N P"], Tape]:
        """Return the logits of images at codes, and what their derivative needs."""
        parts = weights.split([shape.numel() for shape in self.shapes])
        frequencies, *layers = (x.reshape(s) for x, s in zip(parts, self.shapes, strict=True))
        phase, tape, before = z @ frequencies, [], None
        h = torch.cat([z, phase.sin(), phase.cos()], -1)
        for weight, bias in zip(layers[::2], layers[1::2], strict=True):
            h = h if before is None else before * below(before)
            tape.append((weight, h, before))
            before = F.linear(h, weight, bias)
        assert before is not None
        return before, tape

    def posterior(
        self,
        x: Float[Tensor, "N P"],
        rows: Float[Tensor, "C P"],
        level: Float[Tensor, " C"],
        beta: Float[Tensor, "..."],
    ) -> Lattice:
        """Return q(z | x) ∝ p(x | z)^(1/β) p(z), given what the decoder says at the grid points."""
        return Lattice(F.linear(x, rows, level) / beta, self.tents, self.latent)

    def draw(
        self, q: Lattice, noise: Float[Tensor, "N 1+D"]
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, " N"]]:
        """Return a draw from each q and its log q − log p, as ``Lattice.joint_rsample`` does."""
        side, count = q.side, len(self.points)
        strides = torch.tensor([side**k for k in reversed(range(self.latent))])
        reached = q.mass.cumsum(-1)
        chosen = noise[:, :1] * reached[:, -1:]
        cell = (reached <= chosen).float().sum(-1, keepdim=True).long().clamp(max=count - 1)
        u = ((cell // strides % side + noise[:, 1:] - 0.5) / side).abs()
        u = 1 - (1 - u).abs()
        at = u * side - 0.5
        ratio = torch.zeros(1)
        for corner in itertools.product((0.0, 1.0), repeat=self.latent):
            near = at.floor() + torch.tensor(corner)
            index = (near.clamp(0, side - 1).long() * strides).sum(-1, keepdim=True)
            share = (1 - (at - near).abs()).prod(-1, keepdim=True)
            ratio = ratio + share * q.mass.gather(-1, index)
        return quantile(u), (count * ratio).log().squeeze(-1)

    def terms(
        self, x: Float[Tensor, "N P"], logits: Float[Tensor, "N P"], kl: Float[Tensor, " N"]
    ) -> Float[Tensor, " 2"]:
        """Return the means of reconstruction and KL, in nats."""
        score = (x * logits).sum(-1) + black(logits)
        return torch.stack([-score.mean(), kl.mean()])


class Step(Graph):
    """One step of training: gradient and Adam (Kingma & Ba 2015)."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        rule = cast(Adam, construct("optimiser", study.configuration.train.optimiser))
        self.betas, self.eps = rule.betas, rule.eps

    def start(self, study: Study) -> list[tuple[str, float, int]]:
        """Return the state before the first step, as PyTorch and the network begin."""
        network = cast(Fourier, construct("network", study.configuration.parts.network))
        fixed, *trained = self.shapes
        layers = [
            ("uniform", weight[1] ** -0.5, size.numel())
            for weight, bias in zip(trained[::2], trained[1::2], strict=True)
            for size in (weight, bias)
        ]
        *_, moments, _, rows, level = self.sizes
        return [
            ("normal", network.scale, fixed.numel()),
            *layers[:-1],
            ("mean", DARKEST, trained[-1].numel()),
            ("constant", 0.0, 2 * moments + rows),
            ("constant", UNKNOWN, level),
        ]

    def forward(
        self,
        x: Float[Tensor, "B P"],
        noise: Float[Tensor, "B 1+D"],
        settings: Float[Tensor, " 3"],
        state: Float[Tensor, " S"],
    ) -> tuple[Float[Tensor, " S"], Float[Tensor, " 2"]]:
        """Return the next state and the terms of the batch."""
        beta, lr, done = settings[0], settings[1], settings[2]
        fixed, learned, mean, square, rows, level = state.split(self.sizes)
        weights, rows = state[: self.weights], rows.reshape(len(self.points), -1)
        turn = torch.arange(self.at_once) + done.long() * self.at_once
        turn = turn * self.stride % len(self.points)
        fresh, _ = self.decode(self.points[turn], weights)
        rows = rows.index_put((turn,), fresh)
        level = level.index_put((turn,), black(fresh))
        z, kl = self.draw(self.posterior(x, rows, level, beta), noise)
        logits, tape = self.decode(z, weights)
        gradient = self.gradient((1 / (1 + (-logits).exp()) - x) / len(x), tape)
        first, second = self.betas
        mean = first * mean + (1 - first) * gradient
        square = second * square + (1 - second) * gradient.square()
        root = (square / (1 - second ** (done + 1))).sqrt() + self.eps
        learned = learned - lr / (1 - first ** (done + 1)) * mean / root
        after = torch.cat([fixed, learned, mean, square, rows.flatten(), level])
        return after, self.terms(x, logits, kl)

    def gradient(self, slope: Float[Tensor, "N P"], tape: Tape) -> Float[Tensor, " G"]:
        """Return the derivative by weights and biases, given that by the logits."""
        found: list[Tensor] = []
        for weight, h, before in reversed(tape):
            found = [(slope.T @ h).flatten(), slope.sum(0), *found]
            if before is not None:  # of a Φ(a): Φ(a) + a φ(a)
                density = (-0.5 * before.square()).exp() / math.sqrt(2 * math.pi)
                slope = slope @ weight * (below(before) + before * density)
        return torch.cat(found)


class Look(Graph):
    """The codes of images now, quickly (``BayesRule.coarse``), and their terms."""

    def forward(
        self,
        x: Float[Tensor, "N P"],
        noise: Float[Tensor, "N 1+D"],
        beta: Float[Tensor, " 1"],
        weights: Float[Tensor, " W"],
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, " 2"]]:
        """Return the best point of each image's posterior, and terms of draws from it."""
        rows, _ = self.decode(self.points, weights)
        q = self.posterior(x, rows, black(rows), beta)
        z, kl = self.draw(q, noise)
        return q.quick_estimate, self.terms(x, self.decode(z, weights)[0], kl)


class Decoder(Graph):
    """Codes to images."""

    def forward(
        self, z: Float[Tensor, "N D"], weights: Float[Tensor, " W"]
    ) -> Float[Tensor, "N C H W"]:
        """Return the means of p(x | z)."""
        return self.decode(z, weights)[0].sigmoid().unflatten(1, self.image)


def black(logits: Float[Tensor, "N P"]) -> Float[Tensor, " N"]:
    """Return the scores of a black image, −Σ log(1 + eˡ) = −Σ max(l, 0) − Σ log(1 + e^−|l|).

    A logarithm is slow in a browser, and factors of at most 2 can be multiplied first.
    """
    factors = 1 + (-logits.abs()).exp()
    for _ in range(FOLDS):
        half, odd = divmod(int(factors.shape[1]), 2)
        if odd:
            break
        factors = factors[:, :half] * factors[:, half:]
    return -logits.relu().sum(-1) - factors.log().sum(-1)


def below(a: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return Φ(a), the share of a standard normal below a."""
    return 0.5 + 0.5 * (a / math.sqrt(2)).erf()


def quantile(u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return Φ⁻¹(u), by the inverse error function (Giles 2010): ONNX has neither."""
    tiny = torch.finfo(u.dtype).eps
    u = u.clamp(tiny, 1 - tiny)
    w = -(4 * u * (1 - u)).log()
    found = torch.where(w < 5, horner(CENTRAL, w - 2.5), horner(TAIL, w.sqrt() - 3))
    return math.sqrt(2) * found * (2 * u - 1)


def horner(coefficients: tuple[float, ...], x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return a polynomial's value, the coefficient of the highest power first."""
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
