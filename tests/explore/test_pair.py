"""Two runs side by side: the same images, one laid as the other, numbers of both, one file."""

import base64
import json
import sys
import webbrowser
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from explore_studies import BUILT

from vaescape.cli import exploring, main
from vaescape.errors import OptionError
from vaescape.explore import live, page
from vaescape.explore.blobs import file
from vaescape.explore.pair import Pair, check_images
from vaescape.explore.sections import networks
from vaescape.geometry.principal import principal
from vaescape.pipeline import start, train
from vaescape.recipes import configuration
from vaescape.runs import METRICS
from vaescape.study import Study

RUNTIME = b"\0asm" * 100
OUTER = f"""<!doctype html><html><head>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; {page.SEALED}">
</head><body>{page.PAIR}
{page.PAGES}
{page.END}
</body></html>
"""


@pytest.fixture(autouse=True)
def built(monkeypatch):
    """Stand for the front end, and export no network."""
    pages = {"page.html": BUILT, "pair.html": OUTER}
    runtime = {"ort_wasm": file(RUNTIME, "application/wasm")}
    for module in (page, live):
        monkeypatch.setattr(module, "template", lambda name="page.html": pages[name])
        monkeypatch.setattr(module, "runtime", lambda: runtime)
    monkeypatch.setattr(networks, "networks", lambda *_, **__: [])
    monkeypatch.setattr(webbrowser, "open", lambda _: None)


def another(root, **changes):
    """Train a run of the same recipe as ``run``, but for some settings."""
    parts = {"network": "conv(channels=[4, 8], hidden=8)", "limit": 100, "batch": 50, "epochs": 1}
    folder, study = start(configuration("first-look", threads=1, **(parts | changes)), root=root)
    train(folder, study)
    return folder.path


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """A run of the same images by another seed, and another objective."""
    return another(tmp_path_factory.mktemp("second"), seed=1, objective="elbo(beta=4)")


@pytest.fixture
def pair(study, second):
    return Pair(study, Study.load(second))


def told(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["vaescape", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


def laid(codes, partner):
    """Return codes on the aligned plane, as the page computes it."""
    basis, origin = (torch.tensor(part).double() for part in (partner.basis, partner.origin))
    return (codes.double() - origin) @ basis


@pytest.mark.parametrize("d", [2, 6])
def test_a_turned_copy_lies_on_the_first_map_exactly(pair, d):
    z = torch.randn(80, d, generator=torch.Generator().manual_seed(0)) * torch.arange(1, d + 1)
    turn = torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(1)))[0]
    mean, axes = principal(z)
    first, turned = (SimpleNamespace(mean=codes, train=0, label=torch.zeros(80).long())
                     for codes in (z, z @ turn + 2))  # fmt: skip
    pair.views = (
        SimpleNamespace(codes=first, principal=(mean, axes), classes=("a",)),
        SimpleNamespace(codes=turned),
    )
    alone, partner = pair.partners
    assert alone.basis is None
    shown = z if d == 2 else (z - mean) @ axes
    assert torch.allclose(laid(turned.mean, partner), shown.double(), atol=1e-4)
    assert "Procrustes distance 0.0" in pair.likeness or "< 0.0001" in pair.likeness


@pytest.mark.parametrize(("d", "e"), [(2, 5), (5, 2), (3, 6)])
def test_of_a_space_of_other_dimensions_the_plane_is_shown_that_is_most_like_the_first(pair, d, e):
    """The first map is hidden in the second space, turned, among directions of mere noise."""
    z = torch.randn(80, d, generator=torch.Generator().manual_seed(0)) * torch.arange(d, 0, -1)
    mean, axes = principal(z)
    shown = z if d == 2 else (z - mean) @ axes
    turn = torch.linalg.qr(torch.randn(e, e, generator=torch.Generator().manual_seed(1)))[0]
    noise = torch.randn(80, e - 2, generator=torch.Generator().manual_seed(2)).double()
    both = torch.cat([shown, torch.ones(80, 1)], 1).double()
    noise -= both @ torch.linalg.lstsq(both, noise).solution  # nothing of the map is left in it
    hidden = torch.cat([shown, 9 * noise], 1).float() @ turn + 2
    first, second = (SimpleNamespace(mean=codes, train=0, label=torch.zeros(80).long())
                     for codes in (z, hidden))  # fmt: skip
    pair.views = (
        SimpleNamespace(codes=first, classes=("a",), flat=lambda _: shown),
        SimpleNamespace(codes=second),
    )
    partner = pair.partners[1]
    basis = torch.tensor(partner.basis)
    assert torch.allclose(basis.T @ basis, torch.eye(2), atol=1e-5)  # so that places have codes
    assert torch.allclose(laid(hidden, partner), shown.double(), atol=1e-3)
    assert f"Latent spaces of {d} and {e} dimensions: the second map is the plane" in pair.likeness


def test_a_line_is_not_aligned_and_a_sentence_says_so(study, tmp_path):
    pair = Pair(study, Study.load(another(tmp_path, latent=1)))
    assert pair.partners[1].basis is None
    assert "2 and 1 dimensions are not aligned" in pair.likeness
    assert not pair.about(True)["aligned"]


def test_runs_of_other_dimensions_are_aligned(study, tmp_path):
    pair = Pair(study, Study.load(another(tmp_path, latent=3)))
    assert np.array(pair.partners[1].basis).shape == (3, 2)
    assert pair.about(True)["aligned"]


def test_both_pages_show_the_same_images_in_the_same_colours(pair):
    shown = [json.loads(page._MANIFEST.findall(side.page)[0]) for side in pair.live()[1]]
    first, second = (each["data"] | {"colours": each["colours"]} for each in shown)
    assert first == second
    assert first["train"] == first["test"] == 100
    labels = [side.blobs["labels"].content for side in pair.live()[1]]
    assert labels[0] == labels[1]
    assert shown[0]["partner"] == {"basis": None, "origin": None}
    assert np.array(shown[1]["partner"]["basis"]).shape == (2, 2)


def test_numbers_that_one_run_lacks_are_said_to_be_missing(pair, second):
    folder = pair.folders[1]
    metrics = {"test": {"images": 100, "mse": 0.02, "kl": 5.5}, "quantities": {}}
    folder.keep(METRICS, json.dumps(metrics).encode())
    try:
        about = pair.about(False)
    finally:
        (folder / METRICS).unlink()
    columns = {column["title"]: column for column in about["columns"]}
    assert columns["objective"]["values"] == ["elbo", "elbo(beta=4)"]
    assert columns["seed"]["values"] == ["0", "1"]
    assert columns["MSE"]["values"] == ["not measured", "0.0200"]
    assert (columns["MSE"]["unit"], columns["MSE"]["better"]) == (
        "squared pixels, white is 1", "lower"
    )  # fmt: skip
    assert columns["KL divergence"]["better"] is None
    assert [name in about["notes"][1] for name in pair.names] == [True, False]


def test_other_images_are_refused_in_a_sentence(study, tmp_path):
    other = Study.load(another(tmp_path, limit=90))
    with pytest.raises(OptionError, match=r"different training images \(100 and 90\)"):
        Pair(study, other)
    check_images(study, study)


def test_one_file_holds_both_and_the_runtime_once(run, second, tmp_path, monkeypatch, capsys):
    path = tmp_path / "both.html"
    assert told(monkeypatch, capsys, "explore", run, second, "--save", path)[0] == 0
    whole = path.read_text()
    assert whole.count(base64.b64encode(RUNTIME).decode()) == 1
    code, out, _ = told(monkeypatch, capsys, "explore", path)
    assert code == 0
    assert f"{run.name}, and " in out
    runtime = whole.replace("AGFzbQ", "AGFzbR", 1)
    for wrong in (whole[:-200], runtime, whole.replace("\\u003c/script\\u003e", "</script>")):
        path.write_text(wrong)
        code, _, err = told(monkeypatch, capsys, "explore", path)
        assert (code, "damaged" in err or "incomplete" in err) == (2, True), err


def test_what_two_runs_cannot_be_is_a_sentence(run, second, tmp_path, monkeypatch, capsys):
    saved = tmp_path / "page.html"
    saved.write_text("page")
    for arguments, reason in (
        ((run, second, run), "unexpected extra argument"),
        ((run, second, "--codes", tmp_path), "--codes"),
        ((run, saved), "two run folders"),
        ((run, tmp_path / "none"), "none"),
    ):
        code, _, err = told(monkeypatch, capsys, "explore", *arguments)
        assert code == 2
        assert reason in err


def test_two_runs_are_served_until_ctrl_c(run, second, monkeypatch, capsys):
    import signal

    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    code, out, err = told(monkeypatch, capsys, "explore", run, second)
    assert (code, err) == (0, "Preparing the pages …\n")
    assert "http://127.0.0.1:" in out
    assert exploring.Pair is Pair
