"""A run as one HTML file: readable without a network, on paper, on a phone, in light and dark."""

from pathlib import Path
from typing import Any

from vaescape.errors import RunError
from vaescape.files import write_atomic
from vaescape.recipes import Configuration
from vaescape.report.page import build_report
from vaescape.runs import EXPLORER, FIGURES, REPORT, RunFolder

__all__ = ["build_report", "report"]


def report(folder: RunFolder, metrics: dict[str, Any] | None = None) -> Path:
    """Write ``report.html`` from what the run folder holds; return it.

    Args:
        folder: The run, with figures.
        metrics: The numbers that there are; by default those of the evaluation.

    Raises:
        RunError: If the run was not evaluated, or has no figures yet.
    """
    found = [*(folder / FIGURES).glob("*.svg"), *(folder / FIGURES).glob("*.gif")]
    if not found:
        raise RunError(f"{folder} has no figures yet: `vaescape figures {folder}` draws them.")
    record, c = folder.record, Configuration.from_dict(folder.configuration)
    made, plain = record["provenance"], c.to_dict()
    run = {
        "name": folder.path.name,
        "recipe": c.recipe,
        "data": record.get("title", c.data),
        "seed": c.train.seed,
        "date": made.get("date"),
        "specs": {"data": c.data, **plain["parts"], "validation images": c.validation},
        "options": plain["train"],
        "versions": made.get("versions", {}),
        "machine": made.get("machine", {}),
        "git": made.get("git") or {},
        "command": made.get("command", ""),
        # The page of a first report comes right after it.
        "explorer": EXPLORER if metrics is not None or (folder / EXPLORER).exists() else "",
    }
    metrics = folder.metrics if metrics is None else metrics
    figures = {path.stem: path for path in found}
    return write_atomic(folder / REPORT, build_report(run, metrics, folder.history(), figures))
