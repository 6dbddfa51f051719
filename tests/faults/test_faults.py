"""Damaged files end in a value or a sentence, killed runs in the bits of one that was not.

`python -m benchmarks faults` does the same many times more often.
"""

import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaescape import schema
from vaescape.errors import RunError
from vaescape.train.weights import pack, unpack

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import faults  # noqa: E402

KINDS = (
    *("run.json", "metrics.json", "metrics.jsonl", "regions.json", "checkpoint", "weights"),
    *("latents.safetensors", "errors.safetensors", "figure.svg", "page.html", "component"),
    *("picture.png", "picture.jpeg", "picture.tiff", "picture.gif", "picture.webp"),
    *("idx", "idx.gz", "divided.npz", "named.npz", "request"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def targets(place) -> dict[str, faults.Target]:
    for kind in KINDS:
        (place / f"whole-{kind}").mkdir()
    return faults.targets(place)


def test_every_kind_is_tried(targets):
    assert set(targets) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_a_damaged_file_ends_in_a_value_or_a_sentence(targets, place, kind, seed):
    assert faults.fuzz(targets[kind], place, range(seed, seed + 1)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read(targets, place, kind):
    target = targets[kind]
    folder = place / f"whole-{kind}"
    (folder / kind).write_bytes(target.whole)
    target.read(folder / kind)


def test_whole_requests_are_answered(targets, place):
    file = place / "whole-request" / "request"
    file.write_bytes(targets["request"].whole)
    statuses = targets["request"].read(file)
    assert len(statuses) >= 9
    assert set(statuses) == {200}


@pytest.mark.parametrize("kind", KINDS)
def test_the_changes_are_many(targets, kind):
    target = targets[kind]
    found = {target.change(target.whole, random.Random(seed)) for seed in range(200)}
    assert len(found - {target.whole}) > 100  # a change may put in what was there


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("latents.safetensors", lambda t: t.pop("test.mean")),
        ("latents.safetensors", lambda t: t.update({"test.mean": t["test.mean"].T})),
        ("latents.safetensors", lambda t: t.update({"train.label": t["train.label"][1:]})),
        ("errors.safetensors", lambda t: t.pop("train")),
        ("errors.safetensors", lambda t: t.update({"train": t["train"][:, None]})),
    ],
)
def test_tensors_of_a_run_that_do_not_fit_its_images_are_refused(targets, place, name, change):
    tensors, _ = unpack(targets[name].whole, Path(name))
    change(tensors)
    (place / f"whole-{name}" / name).write_bytes(
        pack({key: value.contiguous() for key, value in tensors.items()}, {})
    )
    with pytest.raises(RunError, match=rf"{name} does not fit this model: t\w+"):
        targets[name].read(place / f"whole-{name}" / name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"remarks": [[1]]}, r"'remarks\[0\]' must be a text"),
        ({"captures": {"knn_accuracy": {"estimate": 1, "by_k": [1]}}}, "by_k' must be an object"),
        ({"reconstruction_term": []}, "'reconstruction_term' must be a text"),
        ({"test": {"images": 3, "mse": "x"}}, "'test.mse' must be a number or null, got 'x'"),
        ({"test": {"images": 3, "aggregate_posterior": None}}, "'test.aggregate_posterior' must"),
        ({"captures": {"knn_accuracy": {"chance": []}}}, "chance' must be a number or null"),
    ],
)
def test_numbers_of_another_form_are_refused(targets, place, change, sentence):
    file = place / "whole-metrics.json" / "metrics.json"
    file.write_text(json.dumps(json.loads(targets["metrics.json"].whole) | change))
    with pytest.raises(RunError, match=sentence):
        targets["metrics.json"].read(file)


def test_killed_runs_lose_nothing_and_change_no_bit(tmp_path):
    counts = faults.kills(tmp_path, 4, seed=1)
    assert counts["kills"] == 4
    assert (counts["lost"], counts["changed"]) == (0, 0)


# The schema -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected", "sentence"),
    [
        ({"a": 1}, {"a": str}, "'a' must be a text, got 1"),
        ({}, {"a": str}, "'a' must be a text, got nothing"),
        ({"a": [1, True]}, {"a": [int]}, "'a[1]' must be a whole number, got True"),
        ({"a": {"b": "x"}}, {"a": {...: float}}, "'a.b' must be a number, got 'x'"),
        (
            {"a": "x"},
            {"a": schema.Either(float, None)},
            "'a' must be a number or null, got 'x'",
        ),
        ({"a": {"b": 2}}, {"a": schema.Either({"b": str}, None)}, "'a.b' must be a text, got 2"),
        ("z", ("x", "y"), "it must be one of x, y, got 'z'"),
        (1.5, int | None, "it must be a whole number or null, got 1.5"),
        ({"a": 1.5, "b": None, "c": 2}, {"a": float, "b": None, "c?": float, "d?": str}, "None"),
        ({"a": 1}, {}, "None"),
    ],
)
def test_the_first_wrong_place_is_named(value, expected, sentence):
    assert str(schema.wrong(value, expected)) == sentence


def test_metadata_nested_without_end_are_a_sentence(tmp_path):
    import torch

    content = pack({"a": torch.zeros(1)}, {"x": "DEEP"})
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"]["vaescape"] = "[" * 100_000
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + content[8 + size :]
    with pytest.raises(RunError, match="damaged or not written by vaescape"):
        unpack(content, tmp_path / "x")
