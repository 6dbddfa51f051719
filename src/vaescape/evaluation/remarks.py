"""What a user should know before reading the numbers, in plain sentences, with what to try."""

from collections.abc import Mapping
from typing import Any

TRY = (
    "Try a smaller --beta, a warm-up of the KL (--objective 'elbo(warmup=0.3)') or free bits "
    "(--objective 'elbo(free_nats=0.5)')."
)


def remarks(test: Mapping[str, Any], latent: int) -> list[str]:
    """Return a sentence on collapse if latent dimensions or codes are not in use.

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
            f"Collapse: none of the {latent} latent dimensions tells images apart, so every image "
            f"is decoded alike. {TRY}"
        ]
    if active < latent:
        return [
            f"Inactive latent dimensions: {latent - active} of {latent}. They carry nothing about "
            f"an image, so --latent {active} would do as well. To make use of more: "
            f"{TRY[0].lower()}{TRY[1:]}"
        ]
    return []
