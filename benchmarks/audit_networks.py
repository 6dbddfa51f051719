"""What an audit computes with: exported networks, images, and densities in NumPy."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vaescape.data import Images
from vaescape.export import export
from vaescape.latent_space import AT_ONCE
from vaescape.study import Study

BLOCK = 200
"""Points held against all others at once."""


class Networks:
    """Encoder and decoder of a study as ONNX Runtime runs them."""

    def __init__(self, study: Study) -> None:
        import onnxruntime

        self.codes = dict[str, dict[str, np.ndarray]]()
        with tempfile.TemporaryDirectory() as folder:
            made = export(study, Path(folder))
        self.sessions = {each.name: onnxruntime.InferenceSession(each.content) for each in made}

    def encode(self, x: np.ndarray, c: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the encoder gives: ``mean``, and ``log_var`` of a diagonal Gaussian."""
        return self._run("encoder", {"x": x, "c": c})

    def decode(self, z: np.ndarray, c: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the decoder gives: the mean ``x`` and the parameters of p(x | z)."""
        return self._run("decoder", {"z": z, "c": c})

    def _run(self, name: str, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        session = self.sessions[name]
        asked = {each.name: given[each.name].astype(np.float32) for each in session.get_inputs()}
        names = [each.name for each in session.get_outputs()]
        found = dict(zip(names, session.run(names, asked), strict=True))
        return {key: np.asarray(value) for key, value in found.items()}


def parts(study: Study, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the images of a split in [0, 1] and their classes as weights, some at a time."""
    images: Images = getattr(study, split)
    for start in range(0, len(images), AT_ONCE):
        yield pixels_and_classes(study, images[start : start + AT_ONCE])


def pixels_and_classes(study: Study, images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Return images in [0, 1], and their classes as weights: none if the model is not told them."""
    none = np.empty((len(images), 0))
    c = np.eye(study.space.conditions)[images.labels.numpy()] if study.space.conditions else none
    return images.pixels.numpy().astype(np.float64) / 255, c


def encoded(study: Study, nets: Networks, split: str) -> dict[str, np.ndarray]:
    """Return what the encoder gives for all images of a split, in float64."""
    if split in nets.codes:
        return nets.codes[split]
    each = [nets.encode(*part) for part in parts(study, split)]
    found = {name: np.concatenate([part[name] for part in each]) for name in each[0]}
    nets.codes[split] = {name: values.astype(np.float64) for name, values in found.items()}
    return nets.codes[split]


# Densities ---------------------------------------------------------------------------------------


class Gaussians(NamedTuple):
    """A mixture of diagonal Gaussians."""

    log_weight: Float[np.ndarray, " M"]
    mean: Float[np.ndarray, "M D"]
    log_var: Float[np.ndarray, "M D"]

    def log_prob(self, z: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " N"]:
        """Return log Σ_m w_m N(z; μ_m, σ_m²) in nats."""
        constant = -0.5 * (self.log_var + math.log(math.tau)).sum(1) + self.log_weight
        found, rows = [], max(1, BLOCK * 10_000 // len(self.mean))
        for start in range(0, len(z), rows):
            away = (z[start : start + rows, None] - self.mean) * np.exp(self.log_var / -2)
            found.append(log_sum(constant - 0.5 * (away**2).sum(-1), 1))
        return np.concatenate(found)


def even(mean: Float[np.ndarray, "M D"], log_var: Float[np.ndarray, "M D"]) -> Gaussians:
    """Return a mixture with equal weights."""
    return Gaussians(np.full(len(mean), -math.log(len(mean))), mean, log_var)


def log_sum(values: np.ndarray, axis: int) -> np.ndarray:
    """Return log Σ exp along an axis."""
    most = values.max(axis, keepdims=True)
    return np.squeeze(most, axis) + np.log(np.exp(values - most).sum(axis))


def log_gaussian(z: np.ndarray, mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """Return log N(z; μ, σ²) in nats, summed over the last axis."""
    away = (z - mean) ** 2 / np.exp(log_var)
    return -0.5 * (away + log_var + math.log(math.tau)).sum(-1)


def priors(study: Study, nets: Networks) -> list[Gaussians] | None:
    """Return p(z | c) of each class, or p(z) alone, as mixtures; None for another family."""
    name, prior = study.model.prior.name, study.model.prior
    classes, size = max(1, study.space.conditions), study.space.latent
    if name == "normal":
        return [even(np.zeros((1, size)), np.zeros((1, size)))] * classes
    weights = {k: v.detach().double().numpy() for k, v in prior.named_parameters(recurse=False)}
    if name == "mixture":
        log_weight = weights["log_weights"] - log_sum(weights["log_weights"], 0)
        return [Gaussians(log_weight, weights["means"], 2 * weights["log_scales"])] * classes
    if name == "class":
        mean, log_var = weights["means"], 2 * weights["log_scales"]
        if not study.space.conditions:
            return [even(mean, log_var)]
        return [even(mean[k : k + 1], log_var[k : k + 1]) for k in range(classes)]
    if name == "vamp":
        u, told = weights["pseudo_inputs"].clip(0, 1), np.eye(study.space.conditions)
        rows = [np.repeat(told[k : k + 1], len(u), 0) for k in range(len(told))] or [told[:0]]
        found = [nets.encode(u, c) for c in rows]
        return [even(p["mean"].astype(float), p["log_var"].astype(float)) for p in found]
    return None


def whole(of_class: list[Gaussians]) -> Gaussians:
    """Return the even mixture of the priors of all classes."""
    if of_class[0] is of_class[-1]:
        return of_class[0]
    parts = [np.concatenate(part) for part in zip(*of_class, strict=True)]
    return Gaussians(parts[0] - math.log(len(of_class)), parts[1], parts[2])


def log_likelihood(name: str, p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray | None:
    """Return log p(x | z) of each image in nats, for the likelihoods that fit in a line."""
    if name in ("cross-entropy", "bernoulli"):
        logits = p["logits"].astype(np.float64)
        each = x * logits - np.logaddexp(0, logits)
    elif name == "gaussian":
        loc, log_scale = p["x"].astype(np.float64), p["log_scale"].astype(np.float64)
        each = -0.5 * ((x - loc) / np.exp(log_scale)) ** 2 - log_scale - 0.5 * math.log(math.tau)
    else:
        return None
    return each.reshape(len(x), -1).sum(1)
