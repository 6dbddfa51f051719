"""Vector quantisation: an encoding becomes the nearest vector of a learned codebook."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.conditionals import CodePosterior, cut
from vaescape.conditions import ONE_OR_MORE, TWO_OR_MORE, ZERO_OR_MORE, require
from vaescape.distributions.codes import Quantised, nearest_code, straight_through
from vaescape.errors import ComponentError


class LearnedCodebook(nn.Module):
    """K vectors, each the moving average of the encodings that are nearest to it.

    They are buffers, so weights and checkpoints hold them. A code that is hardly used is moved onto
    an encoding of the batch, and starts with an even share of the use; so all of them start, at the
    first batch. Nothing here waits for the device.

    Args:
        codes: K.
        dim: Numbers in a vector.
        decay: γ of the averages, per step.
        revive: Share of an even use below which a code is moved.
    """

    vectors: Float[Tensor, "K d"]
    count: Float[Tensor, " K"]
    total: Float[Tensor, "K d"]

    def __init__(self, codes: int, dim: int, decay: float, revive: float) -> None:
        super().__init__()
        self.decay, self.revive = decay, revive
        self.register_buffer("vectors", torch.randn(codes, dim))
        self.register_buffer("count", torch.zeros(codes))
        self.register_buffer("total", torch.zeros(codes, dim))

    @torch.no_grad()
    def forward(self, e: Float[Tensor, "*S d"]) -> tuple[Int[Tensor, "*S"], Float[Tensor, "*S d"]]:
        """Return the nearest codes and their vectors; in training the codebook then learns."""
        flat = e.reshape(-1, e.shape[-1]).to(self.vectors)
        if self.training:
            self.move_idle(flat)
        index = self.nearest(e.to(self.vectors))  # no view: an ONNX trace would fix the batch
        vectors = self.vectors[index]
        if self.training:
            self.learn(flat, index.flatten())
        return index, vectors.to(e)

    def nearest(self, e: Float[Tensor, "*S d"]) -> Int[Tensor, "*S"]:
        """Return the codes at the smallest Euclidean distance."""
        return nearest_code(e, self.vectors.to(e))

    def learn(self, e: Float[Tensor, "N d"], index: Int[Tensor, " N"]) -> None:
        """Take a step of the averages (van den Oord et al. 2017, appendix A.1)."""
        chosen = F.one_hot(index, len(self.vectors)).to(e)
        self.count.lerp_(chosen.sum(0), 1 - self.decay)
        self.total.lerp_(chosen.T @ e, 1 - self.decay)
        self.vectors.copy_(self.total / self.count[:, None])

    def move_idle(self, e: Float[Tensor, "N d"]) -> None:
        """Move the codes of hardly any use onto encodings, with counts and totals to match."""
        codes = len(self.vectors)
        even = len(e) / codes
        idle = self.count < self.revive * even
        shuffled = torch.randperm(len(e), device=e.device)
        found = e[shuffled[torch.arange(codes, device=e.device) % len(e)]]
        self.count.copy_(torch.where(idle, even, self.count))
        self.total.copy_(torch.where(idle[:, None], even * found, self.total))
        self.vectors.copy_(torch.where(idle[:, None], found, self.vectors))


class ResidualVQ(CodePosterior, name="residual-vq"):
    """Codebooks in a row, each for what is left over by those before it (Zeghidour et al. 2022).

    z = Σ_s e_s, e_s the nearest to f(x) − e_1 − … − e_(s−1). D numbers are cut into positions of D
    / positions each. A position's vector is the sum of one vector from every codebook: residual
    vector quantisation, algorithm 1 of the paper. With one stage it is ``vq``, which describes
    the codebook and its penalty. A code has positions × stages indices.

    Args:
        latent_dim: D, filled in from the run.
        codes: K, vectors in each codebook.
        stages: Codebooks in a row.
        positions: Into how many vectors D is cut.
        commitment: Weight of the squared distance of encodings from their codes, in nats.
        decay: Of the codebook's moving averages, per step.
        revive: Share of an even use below which a code is moved onto an encoding.
    """

    def __init__(
        self,
        latent_dim: int,
        codes: int = 256,
        stages: int = 4,
        positions: int = 1,
        commitment: float = 0.25,
        decay: float = 0.99,
        revive: float = 0.01,
    ) -> None:
        super().__init__()
        dim = cut(latent_dim, positions)
        require(*TWO_OR_MORE, codes=codes)
        require(*ONE_OR_MORE, stages=stages)
        require(*ZERO_OR_MORE, commitment=commitment)
        require(lambda v: 0 < v < 1, "between 0 and 1", decay=decay, revive=revive)
        self.codes, self.positions, self.parts = codes, positions * stages, positions
        self.commitment = commitment
        self.books = nn.ModuleList(
            LearnedCodebook(codes, dim, decay, revive) for _ in range(stages)
        )

    def forward(self, raw: Float[Tensor, "*S D"]) -> Quantised:
        with torch.autocast(raw.device.type, enabled=False):  # distances need all their digits
            return self.quantise(raw.unflatten(-1, (self.parts, -1)))

    def quantise(self, encoding: Float[Tensor, "*S m d"]) -> Quantised:
        """Return the code of the encodings; each codebook's distance counts in the penalty."""
        left, chosen, distance = encoding, [], encoding.new_zeros(encoding.shape[:-2])
        for book in self.books:
            index, vectors = book(left)
            left = left - vectors
            distance = distance + left.square().sum((-2, -1))
            chosen.append(index)
        z = straight_through(encoding, encoding - left)
        index = torch.stack(chosen, -1).flatten(-2)
        return Quantised(z.flatten(-2), index, self.commitment * distance)

    def tables(self) -> Float[Tensor, "T K d"]:
        return torch.stack([book.vectors for book in self.books])  # pyright: ignore

    def lookup(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S D"]:
        """Return the sums of the codes' vectors."""
        stages = index.unflatten(-1, (self.parts, -1)).unbind(-1)
        vectors = [
            book.vectors[i]  # pyright: ignore[reportIndexIssue]
            for book, i in zip(self.books, stages, strict=True)
        ]
        return torch.stack(vectors).sum(0).flatten(-2)

    def index(self, z: Float[Tensor, "*S D"]) -> Int[Tensor, "*S M"]:
        """Return the codes of vectors.

        Raises:
            ComponentError: If there are several stages: a sum does not tell its summands.
        """
        if len(self.books) > 1:
            raise ComponentError(
                "The sum of a residual code's vectors does not tell which they were. Ask the "
                "posterior for its index, or use posterior 'vq'."
            )
        nearest: Callable[[Tensor], Tensor] = self.books[0].nearest  # pyright: ignore
        return nearest(z.unflatten(-1, (self.parts, -1)))


class VQ(ResidualVQ, name="vq"):
    """The nearest vector of a codebook of K (van den Oord et al. 2017): the VQ-VAE.

    z = e_k with k = argmin_j |f(x) − e_j| (eq. 1 and 2). D numbers are cut into positions of D /
    positions each, which share the codebook. It follows the encodings by moving averages (their
    appendix A.1). The encoder receives the decoder's gradient straight through, and commits to its
    codes by a penalty beside the objective: the last term of their eq. 3. Each image has one code
    and no noise, so under a uniform prior the KL is positions × log K for all: a constant without a
    gradient. Fit a better prior afterwards.

    Args:
        latent_dim: D, filled in from the run.
        codes: K, vectors in the codebook.
        positions: Into how many vectors D is cut.
        commitment: Weight of the squared distance of encodings from their codes, in nats.
        decay: Of the codebook's moving averages, per step.
        revive: Share of an even use below which a code is moved onto an encoding.
    """

    def __init__(
        self,
        latent_dim: int,
        codes: int = 512,
        positions: int = 1,
        commitment: float = 0.25,
        decay: float = 0.99,
        revive: float = 0.01,
    ) -> None:
        super().__init__(latent_dim, codes, 1, positions, commitment, decay, revive)
