"""What is in a run folder, and how its JSON is read."""

import hashlib
from pathlib import Path
from typing import Any

from vaescape import schema as schemas
from vaescape.errors import RunError

RUN = "run.json"
LOG = "metrics.jsonl"
METRICS = "metrics.json"
WEIGHTS = "weights.safetensors"
LATENTS = "latents.safetensors"
OBJECTIVE = "objective.safetensors"
ERRORS = "errors.safetensors"
REPORT = "report.html"
EXPLORER = "explorer.html"
FIGURES = "figures"
CHECKPOINTS = "checkpoints"
BASELINE = "baseline"
PRIORS = "priors"
FILM = "film"
ONNX = "onnx"
REGIONS = "regions.json"
LOCK = ".lock"
OWN = {
    *(RUN, LOG, METRICS, WEIGHTS, OBJECTIVE, LATENTS, ERRORS, REPORT, EXPLORER, REGIONS),
    *(FIGURES, CHECKPOINTS, BASELINE, PRIORS, FILM, ONNX, LOCK),
}
"""Everything that a run makes; other files are the user's."""
REMEDY = "Restore it from a copy, or train again with --overwrite."


def prior_file(name: str) -> str:
    """Return where in a run folder the weights of a fitted prior are."""
    return f"{PRIORS}/{name}.safetensors"


def read(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        RunError: If it is missing or unreadable.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing. {REMEDY}") from error
    except OSError as error:
        raise RunError(f"Could not read {path}: {error.strerror or error}.") from error


def parsed(content: bytes, path: Path, schema: Any = dict) -> dict[str, Any]:
    """Return the object in the text of a JSON file; raises as :func:`read_json`."""
    try:
        return schemas.parsed(content, schema)
    except ValueError as error:
        raise RunError(
            f"{path} is damaged: {error}. Restore it from a copy, or make it again."
        ) from error


def read_json(path: Path, schema: Any = dict) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        RunError: If it is missing, unreadable, not JSON (with the position) or not as the schema
            says.
    """
    return parsed(read(path), path, schema)


def sha256(data: bytes) -> str:
    """Return the digest of a file's content."""
    return hashlib.sha256(data).hexdigest()
