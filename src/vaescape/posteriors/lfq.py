"""Quantisation to signs, with no codebook to look up."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from vaescape.conditionals import CodePosterior, cut
from vaescape.conditions import POSITIVE, ZERO_OR_MORE, require
from vaescape.distributions.codes import Quantised, straight_through

BITS = 14
"""Of one position, at most: the penalty counts all its codes."""


class LFQ(CodePosterior, name="lfq"):
    """The sign of each number, with a penalty on their entropy (Yu et al. 2024): no codebook.

    z = sign(f(x)), and the index of a code has a bit for each sign. D numbers are cut
    into positions, K = 2^(D / positions). It adds the penalty entropy·(E[H(q)] −
    H(E[q])) to the objective, with q(code | x) ∝ exp(−|f(x) − code|² / temperature) and E the
    mean over the batch. This favours one code per image and equal use of all codes. The gradient
    is straight-through, and encodings commit to their codes as in ``vq``.

    Args:
        latent_dim: D, filled in from the run.
        positions: Into how many indices D is cut, of 14 bits each at most.
        entropy: Weight of the entropy penalty, in nats.
        commitment: Weight of the squared distance of encodings from their codes, in nats.
        temperature: Of q in the penalty: the lower, the nearer to zero encodings must be to be
            unsure.
    """

    table: Float[Tensor, "K d"]
    basis: Int[Tensor, " d"]

    def __init__(
        self,
        latent_dim: int,
        positions: int = 1,
        entropy: float = 1.0,
        commitment: float = 0.25,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        bits = cut(latent_dim, positions)
        require(lambda v: v <= BITS, f"{BITS} or less", latent_over_positions=bits)
        require(*ZERO_OR_MORE, entropy=entropy, commitment=commitment)
        require(*POSITIVE, temperature=temperature)
        self.positions, self.codes = positions, 2**bits
        self.entropy, self.commitment, self.temperature = entropy, commitment, temperature
        basis = 2 ** torch.arange(bits)
        table = torch.arange(self.codes)[:, None] // basis % 2
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("table", table.float(), persistent=False)

    def forward(self, raw: Float[Tensor, "*S D"]) -> Quantised:
        index = self.index(raw)
        z = self.lookup(index).to(raw)
        with torch.autocast(raw.device.type, enabled=False):  # entropies need all their digits
            penalty = self.entropy * self.unevenness(raw)
        penalty = penalty + self.commitment * (raw - z).square().sum(-1)
        return Quantised(straight_through(raw, z), index, penalty)

    def unevenness(self, raw: Float[Tensor, "*S D"]) -> Float[Tensor, "*S"]:
        """Return H(q) − H(E[q]) of each image, summed over positions, in nats.

        The signs of one image are independent under q: each +1 with the log-odds 4 f / temperature.
        """
        odds = (4 / self.temperature) * raw.unflatten(-1, (self.positions, -1))
        sure = F.softplus(odds) - odds * odds.sigmoid()
        log_q = odds @ self.table.T.to(raw) - F.softplus(odds).sum(-1, keepdim=True)
        log_mean = log_q.flatten(0, -3).logsumexp(0).log_softmax(-1)  # of codes never used, finite
        return sure.sum((-2, -1)) + (log_mean.exp() * log_mean).sum()

    def lookup(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S D"]:
        return (2 * self.table[index] - 1).flatten(-2)

    def index(self, z: Float[Tensor, "*S D"]) -> Int[Tensor, "*S M"]:
        """Return the codes of the signs of vectors; zero counts as −1."""
        positive = (z > 0).long().unflatten(-1, (self.positions, -1))
        return (positive * self.basis).sum(-1)
