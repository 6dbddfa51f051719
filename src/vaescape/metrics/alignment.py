"""How alike two sets of codes of the same images are, up to a rotation of the latent space."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.errors import OptionError


class Alignment(NamedTuple):
    """The rigid motion that lays codes b on codes a: b ↦ (b − b_mean) R + a_mean."""

    rotation: Float[Tensor, "D D"]
    """R: orthogonal, a reflection allowed; nothing is scaled."""
    a_mean: Float[Tensor, " D"]
    b_mean: Float[Tensor, " D"]
    distance: float
    """‖A − B R‖² of the centred codes, each scaled to ‖·‖ = 1: 0 for equal shapes, at most 2."""


def procrustes(a: Float[Tensor, "N D"], b: Float[Tensor, "N D"]) -> Alignment:
    """Return the orthogonal motion of b that comes nearest to a in the mean square.

    R = U Vᵀ of the singular value decomposition of BᵀA (Schönemann, 1966). The distance is that
    of Ding et al. (2021), Grounding Representation Similarity: 2 − 2 ‖BᵀA‖_* / (‖A‖ ‖B‖).

    Raises:
        OptionError: If they differ in shape.
    """
    if a.shape != b.shape:
        raise OptionError(
            f"Procrustes analysis needs codes of one shape. Got {tuple(a.shape)} and "
            f"{tuple(b.shape)}."
        )
    a, b = a.double(), b.double()
    a_mean, b_mean = a.mean(0), b.mean(0)
    a, b = a - a_mean, b - b_mean
    u, s, vh = torch.linalg.svd(b.T @ a)
    scale = (a.norm() * b.norm()).clamp_min(torch.finfo(a.dtype).tiny)
    distance = (2 - 2 * s.sum() / scale).clamp_min(0).item()
    return Alignment(u @ vh, a_mean, b_mean, distance)


def linear_cka(a: Float[Tensor, "N D"], b: Float[Tensor, "N E"]) -> float:
    """Return the linear centred kernel alignment of two sets of codes, from 0 to 1.

    ‖BᵀA‖² / (‖AᵀA‖ ‖BᵀB‖) of the centred codes (Kornblith et al., 2019, equation 4).

    Raises:
        OptionError: If they are not of as many images.
    """
    if len(a) != len(b):
        raise OptionError(f"CKA needs codes of the same images. Got {len(a)} and {len(b)}.")
    a, b = (x.double() - x.double().mean(0) for x in (a, b))
    scale = ((a.T @ a).norm() * (b.T @ b).norm()).clamp_min(torch.finfo(a.dtype).tiny)
    return ((b.T @ a).norm() ** 2 / scale).item()
