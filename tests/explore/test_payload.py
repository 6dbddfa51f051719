"""What the page is told of a study, for studies of every shape."""

import io
import json
import math
import types

import numpy as np
import pytest
import torch
from explore_studies import KINDS, read
from explore_studies import study as made
from PIL import Image

from vaescape.errors import OptionError
from vaescape.explore import atlas, fields, page, payload
from vaescape.explore.blobs import array, file
from vaescape.explore.sections import networks, originals, plane
from vaescape.explore.view import View
from vaescape.export import parts

ALWAYS = {"labels", "errors", "poster", "selftest_z", "selftest_x", "originals"}
PLANE = {"atlas", "metric", "density"}


@pytest.fixture(autouse=True)
def no_networks(monkeypatch):
    """They have tests of their own."""
    empty = [types.SimpleNamespace(name=name, content=b"") for name in ("encoder", "decoder")]
    monkeypatch.setattr(networks, "networks", lambda *_, **__: empty)


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    study = made(tmp_path_factory.mktemp("flat"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "networks", lambda *_, **__: [])
        return study, payload.payload(study)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "2d"])
def test_studies_of_every_shape_have_what_the_page_needs(kind, tmp_path, built, monkeypatch):
    monkeypatch.setattr(plane, "FIELD", 8)
    monkeypatch.setattr(plane, "CELLS", 8)
    study = made(tmp_path, **KINDS[kind])
    found = payload.payload(study)
    shown = {1: set(), 2: PLANE}.get(study.space.latent, {"pca", "pca_basis", "pca_mean"})
    latents = {"codes", "codebook"} if study.space.discrete else {"latents"}
    assert ALWAYS | shown | latents <= found.blobs.keys()
    assert ("logvars" in found.blobs) == (study.encode_with_variance(study.test)[1] is not None)
    assert (found.manifest["field"] is not None) == (study.space.latent == 2)
    assert len(found.manifest["colours"]) == len(study.classes) == len(set(study.classes))
    count = found.manifest["data"]["train"] + found.manifest["data"]["test"]
    codes = (
        len(study.space.codes(study.test[:1])[0]) if study.space.discrete else study.space.latent
    )
    carried = found.blobs["codes" if study.space.discrete else "latents"]
    assert carried.about["shape"] == [count, codes]
    assert len(found.blobs["poster"].content) <= 20_000
    (tmp_path / "page.html").write_text(page.fill(built, found))
    assert page.check(tmp_path / "page.html")["data"]["classes"] == list(study.classes)


def test_points_are_the_studys_codes_the_training_images_first(flat):
    study, found = flat
    z = torch.cat([study.encode(study.train), study.encode(study.test)]).numpy()
    np.testing.assert_allclose(read(found.blobs["latents"]), z, atol=np.ptp(z) / 60_000)
    labels = torch.cat([study.train.labels, study.test.labels]).numpy()
    np.testing.assert_array_equal(read(found.blobs["labels"]), labels)
    assert found.manifest["data"]["train"] == len(study.train)


def test_errors_are_those_of_the_reconstructions_and_percentiles_of_the_test_images(flat):
    study, found = flat
    error = (study.reconstruct(study.test) - study.test.floats()).square().mean((1, 2, 3)).numpy()
    errors = read(found.blobs["errors"])[len(study.train) :]
    np.testing.assert_allclose(errors, error, atol=np.ptp(read(found.blobs["errors"])) / 500)
    np.testing.assert_allclose(found.manifest["percentiles"][::50], np.quantile(error, [0, 0.5, 1]))
    assert len(found.manifest["percentiles"]) == 101


def test_the_selftest_is_what_pytorch_decodes(flat):
    study, found = flat
    z = torch.tensor(read(found.blobs["selftest_z"]))
    x = torch.tensor(read(found.blobs["selftest_x"])).float()
    torch.testing.assert_close(x, study.decode(z), rtol=0, atol=1e-5)


def test_a_cell_of_the_atlas_is_what_its_centre_decodes_to(flat):
    study, found = flat
    place, cells = found.manifest["field"], found.manifest["field"]["rows"]
    sheet = np.asarray(Image.open(io.BytesIO(found.blobs["atlas"].content)).convert("L"))
    assert sheet.shape == (28 * cells, 28 * cells)
    row, column = 3, 25
    x = place["x"][0] + (column + 0.5) / cells * (place["x"][1] - place["x"][0])
    y = place["y"][1] - (row + 0.5) / cells * (place["y"][1] - place["y"][0])
    expected = study.decode(torch.tensor([[x, y]]))[0, 0].numpy() * 255
    shown = sheet[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28]
    assert np.abs(shown - expected).mean() < 6


def test_the_window_is_square_and_holds_the_points(flat):
    study, found = flat
    (left, right), (low, high) = found.manifest["field"]["x"], found.manifest["field"]["y"]
    assert right - left == pytest.approx(high - low)
    z = study.encode(study.train)
    inside = (z[:, 0] > left) & (z[:, 0] < right) & (z[:, 1] > low) & (z[:, 1] < high)
    assert inside.float().mean() > 0.99


def test_the_density_is_the_aggregate_posterior_of_training_images_row_0_at_the_top(flat):
    study, found = flat
    place = found.manifest["field"]
    window = fields.Window(tuple(place["x"]), tuple(place["y"]))
    q = study.space.posterior(study.train)
    z = window.grid(64)[10, 20].double()
    log_q = torch.distributions.Normal(q.mean.double(), q.variance.double().sqrt())
    exact = log_q.log_prob(z).sum(-1).logsumexp(0) - math.log(len(study.train))
    shown = read(found.blobs["density"])
    assert shown.dtype == np.float32
    assert shown[10, 20] == pytest.approx(exact.item(), rel=1e-4)
    codes = study.encode(study.test).double()
    each = log_q.log_prob(codes[:, None]).sum(-1).logsumexp(1) - math.log(len(study.train))
    assert found.manifest["density"]["typical"] == pytest.approx(each.median().item(), rel=1e-4)


@pytest.mark.parametrize("kind", ["16d", "conditional", "sphere"])
def test_the_graph_carries_the_density_of_its_nodes(kind, tmp_path):
    study = made(tmp_path, **KINDS[kind])
    found = payload.payload(study)
    z = torch.cat([study.encode(study.train), study.encode(study.test)])
    nodes = z[torch.from_numpy(read(found.blobs["knn_nodes"]).astype(np.int64))]
    q = study.space.posterior(study.train)
    exact = q.log_prob(nodes[:, None]).logsumexp(1) - math.log(len(study.train))
    np.testing.assert_allclose(read(found.blobs["knn_density"]), exact.detach(), atol=1e-3)
    assert found.manifest["density"]["typical"] < exact.max()


def test_the_metric_is_that_of_finite_differences(flat):
    study, found = flat
    place = found.manifest["field"]
    window = fields.Window(tuple(place["x"]), tuple(place["y"]))
    z, step = window.grid(64)[40, 17].double()[None], 1e-7
    model = study.model.double()
    try:
        moved = [model.decode((z + s * step * unit,)).mean.flatten()
                 for unit in torch.eye(2).double() for s in (1, -1)]  # fmt: skip
    finally:
        model.float()
    j = torch.stack([(moved[0] - moved[1]), (moved[2] - moved[3])], 1) / (2 * step)
    g = (j.T @ j).detach().numpy()
    shown = read(found.blobs["metric"])[40, 17]
    np.testing.assert_allclose(shown, [g[0, 0], g[0, 1], g[1, 1]], rtol=2e-3, atol=1e-4)


def test_originals_are_none_the_test_images_or_all(flat):
    study, found = flat
    assert found.manifest["originals"]["first"] == len(study.train)
    assert originals.originals(View(study, originals="none")) == ({"originals": None}, {})
    entries, blobs = originals.originals(View(study, originals="all"))
    whole = entries["originals"]
    assert whole["first"] == 0
    assert whole["count"] == len(study.train) + len(study.test)
    sheet = np.asarray(Image.open(io.BytesIO(blobs["originals"].content)).convert("L"))
    row, column = divmod(len(study.train) + 4, whole["columns"])
    cell = sheet[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28]
    assert np.abs(cell - study.test.pixels[4, 0].numpy().astype(float)).mean() < 6
    with pytest.raises(OptionError, match="none, test or all"):
        payload.payload(study, originals="some")  # pyright: ignore[reportArgumentType]


def test_an_atlas_never_outgrows_its_format():
    blob, kept, columns = atlas.originals(torch.zeros(40, 1, 5000, 9, dtype=torch.uint8))
    image = Image.open(io.BytesIO(blob.content))
    assert max(image.size) <= 16383
    assert kept == min(40, columns * 3)


def test_a_model_with_classes_shows_the_first_and_names_its_inputs(tmp_path):
    study = made(tmp_path, conditional=True, network="mlp(hidden=8)")
    found = payload.payload(study)
    assert found.manifest["model"]["conditional"] == 4
    assert found.manifest["model"]["decoder"]["input"] == ["z", "c"]
    z, c = (torch.tensor(read(found.blobs[f"selftest_{name}"])) for name in "zc")
    x = torch.tensor(read(found.blobs["selftest_x"])).float()
    torch.testing.assert_close(x, study.decode(z, c), rtol=0, atol=1e-5)


def test_the_manifest_is_json_and_says_what_it_is(flat):
    study, found = flat
    again = json.loads(json.dumps(found.manifest, allow_nan=False))
    assert again["model"]["latent"] == 2
    assert again["schema"] == 1
    assert again["data"]["classes"] == list(study.classes)


def test_files_say_their_type():
    assert file(b"abc", "image/webp").entry()["type"] == "image/webp"


def test_a_prior_is_the_standard_normal_by_its_density_not_by_its_name(flat, tmp_path):
    _, found = flat
    assert found.manifest["model"]["prior"] == {"kind": "normal", "standard_normal": True}
    assert "prior_samples" not in found.blobs
    other = made(tmp_path, prior="mixture(components=2)", count=60)
    assert not View(other).standard_normal
    with torch.no_grad():  # both components at the origin, of size one: the standard normal
        mixture = other.model.prior
        for value in mixture.parameters():
            value.zero_()
    assert View(other).standard_normal


@pytest.mark.parametrize("kind", ["2d", "16d", "codes", "ladder", "conditional", "sphere"])
def test_outputs_of_the_encoder_are_known_without_running_it(kind, tmp_path, monkeypatch):
    study = made(tmp_path, **(KINDS[kind] | {"count": 60}))
    _, log_var = study.encode_with_variance(study.test[:1])
    monkeypatch.setattr(type(study.model.posterior), "forward", None)
    (_, outputs), _ = parts.names(study).values()
    expected = {"log_var": log_var is not None, "codes": kind == "codes", "below": kind == "ladder"}
    assert outputs == ["mean", *(name for name, there in expected.items() if there)]


@pytest.mark.parametrize(
    ("likelihood", "varies"),
    [
        ("cross-entropy", False), ("gaussian(scale='learned')", False), ("laplace", False),
        ("gaussian(scale='pixel')", True), ("discretised-logistic", True),
        ("logistic-mixture(components=2)", True),
    ],
)  # fmt: skip
def test_the_scale_of_pixels_is_shown_where_it_differs_from_place_to_place(
    likelihood, varies, tmp_path
):
    study = made(tmp_path, likelihood=likelihood, network="mlp(hidden=8)", count=60)
    z = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0))
    found = fields.spread(study, z)
    assert (found is not None) == varies
    if found is not None:
        p = study.space.model.decode((z.reshape(-1, 2),), torch.empty(10, 0))
        expected = p.parameters()["log_scale"].exp().flatten(1).mean(1).reshape(2, 5)
        torch.testing.assert_close(found, expected.detach())


def test_numbers_that_half_precision_cannot_hold_travel_as_they_are():
    """The metric of a sharp map, say: beyond 65,504 there would be infinity."""
    small, large = np.array([1.5, -6e4], np.float32), np.array([1.5, 7e4], np.float32)
    assert array(small, "f16").about["dtype"] == "f16"
    made = array(large, "f16")
    assert made.about["dtype"] == "f32"
    assert np.frombuffer(made.content, np.float32).tolist() == large.tolist()
