"""Vector quantisation whose codebook moves as a whole."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vaescape.conditionals import CodePosterior, cut
from vaescape.conditions import TWO_OR_MORE, ZERO_OR_MORE, require
from vaescape.distributions.codes import Quantised, nearest_code, straight_through


class SimVQ(CodePosterior, name="sim-vq"):
    """The nearest vector of C W, C frozen at random and W a learned matrix (Zhu et al. 2024).

    z = e_k with k = argmin_j |f(x) − e_j| and e_j = c_j W: a step that moves one code moves the
    whole codebook, so no code dies, while ``vq`` has to revive codes. It adds
    |sg[f(x)] − e_k|² + commitment·|f(x) − sg[e_k]|² to the objective, as eq. 3 of van den Oord
    et al. 2017, where sg stops gradients. The decoder's gradient passes straight to the encoder.

    Args:
        latent_dim: D, filled in from the run.
        codes: K, vectors in the codebook.
        positions: Into how many vectors D is cut, which share the codebook.
        commitment: Weight of the squared distance of encodings from their codes, in nats.
    """

    frozen: Float[Tensor, "K d"]

    def __init__(
        self, latent_dim: int, codes: int = 512, positions: int = 1, commitment: float = 0.25
    ) -> None:
        super().__init__()
        dim = cut(latent_dim, positions)
        require(*TWO_OR_MORE, codes=codes)
        require(*ZERO_OR_MORE, commitment=commitment)
        self.codes, self.positions, self.commitment = codes, positions, commitment
        self.register_buffer("frozen", torch.randn(codes, dim) / dim**0.5)
        self.turn = nn.Parameter(torch.eye(dim))

    @property
    def vectors(self) -> Float[Tensor, "K d"]:
        """The codebook C W."""
        return self.frozen @ self.turn

    def forward(self, raw: Float[Tensor, "*S D"]) -> Quantised:
        encoding = raw.unflatten(-1, (self.positions, -1))
        with torch.autocast(raw.device.type, enabled=False):  # distances need all their digits
            vectors = self.vectors.to(raw)
            index = nearest_code(encoding.detach(), vectors.detach())
        chosen = vectors[index]
        drawn = (encoding.detach() - chosen).square()
        committed = self.commitment * (encoding - chosen.detach()).square()
        z = straight_through(encoding, chosen).flatten(-2)
        return Quantised(z, index, (drawn + committed).sum((-2, -1)))

    def lookup(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S D"]:
        return self.vectors.detach()[index].flatten(-2)

    def index(self, z: Float[Tensor, "*S D"]) -> Int[Tensor, "*S M"]:
        return nearest_code(z.unflatten(-1, (self.positions, -1)), self.vectors.detach().to(z))
