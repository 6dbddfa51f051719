"""The commands that read a finished run."""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from cli_tools import COMMAND, ENVIRONMENT, SMALL, Home, assert_mistake, tell, vaescape
from PIL import Image

RUN = "runs/look"


def arrays(path: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as archive:
        return archive["images"]


def tell_well(*arguments: str) -> str:
    told = tell(*arguments)
    assert (told.code, told.err) == (0, "")
    return told.out


def leaves(value: object, name: str = "") -> dict[str, object]:
    """Return what nested dictionaries and lists hold, by the path to it."""
    items = value.items() if isinstance(value, dict) else enumerate(value)  # pyright: ignore
    found: dict[str, object] = {}
    for key, inner in items:
        nested = isinstance(inner, dict | list)
        found |= leaves(inner, f"{name}/{key}") if nested else {f"{name}/{key}": inner}
    return found


def test_evaluate_gives_the_same_numbers_whatever_the_process_and_the_chunk(copied: Path):
    options = (str(copied), "--samples", "30", "--images", "20", "--paths", "5", "--json")
    told = [
        vaescape("evaluate", *options, cwd=Path.cwd()),
        tell("evaluate", *options, "--chunk", "7"),
    ]
    assert [(t.code, t.err) for t in told] == [(0, "")] * 2
    assert json.loads((copied / "metrics.json").read_text()) == json.loads(told[1].out)
    metrics = [json.loads(t.out) for t in told]
    bounds = [m["test"].pop("importance_weighted_bound")["30"] for m in metrics]
    assert bounds[0]["images"] == 20
    assert bounds[0]["nats"] == pytest.approx(bounds[1]["nats"], rel=1e-6)
    # Products of matrices round by where their operands lie in memory, so not to the last bit; the
    # descent that seeks a geodesic widens that.
    one, other = map(leaves, metrics)
    assert one.keys() == other.keys()
    for name, value in one.items():
        rel = 1e-3 if "/geodesic/" in name else 1e-4
        close = pytest.approx(value, rel=rel, abs=1e-6) if isinstance(value, float) else value
        assert other[name] == close, name


def test_evaluate_anneals_where_it_is_asked_to(copied: Path):
    options = ("--samples", "2", "--paths", "5")
    out = tell_well("evaluate", str(copied), *options, "--ais", "3", "--temperatures", "4")
    assert "annealed importance sampling" in out
    assert "nats, 3 images" in out
    assert "nats, the same images" in out
    assert_mistake(tell("evaluate", str(copied), "--temperatures", "4"), "--ais")


def test_evaluate_takes_another_autoencoder(copied: Path):
    (copied / "baseline").rename(copied.parent / "plain")
    told = tell("evaluate", str(copied), "--samples", "2", "--paths", "5")
    assert "plain autoencoder" not in told.out
    beside = ("--baseline", "runs/plain")
    told = tell("evaluate", str(copied), "--samples", "2", "--paths", "5", *beside)
    assert "length over chord, plain autoencoder" in told.out


def test_figures_one_or_several_in_either_theme(at_home: Home, elsewhere: Path):
    run, drawn = str(at_home.run), []
    for theme, first in (("light", "#ffffff"), ("dark", "#111418")):
        out = tell_well("figures", run, "map", "animation", "--theme", theme, "--out", theme)
        drawn.append((elsewhere / theme / "map.svg").read_text())
        assert first in drawn[-1]
        assert out.split() == [f"{theme}/map.svg", f"{theme}/animation.gif"]
        assert {path.name for path in (elsewhere / theme).iterdir()} == {
            "map.svg",
            "map.png",
            "animation.gif",
        }
    assert drawn[0] == (at_home.run / "figures" / "map.svg").read_text()
    assert drawn[0] != drawn[1]


def test_figures_all(copied: Path):
    wanted = {path.name: path.stat().st_mtime_ns for path in (copied / "figures").iterdir()}
    told = tell_well("figures", str(copied)).split()
    assert {Path(path).stem for path in told} == {Path(name).stem for name in wanted}
    drawn = {path.name: path.stat().st_mtime_ns for path in (copied / "figures").iterdir()}
    assert drawn.keys() == wanted.keys()
    assert all(drawn[name] > wanted[name] for name in wanted)


def test_report_is_written_again(copied: Path):
    page = (copied / "report.html").read_text()
    (copied / "report.html").unlink()
    assert tell_well("report", str(copied)) == f"{copied}/report.html\n"
    assert (copied / "report.html").read_text() == page


def test_samples_are_a_function_of_the_seed(at_home: Home, elsewhere: Path):
    run = str(at_home.run)
    for out, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        tell_well("sample", run, "-n", "6", "--seed", seed, "--out", f"{out}.npz")
    a, b, c = (arrays(f"{name}.npz") for name in "abc")
    assert a.shape == (6, 1, 28, 28)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert (a.min() >= 0) & (a.max() <= 1)


def test_samples_at_a_temperature(at_home: Home, elsewhere: Path):
    run = str(at_home.run)
    for out, given in (("a", ()), ("b", ("--temperature", "1")), ("c", ("--temperature", "0.01"))):
        tell_well("sample", run, "-n", "6", *given, "--out", f"{out}.npz")
    a, b, c = (arrays(f"{name}.npz") for name in "abc")
    assert np.array_equal(a, b)
    assert c.std(axis=0).max() < a.std(axis=0).max() / 10
    assert_mistake(tell("sample", run, "--temperature", "0"), "must be a number above 0")


def test_nothing_is_drawn_from_what_is_no_density(at_home: Home):
    assert_mistake(tell("sample", str(at_home.run), "--kind", "draws"), "no density of grey pixels")


def test_samples_as_a_picture(at_home: Home, elsewhere: Path):
    told = vaescape("sample", str(at_home.run), "-n", "9", cwd=elsewhere)
    assert (told.code, told.out, told.err) == (0, "samples.png\n", "")
    with Image.open("samples.png") as image:
        image.load()
    assert [path.name for path in elsewhere.iterdir()] == ["samples.png"]


ENDS = {
    "images": ("12", "37"),
    "classes": ("Square", "heart"),
    "points": ("-0.5,1", "1,-1.25"),
    "mixed": ("heart", "0.5,.5"),
}


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
def test_interpolate_between_two_ends(at_home: Home, elsewhere: Path, ends):
    run = str(at_home.run)
    for out in ("path.svg", "path.gif", "path.npz"):
        assert tell_well("interpolate", run, *ends, "--steps", "5", "--out", out) == f"{out}\n"
    assert ElementTree.parse("path.svg")
    assert arrays("path.npz").shape == (5, 1, 28, 28)
    with Image.open("path.gif") as film:
        assert film.size == (224, 224)


def test_interpolations_end_at_their_ends(at_home: Home, elsewhere: Path):
    run = str(at_home.run)
    for path in ("linear", "spherical", "geodesic"):
        walk = ("interpolate", run, "-1,0.5", "1,0.25", "--path", path, "--steps", "3")
        tell_well(*walk, "--out", f"{path}.npz")
    linear, spherical, geodesic = (arrays(f"{p}.npz") for p in ("linear", "spherical", "geodesic"))
    tell_well("interpolate", run, "1,0.25", "-1,0.5", "--out", "back.npz")
    back = arrays("back.npz")
    for other in (spherical, geodesic, back[::-1][:: len(back) - 1]):
        assert np.allclose(linear[0], other[0], atol=1e-6)
        assert np.allclose(linear[-1], other[-1], atol=1e-6)
    assert not np.allclose(linear[1], spherical[1], atol=1e-6)


def test_interpolate_between_four_ends(at_home: Home, elsewhere: Path):
    run, ends = str(at_home.run), ("square", "ellipse", "7", "-1,1")
    for out in ("grid.png", "grid.npz"):
        tell_well("interpolate", run, *ends, "--steps", "4", "--out", out)
    assert arrays("grid.npz").shape == (4, 4, 1, 28, 28)
    with Image.open("grid.png") as image:
        image.load()


def test_traverse(at_home: Home, elsewhere: Path):
    run = str(at_home.run)
    tell_well("traverse", run)
    tell_well("traverse", run, "--steps", "5", "--out", "all.npz")
    tell_well("traverse", run, "--steps", "5", "--dim", "1", "--out", "one.npz")
    assert arrays("all.npz").shape == (2, 5, 1, 28, 28)
    assert np.array_equal(arrays("one.npz"), arrays("all.npz")[1:])
    with Image.open("traversals.png") as image:
        image.load()


def test_reconstruct_a_picture_of_ones_own(at_home: Home, elsewhere: Path):
    photo = Image.new("RGB", (90, 60), "white")
    photo.paste((40, 30, 20), (30, 10, 60, 50))
    photo.save("my photo.jpg")
    run = str(at_home.run)
    told = vaescape("reconstruct", run, "my photo.jpg", "0", cwd=elsewhere)
    assert (told.code, told.err) == (0, "")
    prepared = (
        "28 × 28 grey, from 90 × 60 colour, inverted, because the training images have a dark "
        "background"
    )
    assert f"prepared: {prepared}" in told.out
    assert "my photo.jpg: z = [" in told.out
    assert {path.name for path in elsewhere.iterdir()} == {"my photo.jpg", "reconstructions.png"}
    found = json.loads(tell_well("reconstruct", run, "my photo.jpg", "0", "--json"))["pictures"]
    assert [row["picture"] for row in found] == ["my photo.jpg", "0"]
    assert all(len(row["z"]) == 2 and 0 < row["mse"] < 1 for row in found)
    assert [row.get("prepared") for row in found] == [prepared, None]


def test_compare(at_home: Home):
    told = tell_well("compare", RUN, f"{RUN}/baseline")
    assert "posterior" in told
    assert "latent" not in told
    rows = json.loads(tell_well("compare", RUN, f"{RUN}/baseline", "--json"))
    assert rows[RUN]["negative_elbo"] > 0
    assert (rows[RUN]["posterior"], rows[f"{RUN}/baseline"]["posterior"]) == ("gaussian", "point")
    assert "negative_elbo" not in rows[f"{RUN}/baseline"]


def test_compare_says_that_images_differ(at_home: Home, tmp_path):
    assert "different images" not in tell_well("compare", RUN, f"{RUN}/baseline")
    (tmp_path / "other").mkdir()
    record = json.loads(Path(RUN, "run.json").read_text())
    record |= {"data_sha256": "0" * 64}
    record["configuration"]["data"] = "shapes(images=99)"
    (tmp_path / "other" / "run.json").write_text(json.dumps(record))
    told = tell_well("compare", RUN, str(tmp_path / "other"))
    assert "These runs were measured on different images: their numbers do not compare." in told


def test_a_dry_run_with_a_folder_that_is_missing_is_refused(tmp_path):
    for command in ("run", "train"):
        told = tell(command, "first-look", "--dry-run", "--data", str(tmp_path / "nowhere"))
        assert (told.code, told.out) == (2, "")
        assert "There is no data set, no folder and no .npz file named" in told.err
        told = tell(command, "first-look", "--dry-run", "--data", f"folder(path='{tmp_path}/no')")
        assert (told.code, told.out) == (2, "")
        assert "there is no such folder" in told.err
    assert json.loads(tell("run", "paper", "--dry-run").out)["recipe"] == "paper"


@pytest.mark.parametrize("name", ["compare.png", "compare.svg"])
def test_compare_as_a_figure(at_home: Home, tmp_path, name: str):
    out = tmp_path / "new" / name
    assert tell_well("compare", RUN, RUN, "--out", str(out)).endswith(f"{name}\n")
    assert out.stat().st_size > 5000


def test_data_says_what_is_in_a_set():
    facts = json.loads(tell_well("data", "shapes(images=64, size=12)", "--json"))
    assert (facts["training images"], facts["test images"]) == (64, 16)
    assert facts["shape"] == [1, 12, 12]
    assert facts["classes"] == ["square", "ellipse", "triangle", "heart"]
    assert facts["sha256"] in "".join(tell_well("data", "shapes(images=64, size=12)").split())


KINDS = [
    "recipe",
    "data",
    "model",
    "network",
    "posterior",
    "likelihood",
    "prior",
    "objective",
    "optimiser",
    "schedule",
    "reproduction",
    "figure",
]


@pytest.mark.parametrize("kind", KINDS)
def test_list_shows_every_kind(kind: str):
    found = json.loads(tell_well("list", kind, "--json"))
    assert list(found) == [kind]
    shown = tell_well("list", kind)
    for name, row in found[kind].items():
        assert name in shown
        assert row["is"].endswith(".")


def test_list_shows_all_with_arguments():
    found = json.loads(tell_well("list", "--json"))
    assert list(found) == KINDS
    assert found["network"]["conv"]["takes"].keys() == {"channels", "hidden"}
    assert found["objective"]["elbo"]["takes"]["beta"] == 1


def test_list_shows_one_whole():
    told = tell_well("list", "prior", "vamp")
    for words in ("Tomczak & Welling 2018", "components", "500", "vaescape run --prior 'vamp(com"):
        assert words in told
    found = json.loads(tell_well("list", "prior", "vamp", "--json"))
    assert found["takes"]["components"] == {"default": 500, "is": "M."}
    assert "the study" in tell_well("list", "recipe", "paper").lower()


def test_a_reader_who_leaves_early_sees_no_traceback():
    command = f"{COMMAND} list | head -1"
    told = subprocess.run(
        command, shell=True, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )
    assert told.stdout.strip() == "recipe"
    assert told.stderr == ""


def test_show(at_home: Home):
    told = tell_well("show", RUN)
    for word in ("finished", "first-look", "step 6, epoch 2", "negative ELBO"):
        assert word in told
    record = json.loads(tell_well("show", RUN, "--json"))
    assert record["status"] == "finished"
    assert record["metrics"]["test"]["kl"] > 0


def test_commands_that_only_look_change_nothing(at_home: Home):
    before = {path: path.stat().st_mtime_ns for path in at_home.path.rglob("*")}
    for command in (("show", RUN), ("compare", RUN, RUN), ("list",), ("data", "shapes")):
        tell_well(*command)
    assert {path: path.stat().st_mtime_ns for path in at_home.path.rglob("*")} == before


def test_a_decoder_needs_no_data(copied: Path):
    record = json.loads((copied / "run.json").read_text())
    record["configuration"]["data"] = "npz(path='gone.npz')"
    (copied / "run.json").write_text(json.dumps(record))
    tell_well("sample", str(copied), "-n", "2", "--out", "s.npz")
    tell_well("traverse", str(copied), "--out", "t.npz")
    tell_well("interpolate", str(copied), "0,0", "1,1", "--out", "i.npz")


def test_a_terminal_without_our_letters_shows_what_it_can(at_home: Home):
    ascii_only = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
    told = subprocess.run(
        [COMMAND, "show", RUN], env=ascii_only, capture_output=True, text=True, timeout=120
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "negative ELBO" in told.stdout


def test_more_than_two_latent_dimensions(elsewhere: Path):
    tell_well("train", "first-look", *SMALL, "--latent", "3", "--name", "x")
    tell_well("figures", "runs/x", "map", "manifold", "traversals", "--out", "drawn")
    assert "PCA" in Path("drawn", "map.svg").read_text()
    tell_well("interpolate", "runs/x", "square", "0.5,-1,2")
    assert_mistake(tell("figures", "runs/x", "manifold_map"), "needs a latent space of two dim")


def test_a_prior_fitted_afterwards_is_kept_and_drawn_from(copied: Path):
    run = str(copied)
    found = json.loads(tell_well("fit-prior", run, "--prior", "normal", "--epochs", "1", "--json"))
    assert found["test"] == pytest.approx(found["own"])
    tell_well("sample", run, "-n", "3", "--out", "own.npz")
    tell_well("sample", run, "-n", "3", "--out", "fitted.npz", "--prior", "normal")
    assert (arrays("own.npz") == arrays("fitted.npz")).all()
    assert_mistake(tell("sample", run, "--prior", "flow"), "no fitted prior 'flow'", "normal")
    assert_mistake(tell("fit-prior", run, "--prior", "norml"), "Did you mean 'normal'")
