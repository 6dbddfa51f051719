"""Every number that NumPy can compute from the exported networks is what ``metrics.json`` says."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.audit import audit, report, rows
from vaescape import evaluate, pipeline
from vaescape.recipes import configuration
from vaescape.runs import METRICS

MODELS: dict[str, dict[str, Any]] = {
    "grey": {"latent": 2},
    "conditional": {"latent": 5, "conditional": True, "likelihood": "gaussian(sigma=0.3)"},
}
TERMS = {"grey": "cross_entropy", "conditional": "negative_log_likelihood"}


@pytest.mark.parametrize("name", MODELS)
def test_numpy_finds_the_numbers_of_the_evaluation(name: str, tmp_path: Path):
    held: dict[str, Any] = {"network": "conv(channels=[4], hidden=8)", "limit": 400, "threads": 1}
    held |= {"data": "shapes", "batch": 20, "epochs": 4, "precision": "float32"}
    wanted = configuration("first-look", **held, **MODELS[name])
    folder, study = pipeline.start(wanted, root=tmp_path, name="run", data_dir=None)
    pipeline.train(folder, study)
    metrics = evaluate(study, bounds=((5, 10),), paths=5)
    folder.keep(METRICS, json.dumps(metrics).encode())
    found = {row.name: row for row in audit(folder.path)}
    assert {
        "test.negative_elbo",
        f"test.{TERMS[name]}",
        "test.kl",
        "test.kl_per_dimension.1",
        "train.negative_elbo",
        "test.mse",
        "test.psnr",
        "test.active_units.by_variance",
        "test.active_units.by_kl",
        "test.aggregate_posterior.mean_kl",
        "test.aggregate_posterior.mutual_information",
        "test.aggregate_posterior.kl",
        "test.aggregate_posterior.hole_fraction",
        "test.aggregate_posterior.mmd2",
        "captures.knn_accuracy.estimate",
    } <= found.keys()
    for row in found.values():
        slack = 0.003 if "fraction" in row.name or "accuracy" in row.name else 1e-4
        assert row.ours == pytest.approx(row.theirs, rel=1e-4, abs=slack), row
    metrics["test"]["kl"] += 0.01  # a wrong number is found out
    (wrong,) = (row for row in rows(study, metrics) if row.name == "test.kl")
    assert wrong.difference == pytest.approx(-0.01, abs=1e-4)
    assert "| test.kl |" in report(folder.path)
