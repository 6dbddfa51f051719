"""What `faults` damages: whole files of each kind, and what reads them."""

import asyncio
import gzip
import io
import json
import os
import random
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks import damage
from vaescape.errors import VaescapeError

NETWORK = "mlp(layers=1, hidden=4)"


@dataclass(frozen=True)
class Target:
    """A kind of file and what reads it."""

    whole: bytes
    read: Callable[[Path], object]
    name: str
    change: Callable[[bytes, random.Random], bytes] = damage.mutated


def targets(folder: Path) -> dict[str, Target]:
    """Return what is read, with whole files made in a folder, some of them by a small run."""
    found = [*_of_a_run(folder), *_pictures(), *_data_sets(), _page(), _component()]
    return {target.name: target for target in found}


# Files of a run ----------------------------------------------------------------------------------


def _of_a_run(folder: Path) -> list[Target]:
    from vaescape import pipeline
    from vaescape.cli import tables
    from vaescape.data.preparation import Preparation
    from vaescape.explore.regions import regions
    from vaescape.explore.view import encode_all, reconstruction_errors
    from vaescape.recipes import Configuration, configuration
    from vaescape.report.comparison import comparison
    from vaescape.report.page import build_report
    from vaescape.report.svg import safe_svg
    from vaescape.runs import RunFolder
    from vaescape.train import CheckpointFolder
    from vaescape.train.weights import digest, pack, restore

    options: dict[str, Any] = {"network": NETWORK, "limit": 40, "epochs": 1, "batch": 20}
    run, study = pipeline.start(configuration("first-look", threads=1, **options), root=folder)
    pipeline.train(run, study)
    pipeline.measure(run, study, None, bounds=((2, 9),), paths=5)
    study.folder = run
    reconstruction_errors(study)
    record = (run / "run.json").read_bytes()
    whole = {name: (run / name).read_bytes() for name in os.listdir(run.path) if "." in name[1:]}
    metrics = run.metrics | {"remarks": ["A sentence."], "left_out": {"coverage": "A reason."}}
    metrics["test"]["annealed_importance_sampling"] = {
        "images": 9,
        "nats": 1.0,
        "effective_samples": 2.0,
        "chains": 2,
        "temperatures": 9,
        "importance_weighted_bound": {"images": 9, "nats": 1.1, "effective_samples": 2.0}
        | {"samples": 8},
    }
    (checkpoint,) = list((run / "checkpoints").glob("step-*"))[-1:]
    config = run.configuration | {"data_sha256": study.data.digest()}

    def shown(path: Path) -> None:
        opened = RunFolder.open(path.parent)
        Configuration.from_dict(opened.configuration)
        Preparation.from_dict(opened.record.get("preparation"))
        with _printed(path):
            tables.print_run(opened)

    def measured(path: Path) -> None:
        old = json.loads(record) | {"format": 1}
        old.pop("metrics_sha256")
        (path.parent / "run.json").write_text(json.dumps(old))
        opened = RunFolder.open(path.parent)
        with _printed(path) as rendered:
            tables.print_metrics(opened.metrics)
        comparison([opened])
        if rendered:
            build_report(old, opened.metrics, [], {})

    def logged(path: Path) -> None:
        (path.parent / "run.json").write_bytes(record)
        shown(path)

    def resumed(path: Path) -> None:
        content = path.read_bytes()
        named = path.with_name(f"step-0000000001-{digest(content)[:16]}.safetensors")
        path.rename(named)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                CheckpointFolder(path.parent, config).load()
        finally:
            named.unlink()

    def kept(field: str, read: Callable[[], object]) -> Callable[[Path], None]:
        def read_back(path: Path) -> None:
            signed = json.loads(record) | {field: digest(path.read_bytes())}
            (path.parent / "run.json").write_text(json.dumps(signed))
            with patch.object(study, "folder", RunFolder(path.parent)):
                read()

        return read_back

    def selected(path: Path) -> None:
        os.replace(path, run / path.name)
        regions(study)

    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g id="a">'
        b'<path d="M 0 0" style="stroke: #000"/><use href="#a"/></g></svg>'
    )
    stroke = {"outline": [[0, 0], [1, 0], [0.5, 1]], "operation": "add"}
    drawn = {"regions": [{"name": "boots", "map": "latent", "strokes": [stroke]}]}
    network = pack(study.model.state_dict(), {"step": 3})
    requests, asked = _requests(study)
    latents, errors = "latents.safetensors", "errors.safetensors"
    return [
        Target(record, shown, "run.json"),
        Target(json.dumps(metrics).encode(), measured, "metrics.json"),
        Target(whole["metrics.jsonl"], logged, "metrics.jsonl"),
        Target(checkpoint.read_bytes(), resumed, "checkpoint"),
        Target(network, lambda p: restore(p.read_bytes(), study.model, p), "weights"),
        Target(whole[latents], kept("latents_sha256", lambda: encode_all(study)), latents),
        Target(whole[errors], kept("errors_sha256", lambda: reconstruction_errors(study)), errors),
        Target(json.dumps(drawn).encode(), selected, "regions.json"),
        Target(svg, lambda p: safe_svg(p.read_text(errors="replace"), "x"), "figure.svg"),
        Target(requests, asked, "request", damage.request),
    ]


@contextmanager
def _printed(path: Path) -> Iterator[bool]:
    """Tell whether what is printed is rendered: of one file in thirty, for it takes 20 ms."""
    rendered = zlib.crc32(path.read_bytes()) % 30 == 0
    with redirect_stdout(io.StringIO()):
        if rendered:
            yield True
        else:
            with patch("rich.console.Console.print"):
                yield False


# The live page ------------------------------------------------------------------------------------

TOKEN = "secret"


def _requests(study: Any) -> tuple[bytes, Callable[[Path], list[int]]]:
    """Return requests that the live page answers, and what sends them and returns the statuses."""
    from PIL import Image

    from vaescape.explore import live, page, server

    meta = f'<meta http-equiv="Content-Security-Policy" content="{page.SEALED}">'
    built = f"<html>{meta}{page.MANIFEST}{page.BLOBS}{page.END}</html>"
    light: dict[str, Any] = {"template": lambda: built, "runtime": dict, "MOST_WEIGHTS": 0}
    with patch.multiple(live, **light), patch.object(page, "runtime", dict):
        shown = live.Live(study)
    app = server.application(shown, TOKEN, frozenset({"here:1"}))
    stream = io.BytesIO()
    Image.new("L", (9, 9), 200).save(stream, "PNG")
    codes = b"\0\0\0\x3f" * study.train.pixels[0].numel()
    z = [[0.5, -1.0], [0.0, 2.0]]
    made = [
        ("GET", "/", "", b""),
        ("GET", "/blob/latents", "", b""),
        ("GET", "/original/3", "", b""),
        ("GET", "/regions", "", b""),
        ("GET", "/events", "", b""),
        ("PUT", "/regions", "application/json", b'{"regions": [{"name": "a", "strokes": []}]}'),
        ("POST", "/decode", "application/json", json.dumps({"z": z, "c": 0}).encode()),
        ("POST", "/geodesic", "application/json",
         json.dumps({"a": z[0], "b": z[1], "steps": 5, "weight": 0.5}).encode()),
        ("POST", "/encode", "image/png", stream.getvalue()),
        ("POST", "/codes", "application/octet-stream", codes),
    ]  # fmt: skip
    whole = [
        {"method": method, "path": f"/{TOKEN}{path}", "query": "class=0",
         "headers": {"host": "here:1", "content-type": kind}, "body": body.decode("latin-1")}
        for method, path, kind, body in made
    ]  # fmt: skip

    def sent(path: Path) -> list[int]:
        given = json.loads(path.read_bytes())

        async def answered() -> list[int]:
            return [await _status(app, x) for x in (given if isinstance(given, list) else [given])]

        return asyncio.run(answered())

    return json.dumps(whole).encode(), sent


async def _status(app: Any, given: dict[str, Any]) -> int:
    """Return the status of what an application answers; what it does not catch is raised."""
    from vaescape.explore.server import HEADERS

    def text(name: str) -> str:
        return str(given.get(name, ""))

    headers = given.get("headers")
    headers = headers if isinstance(headers, dict) else {}
    pairs = [(str(k).lower().encode(errors="replace"), str(v).encode(errors="replace"))
             for k, v in headers.items()]  # fmt: skip
    scope = {"type": "http", "http_version": "1.1", "method": text("method"), "path": text("path"),
             "raw_path": b"", "root_path": "", "scheme": "http", "headers": pairs,
             "query_string": text("query").encode(errors="replace")}  # fmt: skip
    body = text("body").encode("latin-1", "replace")
    waiting, answered = [{"type": "http.request", "body": body, "more_body": False}], []

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        answered.append(message)

    await app(scope, receive, send)
    assert {name.encode() for name in HEADERS} <= {name for name, _ in answered[0]["headers"]}
    return answered[0]["status"]


# Pictures and data sets --------------------------------------------------------------------------


def _pictures() -> list[Target]:
    from PIL import Image

    from vaescape.data.preparation import Preparation

    prepared = Preparation((1, 8, 8), background="dark")

    def target(image: Image.Image, kind: str, **options: Any) -> Target:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return Target(stream.getvalue(), prepared.picture, f"picture.{kind.lower()}")

    colour = Image.new("RGB", (9, 9), (200, 10, 0))
    deep = Image.fromarray(np.arange(81, dtype=np.uint16).reshape(9, 9) * 800)
    clear = Image.new("LA", (9, 9), (255, 90))
    return [
        target(clear, "PNG"),
        target(
            colour, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
        ),
        target(deep, "TIFF"),
        target(colour, "GIF", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
        target(colour, "WEBP"),
    ]


def _data_sets() -> list[Target]:
    from vaescape.data.idx import read_idx
    from vaescape.data.npz import Npz

    bytes_ = np.arange(128, dtype=np.uint8).reshape(8, 4, 4)
    idx = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in bytes_.shape) + bytes_.tobytes()

    def read(path: Path) -> None:
        found = read_idx(path, bytes_.shape)
        assert found.shape == bytes_.shape
        assert found.dtype == np.uint8

    def load(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = Npz(str(path))
            assert data.load("train").shape == data.load("test").shape

    def packed(**arrays: np.ndarray) -> bytes:
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **arrays)
        return stream.getvalue()

    labels = np.arange(8) % 2
    divided = packed(x_train=bytes_, y_train=labels, x_test=bytes_[:2], y_test=labels[:2])
    named = packed(images=bytes_ / 255, labels=labels.astype(str))
    return [
        Target(idx, read, "idx"),
        Target(gzip.compress(idx), read, "idx.gz"),
        Target(divided, load, "divided.npz", damage.archive),
        Target(named, load, "named.npz", damage.archive),
    ]


# A saved page, component texts -------------------------------------------------------------------


def _page() -> Target:
    from vaescape.explore import page
    from vaescape.explore.blobs import Blob
    from vaescape.explore.payload import Payload

    manifest = {"schema": 1, "title": "x", "created": "2026-01-01", "classes": ["a", "b"]}
    blobs = {
        "latents": Blob(bytes(range(64)), {"dtype": "u8", "shape": [32, 2]}),
        "poster": Blob(b"RIFF" * 9, {"type": "image/webp"}, compress=False),
    }
    built = f"<html>{page.MANIFEST}{page.BLOBS}{page.END}</html>"
    with patch.object(page, "runtime", dict):  # without the megabytes of ONNX Runtime
        whole = page.fill(built, Payload(manifest, blobs)).encode()
    return Target(whole, page.check, "page.html", damage.page)


def _component() -> Target:
    from vaescape.components import construct, parse

    def read(path: Path) -> None:
        given = path.read_bytes().decode(errors="replace")
        name, values = parse(given)
        assert all(isinstance(key, str) for key in (name, *values))
        with suppress(VaescapeError):
            construct("objective", given)

    return Target(b"iwae(samples=5, beta=0.5, estimator='stl')", read, "component", damage.text)
