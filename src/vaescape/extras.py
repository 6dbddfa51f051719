"""Packages that only some people need: each belongs to an extra of the installation."""

from importlib.util import find_spec

from vaescape.errors import MissingExtraError

EXTRAS = {
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "explore": ("onnx", "onnxscript", "onnxruntime", "starlette", "uvicorn"),
    "flows": ("zuko",),
    "parquet": ("pyarrow",),
    "ray": ("ray",),
    "umap": ("umap",),
}
"""The extras of ``pip install "vaescape[…]"``, and the modules that each brings."""


def require_extra(name: str, purpose: str) -> None:
    """Refuse what an extra is needed for, where it is not installed.

    Args:
        name: One of ``EXTRAS``.
        purpose: What needs it, as the beginning of a sentence: "Exporting to ONNX".

    Raises:
        MissingExtraError: With the command that installs it.
    """
    missing = [module for module in EXTRAS[name] if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"{purpose} needs packages that are not installed: {', '.join(missing)}. "
            f'Install them with `pip install "vaescape[{name}]"`.'
        )
