"""Principal components."""

import torch
from jaxtyping import Float
from torch import Tensor


def principal(z: Float[Tensor, "N D"]) -> tuple[Float[Tensor, " D"], Float[Tensor, "D 2"]]:
    """Return the mean of codes, and the two directions in which they differ most, as columns."""
    mean = z.mean(0)
    _, _, directions = torch.linalg.svd(z - mean, full_matrices=False)
    return mean, directions[:2].T
