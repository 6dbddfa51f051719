"""The numbers of a run's ``metrics.json``, computed anew in NumPy from its networks as ONNX.

Only the noise of the draws is PyTorch's, for it has to be the same.
"""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from benchmarks.page import table
from vaescape.evaluation.latents import prior_draws
from vaescape.export import export
from vaescape.study import AT_ONCE, Study

BLOCK = 200
"""Points held against all posteriors at once."""
PRIOR_DRAWS, OUTSIDE, ACTIVE, ACTIVE_KL, K = 5_000, 0.01, 0.01, 0.1, 5


class Row(NamedTuple):
    """A number as ``metrics.json`` has it and as NumPy has it."""

    name: str
    theirs: float
    ours: float

    @property
    def difference(self) -> float:
        """Ours less theirs."""
        return self.ours - self.theirs


def audit(run: Path, data_dir: Path | None = None) -> list[Row]:
    """Return every number of a run that can be computed from networks, latents and images.

    Args:
        run: A run folder that was evaluated, with seed 0.
        data_dir: Where the files of its data are.
    """
    study = Study.load(run, data_dir=data_dir)
    assert study.folder is not None
    return rows(study, study.folder.metrics)


def rows(study: Study, metrics: dict[str, Any]) -> list[Row]:
    """Return the numbers of an evaluation beside those of NumPy."""
    nets = Networks(study)
    ours = {f"test.{name}": value for name, value in _split(study, nets, "test").items()}
    ours |= {f"train.{name}": value for name, value in _split(study, nets, "train").items()}
    ours |= {f"test.{name}": value for name, value in _decoded(study, nets).items()}
    ours |= {f"test.{name}": value for name, value in _latents(study, nets).items()}
    ours |= _captured(study, nets)
    theirs = dict(_leaves(metrics))
    return [Row(name, theirs[name], ours[name]) for name in ours if name in theirs]


def report(run: Path, data_dir: Path | None = None) -> str:
    """Return the audit of a run as a table."""
    found = audit(run, data_dir)
    head = ["number", "theirs", "ours", "difference"]
    cells = [
        [row.name, f"{row.theirs:.6g}", f"{row.ours:.6g}", f"{row.difference:.1e}"] for row in found
    ]
    return f"{len(found)} numbers of {run} computed anew in NumPy.\n\n{table(head, cells)}"


class Networks:
    """Encoder and decoder of a study as ONNX Runtime runs them."""

    def __init__(self, study: Study) -> None:
        import onnxruntime

        self.study, self.outputs = study, dict[str, list[str]]()
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


def _parts(study: Study, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the images of a split in [0, 1] and their classes as weights, some at a time."""
    images = getattr(study, split)
    x = images.pixels.numpy().astype(np.float64) / 255
    c = np.eye(study.space.conditions)[images.labels.numpy() if study.space.conditions else []]
    for start in range(0, len(x), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        yield x[part], c[part]


def _encoded(study: Study, nets: Networks, split: str) -> dict[str, np.ndarray]:
    parts = [nets.encode(*part) for part in _parts(study, split)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {name: values.astype(np.float64) for name, values in found.items()}


def _split(study: Study, nets: Networks, split: str, seed: int = 0) -> dict[str, float]:
    """Return the negative ELBO and its terms, with the same noise."""
    codes = _encoded(study, nets, split)
    if "log_var" not in codes or study.configuration.parts.prior != "normal":
        return {}
    mean, log_var = codes["mean"], codes["log_var"]
    kl = 0.5 * (mean**2 + np.exp(log_var) - log_var - 1)
    found = {f"kl_per_dimension.{d}": value for d, value in enumerate(kl.mean(0))}
    found["kl"] = kl.sum(1).mean()
    torch.manual_seed(seed)
    scores, start = [], 0
    for x, c in _parts(study, split):
        noise = torch.randn(1, len(x), mean.shape[1])[0].numpy().astype(np.float64)
        part = slice(start, start := start + len(x))
        z = mean[part] + np.exp(log_var[part] / 2) * noise
        scores.append(_log_prob(study.space.likelihood.name, nets.decode(z, c), x))
    if all(score is not None for score in scores):
        term = study.space.likelihood.quantity.name
        found[term] = -np.concatenate(scores).mean()  # pyright: ignore[reportArgumentType]
        found["negative_elbo"] = found[term] + found["kl"]
    return {name: float(value) for name, value in found.items()}


def _log_prob(name: str, p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray | None:
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


def _decoded(study: Study, nets: Networks) -> dict[str, float]:
    """Return the errors of images decoded from their codes."""
    errors = [
        ((nets.decode(nets.encode(x, c)["mean"], c)["x"] - x) ** 2).reshape(len(x), -1).mean(1)
        for x, c in _parts(study, "test")
    ]
    mse = np.concatenate(errors)
    return {"mse": float(mse.mean()), "psnr": float(-10 * np.log10(np.maximum(mse, 1e-10)).mean())}


def _latents(study: Study, nets: Networks, seed: int = 0) -> dict[str, float]:
    """Return what dimensions carry, and how the aggregate posterior lies beside N(0, I)."""
    codes = _encoded(study, nets, "test")
    if "log_var" not in codes or study.configuration.parts.prior != "normal":
        return {}
    mean, log_var = codes["mean"], codes["log_var"]
    kl = 0.5 * (mean**2 + np.exp(log_var) - log_var - 1).mean(0)
    noise = torch.randn(1, *mean.shape, generator=torch.Generator().manual_seed(seed))[0].numpy()
    z = mean + np.exp(log_var / 2) * noise
    own = (-0.5 * (noise.astype(np.float64) ** 2 + log_var + math.log(math.tau))).sum(1)
    log_q, log_p = _log_mixture(z, mean, log_var), -0.5 * (z**2 + math.log(math.tau)).sum(1)
    prior = prior_draws(study, seed).numpy().astype(np.float64)
    holes = _log_mixture(prior, mean, log_var) < np.quantile(log_q, OUTSIDE)
    few = min(len(z), PRIOR_DRAWS)
    found = {
        "active_units.by_variance": (mean.var(0) > ACTIVE).sum(),
        "active_units.by_kl": (kl > ACTIVE_KL).sum(),
        "aggregate_posterior.mean_kl": (own - log_p).mean(),
        "aggregate_posterior.mutual_information": (own - log_q).mean(),
        "aggregate_posterior.kl": (log_q - log_p).mean(),
        "aggregate_posterior.kl_error": (log_q - log_p).std() / math.sqrt(len(z)),
        "aggregate_posterior.hole_fraction": holes.mean(),
        "aggregate_posterior.mmd2": _mmd2(z[:few], prior[:few]),
    }
    return {name: float(value) for name, value in found.items()}


def _log_mixture(
    z: Float[np.ndarray, "M D"], mean: Float[np.ndarray, "N D"], log_var: Float[np.ndarray, "N D"]
) -> Float[np.ndarray, " M"]:
    """Return log 1/N Σₙ N(z; μₙ, σₙ²) in nats."""
    constant = -0.5 * (log_var + math.log(math.tau)).sum(1) - math.log(len(mean))
    found = []
    for start in range(0, len(z), BLOCK):
        away = (z[start : start + BLOCK, None] - mean) * np.exp(log_var / -2)
        each = constant - 0.5 * (away**2).sum(-1)
        most = each.max(1)
        found.append(most + np.log(np.exp(each - most[:, None]).sum(1)))
    return np.concatenate(found)


def _mmd2(x: Float[np.ndarray, "N D"], y: Float[np.ndarray, "M D"]) -> float:
    """Return the squared maximum mean discrepancy without bias, a Gaussian kernel of width √D."""

    def total(a: np.ndarray, b: np.ndarray) -> float:
        parts = (a[i : i + BLOCK] for i in range(0, len(a), BLOCK))
        apart = (((part[:, None] - b) ** 2).sum(-1) for part in parts)
        return float(sum(np.exp(d / (-2 * a.shape[1])).sum() for d in apart))

    n, m = len(x), len(y)
    own = (total(x, x) - n) / (n * (n - 1)) + (total(y, y) - m) / (m * (m - 1))
    return own - 2 * total(x, y) / (n * m)


def _captured(study: Study, nets: Networks) -> dict[str, float]:
    """Return the accuracy of the five nearest training images' vote."""
    train, test = (_encoded(study, nets, split)["mean"] for split in ("train", "test"))
    labels, right = study.train.labels.numpy(), []
    for z, label in zip(test, study.test.labels.numpy(), strict=True):
        nearest = np.argpartition(((train - z) ** 2).sum(1), K)[:K]
        right.append(np.bincount(labels[nearest]).argmax() == label)
    return {"captures.knn_accuracy.estimate": float(np.mean(right))}


def _leaves(values: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of nested dictionaries and lists by their dotted names."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in pairs:
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict | list):
            yield from _leaves(value, name)
        elif isinstance(value, int | float):
            yield name, float(value)
