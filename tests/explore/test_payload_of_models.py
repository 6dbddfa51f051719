"""What the page is told where z is not a point of a plane: codes, ladders, many dimensions."""

import sys
import types

import numpy as np
import pytest
import torch
from explore_studies import KINDS
from explore_studies import study as made
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from test_payload import read

from vaescape.errors import MissingExtraError, OptionError
from vaescape.explore import graph, payload
from vaescape.explore.discrete import Codebook
from vaescape.explore.sections import networks, plane
from vaescape.explore.view import View
from vaescape.export.onnx import networks as exported
from vaescape.geometry.graph import neighbour_edges

DISCRETE = (
    "vq(codes=9, positions=3)",
    "residual-vq(codes=5, stages=3, positions=2)",
    "fsq(levels=[3, 4])",
    "gumbel-softmax(positions=2)",
)


@pytest.fixture(autouse=True)
def no_networks(monkeypatch):
    """They have tests of their own."""
    monkeypatch.setattr(networks, "networks", lambda *_, **__: [])
    monkeypatch.setattr(plane, "CELLS", 8)


@pytest.mark.parametrize("posterior", DISCRETE)
def test_codes_and_tables_give_the_vectors_that_are_decoded(tmp_path, posterior):
    study = made(tmp_path, latent=6, posterior=posterior, count=60)
    found = payload.payload(study)
    about = found.manifest["model"]["codes"]
    codes, tables = (torch.tensor(read(found.blobs[n]).astype("f4")) for n in ("codes", "codebook"))
    assert tables.shape == (about["tables"], about["size"], 6 // about["parts"])
    z = Codebook(tables, about["parts"]).lookup(codes.long())
    head = study.model.posterior.head
    torch.testing.assert_close(z, head.lookup(codes.long()).float())
    torch.testing.assert_close(codes[-len(study.test) :].long(), study.space.codes(study.test))
    assert "latents" not in found.blobs
    assert "knn_edges" not in found.blobs
    assert found.manifest["model"]["encoder"]["output"] == ["mean", "codes"]


def test_places_between_codes_are_those_of_the_nearest_code(tmp_path):
    study = made(tmp_path, latent=2, posterior="vq(codes=5)", count=60)
    book = Codebook.of(study)
    z = torch.randn(50, 2)
    apart = (z[:, None] - book.tables[0]).norm(dim=-1)
    torch.testing.assert_close(book.snap(z), book.tables[0][apart.argmin(1)])
    torch.testing.assert_close(View(study).decode(z), study.decode(book.snap(z)))
    found = payload.payload(study)
    assert "atlas" in found.blobs
    assert not {"metric", "density"} & found.blobs.keys()


def test_a_ladder_says_how_many_numbers_lie_below_its_top(tmp_path):
    study = made(tmp_path, **KINDS["ladder"])
    model = payload.payload(study).manifest["model"]
    assert model["below"] == [4, 4]
    assert model["decoder"]["input"] == ["z", "below", "keep"]
    assert model["encoder"]["output"] == ["mean", "log_var", "below"]


def test_the_graph_joins_neighbours_and_knows_how_far_their_images_are(tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "NODES", 100)
    study = made(tmp_path, **KINDS["16d"])
    found = payload.payload(study)
    nodes, edges, lengths = (
        read(found.blobs[f"knn_{name}"]) for name in ("nodes", "edges", "lengths")
    )
    assert len(nodes) == 100
    assert len(edges) == len(lengths)
    assert len({tuple(sorted(edge)) for edge in edges.tolist()}) == len(edges) >= 500
    z = torch.cat([study.encode(study.train), study.encode(study.test)])[nodes.astype(int)]
    images = study.decode(z).flatten(1)
    a, b = torch.tensor(edges.astype(int)).T
    torch.testing.assert_close(
        torch.tensor(lengths), (images[a] - images[b]).norm(dim=1), atol=1e-4, rtol=1e-3
    )
    nearest = torch.cdist(z, z).fill_diagonal_(torch.inf).argmin(1)
    kept = {tuple(sorted(edge)) for edge in edges.tolist()}
    assert all(tuple(sorted((i, int(j)))) in kept for i, j in enumerate(nearest))


def test_a_graph_leads_from_island_to_island_by_the_shortest_bridge():
    rng = np.random.default_rng(0)
    islands = [rng.normal(0, 0.1, (30, 3)) + centre for centre in ([0, 0, 0], [5, 0, 0], [9, 0, 0])]
    z = np.concatenate([*islands, islands[0][:4]])
    pairs = neighbour_edges(z.numpy() if isinstance(z, torch.Tensor) else z, 5)
    whole = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(z), len(z)))
    assert connected_components(whole, directed=False)[0] == 1
    label = np.repeat([0, 1, 2, 0], [30, 30, 30, 4])
    bridges = pairs[label[pairs[:, 0]] != label[pairs[:, 1]]]
    assert len(bridges) == 2
    lengths = np.sort(np.linalg.norm(z[bridges[:, 0]] - z[bridges[:, 1]], axis=1))
    gaps = [cdist(islands[1], islands[2]).min(), cdist(islands[0], islands[1]).min()]
    np.testing.assert_allclose(lengths, gaps)


def test_umap_is_asked_for_by_name_and_missed_in_a_sentence(tmp_path, monkeypatch):
    study = made(tmp_path, latent=3, count=60)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r'pip install "vaescape\[umap\]"'):
        payload.payload(study, projection="umap")
    assert "umap" not in payload.payload(study).blobs
    stands_for = types.SimpleNamespace(fit_transform=lambda z: z[:, :2] * 2)
    module = types.SimpleNamespace(UMAP=lambda **_: stands_for, __spec__=object())
    monkeypatch.setitem(sys.modules, "umap", module)
    blobs = payload.payload(study, projection="umap").blobs
    assert {"pca", "umap"} <= blobs.keys()
    z = torch.cat([study.encode(study.train), study.encode(study.test)])
    np.testing.assert_allclose(read(blobs["umap"]), 2 * z[:, :2], atol=1e-3)


def test_a_plane_is_never_projected(tmp_path):
    study = made(tmp_path, count=60)
    with pytest.raises(OptionError, match="shown as it is"):
        payload.payload(study, projection="umap")
    with pytest.raises(OptionError, match="pca or umap"):
        payload.payload(study, projection="tsne")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("posterior", ["gaussian", "iaf", "bayes(points=256)"])
def test_the_terms_of_the_bound_are_those_of_each_test_image(tmp_path, posterior):
    study = made(tmp_path, latent=2, posterior=posterior, count=60)
    found = payload.payload(study)
    assert found.manifest["terms"] == {"first": len(study.train), "count": len(study.test)}
    kl, missed = read(found.blobs["terms"]).T
    with study.space.inference(0):
        x = study.space.floats(study.test[:])
        e = study.model.evidence(x, study.space.weights_of(study.test), samples=1)
        assert kl == pytest.approx(e.kl().flatten().numpy(), abs=1e-3 * (1 + np.ptp(kl)))
        expected = -e.log_likelihood()[0].numpy()
    assert missed == pytest.approx(expected, abs=1e-3 * (1 + np.ptp(missed)))


def test_an_autoencoder_has_no_terms(tmp_path):
    found = payload.payload(
        made(tmp_path, latent=2, posterior="point", objective="elbo(beta=0)", count=60)
    )
    assert found.manifest["terms"] is None
    assert "terms" not in found.blobs


@pytest.mark.parametrize("posterior", ["full-rank", "bayes(points=256)"])
def test_the_mass_of_any_posterior_travels_on_a_grid_of_its_own(tmp_path, posterior):
    study = made(tmp_path, latent=2, posterior=posterior, count=60)
    found = payload.payload(study)
    about = found.manifest["masses"]
    assert (about["first"], about["count"]) == (len(study.train), len(study.test))
    windows, values = (read(found.blobs[f"mass_{name}"]) for name in ("windows", "values"))
    side = about["side"]
    assert values.shape == (len(study.test), side, side)
    left, right, low, high = windows[3]
    share = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(left + share * (right - left), low + share * (high - low))
    points = torch.tensor(np.stack([x, y], -1)).float()
    q = study.space.posterior(study.test[3:4])
    log_q = q.log_prob(points[..., None, :]).detach()[..., 0].numpy()
    expected = 255 * np.exp(log_q - log_q.max())
    assert np.abs(values[3] - expected).max() <= 255 / 15 / 2 + 0.6  # 16 levels
    area = (right - left) * (high - low) / side**2
    assert np.exp(log_q).sum() * area > 0.8  # nearly all of the mass lies on the grid


def test_weights_that_encoder_and_decoder_share_travel_once(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "networks", exported)
    monkeypatch.setattr(networks, "WORTH_SHARING", 512)
    study = made(tmp_path, latent=2, posterior="bayes(points=256)", count=60)
    whole = {each.name: each.content for each in exported(study, half=True)}
    _, found = networks.carried(View(study))
    assert found["decoder"].content == whole["decoder"]
    rest, runs = found["encoder"].content, found["encoder"].entry()["shared"]
    assert len(rest) + sum(length for *_, length in runs) == len(whole["encoder"])
    for at, there, length in runs:
        rest = rest[:at] + whole["decoder"][there : there + length] + rest[at:]
    assert rest == whole["encoder"]
    amortised = made(tmp_path, latent=2, count=60)
    assert "shared" not in networks.carried(View(amortised))[1]["encoder"].about
