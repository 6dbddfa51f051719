"""A graph of images: the ways there are through a latent space of more than two dimensions."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaescape.explore import blobs
from vaescape.explore.blobs import Blob
from vaescape.study import Study

NODES, NEIGHBOURS = 2000, 10
"""Images in the graph, and how many each is joined with at least."""
AT_ONCE = 2000
"""Edges measured at once."""


def carried(study: Study, z: Float[Tensor, "N D"]) -> dict[str, Blob]:
    """Return some of the images, the edges between them, and how long those are.

    An edge is as long as its two decoded images are apart; of a conditional model, decoded as the
    first class.
    """
    chosen = torch.linspace(0, len(z) - 1, min(NODES, len(z))).long()
    nodes = z[chosen]
    pairs = edges(nodes.numpy(), NEIGHBOURS)
    images = study.decode(nodes, 0 if study.conditions else None).flatten(1)
    ends = torch.from_numpy(pairs).split(AT_ONCE)
    lengths = torch.cat([(images[a] - images[b]).norm(dim=1) for a, b in (e.T for e in ends)])
    return {
        "knn_nodes": blobs.array(chosen.numpy(), "u32"),
        "knn_edges": blobs.array(pairs, "u16"),
        "knn_lengths": blobs.array(lengths.numpy(), "f32"),
    }


def edges(z: Float[np.ndarray, "M D"], neighbours: int) -> Int[np.ndarray, "E 2"]:
    """Return pairs of places: each with its nearest ones, and those of the minimum spanning tree.

    By the tree a way leads from everywhere to everywhere.
    """
    from scipy.sparse.csgraph import minimum_spanning_tree
    from scipy.spatial.distance import cdist

    # A graph takes a zero for no edge: codes at the same place are a hair apart.
    apart = np.maximum(cdist(z, z), np.finfo(np.float64).tiny)
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1)[:, :neighbours]
    here = np.repeat(np.arange(len(z)), near.shape[1])
    np.fill_diagonal(apart, 0)
    tree = minimum_spanning_tree(apart).tocoo()
    pairs = [np.stack([here, near.ravel()]), np.stack([tree.row, tree.col])]
    return np.unique(np.sort(np.concatenate(pairs, axis=1), axis=0), axis=1).T.copy()
