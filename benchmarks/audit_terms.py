"""The negative ELBO and its terms, the importance-weighted bounds, the errors of decoded images."""

import math
from typing import Any

import numpy as np
import torch

from benchmarks.audit_networks import (
    Networks,
    encoded,
    log_gaussian,
    log_likelihood,
    log_sum,
    parts,
    pixels_and_classes,
    priors,
)
from vaescape.data import Images
from vaescape.metrics.likelihood import BLOCK, seeded
from vaescape.metrics.pooled import POOL
from vaescape.study import Study

DECODED = 500


def split(study: Study, nets: Networks, name: str, seed: int = 0) -> dict[str, float]:
    """Return the negative ELBO of a split and its terms, with the same noise."""
    codes, of_class = encoded(study, nets, name), priors(study, nets)
    if "log_var" not in codes or of_class is None:
        return {}
    mean, log_var = codes["mean"], codes["log_var"]
    closed = len(of_class[0].mean) == 1
    torch.manual_seed(seed)
    scores, kls, start = [], [], 0
    for x, c in parts(study, name):
        part = slice(start, start := start + len(x))
        noise = torch.randn(1, len(x), mean.shape[1])[0].numpy().astype(np.float64)
        z = mean[part] + np.exp(log_var[part] / 2) * noise
        scores.append(log_likelihood(study.space.likelihood.name, nets.decode(z, c), x))
        label = c.argmax(1) if c.shape[1] else np.zeros(len(x), int)
        if closed:
            p_mean, p_log_var = (np.stack([v[k][0] for v in of_class]) for k in (1, 2))
            ratio = log_var[part] - p_log_var[label]
            away = (mean[part] - p_mean[label]) ** 2 / np.exp(p_log_var[label])
            kls.append(0.5 * (away + np.exp(ratio) - ratio - 1))
        else:
            log_p = np.empty(len(x))
            for k, p in enumerate(of_class):
                log_p[label == k] = p.log_prob(z[label == k]) if (label == k).any() else 0
            kls.append((log_gaussian(z, mean[part], log_var[part]) - log_p)[:, None])
    kl = np.concatenate(kls)
    found = {"kl": kl.sum(1).mean()}
    if closed:
        found |= {f"kl_per_dimension.{d}": value for d, value in enumerate(kl.mean(0))}
    if all(score is not None for score in scores):
        term = study.space.likelihood.quantity.name
        found[term] = -np.concatenate(scores).mean()  # pyright: ignore[reportArgumentType]
        found["negative_elbo"] = found[term] + found["kl"]
    return {key: float(value) for key, value in found.items()}


# Importance-weighted bounds ----------------------------------------------------------------------


def bounds(study: Study, nets: Networks, test: dict[str, Any], seed: int = 0) -> dict[str, float]:
    """Return the importance-weighted bounds, with the same noise."""
    every = encoded(study, nets, "test")
    if "log_var" not in every or priors(study, nets) is None or study.space.conditions:
        return {}
    found = {}
    for samples, told in test.get("importance_weighted_bound", {}).items():
        images = study.some(study.test, told["images"])
        codes = every if len(images) == len(study.test) else _codes(study, nets, images)
        shared = told["pool"]["largest"] > 1
        log_w = _pooled if shared else _own
        nats, effective = log_w(study, nets, images, codes, int(samples), seed)
        name = f"importance_weighted_bound.{samples}"
        found |= {f"{name}.nats": -nats.mean(), f"{name}.effective_samples": effective.mean()}
        if len(images) > 1:
            found[f"{name}.standard_error"] = nats.std(ddof=1) / math.sqrt(len(images))
    return {key: float(value) for key, value in found.items()}


def _codes(study: Study, nets: Networks, images: Images) -> dict[str, np.ndarray]:
    found = nets.encode(*pixels_and_classes(study, images))
    return {name: value.astype(np.float64) for name, value in found.items()}


def _own(
    study: Study,
    nets: Networks,
    images: Images,
    codes: dict[str, np.ndarray],
    samples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw for each image from its own posterior, a hundred images and a hundred draws at once."""
    (prior, *_), (mean, log_var) = priors(study, nets) or [], (codes["mean"], codes["log_var"])
    x, _ = pixels_and_classes(study, images)
    log_w = np.empty((samples, len(images)))
    for i, first in enumerate(range(0, len(images), BLOCK)):
        rows = slice(first, min(first + BLOCK, len(images)))
        for j, drawn in enumerate(range(0, samples, BLOCK)):
            count = min(BLOCK, samples - drawn)
            shape = count, rows.stop - rows.start, mean.shape[1]
            with seeded(seed, i, j):
                noise = torch.randn(shape).numpy().astype(np.float64)
            z = mean[rows] + np.exp(log_var[rows] / 2) * noise
            flat, again = z.reshape(-1, z.shape[-1]), np.tile(x[rows], (count, 1, 1, 1))
            ratio = prior.log_prob(flat).reshape(shape[:2])
            ratio -= log_gaussian(z, mean[rows], log_var[rows])
            log_w[drawn : drawn + count, rows] = ratio + _scored(study, nets, flat, again).reshape(
                shape[:2]
            )
    return _bound(log_w)


def _pooled(
    study: Study,
    nets: Networks,
    images: Images,
    codes: dict[str, np.ndarray],
    samples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw from the posteriors of neighbours, halved across the widest direction."""
    (prior, *_), (mean, log_var) = priors(study, nets) or [], (codes["mean"], codes["log_var"])
    x, _ = pixels_and_classes(study, images)
    nats, effective = np.empty(len(images)), np.empty(len(images))
    for number, rows in enumerate(_halved(mean, np.arange(len(mean)))):
        count = -(-samples // len(rows))
        with seeded(seed, number):
            noise = torch.randn(count, len(rows), mean.shape[1]).numpy().astype(np.float64)
        z = (mean[rows] + np.exp(log_var[rows] / 2) * noise).reshape(-1, mean.shape[1])
        log_q = log_sum(log_gaussian(z[:, None], mean[rows], log_var[rows]), 1)
        ratio = prior.log_prob(z) - (log_q - math.log(len(rows)))
        log_p = [
            _scored(study, nets, z, np.broadcast_to(image, (len(z), *image.shape)))
            for image in x[rows]
        ]
        nats[rows], effective[rows] = _bound(np.stack(log_p, 1) + ratio[:, None])
    return nats, effective


def _halved(places: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    if len(rows) <= POOL:
        return [rows]
    here = places[rows]
    widest = np.ptp(here, axis=0).argmax()
    rows = rows[here[:, widest].argsort(kind="stable")]
    half = len(rows) // 2
    return _halved(places, rows[:half]) + _halved(places, rows[half:])


def _scored(study: Study, nets: Networks, z: np.ndarray, x: np.ndarray) -> np.ndarray:
    found, none = [], np.empty((DECODED, 0))
    for start in range(0, len(z), DECODED):
        part = slice(start, start + DECODED)
        p = nets.decode(z[part], none[: len(z[part])])
        score = log_likelihood(study.space.likelihood.name, p, x[part])
        assert score is not None
        found.append(score)
    return np.concatenate(found)


def _bound(log_w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log 1/K Σ w and the effective number of samples, of each image."""
    total = log_sum(log_w, 0)
    return total - math.log(len(log_w)), np.exp(2 * total - log_sum(2 * log_w, 0))


# Errors of decoded images ------------------------------------------------------------------------


def decoded(study: Study, nets: Networks) -> dict[str, float]:
    """Return the errors of images decoded from their codes."""
    mse, ssim = [], []
    for x, c in parts(study, "test"):
        again = nets.decode(nets.encode(x, c)["mean"], c)["x"].astype(np.float64)
        mse.append(((again - x) ** 2).reshape(len(x), -1).mean(1))
        if min(x.shape[2:]) >= 11:
            ssim.append(_ssim(again, x))
    whole = np.concatenate(mse)
    found = {"mse": whole.mean(), "psnr": -10 * np.log10(np.maximum(whole, 1e-10)).mean()}
    if ssim:
        found["ssim"] = np.concatenate(ssim).mean()
    return {name: float(value) for name, value in found.items()}


def _ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the structural similarity of each pair (Wang et al. 2004): windows of 11, σ 1.5."""
    bell = np.exp(-(((np.arange(11) - 5) / 1.5) ** 2) / 2)
    bell /= bell.sum()

    def mean(image: np.ndarray) -> np.ndarray:
        for axis in (2, 3):
            image = np.lib.stride_tricks.sliding_window_view(image, 11, axis) @ bell
        return image

    x_mean, y_mean = mean(x), mean(y)
    variances = mean(x * x) - x_mean**2 + mean(y * y) - y_mean**2
    covariance = mean(x * y) - x_mean * y_mean
    light = (2 * x_mean * y_mean + 0.01**2) / (x_mean**2 + y_mean**2 + 0.01**2)
    each = light * (2 * covariance + 0.03**2) / (variances + 0.03**2)
    return each.reshape(len(x), -1).mean(1)
