"""A training that is watched and changed: its frames, its server, and what Keep leaves."""

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from served import TOKEN, alone, served  # pyright: ignore[reportMissingImports]

from vaescape import Study
from vaescape.components import spell
from vaescape.errors import OptionError, RunError
from vaescape.play.frames import codes, packed
from vaescape.play.keep import keep
from vaescape.play.knobs import Knobs
from vaescape.play.server import Newest, Stage, application
from vaescape.play.training import Training, digest
from vaescape.recipes import Configuration, configuration
from vaescape.train.changes import Changes

DATA = "shapes(images=400, size=12, vary=['scale', 'x'])"
NETWORK = "fourier(decoder_widths=[24], features=8, scale=1.0)"
WAIT = 120


def unpacked(frame: bytes) -> tuple[dict, bytes]:
    """Return the header of a frame and the bytes of its numbers."""
    length = int.from_bytes(frame[4:8], "little")
    return json.loads(frame[8 : 8 + length]), frame[8 + length :]


def recipe(**changes) -> Configuration:
    """A swift of small parts."""
    posterior = "bayes(points=144, training_points=64, refresh_interval=4)"
    given = {"data": DATA, "network": NETWORK, "posterior": posterior, "batch": 40, "threads": 1}
    return configuration("swift", **given | {"precision": "float32"} | changes)


# Changes -----------------------------------------------------------------------------------------


def test_changes_are_a_text_and_a_function_of_the_step():
    made = Changes().then(0, {"beta": 1.0, "lr": 0.1}).then(0, {"beta": 1.0, "lr": 0.1})
    made = made.then(7, {"beta": 1 / 3, "lr": 0.1}).then(9, {"beta": 1 / 3, "lr": 1e-5})
    assert str(made) == f"0 beta=1.0, 0 lr=0.1, 7 beta={1 / 3!r}, 9 lr=1e-05"
    assert Changes.parse(str(made)) == made
    assert made.at(6) == {"beta": 1.0, "lr": 0.1}
    assert made.at(7) == {"beta": 1 / 3, "lr": 0.1}
    assert made.last == {"beta": 1 / 3, "lr": 1e-5}


@pytest.mark.parametrize(
    "text", ["beta=1", "5 gamma=1", "5 beta=0", "5 lr=nan", "5 lr=x", "9 lr=1, 5 lr=2"]
)
def test_a_text_that_is_none_is_refused(text: str):
    with pytest.raises(OptionError, match="changes"):
        configuration("swift", changes=text)


def test_a_change_is_a_change_from_its_step_on():
    """Its weights until then are those of the run without it, and others one step later."""
    found = {}
    for changes, beta, epochs in [("", 1, 0.5), ("0 beta=1, 4 beta=9", 9, 0.5),
                                  ("", 1, 0.7), ("0 beta=1, 4 beta=9", 9, 0.7)]:  # fmt: skip
        study = Study(recipe(schedule="constant", epochs=epochs, beta=beta, changes=changes))
        steps: list[str] = []
        study.fit(on_step=lambda step, study=study, steps=steps: steps.append(digest(study)))
        found[changes, epochs] = steps
    plain, changed = found["", 0.7], found["0 beta=1, 4 beta=9", 0.7]
    assert plain[:5] == changed[:5]
    assert plain[5:] != changed[5:]
    assert plain[5] != changed[5]


def test_a_run_is_described_by_the_weight_that_it_ends_with():
    with pytest.raises(OptionError, match="Give --beta 4"):
        Study(recipe(changes="0 beta=1, 2 beta=4")).fit()


# Knobs -------------------------------------------------------------------------------------------


def test_knobs_make_the_run_that_is_trained():
    knobs = Knobs.of(recipe(), 300)
    assert knobs.values == {
        "beta": 1.0, "lr": 0.01, "seed": 0, "images": 300, "latent": 2, "width": 24, "scale": 1.0
    }  # fmt: skip
    turned = knobs.changed({"beta": 4, "width": 12, "scale": 2.5, "images": 100}, 300)
    assert turned.restarts(knobs)
    assert not knobs.changed({"beta": 4, "lr": 0.5}, 300).restarts(knobs)
    made = turned.configuration(recipe(), 300)
    assert made.parts.objective == "elbo(beta=4.0)"
    assert made.parts.network == "fourier(decoder_widths=[12], features=8, scale=2.5)"
    assert (made.validation, made.train.batch, made.train.schedule) == (200, 40, "constant")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"beta": 0}, "beta must be from"),
        ({"beta": float("nan")}, "beta must be from"),
        ({"images": 301}, "images must be from 2 to 300"),
        ({"width": 2.5}, "width must be"),
        ({"depth": 3}, "There is no knob 'depth'"),
    ],
    ids=str,
)
def test_impossible_knobs_are_refused(given: dict, why: str):
    with pytest.raises(OptionError, match=why):
        Knobs.of(recipe(), 300).changed(given, 300)


@pytest.mark.parametrize("changes", [{"objective": "mmd"}, {"objective": "elbo(warmup=0.1)"},
                                     {"latent": 3}])  # fmt: skip
def test_recipes_without_such_knobs_are_refused(changes: dict):
    with pytest.raises(OptionError, match="vaescape play"):
        Knobs.of(configuration("paper", **changes), 300)


# Frames ------------------------------------------------------------------------------------------


def test_looking_changes_nothing():
    """A training that is looked at between its steps has the bits of one that is not."""
    alone, looked = (Study(recipe(schedule="constant", epochs=1)) for _ in range(2))
    alone.fit()

    def before(step: int) -> dict[str, float]:
        codes(looked, looked.test)
        return {}

    looked.fit(settings=before)
    assert digest(alone) == digest(looked)


def test_a_frame_is_read_back():
    from vaescape.export.parametric import parametric

    study = Study(recipe(schedule="constant", epochs=1)).fit()
    network = parametric(study)
    weights = network.weights(study.model)
    z, log_var = codes(study, study.test)
    assert log_var is None
    header, body = unpacked(packed({"step": 3}, network, weights, z, None))
    assert header["step"] == 3
    assert header["weights"] == network.about()
    size = sum(int(np.prod(shape)) for _, shape in header["weights"])
    found = np.frombuffer(body[: 2 * size], "<f2").astype(np.float32)
    np.testing.assert_allclose(found, weights, rtol=1e-3, atol=1e-6)
    low, high = np.array(header["scale"]).T
    places = np.frombuffer(body[2 * size :], "<u2").reshape(-1, 2) / 65535 * (high - low) + low
    np.testing.assert_allclose(places, z.numpy(), atol=1e-4)


def test_a_quick_look_is_near_the_code():
    study = Study(recipe(schedule="constant", epochs=40)).fit()
    quick, exact = codes(study, study.test)[0], study.encode(study.test)
    assert (quick - exact).norm(dim=-1).median() < 0.2
    assert exact.std(0).min() > 0.5


@pytest.mark.parametrize(("step", "frame", "most"), [(0.01, 0.03, 10), (0.01, 0.2, 4)])
def test_frames_leave_time_for_steps(step: float, frame: float, most: int, monkeypatch):
    """Ten a second, or as many as leave a third of the time; a change is shown at once."""
    now, shown = 0.0, []
    monkeypatch.setattr("vaescape.play.training.time.perf_counter", lambda: now)

    def frame_of(_: Training) -> bytes:
        nonlocal now
        now += frame
        return b""

    monkeypatch.setattr(Training, "frame", frame_of)
    seen = Training.__new__(Training)
    seen.begun_at, seen.took, seen.watchers = 0.0, 0.0, 1
    seen.pipe = type("Pipe", (), {"send": lambda _, said: shown.append(said)})()  # pyright: ignore
    while now < 1:
        now += step
        seen.show()
    before = len(shown)
    assert most - 2 <= before <= most
    seen.show(at_once=True)
    assert len(shown) == before + 1


def test_a_slow_page_misses_frames_and_nobody_waits():
    async def look() -> None:
        newest = Newest()
        newest.put(b"one")
        newest.put(b"two")
        assert await newest.after(0) == (2, b"two")
        later = asyncio.create_task(newest.after(2))
        await asyncio.sleep(0)
        threading.Thread(target=newest.put, args=(b"three",)).start()
        assert await later == (3, b"three")
        newest.put(None)
        assert (await newest.after(3))[1] is None

    alone(look())


# The process and its server ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A training process."""
    made = Stage(recipe(), None, tmp_path_factory.mktemp("runs"))
    made.wait()
    yield made
    made.close()
    assert not made.process.is_alive()


@pytest.fixture(scope="module")
def address(stage):
    """The address of its page."""
    with served(partial(application, stage)) as found:
        yield found


def ask(address: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    """Return status and body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"} | headers
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, data, headers)) as found:
            return found.status, found.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Watcher:
    """A page that reads frames."""

    def __init__(self, address: str) -> None:
        self.stream = urllib.request.urlopen(address + "frames", timeout=WAIT)

    def next(self) -> dict:
        """Return the header of the next frame."""
        length = self.stream.read(4)
        return unpacked(length + self.stream.read(int.from_bytes(length, "little")))[0]

    def until(self, condition) -> dict:
        """Return the first header that is as wanted."""
        end, header = time.monotonic() + WAIT, {}
        while time.monotonic() < end:
            header = self.next()
            if condition(header):
                return header
        raise AssertionError(f"no such frame; the last: {header}")


def test_a_page_plays_turns_and_keeps(stage, address):
    status, page = ask(address, "")
    assert status == 200
    assert b'"play":' in page
    watcher = Watcher(address)
    first = watcher.until(lambda header: header["step"] > 3)
    assert first["running"]
    assert ask(address, f"network/{first['network']}")[0] == 200
    assert ask(address, "command", {"knobs": {"beta": 4.0}})[0] == 200
    watcher.until(lambda header: header["knobs"]["beta"] == 4 and header["step"] > 12)
    ask(address, "command", {"knobs": {"lr": 0.002}})
    turned = watcher.until(lambda header: header["knobs"]["lr"] == 0.002)
    watcher.until(lambda header: header["step"] > turned["step"] + 3)
    ask(address, "command", {"running": False})
    paused = watcher.until(lambda header: not header["running"])
    ask(address, "command", {"steps": 1})
    stepped = watcher.until(lambda header: header["step"] == paused["step"] + 1)
    assert stepped["held_out"]["reconstruction"] > 0
    assert stepped["held_out"]["kl"] > -0.5  # an estimate, and early in training near 0
    status, answer = ask(address, "keep", {"name": "kept"})
    assert status == 200, answer
    kept = json.loads(answer)
    assert kept["steps"] == stepped["step"]
    run = Study.load(stage.root / "kept")
    assert digest(run) == kept["sha256"]
    again = Study(Configuration.from_dict(run.folder.configuration)).fit()  # pyright: ignore
    assert digest(again) == kept["sha256"]
    options = run.configuration.train
    assert options.changes.startswith("0 beta=1.0, 0 lr=0.01, ")
    assert "beta=4.0" in options.changes
    assert run.configuration.parts.objective == "elbo(beta=4.0)"
    assert len(list((stage.root / "kept" / "film").iterdir())) > 1
    status, answer = ask(address, "keep", {"name": "kept"})
    assert (status, b"kept" in answer) == (400, True)

    ask(address, "command", {"knobs": {"width": 12, "seed": 5}, "running": True})
    fresh = watcher.until(lambda header: header["knobs"]["width"] == 12)
    assert fresh["knobs"]["seed"] == 5
    assert fresh["network"] != stepped["network"]
    assert dict(map(tuple, [(n, s[0]) for n, s in fresh["weights"]]))[
        "model.likelihood.net.1.weight"
    ] == 12  # fmt: skip
    watcher.until(lambda header: header["step"] > 3 and header["knobs"]["width"] == 12)

    watcher.stream.close()  # nobody watches: the training pauses
    end = time.monotonic() + WAIT
    while stage.watchers and time.monotonic() < end:
        time.sleep(0.05)
    assert stage.watchers == 0
    other = Watcher(address)
    stopped = other.until(lambda header: header["knobs"]["width"] == 12)
    other.until(lambda header: header["step"] > stopped["step"])
    other.stream.close()


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("command", {"running": 1}, {}, 400),
        ("command", {"watchers": 0}, {}, 400),
        ("command", {"steps": 10**9}, {}, 400),
        ("command", {"knobs": {"beta": "x"}}, {}, 400),
        ("command", {"running": True}, {"origin": "http://evil.example"}, 403),
        ("command", {"running": True}, {"content-type": "text/plain"}, 415),
        ("keep", {"name": "../out"}, {}, 400),
        ("keep", {"name": 3}, {}, 400),
        ("network/none", None, {}, 404),
        ("blob/none", None, {}, 404),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused(address, path, body, headers, status):
    assert ask(address, path, body, **headers)[0] == status


def test_another_token_finds_nothing(address):
    assert ask(address.replace(TOKEN, "guess"), "frames")[0] == 404


def test_own_pictures_are_told_of_played_with_and_kept(tmp_path):
    """In colour, with names that a page, a shell or an address could stumble over."""
    colours = [(250, 40, 30), (30, 200, 60), (20, 60, 250)]
    for name, colour in zip(
        ["Sonne & Mond", "péché à l'été 🍑", "3 <i>drei"], colours, strict=True
    ):
        (tmp_path / "pics #1" / name).mkdir(parents=True)
        for n in range(12):
            picture = Image.new("RGB", (48, 48), colour)
            picture.paste((255, 255, 0), (n, 2 * n, n + 20, 2 * n + 20))
            picture.save(tmp_path / "pics #1" / name / f"%20 {n}'\" é.png")
    (tmp_path / "pics #1" / "3 <i>drei" / "list.txt").write_text("none")
    data = spell("folder", {"path": str(tmp_path / "pics #1"), "grey": False, "size": 12})
    made = Stage(recipe(data=data, batch=8), None, tmp_path / "runs")
    try:
        with pytest.warns(UserWarning, match=r"left out 1 of 37 files: 1 \.txt, no pictures"):
            made.wait()
        assert made.images.startswith("12 × 12 colour, from 48 × 48 colour")
        made.watch(1)
        end = time.monotonic() + WAIT
        while made.newest.number < 4:
            assert time.monotonic() < end
            time.sleep(0.05)
        made.watch(-1)
        kept = made.keep("mine ü")
        assert kept["path"] == str(tmp_path / "runs" / "mine ü")
        assert kept["sha256"] == digest(Study.load(kept["path"]))
    finally:
        made.close()


def test_a_wrong_recipe_is_a_sentence():
    stage = Stage(recipe(data="none-such"), None, Path("."))
    with pytest.raises(OptionError, match="none-such"):
        stage.wait()
    stage.close()


def test_other_weights_are_told(tmp_path):
    run = recipe(schedule="constant", epochs=0.2).to_dict()
    with pytest.raises(RunError, match="other weights"):
        keep(run, "0" * 64, root=tmp_path, name="other", data_dir=None)


def test_looks_at_amortised_codes_bring_their_variances():
    study = Study(configuration("first-look", data=DATA, network=NETWORK, threads=1))
    z, log_var = codes(study, study.test)
    mean, expected = study.encode_with_variance(study.test)
    torch.testing.assert_close(z, mean)
    assert expected is not None
    assert log_var is not None
    torch.testing.assert_close(log_var, expected)
