"""How far images are from what is decoded from their codes."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.data import Images
from vaescape.evaluation.reasons import Results
from vaescape.metrics import reconstruction
from vaescape.study import Study

ERRORS_AT_ONCE = 5_000
"""Decoded images held at once."""


def reconstruction_errors(study: Study, images: Images, results: Results) -> dict[str, float]:
    """Return the errors of images decoded from their codes, means over the images.

    ``mean_image_mse`` is the MSE if every image were reconstructed as the mean of all: what a
    model that ignores its input can reach.
    """
    x, y = images.floats(), study.reconstruct(images)
    measures = {"mse": reconstruction.mse, "psnr": reconstruction.psnr}
    if min(images.shape[1:]) >= reconstruction.WINDOW:
        measures["ssim"] = reconstruction.ssim
    else:
        side = reconstruction.WINDOW
        results.leave_out(
            "ssim", f"its window is of {side} × {side} pixels, and images are smaller"
        )
    errors = {name: measure(y, x).mean().item() for name, measure in measures.items()}
    return errors | {"mean_image_mse": x.var(0, correction=0).mean().item()}


def code_errors(study: Study, images: Images) -> Float[Tensor, " N"]:
    """Return the squared error of each image decoded from its code, a mean over its pixels.

    Its code is what the explorer decodes: the point estimate, in a ladder of the top layer.
    """
    return study.space.memory.recall(
        study.model, (code_errors, images), lambda: _code_errors(study, images)
    )


def _code_errors(study: Study, images: Images) -> Float[Tensor, " N"]:
    codes, at_once = study.space.places(images), ERRORS_AT_ONCE
    parts = [slice(start, start + at_once) for start in range(0, len(images), at_once)]
    return torch.cat(
        [reconstruction.mse(study.decode(codes[part]), images[part].floats()) for part in parts]
    )
