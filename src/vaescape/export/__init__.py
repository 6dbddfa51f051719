"""A study's networks in files that other programs read."""

from vaescape.export.onnx import Exported, export, networks

__all__ = ["Exported", "export", "networks"]
