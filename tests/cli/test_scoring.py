"""embed and score: the same numbers as Python's, in tables that no spreadsheet runs."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from cli_tools import tell

from vaescape import Study, pipeline
from vaescape.evaluation import elbo
from vaescape.evaluation.scores import scores
from vaescape.files import as_csv
from vaescape.recipes import configuration

SMALL = {"network": "mlp(hidden=6)", "epochs": 2, "batch": 20, "limit": 60, "threads": 1}


@pytest.fixture(scope="module", params=["paper", "conditional"])
def run(request, tmp_path_factory) -> Path:
    made = configuration(request.param, data="shapes(images=200, size=12)", **SMALL)
    folder, study = pipeline.start(made, root=tmp_path_factory.mktemp("runs"), name="one")
    pipeline.train(folder, study)
    return folder.path


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "photos"
    (root / "deeper").mkdir(parents=True)
    for n, name in enumerate(["a.png", "deeper/b.jpg", "=cmd.png"]):
        Image.new("RGB", (40, 30), (90 * n, 50, 20)).save(root / name)
    (root / "notes.txt").write_text("hello")
    return root


def asked(run: Path) -> list[str]:
    return ["--class", "heart"] if Study.load(run).space.conditions else []


def test_embed_writes_the_codes(run, photos):
    study = Study.load(run)
    told = tell("embed", str(run), "photos", "3", *asked(run))
    assert told.code == 0, told.err
    assert "skipped 1 files that are not pictures" in told.err
    with open("codes.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # Of files only their names begin with a formula's sign, not paths that lead to them.
    assert [row["picture"] for row in rows] == [
        "photos/=cmd.png", "photos/a.png", "photos/deeper/b.jpg", "3"
    ]  # fmt: skip
    own, _ = study.preparation.picture("photos/a.png")
    label = "heart" if study.space.conditions else None
    expected = study.encode_with_variance(own[None], label)
    assert [float(rows[1][f"z{d}"]) for d in (0, 1)] == pytest.approx(
        expected[0][0].tolist(), abs=1e-5
    )
    assert expected[1] is not None
    assert float(rows[1]["log_var1"]) == pytest.approx(expected[1][0, 1].item(), abs=1e-5)
    assert float(rows[3]["z0"]) == pytest.approx(study.encode(study.test[3])[0, 0].item(), abs=1e-5)


def test_embed_a_whole_split_into_npz(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tell("embed", str(run), "test", "--out", "codes.npz").code == 0
    study = Study.load(run)
    with np.load("codes.npz", allow_pickle=False) as found:
        assert np.allclose(found["z"], study.encode(study.test).numpy(), atol=1e-5)
        assert found["picture"][:2].tolist() == ["test:0", "test:1"]


def test_score_gives_each_images_share_of_the_elbo(run):
    study = Study.load(run)
    found = scores(study, study.test, draws=64, seed=1)
    whole = elbo(study, study.test, draws=64, seed=2)
    assert found["negative_elbo"].mean().item() == pytest.approx(whole["negative_elbo"], rel=2e-3)
    again = study.reconstruct(study.test)
    assert found["mse"].numpy() == pytest.approx(
        (again - study.test.floats()).square().flatten(1).mean(1).numpy(), abs=1e-6
    )


def test_score_compares_with_the_test_images(run, photos):
    study = Study.load(run)
    rows = json.loads(tell("score", str(run), "test", "--json").out)["pictures"]
    errors = np.array([row["mse"] for row in rows])
    shares = [row["mse_percentile"] for row in rows]
    assert shares == pytest.approx([100 * (errors <= one).mean() for one in errors], abs=1e-9)
    assert max(shares) == 100
    told = tell("score", str(run), "photos/a.png", *asked(run))
    assert "photos/a.png: negative ELBO" in told.out
    assert "nats (percentile 100.0), pixel MSE" in told.out
    assert tell("score", str(run), "photos", "--out", "s.csv", *asked(run)).code == 0
    header = Path("s.csv").read_text().splitlines()[0]
    assert header == "picture,negative_elbo,negative_elbo_percentile,mse,mse_percentile"
    if study.space.conditions:
        assert "give the class of" in tell("score", str(run), "photos").err


def test_a_plain_autoencoder_has_no_elbo(tmp_path):
    study = Study("autoencoder", data="shapes(images=200, size=12)", **SMALL).fit()
    assert set(scores(study, study.test)) == {"mse"}


def test_cells_are_no_formulas():
    found = as_csv({"picture": ["=1+1", "+x", "-x", "@x", "a=1", "\tx"], "z0": [-1.5] * 6})
    assert found.splitlines()[1:] == ["'=1+1,-1.5", "'+x,-1.5", "'-x,-1.5", "'@x,-1.5",
                                      "a=1,-1.5", "'\tx,-1.5"]  # fmt: skip


def test_what_is_no_picture_in_a_folder_is_counted_and_a_damaged_one_is_named(run, photos):
    (photos / "notes.txt").write_text("none")
    (photos / "dead.png").symlink_to("nowhere")
    (photos / "around").symlink_to(Path.cwd())
    told = tell("embed", str(run), "photos", *asked(run))
    assert told.code == 0
    assert "skipped 2 files that are not pictures" in told.err
    (photos / "cut.png").write_bytes((photos / "a.png").read_bytes()[:70])
    told = tell("embed", str(run), "photos", *asked(run))
    assert (told.code, "cut.png: damaged" in told.err) == (2, True)
    (photos / "all.zip").write_bytes(b"PK\3\4 and more")
    told = tell("embed", str(run), "photos/all.zip", *asked(run))
    assert (told.code, "Unpack all.zip, and give the folder." in told.err) == (2, True)


def test_embed_writes_parquet(run, photos):
    """The numbers of the .npz, under the same names."""
    parquet = pytest.importorskip("pyarrow.parquet")
    for out in ("codes.parquet", "codes.npz"):
        assert tell("embed", str(run), "photos", "--out", out, *asked(run)).code == 0
    found, codes = parquet.read_table("codes.parquet").to_pydict(), np.load("codes.npz")
    assert found["picture"] == codes["picture"].tolist()
    for d in range(codes["z"].shape[1]):
        assert found[f"z{d}"] == codes["z"][:, d].tolist()


def test_what_cannot_be_written_is_told_first(run, photos):
    told = tell("embed", str(run), "photos", "--out", "codes.txt")
    assert (told.code, "ending in .csv, .npz, .parquet. Got codes.txt" in told.err) == (2, True)
    try:
        import pyarrow  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        told = tell("embed", str(run), "photos", "--out", "codes.parquet")
        assert (told.code, "pip install 'vaescape[parquet]'" in told.err) == (2, True)
    (photos / "empty").mkdir()
    told = tell("embed", str(run), "photos/empty", *asked(run))
    assert (told.code, "No pictures found in photos/empty" in told.err) == (2, True)


def test_invert_exchanges_light_and_dark_or_never_does(run, photos):
    study, label = Study.load(run), asked(run)
    codes = {}
    for how in ((), ("--invert",), ("--as-is",)):
        assert tell("embed", str(run), "photos/a.png", "photos", *how, *label).code == 0
        with open("codes.csv", encoding="utf-8", newline="") as file:
            codes[how] = [float(row["z0"]) for row in csv.DictReader(file)]
    for how, invert in ((("--invert",), True), (("--as-is",), False)):
        own, _ = study.preparation.picture("photos/a.png", invert=invert)
        expected = study.encode(own[None], "heart" if study.space.conditions else None)[0, 0]
        assert codes[how][0] == pytest.approx(expected.item(), abs=1e-5)
        assert codes[how][2] == pytest.approx(expected.item(), abs=1e-5)  # found in the folder
    assert codes["--as-is",] != codes["--invert",]
    told = tell("reconstruct", str(run), "photos/a.png", "--invert", *label)
    assert ", inverted\n" in told.out
    assert tell("interpolate", str(run), "photos/a.png", "3", "--invert", *label).code == 0


def test_percentiles_say_which_direction_is_better(run, photos):
    told = tell("score", str(run), "photos", *asked(run)).out
    tested = len(Study.load(run).test)
    assert f"the share of the {tested} test images that score as well or better. Low is" in told
    assert tell("score", str(run), "3", "--out", "s.csv", "--json", *asked(run)).out[:1] == "{"


def test_the_share_is_told_of_the_test_images_that_were_compared(run, photos, monkeypatch):
    monkeypatch.setattr("vaescape.evaluation.scores.TEST_IMAGES", 20)
    told = tell("score", str(run), "photos", *asked(run)).out
    tested = len(Study.load(run).test)
    compared = -(-tested // -(-tested // 20))
    assert compared <= 20 < tested
    assert f"the share of the {compared} test images" in told
