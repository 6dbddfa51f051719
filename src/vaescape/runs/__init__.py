"""Run folders: what one training leaves, readable with nothing but a JSON reader."""

# ruff: noqa: F401
from vaescape.runs.contents import (
    BASELINE,
    CHECKPOINTS,
    ERRORS,
    EXPLORER,
    FIGURES,
    FILM,
    LATENTS,
    LOCK,
    LOG,
    METRICS,
    OBJECTIVE,
    ONNX,
    REGIONS,
    REPORT,
    RUN,
    WEIGHTS,
    prior_file,
    read_json,
)
from vaescape.runs.folder import RunFolder
from vaescape.runs.naming import free_name, run_path
