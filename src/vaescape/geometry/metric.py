"""Metrics of latent space that a decoder induces.

A decoder is any function of points (N, D) to (N, …), row by row; its layers do not matter.
 docs/geometry.md has the formulas in one place.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Decoder = Callable[[Float[Tensor, "N D"]], Float[Tensor, "N *event"]]
Coordinates = Callable[[Tensor], tuple[Float[Tensor, "N *event"], Float[Tensor, "N *event"]]]
"""Takes points to parameters θ of p(x | z) with a diagonal Fisher information, and to that."""

AT_ONCE = 64
"""Points whose Jacobians are held at once."""


def decoded(
    decode: Decoder, path: Float[Tensor, "*S T D"], *, chunk: int | None = None
) -> Float[Tensor, "*S T P"]:
    """Return what points decode to, each as one row of P numbers.

    Args:
        decode: Takes (N, D) to (N, …).
        path: Points.
        chunk: Points decoded at once; all by default. It changes memory, not numbers.
    """
    rows = path.reshape(-1, path.shape[-1])
    found = [decode(part).flatten(1) for part in rows.split(chunk or max(len(rows), 1))]
    return torch.cat(found).reshape(*path.shape[:-1], -1)


def pullback_metric(decode: Decoder, z: Float[Tensor, "*S D"]) -> Float[Tensor, "*S D D"]:
    """Return G = JᵀJ: squared Euclidean distance between images per squared latent distance.

    Of the decoder's mean (Shao et al. 2018; Chen et al. 2018): it ignores the decoder's
    uncertainty. See :func:`fisher_rao_metric`.
    """

    def of(part: Float[Tensor, "N D"]) -> Float[Tensor, "N D D"]:
        J = _jacobian(decode, part)
        return J.mT @ J

    return _in_blocks(of, z)


def fisher_rao_metric(
    coordinates: Coordinates, z: Float[Tensor, "*S D"]
) -> Float[Tensor, "*S D D"]:
    """Return G = J_θᵀ I(θ) J_θ: twice the KL of p(x | z) to its neighbours, per squared distance.

    Arvanitidis et al. (2022): KL(p(x|z) ‖ p(x|z + dz)) = ½ dzᵀ G dz + O(|dz|³), in nats, so G
    counts changes of pixel values and of their uncertainty alike.

    Args:
        coordinates: Takes points (N, D) to parameters θ (N, …) of p(x | z) whose Fisher information
            is diagonal, and to that diagonal; ``vaescape.distributions.information`` gives them.
        z: Points.
    """

    def of(part: Float[Tensor, "N D"]) -> Float[Tensor, "N D D"]:
        J = _jacobian(lambda z: coordinates(z)[0], part)
        return J.mT @ (coordinates(part)[1].flatten(1)[..., None] * J)

    return _in_blocks(of, z)


def _jacobian(decode: Decoder, z: Float[Tensor, "N D"]) -> Float[Tensor, "N P D"]:
    # J u is the gradient of u·Jᵀv, which is linear in v, whatever v is: backward passes alone. For
    # the first forward-mode one PyTorch would load its compiler, which takes longer than they do.
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        z = z if z.requires_grad else z.detach().requires_grad_()
        images = decode(z).flatten(1)
        if not images.requires_grad:
            return images.new_zeros(*images.shape, z.shape[1])
        v = torch.zeros_like(images, requires_grad=True)
        (back,) = torch.autograd.grad(images, z, v, create_graph=True)
        columns = [
            torch.autograd.grad(along.sum(), v, retain_graph=True, create_graph=differentiable)[0]
            for along in back.unbind(1)
        ]
    return torch.stack(columns, dim=-1)


def _in_blocks(of: Callable[[Float[Tensor, "N D"]], Tensor], z: Float[Tensor, "*S D"]) -> Tensor:
    found = torch.cat([of(part) for part in z.reshape(-1, z.shape[-1]).split(AT_ONCE)])
    return found.reshape(*z.shape[:-1], *found.shape[1:])
