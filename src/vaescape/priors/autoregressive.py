"""An autoregressive prior over codes."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.conditionals import CodePosterior, Neural, OriginPrior, Support, borrow
from vaescape.conditions import ONE_OR_MORE, require
from vaescape.distributions.codes import Codebook, CodePrior


class Autoregressive(OriginPrior, name="autoregressive"):
    """p(code) = ∏ p(code_m | code_<m): a small causal transformer over the positions of a code.

    Vaswani et al. 2017, decoder only, normalising first. What it adds to a discrete model is what
    PixelCNN adds to the VQ-VAE (van den Oord et al. 2017, section 3.3): codes that occur together.
    Trained with the model or, with ``vaescape fit-prior``, after it.

    Args:
        latent_dim: D, filled in from the run.
        posterior: Whose codes they are; filled in from the run.
        width: Of the transformer, a multiple of ``heads``.
        layers: Blocks.
        heads: Of attention.
    """

    support = Support.CODES
    codebook: CodePosterior

    def __init__(
        self, latent_dim: int, posterior: Neural, width: int = 64, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__(latent_dim)
        require(*ONE_OR_MORE, width=width, layers=layers, heads=heads)
        require(lambda v: v % heads == 0, f"a multiple of heads, {heads}", width=width)
        borrow(self, codebook=posterior.head)
        self.net = CausalTransformer(
            self.codebook.positions, self.codebook.codes, width, layers, heads
        )

    def forward(self, c: Tensor | None = None) -> "AutoregressiveCodes":
        """Return the distribution: batch (), or (B,) for B conditions, all the same."""
        return AutoregressiveCodes(self.codebook, self.origins(c), self.net)


class AutoregressiveCodes(CodePrior):
    """Codes whose positions depend on the ones before them.

    Args:
        codebook: Turns codes into vectors and back.
        origin: Zeros (*batch, D).
        net: From codes (N, M) to logits (N, M, K); those of a position see only earlier ones.
    """

    def __init__(self, codebook: Codebook, origin: Tensor, net: Callable[[Tensor], Tensor]) -> None:
        super().__init__(codebook, origin)
        self.net = net

    def tempered(self, temperature: float) -> "AutoregressiveCodes":
        """Return it with the logits of each position over the temperature."""
        return AutoregressiveCodes(
            self.codebook, self.origin, lambda index: self.net(index) / temperature
        )

    def log_mass(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S"]:
        """Return Σ log p(code_m | code_<m), in nats."""
        logits = self.net(index.reshape(-1, index.shape[-1])).float().log_softmax(-1)
        chosen = logits.view(*index.shape, -1).gather(-1, index[..., None])
        return chosen.sum((-2, -1))

    def draw(self, shape: torch.Size) -> Int[Tensor, "*S M"]:
        """Return codes, drawn one position after the other."""
        index = torch.zeros(shape, dtype=torch.long, device=self.origin.device).view(-1, shape[-1])
        for position in range(shape[-1]):
            probabilities = self.net(index)[:, position].float().softmax(-1)
            index[:, position] = probabilities.multinomial(1).squeeze(-1)
        return index.view(shape)


class CausalTransformer(nn.Module):
    """Codes (N, M) → logits (N, M, K), where those of a position see only the positions before it.

    The code is shifted by one, behind a start that is always the same.
    """

    def __init__(self, positions: int, codes: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.start = codes
        self.token = nn.Embedding(codes + 1, width)
        self.place = nn.Parameter(0.02 * torch.randn(positions, width))
        self.blocks = nn.Sequential(*(CausalBlock(width, heads) for _ in range(layers)))
        self.logits = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, codes))

    def forward(self, index: Int[Tensor, "N M"]) -> Float[Tensor, "N M K"]:
        before = F.pad(index[:, :-1], (1, 0), value=self.start)
        return self.logits(self.blocks(self.token(before) + self.place))


class CausalBlock(nn.Module):
    """Attention to this position and those before it, then two dense layers (N, M, W) → (N, M, W).

    PyTorch's own layer does not trace into one graph.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.query_key_value = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Float[Tensor, "N M W"]) -> Float[Tensor, "N M W"]:
        parts = self.query_key_value(self.norm(x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.dense(x)
