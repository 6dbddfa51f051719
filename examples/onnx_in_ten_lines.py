"""Decode a walk through latent space with nothing but ONNX Runtime.

vaescape export runs/paper && python examples/onnx_in_ten_lines.py runs/paper/onnx
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

folder = Path(sys.argv[1])
about = json.loads((folder / "onnx.json").read_text())
decoder = onnxruntime.InferenceSession(folder / about["networks"]["decoder"]["file"])
size = about["networks"]["decoder"]["inputs"]["z"][1]
z = np.linspace(-2, 2, 11, dtype=np.float32)[:, None] * np.ones(size, np.float32)
inputs = {"z": z}
if "c" in about["networks"]["decoder"]["inputs"]:  # a conditional model: all of the first class
    inputs["c"] = np.eye(len(about["classes"]), dtype=np.float32)[np.zeros(11, int)]
(images,) = decoder.run(["x"], inputs)
print(images.shape, f"pixels from {images.min():.2f} to {images.max():.2f}")
