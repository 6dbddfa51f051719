"""Regions drawn on the page and what Python makes of them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vaescape import Study, regions
from vaescape.errors import RunError
from vaescape.explore import regions as module
from vaescape.explore.regions import winding
from vaescape.explore.view import Codes, View
from vaescape.geometry.principal import principal
from vaescape.runs import RunFolder

SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2]]
LOW = [[-9, -9], [9, -9], [9, -0.2], [-9, -0.2]]


def test_what_goes_around_a_place_holds_it():
    places = np.array([[1, 1], [3, 1], [-1, 1], [1, 3], [1.99, 0.01]])
    assert winding(np.array(SQUARE, float), places).tolist() == [1, 0, 0, 0, 1]
    backwards = np.array(SQUARE[::-1], float)
    assert winding(backwards, places).tolist() == [-1, 0, 0, 0, -1]
    twice = np.array(SQUARE + SQUARE, float)
    assert winding(twice, places)[0] == 2


def test_a_loop_that_crosses_itself_holds_all_it_encloses():
    star = [[np.sin(a), np.cos(a)] for a in np.arange(5) * 4 * np.pi / 5]
    assert winding(np.array(star), np.zeros((1, 2)))[0] != 0


def written(tmp_path, monkeypatch, z, given, train=2):
    codes = Codes(torch.tensor(z), None, torch.zeros(len(z)), train)
    view = SimpleNamespace(codes=codes, principal=principal(codes.mean))
    monkeypatch.setattr(module, "View", lambda study: view)
    (tmp_path / "regions.json").write_text(json.dumps(given))
    return regions(SimpleNamespace(folder=RunFolder(tmp_path)))  # pyright: ignore


def stroke(operation, outline):
    return {"operation": operation, "outline": outline}


def test_strokes_replace_add_and_subtract(tmp_path, monkeypatch):
    z = [[0.5, 0.5], [1.5, 1.5], [5.5, 0.5], [1.5, 0.5]]
    strokes = [
        stroke("replace", [[5, 0], [6, 0], [6, 1], [5, 1]]),
        stroke("add", SQUARE),
        stroke("subtract", [[1, 1], [2, 1], [2, 2], [1, 2]]),
    ]
    given = {"regions": [{"name": "</b>", "map": "latent", "strokes": strokes}]}
    found = written(tmp_path, monkeypatch, z, given)["</b>"]
    assert found["train"].tolist() == [0]
    assert found["test"].tolist() == [0, 1]


def test_other_planes_are_the_pages(tmp_path, monkeypatch):
    z = [[-1.0, 9.0, 1.0], [1.0, 9.0, 1.0], [5.0, -9.0, 1.0]]
    axes = {"name": "a", "map": "axes-0-2", "strokes": [stroke("replace", SQUARE)]}
    wide = [[-99, -1], [0, -1], [0, 1], [-99, 1]]
    pca = {"name": "p", "map": "pca", "strokes": [stroke("replace", wide)]}
    umap = {"name": "u", "map": "umap", "strokes": [stroke("replace", SQUARE)]}
    found = written(tmp_path, monkeypatch, z, {"regions": [axes, pca, umap]})
    assert found.keys() == {"a", "p"}
    assert found["a"]["train"].tolist() == [1]
    one_side = [found["p"][split].tolist() for split in ("train", "test")]
    assert one_side in ([[0, 1], []], [[], [0]])


def test_a_line_is_spread_in_height_as_on_the_page(tmp_path, monkeypatch):
    """The places are those of `line` in web/src/core/plane.ts (web/test/map.test.ts)."""
    low = {"name": "low", "map": "line", "strokes": [stroke("replace", LOW)]}
    z = [[0.0], [1.0], [2.0], [4.0]]
    found = written(tmp_path, monkeypatch, z, {"regions": [low]})["low"]
    assert (found["train"].tolist(), found["test"].tolist()) == ([0], [0])
    places = module._on_line(np.array(z, np.float32)[:, 0])
    expected = [-0.54, 0.127477, -0.28505, 0.382429]
    np.testing.assert_allclose(places[:, 1], expected, atol=1e-5)


def test_the_codes_of_a_discrete_model_lie_where_the_page_shows_them(tmp_path):
    parts = {"posterior": "gumbel-softmax(positions=2)", "latent": 8}
    network = "conv(channels=[4], hidden=5)"
    study = Study("first-look", network=network, epochs=0.3, limit=50, batch=25, **parts).fit()
    study.save(tmp_path / "run")
    places = View(study).flat(View(study).codes.mean)
    u, v = places[0].tolist()
    outline = [
        [u - 1e-3, v - 1e-3],
        [u + 1e-3, v - 1e-3],
        [u + 1e-3, v + 1e-3],
        [u - 1e-3, v + 1e-3],
    ]
    region = {"name": "one code", "map": "pca", "strokes": [stroke("replace", outline)]}
    (tmp_path / "run" / "regions.json").write_text(json.dumps({"regions": [region]}))
    same = (places - places[0]).abs().amax(1) < 1e-3
    assert regions(study)["one code"]["train"].tolist() == same[:50].nonzero()[:, 0].tolist()


@pytest.mark.parametrize(
    "given", [{"regions": [{}]}, {"regions": 5}, {"regions": [{"map": "pca"}]}]
)
def test_damage_is_told(tmp_path, monkeypatch, given):
    with pytest.raises(RunError, match="damaged"):
        written(tmp_path, monkeypatch, [[0.0, 0.0]], given)


def test_without_regions_there_are_none(tmp_path):
    assert regions(SimpleNamespace(folder=RunFolder(tmp_path))) == {}  # pyright: ignore
