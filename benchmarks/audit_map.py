"""Codes beside the prior, what they capture, and the smoothness of straight paths."""

import math

import numpy as np
import torch
from jaxtyping import Float

from benchmarks.audit_networks import (
    BLOCK,
    Networks,
    encoded,
    even,
    log_gaussian,
    pixels_and_classes,
    priors,
    whole,
)
from vaescape.evaluation.latents import PRIOR_DRAWS, prior_draws
from vaescape.evaluation.smoothness import REAL_IMAGES
from vaescape.geometry.density import IMAGES, TYPICAL_CODES, evenly
from vaescape.metrics.neighbours import KNN_KS, MAP_KS, MOST_IMAGES
from vaescape.metrics.smoothness import PERCENTILE, RESOLUTION, pairs
from vaescape.study import Study

OUTSIDE, ACTIVE, ACTIVE_KL = 0.01, 0.01, 0.1


def latents(study: Study, nets: Networks, seed: int = 0) -> dict[str, float]:
    """Return what dimensions carry, and how the aggregate posterior lies beside the prior."""
    codes, of_class = encoded(study, nets, "test"), priors(study, nets)
    if "log_var" not in codes or of_class is None:
        return {}
    mean, log_var = codes["mean"], codes["log_var"]
    found = {"active_units.by_variance": (mean.var(0) > ACTIVE).sum()}
    if study.model.prior.name == "normal":
        kl = 0.5 * (mean**2 + np.exp(log_var) - log_var - 1).mean(0)
        found["active_units.by_kl"] = (kl > ACTIVE_KL).sum()
    noise = torch.randn(1, *mean.shape, generator=torch.Generator().manual_seed(seed))[0].numpy()
    z = mean + np.exp(log_var / 2) * noise
    own, q = log_gaussian(z, mean, log_var), even(mean, log_var)
    log_q, log_p = q.log_prob(z), whole(of_class).log_prob(z)
    prior = prior_draws(study, seed).numpy().astype(np.float64)
    holes = q.log_prob(prior) < np.quantile(log_q, OUTSIDE)
    few = min(len(z), PRIOR_DRAWS)
    found |= {
        "aggregate_posterior.mean_kl": (own - log_p).mean(),
        "aggregate_posterior.mutual_information": (own - log_q).mean(),
        "aggregate_posterior.kl": (log_q - log_p).mean(),
        "aggregate_posterior.kl_error": (log_q - log_p).std() / math.sqrt(len(z)),
        "aggregate_posterior.hole_fraction": holes.mean(),
        "aggregate_posterior.mmd2": _mmd2(z[:few], prior[:few]),
    }
    return {name: float(value) for name, value in found.items()}


def _mmd2(x: Float[np.ndarray, "N D"], y: Float[np.ndarray, "M D"]) -> float:
    """Return the squared maximum mean discrepancy without bias, a Gaussian kernel of width √D."""

    def total(a: np.ndarray, b: np.ndarray) -> float:
        parts = (a[i : i + BLOCK] for i in range(0, len(a), BLOCK))
        apart = (((part[:, None] - b) ** 2).sum(-1) for part in parts)
        return float(sum(np.exp(d / (-2 * a.shape[1])).sum() for d in apart))

    n, m = len(x), len(y)
    own = (total(x, x) - n) / (n * (n - 1)) + (total(y, y) - m) / (m * (m - 1))
    return own - 2 * total(x, y) / (n * m)


# What codes capture ------------------------------------------------------------------------------


def captured(study: Study, nets: Networks, seed: int = 0) -> dict[str, float]:
    """Return how well codes predict classes, and keep the neighbourhoods of pixel space."""
    train, test = (encoded(study, nets, name)["mean"] for name in ("train", "test"))
    train_y, test_y = study.train.labels.numpy(), study.test.labels.numpy()
    few = np.arange(len(test))
    if len(test) > MOST_IMAGES:
        few = np.sort(np.random.default_rng(seed).choice(len(test), MOST_IMAGES, replace=False))
    found = {}
    if all(1 < len(np.unique(y)) < len(y) for y in (train_y, test_y[few])):
        for k, right in _votes(train, train_y, test, test_y).items():
            found[f"knn_accuracy.by_k.{k}.estimate"] = right
        found["linear_probe_accuracy.estimate"] = _probe(train, train_y, test, test_y)
        found["silhouette.estimate"] = _silhouette(test[few], test_y[few])
    x = study.test.pixels.numpy()[few].reshape(len(few), -1) / 255
    ks = [k for k in MAP_KS if k < len(few) / 2]
    for name, (where, near) in {
        "trustworthiness": (x, test[few]),
        "continuity": (test[few], x),
    }.items():
        for k, value in _kept(where, near, ks).items():
            found[f"{name}.by_k.{k}.estimate"] = value
    alone = {
        name.replace(".by_k.5", ""): value for name, value in found.items() if ".by_k.5." in name
    }
    return {name: float(value) for name, value in (found | alone).items()}


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    middle = b.mean(0)
    a, b = a - middle, b - middle
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))


def _votes(
    train: np.ndarray, train_y: np.ndarray, test: np.ndarray, test_y: np.ndarray
) -> dict[int, float]:
    """Return, by k, how often the vote of the nearest k is right; ties go to the first class."""
    ks, classes, right = [k for k in KNN_KS if k <= len(train)], np.unique(train_y), []
    for start in range(0, len(test), BLOCK):
        near = _distances(test[start : start + BLOCK], train).argsort(1, kind="stable")
        votes = (train_y[near[:, : max(ks), None]] == classes).cumsum(1)
        label = test_y[start : start + BLOCK, None]
        right.append(classes[votes[:, [k - 1 for k in ks]].argmax(2)] == label)
    return dict(zip(ks, np.concatenate(right).mean(0), strict=True))


def _probe(train: np.ndarray, train_y: np.ndarray, test: np.ndarray, test_y: np.ndarray) -> float:
    """Return the accuracy of a logistic regression, by Newton's method: ½|W|² + Σ log-loss."""
    mean, scale = train.mean(0), np.where(train.std(0) > 0, train.std(0), 1)
    a, b = (np.c_[(z - mean) / scale, np.ones(len(z))] for z in (train, test))
    classes, size = np.unique(train_y), a.shape[1]
    two = len(classes) == 2
    w = np.zeros((size, 1 if two else len(classes)))
    y = (train_y[:, None] == (classes[1:] if two else classes)).astype(float)
    bare = np.ones_like(w)
    bare[-1] = 0  # the intercept is free

    def probabilities(given: np.ndarray) -> np.ndarray:
        logits = given @ w
        if two:
            return 1 / (1 + np.exp(-logits))
        return np.exp(logits - logits.max(1, keepdims=True)) / np.exp(
            logits - logits.max(1, keepdims=True)
        ).sum(1, keepdims=True)

    for _ in range(50):
        p = probabilities(a)
        slope = a.T @ (p - y) + bare * w
        curve = np.zeros((w.shape[1], size, w.shape[1], size))
        for i in range(w.shape[1]):
            for j in range(w.shape[1]):
                curve[i, :, j] = a.T @ (a * (p[:, i] * ((i == j) - p[:, j]))[:, None])
        square = curve.reshape(w.size, w.size) + np.diag(bare.T.ravel())
        step = np.linalg.lstsq(square, slope.T.ravel(), rcond=1e-12)[0].reshape(w.T.shape).T
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    p = probabilities(b)
    chosen = (p[:, 0] > 0.5).astype(int) if two else p.argmax(1)
    return float((classes[chosen] == test_y).mean())


def _silhouette(z: np.ndarray, y: np.ndarray) -> float:
    classes, found = np.unique(y), []
    member = (y[:, None] == classes).astype(float)
    size = member.sum(0)
    for start in range(0, len(z), BLOCK):
        own = member[start : start + BLOCK] > 0
        total = _distances(z[start : start + BLOCK], z) @ member
        alone = size[own.argmax(1)] == 1
        a = total[own] / np.maximum(size[own.argmax(1)] - 1, 1)
        b = np.where(own, np.inf, total / size).min(1)
        found.append(np.where(alone, 0, (b - a) / np.maximum(np.maximum(a, b), 1e-300)))
    return float(np.concatenate(found).mean())


def _kept(where: np.ndarray, near: np.ndarray, ks: list[int]) -> dict[int, float]:
    """Return one less the normalised excess ranks, in one space, of neighbours in another."""
    n, excess = len(where), dict.fromkeys(ks, 0.0)
    if not ks:
        return {}
    for start in range(0, n, BLOCK):
        rows = np.arange(start, min(start + BLOCK, n))
        there, here = (_distances(space[rows], space) for space in (where, near))
        there[np.arange(len(rows)), rows] = here[np.arange(len(rows)), rows] = np.inf
        nearest = here.argsort(1, kind="stable")[:, : max(ks)]
        ordered, values = np.sort(there, 1), np.take_along_axis(there, nearest, 1)
        for row, own in zip(ordered, values, strict=True):
            rank = (np.searchsorted(row, own) + np.searchsorted(row, own, "right") + 1) / 2
            for k in ks:
                excess[k] += np.maximum(0, rank[:k] - k).sum()
    return {k: 1 - 2 * excess[k] / (n * k * (2 * n - 3 * k - 1)) for k in ks}


# Straight paths ----------------------------------------------------------------------------------


def walked(
    study: Study, nets: Networks, paths: int, frames: int, seed: int = 0
) -> dict[str, float]:
    """Return the smoothness of straight paths in latent space and of the cross-fade."""
    test, codes = study.test, encoded(study, nets, "test")
    x, c = pixels_and_classes(study, test)
    real = study.some(study.train, REAL_IMAGES).pixels.numpy() / 255
    real = real.reshape(len(real), -1)
    if len(test.labels.unique()) > 1:
        kinds = {same: pairs(test.labels, paths, same == "same", seed) for same in _KINDS}
    else:
        kinds = {"any": pairs(torch.zeros_like(test.labels), paths, True, seed)}
    share, found = np.linspace(0, 1, frames)[:, None], {}
    for kind, ends in kinds.items():
        for walk in ("linear", "pixel cross-fade") if len(ends) else ():
            points = codes["mean"] if walk == "linear" else x.reshape(len(x), -1)
            a, b = (points[ends[:, n].numpy()][:, None] for n in (0, 1))
            images = between = (1 - share) * a + share * b
            if walk == "linear":
                told = (1 - share) * c[ends[:, 0].numpy()][:, None]
                told = told + share * c[ends[:, 1].numpy()][:, None]
                images = _images(nets, between, told)
            values = _path(images, real)
            if walk == "linear" and "log_var" in codes:
                values |= _supported(study, nets, codes, between)
            found |= {f"{walk}.{kind}.{name}.estimate": float(v) for name, v in values.items()}
    return found


_KINDS = ("same", "different")


def _images(nets: Networks, z: np.ndarray, c: np.ndarray) -> np.ndarray:
    parts = [nets.decode(*pair)["x"] for pair in zip(z, c, strict=True)]
    return np.stack(parts).reshape(*z.shape[:2], -1).astype(np.float64)


def _path(images: np.ndarray, real: np.ndarray) -> dict[str, np.floating]:
    steps = np.diff(images, axis=1)
    sizes = np.linalg.norm(steps, axis=2)
    still = RESOLUTION * math.sqrt(images.shape[2])
    chord = np.maximum(np.linalg.norm(images[:, -1] - images[:, 0], axis=1), still)
    moves = sizes.mean(1) > still
    turning = np.zeros(len(images))
    for n, (path, size) in enumerate(zip(steps, sizes, strict=True)):
        heading = path[size > still] / size[size > still, None]
        cosine = (heading[:-1] * heading[1:]).sum(1)
        turning[n] = np.arccos(cosine.clip(-1, 1)).sum() if moves[n] else 0
    away = np.stack([_distances(path, real).min(1) for path in images])
    length = np.where(moves, np.maximum(sizes.sum(1) / chord, 1), 1)
    largest = np.where(moves, sizes.max(1) / np.maximum(sizes.mean(1), 1e-300), 1)
    return {
        "length_ratio": length.mean(),
        "step_ratio": largest.mean(),
        "curvature": turning.mean(),
        "nearest_distance": away[:, 1:-1].mean(),
        "end_distance": away[:, [0, -1]].mean(),
    }


def _supported(
    study: Study, nets: Networks, codes: dict[str, np.ndarray], between: np.ndarray
) -> dict[str, np.floating]:
    train = encoded(study, nets, "train")
    chosen = evenly(len(study.train), IMAGES).numpy()
    q = even(train["mean"][chosen], train["log_var"][chosen])
    typical = codes["mean"][evenly(len(study.test), TYPICAL_CODES).numpy()]
    floor = np.quantile(q.log_prob(typical), PERCENTILE / 100)
    inside = between[:, 1:-1].reshape(-1, between.shape[-1])
    log_q = q.log_prob(inside)
    return {"support": (log_q >= floor).mean(), "log_density": log_q.mean()}
