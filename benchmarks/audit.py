"""The numbers of a run's ``metrics.json``, computed anew in NumPy from its networks as ONNX.

Only what is drawn at random is the evaluation's own: noise, pairs of images, a subset.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.audit_map import captured, latents, walked
from benchmarks.audit_networks import Networks
from benchmarks.audit_terms import bounds, decoded, split
from benchmarks.page import table
from vaescape.study import Study

REASONS = {
    r".*\.(low|high)": "ends of a bootstrap interval of the estimate beside it",
    r"smoothness\.paths\.(geodesic|spherical|plain autoencoder)\..*": "of straight paths only: "
    "geodesics are minimised in PyTorch, the others differ in the path alone",
    r"(samples|class_agreement)\..*": "in features of, or judged by, another network",
    r"(train|validation)\..*": "the posterior or the prior is no mixture of diagonal Gaussians",
    r"test\.(aggregate_posterior|active_units|kl.*|negative_elbo|captures)\b.*": "the posterior or "
    "the prior is no mixture of diagonal Gaussians",
    r"test\.importance_weighted_bound\..*": "the model is conditional, or its posterior or prior "
    "no mixture of diagonal Gaussians",
    r"test\.annealed_importance_sampling\..*": "chains follow the gradient of the decoder",
    r"test\.(cross_entropy|negative_log_likelihood|dissimilarity)": "the likelihood takes more "
    "than a line",
    r"test\.(accuracy|negative_elbo_without_labels|code_use.*)": "of a model with other networks",
    r"test\.mean_image_mse": "no network is part of it",
}
"""Why a number is not computed anew, by its name."""

COUNTS = re.compile(
    r"format|training\..*|(.*\.)?(images|k|chance|fewest|most|smallest|largest)"
    r"|smoothness\.settings\..*|samples\.settings\..*"
)
"""Numbers that nobody computes: counts and settings."""


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
    ours = {f"test.{name}": value for name, value in split(study, nets, "test").items()}
    ours |= {f"train.{name}": value for name, value in split(study, nets, "train").items()}
    ours |= {f"test.{name}": value for name, value in decoded(study, nets).items()}
    ours |= {f"test.{name}": value for name, value in latents(study, nets).items()}
    ours |= {f"test.{name}": value for name, value in bounds(study, nets, metrics["test"]).items()}
    ours |= {f"captures.{name}": value for name, value in captured(study, nets).items()}
    if "smoothness" in metrics:
        told = metrics["smoothness"]["settings"]
        found = walked(study, nets, told["paths"], told["frames"])
        ours |= {f"smoothness.paths.{name}": value for name, value in found.items()}
    theirs = dict(_leaves(metrics))
    return [Row(name, theirs[name], ours[name]) for name in ours if name in theirs]


def reasons(metrics: dict[str, Any], found: list[Row]) -> dict[str, str]:
    """Return why each other number is not computed anew; empty: nobody said why."""
    known = {row.name for row in found}
    rest = [n for n, _ in _leaves(metrics) if n not in known and not COUNTS.fullmatch(n)]
    return {name: next((why for what, why in REASONS.items() if re.fullmatch(what, name)), "")
            for name in rest}  # fmt: skip


def report(run: Path, data_dir: Path | None = None) -> str:
    """Return the audit of a run as a table, and what is not in it."""
    found = audit(run, data_dir)
    head = ["number", "theirs", "ours", "difference"]
    cells = [
        [row.name, f"{row.theirs:.6g}", f"{row.ours:.6g}", f"{row.difference:.1e}"] for row in found
    ]
    others = reasons(Study.load(run, data_dir=data_dir).folder.metrics, found)  # pyright: ignore
    missing = [[name, "–", "–", why] for name, why in others.items()]
    return (
        f"{len(found)} numbers of {run} computed anew in NumPy; of the {len(missing)} others the "
        f"last column says why not.\n\n{table(head, cells + missing)}"
    )


def _leaves(values: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of nested dictionaries and lists by their dotted names."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in pairs:
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict | list):
            if key != "quantities":
                yield from _leaves(value, name)
        elif type(value) in (int, float):
            yield name, float(value)
