"""The graph of images that travels with the page, for paths in more than two dimensions."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.explore import blobs
from vaescape.explore.blobs import Blob
from vaescape.geometry.density import AggregateDensity, evenly
from vaescape.geometry.graph import edge_costs, neighbour_edges
from vaescape.study import Study

NODES = 2000
"""Images in the graph, at most."""


def carried(
    study: Study, z: Float[Tensor, "N D"], density: AggregateDensity | None
) -> dict[str, Blob]:
    """Return the nodes, the edges between them, how long those are, and log q at the nodes.

    An edge is as long as its two decoded images are apart; of a conditional model, decoded as the
    first class.
    """
    chosen = evenly(len(z), NODES)
    codes = z[chosen]
    pairs = neighbour_edges(codes.numpy())
    label = 0 if study.space.conditions else None
    lengths = edge_costs(lambda z: study.decode(z, label), codes, torch.from_numpy(pairs.T))
    found = {
        "knn_nodes": blobs.array(chosen.numpy(), "u32"),
        "knn_edges": blobs.array(pairs, "u16"),
        "knn_lengths": blobs.array(lengths.numpy(), "f32"),
    }
    if density is None:
        return found
    with torch.no_grad():
        log_q = density.log_prob(codes)
    return found | {"knn_density": blobs.array(log_q.numpy(), "f32")}
