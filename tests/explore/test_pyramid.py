"""All codes of a set behind a page: every number equals that of brute force over the codes."""

import csv
import io
import json
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from explore_studies import BUILT
from test_command import told
from test_server import TOKEN, serving

from vaescape import Study
from vaescape.codes import MANIFEST, Codes
from vaescape.encoding import encode
from vaescape.errors import DataError, OptionError
from vaescape.explore import pyramid as module
from vaescape.explore.crowd import Crowd
from vaescape.explore.live import Live, open_run
from vaescape.explore.pyramid import DEEPEST, DEPTH, FILE, Pyramid, pyramid
from vaescape.explore.regions import held, winding
from vaescape.explore.sections import plane
from vaescape.explore.view import View, encode_all
from vaescape.files import write_json
from vaescape.geometry.principal import principal

N, SHARD = 30_000, 7_000
STAR = [[0.0, 2.5], [-1.5, -2.0], [2.4, 0.8], [-2.4, 0.8], [1.5, -2.0]]
"""Crosses itself: everything it encloses counts."""


def written(folder: Path, study: Study, z: np.ndarray, **changes: Any) -> Codes:
    """Return codes in files, as `encode` writes them."""
    labels = np.random.default_rng(1).integers(0, 3, len(z))
    folder.mkdir()
    files = {}
    for n, start in enumerate(range(0, len(z), SHARD)):
        rows = slice(start, min(start + SHARD, len(z)))
        ids = np.array([f"a/{row}.png" for row in range(rows.start, rows.stop)])
        files[f"train-{n:05d}.npz"] = len(ids)
        np.savez_compressed(
            folder / f"train-{n:05d}.npz", id=ids, z=z[rows], label=labels[rows],
            log_var=np.full_like(z[rows], -2),
        )  # fmt: skip
    assert study.folder is not None
    told = {
        "format": 1, "run": "look", "weights_sha256": study.folder.record["weights_sha256"],
        "data_sha256": "0", "title": "Points", "classes": ["=one", "two", "three"],
        "latent": z.shape[1], "splits": {"train": len(z)}, "files": files,
    }  # fmt: skip
    write_json(folder / MANIFEST, told | changes)
    return Codes.open(folder)


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """What is drawn behind the points has few cells: it is not looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plane, "FIELD", 8)
        patch.setattr(plane, "CELLS", 4)
        yield


@pytest.fixture(scope="module")
def study(run) -> Study:
    return open_run(run)


@pytest.fixture(scope="module")
def z() -> np.ndarray:
    """Two crowds, one of them very dense, a hundred equal codes, and one code far away."""
    rng = np.random.default_rng(0)
    found = rng.normal(0, 1, (N, 2))
    found[: N // 3] = rng.normal([1.5, -0.5], 0.001, (N // 3, 2))
    found[5_000:5_100] = [0.25, 0.5]
    found[-1] = [900.0, -3.0]
    return rng.permutation(found).astype(np.float32)


@pytest.fixture(scope="module")
def codes(tmp_path_factory, study, z) -> Codes:
    return written(tmp_path_factory.mktemp("sets") / "codes", study, z)


@pytest.fixture(scope="module")
def labels(codes) -> np.ndarray:
    return codes.arrays()[1]


@pytest.fixture(scope="module")
def built(codes, study) -> Pyramid:
    return pyramid(codes, study)


@pytest.fixture(scope="module")
def crowd(built, study) -> Crowd:
    return Crowd(built, study)


def box(built: Pyramid, depth: int, i: int, j: int) -> tuple[np.ndarray, float]:
    """Return the lower left corner of a cell, and its width."""
    width = 2.0 ** (built.exponent + 1 - depth)
    return np.array([i, j]) * width - 2.0**built.exponent, width


def inside(z: np.ndarray, corner: np.ndarray, width: float) -> np.ndarray:
    return np.all((z >= corner) & (z < corner + width), axis=-1)


# Counts ------------------------------------------------------------------------------------------


def test_counts_of_every_level_are_those_of_all_codes(built, labels):
    kept = [depth for depth in range(1, DEPTH) if f"entry.{depth}" in built.arrays]
    assert kept == list(range(1, max(kept) + 1))
    assert 8 < max(kept) < DEPTH - 1  # the code far away makes the square a thousand times as wide
    for depth in range(1, DEPTH + 1):
        entries, counts = built.counts(depth)
        assert counts.sum() == N
        assert (np.diff(entries) > 0).all()
        of_class = np.bincount(entries & 0x7FFF, weights=counts)
        assert of_class.tolist() == np.bincount(labels).tolist()
    entries, _ = built.counts(max(kept))
    assert len(np.unique(entries >> 15)) * module.SHARE <= N


def test_codes_are_all_there_in_morton_order(built, z, labels):
    row = built.arrays["row"]
    assert np.array_equal(np.sort(row), np.arange(N))
    assert np.array_equal(built.arrays["place"], z[row])
    assert np.array_equal(built.arrays["label"], labels[row])
    assert (np.diff(built.arrays["key"]) >= 0).all()


@pytest.mark.parametrize("depth", [1, 3, 9, 10, 12, 15, DEEPEST])
def test_a_tile_is_what_brute_force_finds_in_its_square(built, z, labels, depth):
    rng, half = np.random.default_rng(depth), 2 ** (depth - 1)
    middle = np.floor(np.array([1.5, -0.5]) * half / 2.0**built.exponent).astype(int) + half
    looked_at = [middle, *(middle + rng.integers(-3, 4, (12, 2)))]
    near = far = 0
    for i, j in looked_at:
        corner, width = box(built, depth, i, j)
        held_there = inside(z, corner, width)
        if not (0 <= i < 2 * half and 0 <= j < 2 * half):
            continue
        tile = built.tile(depth, int(i), int(j))
        if "row" in tile:
            near += len(tile["row"]) > 0
            assert sorted(tile["row"].tolist()) == np.flatnonzero(held_there).tolist()
            assert np.array_equal(tile["place"], z[tile["row"]])
            assert np.array_equal(tile["label"], labels[tile["row"]])
            continue
        far += 1
        assert held_there.sum() > module.NEAR
        columns, rows = np.floor((z[held_there] - corner) / (width / 128)).astype(int).T
        expected = np.zeros((128 * 128, 3), int)
        np.add.at(expected, (rows * 128 + columns, labels[held_there]), 1)
        counted = np.zeros_like(expected)
        counted[tile["cell"], tile["label"]] = tile["count"]
        assert np.array_equal(counted, expected)
        assert tile["count"].sum() == held_there.sum()
    assert far if depth < 12 else near


def test_a_tile_travels_as_bytes(crowd, built):
    content = crowd.tile(1, 0, 0)
    n, near = np.frombuffer(content, "<u4", 2)
    found = built.tile(1, 0, 0)
    assert (n, near) == (len(found["cell"]), 0)
    assert len(content) == 8 + 8 * n
    assert np.array_equal(np.frombuffer(content, "<u4", n, 8), found["count"])
    assert np.array_equal(np.frombuffer(content, "<u2", n, 8 + 4 * n), found["cell"])
    assert np.array_equal(np.frombuffer(content, "<u2", n, 8 + 6 * n), found["label"])
    depth, i, j = DEEPEST, 0, 0
    assert crowd.tile(depth, i, j) == np.array([0, 1], "<u4").tobytes()
    for depth in (0, DEEPEST + 1):
        with pytest.raises(OptionError, match="depth of a tile"):
            crowd.tile(depth, 0, 0)
    assert np.frombuffer(crowd.tile(3, 8, 0), "<u4").tolist() == [0, 1]


# Regions -----------------------------------------------------------------------------------------


def star(scale: float, at: tuple[float, float], operation: str) -> dict[str, Any]:
    return {"operation": operation, "outline": (np.array(STAR) * scale + at).tolist()}


SQUARE = [[-1e4, -1e4], [1e4, -1e4], [1e4, 1e4], [-1e4, 1e4]]
STROKES = {
    "all": [{"operation": "replace", "outline": SQUARE}],
    "star": [star(0.8, (0.2, -0.1), "replace")],
    "three": [
        star(1, (0, 0), "replace"), star(0.3, (1.5, -0.5), "subtract"), star(0.2, (-1, 1), "add")
    ],
    "dense": [star(0.0005, (1.5, -0.5), "replace")],
    "equal": [star(0.00001, (0.25, 0.5), "replace")],
    "nothing": [star(0.1, (300, 300), "replace")],
}  # fmt: skip


@pytest.mark.parametrize("name", STROKES)
@pytest.mark.parametrize("shown", [None, [0, 2]])
def test_a_region_counts_and_exports_what_brute_force_finds(crowd, z, labels, name, shown):
    request = {"strokes": STROKES[name], "shown": shown}
    expected = held(STROKES[name], z.astype(float))
    assert expected.sum() > 0 or name == "nothing"
    if shown:
        expected &= np.isin(labels, shown)
    found = crowd.region(request)
    assert found["count"] == expected.sum()
    assert found["classes"] == np.bincount(labels[expected], minlength=3).tolist()
    rows = np.array(found["rows"], int)
    assert len(rows) == min(found["count"], 256)
    assert expected[rows].all()
    assert np.array_equal(np.array(found["z"], np.float32).reshape(-1, 2), z[rows])
    assert found["labels"] == labels[rows].tolist()
    lines = list(csv.DictReader(io.StringIO("".join(crowd.export(request)))))
    assert [line["id"] for line in lines] == [f"a/{row}.png" for row in np.flatnonzero(expected)]
    told = np.array([[line["z0"], line["z1"]] for line in lines], float).reshape(-1, 2)
    assert np.array_equal(told.astype(np.float32), z[expected])


def test_random_outlines_count_exactly(crowd, z):
    rng = np.random.default_rng(5)
    for _ in range(20):
        middle, reach = rng.normal(0, 1, 2), rng.choice([0.01, 0.3, 2.0])
        outline = (middle + rng.normal(0, reach, (rng.integers(3, 60), 2))).tolist()
        request = {"strokes": [{"operation": "replace", "outline": outline}], "shown": None}
        expected = (winding(np.array(outline), z.astype(float)) != 0).sum()
        assert crowd.region(request)["count"] == expected


def test_a_table_has_no_cell_that_a_spreadsheet_runs(crowd):
    text = "".join(crowd.export({"strokes": STROKES["star"], "shown": [0]}))
    head, first, *_ = text.splitlines()
    assert head == "id,class,z0,z1"
    assert first.split(",")[1] == "'=one"


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({}, "'strokes' must be a list"),
        ({"strokes": [{"operation": "cut", "outline": []}]}, "operation' must be one of"),
        ({"strokes": [{"operation": "add", "outline": [[1.0]]}]}, "places"),
        ({"strokes": [{"operation": "add", "outline": [[1e300, 0.0]]}]}, "places"),
        ({"strokes": [], "shown": "all"}, "'shown' must be"),
    ],
)
def test_what_is_no_region_is_refused_in_a_sentence(crowd, request_, told):
    with pytest.raises(OptionError, match=told):
        crowd.region(request_)


def test_images_are_found_by_id_and_by_row(crowd, z, labels):
    for row in (0, 6_999, 7_000, N - 1):
        found = crowd.image({"id": f"a/{row}.png"})
        assert found == crowd.image({"row": row})
        assert (found["rows"], found["ids"]) == ([row], [f"a/{row}.png"])
        assert found["labels"] == [labels[row]]
        assert np.array_equal(np.array(found["z"], np.float32), z[row])
        assert found["log_var"] == [-2, -2]
    for name in ("a/30000.png", "a/0.pn", "", "a/0.png\0"):
        assert crowd.image({"id": name}) is None
    for wrong in ({}, {"row": N}, {"row": -1}, {"row": True}, {"id": 3}):
        with pytest.raises(OptionError, match="Expected an id"):
            crowd.image(wrong)


# The file ----------------------------------------------------------------------------------------


@pytest.fixture
def other(codes, built, tmp_path) -> Codes:
    """A copy of the codes and their pyramid."""
    return Codes.open(shutil.copytree(codes.path, tmp_path / "codes"))


def again(codes: Codes, study: Study) -> tuple[Pyramid, list[str]]:
    told: list[str] = []
    return pyramid(codes, study, told.append), told


def test_a_pyramid_is_built_once(other, study, built):
    content = (other.path / FILE).read_bytes()
    found, told = again(other, study)
    assert told == []
    assert (other.path / FILE).read_bytes() == content
    (other.path / FILE).unlink()
    found, told = again(other, study)
    assert len(told) == 1
    assert "once" in told[0]
    assert (other.path / FILE).read_bytes() == content
    assert found.exponent == built.exponent


@pytest.mark.parametrize("place", [3, 100, 5_000, 400_000, -1])
def test_a_damaged_pyramid_is_named_and_built_again(other, study, built, place):
    content = bytearray((other.path / FILE).read_bytes())
    content[place] ^= 0x10
    (other.path / FILE).write_bytes(content)
    found, told = again(other, study)
    assert len(told) == 1
    assert str(other.path / FILE) in told[0]
    assert all(np.array_equal(array, built.arrays[name]) for name, array in found.arrays.items())


@pytest.mark.parametrize("size", [0, 7, 20, 100_000])
def test_a_pyramid_cut_short_is_built_again(other, study, size):
    with open(other.path / FILE, "r+b") as file:
        file.truncate(size)
    found, told = again(other, study)
    assert len(told) == 1
    assert len(found) == N


def test_changed_codes_get_a_pyramid_of_their_own(other, study):
    name = "train-00001.npz"
    with np.load(other.path / name) as file:
        arrays = dict(file)
    arrays["z"][5] = [7, 7]
    np.savez_compressed(other.path / name, **arrays)
    found, told = again(Codes.open(other.path), study)
    assert "the codes have changed" in told[0]
    (place,) = np.nonzero(found.arrays["row"] == SHARD + 5)
    assert found.arrays["place"][place[0]].tolist() == [7, 7]


def test_damaged_codes_are_named(other, study):
    (other.path / FILE).unlink()
    content = bytearray((other.path / "train-00002.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (other.path / "train-00002.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"train-00002\.npz is damaged"):
        pyramid(other, study)
    assert not (other.path / FILE).exists()


def test_codes_that_are_no_numbers_or_of_no_class_are_refused(study, tmp_path, z):
    bad = z[:100].copy()
    bad[3, 0] = np.nan
    with pytest.raises(DataError, match="finite"):
        pyramid(written(tmp_path / "nan", study, bad), study)
    with pytest.raises(DataError, match="labels of no class"):
        pyramid(written(tmp_path / "few", study, z[:100], classes=["a", "b"]), study)


def test_one_code_is_a_set(study, tmp_path):
    codes = written(tmp_path / "one", study, np.zeros((1, 2), np.float32))
    found = Crowd(pyramid(codes, study), study)
    assert found.region({"strokes": STROKES["star"]})["count"] == 1
    assert [found.pyramid.counts(depth)[1].sum() for depth in (1, 9, DEPTH)] == [1, 1, 1]


def test_codes_of_another_run_are_refused(study, tmp_path, z):
    for changed in ("0", None):
        folder = tmp_path / f"other-{changed}"
        codes = written(folder, study, z[:100], weights_sha256=changed)
        with pytest.raises(OptionError, match="codes of look, with other weights"):
            pyramid(codes, study)
    assert not (folder / FILE).exists()


# The page ----------------------------------------------------------------------------------------


def test_codes_of_many_dimensions_lie_on_the_principal_plane_of_the_run(tmp_path):
    made = Study("paper", data="shapes(images=300, size=12)", network="mlp(hidden=8)", latent=5,
                 epochs=1, batch=50, threads=1).fit()  # fmt: skip
    made.save(tmp_path / "run")
    study = open_run(tmp_path / "run")
    codes = Codes.open(encode(study, study.data, tmp_path / "codes", shard=100))
    crowd = Crowd(pyramid(codes, study), study)
    z, labels = codes.arrays()
    mean, axes = (one.numpy() for one in principal(encode_all(study).mean))
    place = (z - mean) @ axes
    row = crowd.pyramid.arrays["row"]
    assert np.allclose(crowd.pyramid.arrays["place"], place[row], atol=1e-5)
    outline = [[-9, -9], [0, -9], [0, 9], [-9, 9]]
    found = crowd.region({"strokes": [{"operation": "replace", "outline": outline}]})
    assert found["count"] == (place[:, 0] < 0).sum()
    some = np.array(found["z"], np.float32).reshape(-1, 5)
    assert np.array_equal(some, z[found["rows"]])
    assert found["labels"] == labels[found["rows"]].tolist()
    assert crowd.pictured  # the run's own data
    images = study.data.load("test").pixels
    start = len(study.data.load("train").pixels)
    assert crowd.original(start + 3) == images[3].numpy().tobytes()
    assert crowd.original(len(codes)) is None


@pytest.fixture
def client(study, crowd, monkeypatch):
    """A browser's view of a server of the codes; the front end is not needed."""
    for name in ("vaescape.explore.live.template", "vaescape.explore.page.template"):
        monkeypatch.setattr(name, lambda: BUILT)
    with (
        serving(Live(study, crowd)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}/{TOKEN}", timeout=60) as found,
    ):
        yield found


def test_the_page_has_a_sample_and_asks_for_the_rest(client, study, crowd, labels):
    page = client.get("/").text
    found = json.loads(re.findall('id="manifest">({.*?})</script>', page)[0])
    assert found["title"].startswith("Points: latent space")
    assert found["data"]["classes"] == ["=one", "two", "three"]
    assert found["data"]["test"] == module.SAMPLE
    assert found["pyramid"] == {
        "count": N, "classes": np.bincount(labels).tolist(), "exponent": crowd.pyramid.exponent,
        "deepest": DEEPEST, "side": 128, "pictured": False,
    }  # fmt: skip
    rows = np.frombuffer(client.get("/blob/rows").content, "<u4")
    assert len(np.unique(rows)) == module.SAMPLE
    assert client.get("/blob/ids").json() == [f"a/{row}.png" for row in rows]
    assert np.frombuffer(client.get("/blob/labels").content, "u1").tolist() == labels[rows].tolist()
    assert client.get("/tile/1/0/0").content == crowd.tile(1, 0, 0)
    request = {"strokes": STROKES["star"], "shown": [1]}
    assert client.post("/region", json=request).json() == crowd.region(request)
    answer = client.post("/export", json=request)
    assert answer.text == "".join(crowd.export(request))
    assert answer.headers["content-type"].startswith("text/csv")
    assert client.post("/image", json={"id": "a/17.png"}).json()["rows"] == [17]
    assert client.post("/image", json={"id": "nobody"}).json() is None
    assert client.get("/original/3").status_code == 404
    for wrong in ("/tile/0/0/0", "/tile/99/0/0"):
        assert client.get(wrong).status_code == 400
    assert client.get("/tile/1/-1/0").status_code == 404
    expected, _ = plane.plane(View(study, sample=crowd.pyramid.sample))
    assert expected.items() <= found.items()
    assert np.frombuffer(client.get("/blob/metric").content, "<f2").shape == (8 * 8 * 3,)
    assert client.post("/region", json={"strokes": 3}).status_code == 400
    for path in ("/tile/1/0/0", "/region", "/export", "/image"):
        method = "GET" if path.startswith("/tile") else "POST"
        evil = client.request(method, path, headers={"origin": "http://evil.example"})
        assert evil.status_code == 403


@pytest.mark.parametrize(
    ("space", "told_"),
    [
        ({"latent": 1, "discrete": False, "conditions": 0}, "on a line"),
        ({"latent": 4, "discrete": True, "conditions": 0}, "discrete"),
        ({"latent": 2, "discrete": False, "conditions": 4}, "conditioned on"),
    ],
)
def test_codes_that_have_no_map_here_are_refused(codes, study, space, told_):
    other: Any = SimpleNamespace(
        folder=study.folder, space=SimpleNamespace(**space), classes=("a", "b")
    )
    with pytest.raises(OptionError, match=told_):
        pyramid(codes, other)


@pytest.mark.parametrize("option", ["--save page.html", "--film 3", "--projection umap"])
def test_codes_are_served_live(run, codes, option, monkeypatch, capsys):
    arguments = ("explore", run, "--codes", codes.path, *option.split())
    code, _, err = told(monkeypatch, capsys, *arguments)
    assert code == 2
    assert "--codes is served live" in err


def test_the_command_builds_the_pyramid_and_serves_the_page(
    run, study, tmp_path, z, monkeypatch, capsys
):
    for name in ("vaescape.explore.live.template", "vaescape.explore.page.template"):
        monkeypatch.setattr(name, lambda: BUILT)
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    codes = written(tmp_path / "codes", study, z[:1000])
    arguments = ("explore", run, "--codes", codes.path, "--no-browser")
    code, out, err = told(monkeypatch, capsys, *arguments)
    assert code == 0
    assert out.startswith("http://127.0.0.1:")
    assert f"{codes.path / FILE} is built, once for these codes." in err
    code, _, err = told(monkeypatch, capsys, *arguments)
    assert (code, err) == (0, "Preparing the page …\n")


def test_codes_without_classes_are_counted_as_one_kind(study, tmp_path, z):
    codes = written(tmp_path / "plain", study, z[:1000], classes=[])
    crowd = Crowd(pyramid(codes, study), study)
    found = crowd.region({"strokes": STROKES["all"]})
    assert (found["count"], found["classes"]) == (1000, [])
    assert "".join(crowd.export({"strokes": STROKES["all"]})).startswith("id,z0,z1\na/0.png,")


def test_a_folder_without_codes_is_named(run, tmp_path, monkeypatch, capsys):
    code, _, err = told(monkeypatch, capsys, "explore", run, "--codes", tmp_path, "--no-browser")
    assert code == 2
    assert "expected a folder of codes" in err
