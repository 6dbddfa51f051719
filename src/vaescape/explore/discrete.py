"""What the page needs of a model whose codes are discrete: their indices and their vectors."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaescape.conditionals import CodePosterior
from vaescape.explore import blobs
from vaescape.explore.blobs import Blob
from vaescape.study import Study


@dataclass(frozen=True)
class Codebook:
    """The vectors of all codes: each part of z is the sum of one of every table."""

    tables: Float[Tensor, "T K d"]
    parts: int

    @classmethod
    def of(cls, study: Study) -> "Codebook":
        """Return that of a discrete model."""
        head = study.model.posterior.head
        assert isinstance(head, CodePosterior)
        tables = head.tables().detach().cpu()
        return cls(tables, head.positions // len(tables))

    def lookup(self, index: Int[Tensor, "N M"]) -> Float[Tensor, "N D"]:
        """Return the vectors of codes."""
        chosen = index.unflatten(-1, (self.parts, -1)).unbind(-1)
        pairs = zip(self.tables, chosen, strict=True)
        return torch.stack([table[i] for table, i in pairs]).sum(0).flatten(-2)

    def nearest(self, z: Float[Tensor, "N D"]) -> Int[Tensor, "N M"]:
        """Return codes near any points: table by table, the vector nearest to what is left."""
        left, chosen = z.unflatten(-1, (self.parts, -1)), []
        for table in self.tables:
            chosen.append(torch.cdist(left, table).argmin(-1))
            left = left - table[chosen[-1]]
        return torch.stack(chosen, -1).flatten(-2)

    def snap(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Return the vectors of the codes near any points."""
        return self.lookup(self.nearest(z))

    def entry(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        tables, codes, _ = self.tables.shape
        return {"parts": self.parts, "tables": tables, "size": codes}


def indices(study: Study) -> Int[Tensor, "N M"]:
    """Return the codes of all images, the training images first."""
    return torch.cat([study.space.codes(images) for images in (study.train, study.test)])


def carried(codebook: Codebook, index: Int[Tensor, "N M"]) -> dict[str, Blob]:
    """Return codes and vectors, from which the page has the latents: fewer bytes, and exact."""
    kind = "u8" if codebook.tables.shape[1] <= 256 else "u16"
    return {
        "codes": blobs.array(index.numpy(), kind),
        "codebook": blobs.array(codebook.tables.numpy(), "f32"),
    }
