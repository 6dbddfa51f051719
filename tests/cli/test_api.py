"""The same in Python, in a few lines."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from cli_tools import ENVIRONMENT, Home

import vaescape
from vaescape import Study, VaescapeError, draw, evaluate
from vaescape.errors import ComponentError
from vaescape.figures import render
from vaescape.figures.view import encoded
from vaescape.generation import draw_codes

SMALL = {"epochs": 1, "limit": 96, "batch": 32, "network": "conv(channels=[4, 8], hidden=8)"}


@pytest.fixture(scope="module")
def study() -> Study:
    return Study("first-look", **SMALL).fit()


def state() -> tuple:
    return torch.random.get_rng_state().tolist(), str(np.random.get_state())


def test_encoding_is_the_mean_unless_a_draw_is_asked_for(study: Study):
    z = study.encode(study.test)
    assert z.shape == (96, 2)
    assert torch.equal(z, study.encode(study.test))
    assert torch.equal(z, study.encode_with_variance(study.test)[0])
    draws = torch.stack([study.encode(study.test, draw=True, seed=s) for s in range(400)])
    assert not torch.equal(draws[0], draws[1])
    assert torch.equal(draws[3], study.encode(study.test, draw=True, seed=3))
    log_var = study.encode_with_variance(study.test)[1]
    assert log_var is not None
    assert torch.allclose((draws - z).square().mean(0).mean(), log_var.exp().mean(), rtol=0.03)


def test_bytes_and_floats_are_the_same_pictures(study: Study):
    images = study.test[:5]
    assert torch.equal(study.encode(images.pixels), study.encode(images.floats()))


def test_decoding_keeps_the_shape_of_what_it_is_given(study: Study):
    z = torch.randn(2, 3, 2)
    assert study.decode(z).shape == (2, 3, 1, 28, 28)
    assert study.decode(z[0, 0]).shape == (1, 28, 28)
    assert torch.allclose(study.decode(z)[1, 2], study.decode(z[1, 2]), atol=1e-6)
    assert study.reconstruct(study.test[:4]).shape == (4, 1, 28, 28)


def test_many_codes_are_decoded_in_parts_that_do_not_show(study: Study):
    z = torch.randn(1203, 2)
    assert torch.allclose(study.decode(z)[1100:], study.decode(z[1100:]), atol=1e-6)


def test_samples_follow_their_seed(study: Study):
    assert study.sample(3).shape == (3, 1, 28, 28)
    assert torch.equal(study.sample(3, seed=4), study.sample(3, seed=4))
    assert not torch.equal(study.sample(3, seed=4), study.sample(3, seed=5))


def test_the_temperature_is_the_scale_of_the_codes(study: Study):
    cool, z = study.sample(5, seed=4, temperature=0.3), draw_codes(study.space, 5, seed=4)
    torch.testing.assert_close(cool, study.decode(0.3 * z))
    assert torch.equal(study.sample(5, seed=4, temperature=1.0), study.sample(5, seed=4))
    study.fit_prior("normal", epochs=0.1)
    again = study.sample(5, seed=4, prior="normal", temperature=0.3)
    torch.testing.assert_close(again, cool)
    del study.priors["normal"]


@pytest.mark.parametrize("path", ["linear", "spherical", "geodesic"])
def test_interpolations_begin_and_end_with_their_ends(study: Study, path: str):
    a, b = study.test[3].pixels[0], study.test[8].pixels[0]
    frames = study.interpolate(a, b, steps=7, path=path)
    ends = study.reconstruct(study.test[torch.tensor([3, 8])])
    assert frames.shape == (7, 1, 28, 28)
    assert torch.allclose(frames[0], ends[0], atol=1e-6)
    assert torch.allclose(frames[-1], ends[1], atol=1e-6)
    z = study.encode(torch.stack([a, b]))
    assert torch.allclose(study.interpolate(z[0], z[1], steps=7, path=path), frames, atol=1e-6)


def test_traversals_move_one_dimension(study: Study):
    frames = study.traverse(1, steps=3, reach=2)
    at = study.decode(torch.tensor([[0, -2.0], [0, 0], [0, 2.0]]))
    assert torch.allclose(frames, at, atol=1e-6)


def test_a_figure_shows_itself(study: Study):
    png, size = draw(study, "map")._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert size["width"] > 200


def test_a_figure_shows_the_model_as_it_is_now():
    study = Study("first-look", **SMALL)
    before = encoded(study).z
    assert encoded(study).z is before
    study.fit()
    assert torch.equal(encoded(study).z, study.encode(study.test))
    assert not torch.equal(encoded(study).z, before)


def test_fitting_twice_is_fitting_once(study: Study):
    again = Study("first-look", **SMALL).fit().fit()
    assert torch.equal(again.encode(study.test), study.encode(study.test))


def test_a_loaded_study_encodes_as_the_trained_one_did(home: Home, monkeypatch):
    monkeypatch.chdir(home.path)
    trained = Study(
        "first-look", **{**SMALL, "limit": 60, "batch": 20, "epochs": 2}, threads=1
    ).fit()
    loaded = Study.load("runs/look")
    assert torch.equal(loaded.encode(loaded.test), trained.encode(trained.test))
    assert torch.equal(loaded.sample(4), trained.sample(4))


def test_nothing_touches_the_global_random_state(study: Study):
    torch.manual_seed(3)
    np.random.seed(3)
    before = state()
    again = Study("first-look", **SMALL).fit()
    again.encode(again.test, draw=True)
    again.sample(3)
    again.score(again.test)
    for name in ("map", "samples", "interpolations", "regions"):
        draw(again, name)
    evaluate(again, bounds=((3, 5),), paths=4)
    assert state() == before


def test_the_global_random_state_touches_nothing(study: Study):
    torch.manual_seed(99)
    np.random.seed(99)
    again = Study("first-look", **SMALL).fit()
    assert torch.equal(again.encode(study.test), study.encode(study.test))
    assert torch.equal(again.sample(2), study.sample(2))


def test_pixels_are_drawn_from_a_density_only(study: Study):
    with pytest.raises(ComponentError, match="no density of grey pixels"):
        study.sample(2, kind="draws")
    made = Study("first-look", **SMALL, likelihood="gaussian(sigma=0.2)").fit()
    noise = made.sample(200, kind="draws", seed=1) - made.sample(200, seed=1)
    assert noise.std().item() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: s.decode(torch.zeros(4, 3)),
        lambda s: s.decode(torch.tensor(1.0)),
        lambda s: s.sample(0),
        lambda s: s.sample(2, kind="means "),
        lambda s: s.sample(2, seed=-1),
        lambda s: s.sample(2, temperature=-1),
        lambda s: s.sample(2, seed=2**64),
        lambda s: s.interpolate(torch.zeros(2), torch.ones(2), steps=1),
        lambda s: s.interpolate(torch.zeros(2), torch.ones(2), path="straight"),
        lambda s: s.interpolate(torch.zeros(3), torch.ones(2)),
        lambda s: s.traverse(2),
        lambda s: s.traverse(0, steps=1),
        lambda s: s.traverse(0, reach=float("nan")),
        lambda s: s.space.classes.number("hart"),
        lambda s: draw(s, "mapp"),
        lambda s: draw(s, "curves"),
        lambda s: draw(s, "map", theme="pink"),
        lambda s: Study("papr"),
        lambda s: Study("paper", epoch=3),
        lambda s: Study.load("runs/none"),
        lambda s: evaluate(s, bounds=((0, None),)),
        lambda s: evaluate(s, bounds=((2, -3),)),
        lambda s: evaluate(s, bounds=((1, 2),), paths=0),
        lambda s: s.encode(torch.zeros(2, 1, 20, 20)),
        lambda s: s.encode(torch.zeros(1, 28, 28)),
    ],
)
def test_mistakes_are_sentences(study: Study, wrong):
    with pytest.raises(VaescapeError) as caught:
        wrong(study)
    assert str(caught.value).rstrip().endswith((".", "?"))


@pytest.mark.parametrize("name", ["kl", "samples", "draws"])
def test_a_figure_without_a_meaning_here_says_so_before_anything_is_drawn(tmp_path, name: str):
    plain = Study("autoencoder", data="shapes", **SMALL)
    with pytest.raises(VaescapeError, match=f"The figure '{name}' needs a prior"):
        render(plain, tmp_path, ["map", name])
    assert list(tmp_path.iterdir()) == []


def test_the_few_lines_of_the_package_read_well():
    lines = """
from vaescape import Study, draw, evaluate
study = Study("first-look", epochs=0.1, limit=64, batch=32, network="mlp(hidden=8)").fit()
print(study, tuple(study.sample(4).shape), draw(study, "map").get_size_inches()[0] > 3)
"""
    command = [sys.executable, "-c", lines]
    told = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    data = "shapes(images=2048, vary=['scale', 'x'])"
    expected = f"Study('first-look', data={data!r}, latent=2) (4, 1, 28, 28) True\n"
    assert (told.stdout, told.stderr) == (expected, "")


def test_a_run_draws_and_encodes_once_what_both_of_its_pages_show(tmp_path, monkeypatch):
    from vaescape.explore import payload
    from vaescape.figures.latent_map import LatentMap

    counts = {"map": 0, "section": 0}
    draw_map = LatentMap.draw

    def counted_draw(self: LatentMap, *args, **options):
        counts["map"] += 1
        return draw_map(self, *args, **options)

    def counted(view: payload.View):
        counts["section"] += 1
        return {"counted": counts["section"]}, {}

    monkeypatch.setattr(LatentMap, "draw", counted_draw)
    monkeypatch.setattr(payload, "SECTIONS", (*payload.SECTIONS, counted))
    folder = vaescape.run("first-look", root=tmp_path, **SMALL).folder
    assert folder is not None
    assert counts == {"map": 1, "section": 1}
    assert (tmp_path / "first-look" / "figures" / "map.svg").exists()
    (tmp_path / "first-look" / "figures" / "map.svg").unlink()
    folder.update(stages=folder.record["stages"] | {"figures": None})
    vaescape.finish(tmp_path / "first-look")
    assert counts["map"] == 2
    assert (tmp_path / "first-look" / "figures" / "map.svg").exists()


def test_a_second_run_of_a_recipe_says_that_it_has_another_name(tmp_path):
    told: list[str] = []
    tiny = {**SMALL, "network": "mlp(hidden=4)", "limit": 40, "batch": 20}
    for _ in range(2):
        vaescape.run("first-look", root=tmp_path, stages=("train",), tell=told.append, **tiny)
    said = [line for line in told if "exists already" in line]
    assert said == [
        f"{tmp_path / 'first-look'} exists already, so this run is {tmp_path / 'first-look-2'}. "
        "--name NAME chooses another."
    ]
