"""What a user should know before reading the numbers, in plain sentences, with what to try."""

import math
from collections.abc import Mapping
from typing import Any

TRY = (
    "Try a smaller --beta, a warm-up of the KL (--objective 'elbo(warmup=0.3)') or free bits "
    "(--objective 'elbo(free_nats=0.5)')."
)
LONGER = "Train longer (--epochs) or with a smaller --beta."


def remarks(test: Mapping[str, Any], latent: int) -> list[str]:
    """Return a sentence if latent dimensions or codes are not in use, or nothing was learned.

    A dimension is inactive if the mean of its posterior hardly varies over the images
    (``active_units``; Burda et al. 2016).

    Args:
        test: The numbers of the test images.
        latent: D, dimensions of z.
    """
    if test["images"] < 2:
        return []
    if codes := test.get("code_use"):
        used = codes["active_codes"]
        return [f"Collapse: one discrete code stands for every image. {TRY}"] if used <= 1 else []
    active = test.get("active_units", {}).get("by_variance", latent)
    if active == 0:
        return [
            f"Collapse: none of the {latent} latent dimensions tells images apart, so all images "
            f"are reconstructed alike. {TRY}"
        ]
    if test.get("mse", 0.0) >= test.get("mean_image_mse", math.inf):
        return [f"Untrained: reconstructions are no better than the mean image. {LONGER}"]
    if active < latent:
        return [
            f"Inactive latent dimensions: {latent - active} of {latent}. They carry nothing about "
            f"an image, so --latent {active} would do as well. To make use of more: "
            f"{TRY[0].lower()}{TRY[1:]}"
        ]
    return []
