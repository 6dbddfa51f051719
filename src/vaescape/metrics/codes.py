"""How much of a codebook is used."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


def usage(index: Int[Tensor, "N M"], codes: int) -> Float[Tensor, "M K"]:
    """Return the share of images that have each code, position by position."""
    counts = torch.stack([column.bincount(minlength=codes) for column in index.T])
    return counts.double() / len(index)


def code_use(index: Int[Tensor, "N M"], codes: int) -> dict[str, Any]:
    """Return how many codes N images use, of K at each of M positions.

    ``perplexity`` as in van den Oord et al. (2017), whose mean over the positions is taken;
    ``active_codes``; ``marginal_kl``, Σ_m log K − H_m, in nats.
    """
    shares = usage(index, codes)
    entropy = torch.special.entr(shares).sum(-1)
    return {
        "positions": index.shape[1],
        "codes": codes,
        "perplexity": entropy.exp().mean().item(),
        "active_codes": (shares > 0).sum(-1).double().mean().item(),
        "marginal_kl": (math.log(codes) - entropy).sum().item(),
    }
