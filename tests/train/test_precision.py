"""Precision auto is bfloat16 only where the hardware multiplies it natively."""

import json
import statistics
from pathlib import Path

import pytest
import torch

from vaescape import configuration, pipeline
from vaescape.recipes import RECIPES, Configuration
from vaescape.runs import RunFolder
from vaescape.train import TrainOptions, precision
from vaescape.train.checkpoint import fingerprint

ROOT = Path(__file__).parents[2]
CPU, CUDA, MPS = map(torch.device, ("cpu", "cuda:0", "mps"))
PROCESSORS = {
    "flags\t\t: fpu sse2 avx2 f16c": "float32",
    "flags\t\t: fpu avx2 avx512f avx512_vnni": "float32",
    "flags\t\t: fpu avx512f avx512_bf16": "bfloat16",
    "flags\t\t: fpu avx512f amx_tile amx_int8": "float32",
    "flags\t\t: fpu amx_tile amx_bf16": "bfloat16",
    "Features\t: fp asimd asimdhp": "float32",
    "Features\t: fp asimd bf16 i8mm": "bfloat16",
    "processor\t: 0": "float32",
}


@pytest.fixture
def flags(monkeypatch):
    """Return a function that gives the processor the flags of a text of /proc/cpuinfo."""

    def give(text: str) -> None:
        precision.processor_flags.cache_clear()
        monkeypatch.setattr(precision.sys, "platform", "linux")
        monkeypatch.setattr(Path, "read_text", lambda *given, **more: f"x : y\n{text}\n")

    yield give
    precision.processor_flags.cache_clear()


@pytest.mark.parametrize(("text", "expected"), PROCESSORS.items())
def test_auto_follows_the_flags_of_the_processor(flags, text, expected):
    flags(text)
    options = TrainOptions(precision="auto")
    assert options.resolve_precision(CPU) == expected
    assert options.arithmetic(CPU)._enabled == (expected == "bfloat16")
    assert fingerprint(options, CPU, 1)["precision"] == expected
    for fixed in ("float32", "bfloat16"):
        assert TrainOptions(precision=fixed).resolve_precision(CPU) == fixed


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_auto_on_cuda_starts_with_ampere(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert TrainOptions(precision="auto").resolve_precision(CUDA) == expected


@pytest.mark.parametrize(("recent", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_on_metal_needs_a_recent_system(monkeypatch, recent, expected):
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *version: recent)
    assert TrainOptions(precision="auto").resolve_precision(MPS) == expected


@pytest.mark.parametrize("name", RECIPES)
def test_the_benchmark_decides_the_default_precision_of_a_recipe(name):
    ms = json.loads((ROOT / "docs/results/precision.json").read_text())
    ms = ms["paper" if name == "autoencoder" else name]  # the same network
    gain = statistics.median(a / b for a, b in zip(ms["float32"], ms["bfloat16"], strict=True))
    assert configuration(name).train.precision == ("auto" if gain > 1.05 else "float32")
    assert configuration(name, precision="auto").train.precision == "auto"


def small(**changes) -> Configuration:
    network = "conv(channels=[4, 8], hidden=8)"
    return configuration(
        "first-look",
        network=network,
        limit=60,
        batch=20,
        epochs=1,
        threads=1,
        device="cpu",
        **changes,
    )


@pytest.mark.parametrize(
    ("flag", "asked", "expected"),
    [
        ("avx2", "auto", "float32"),
        ("amx_bf16", "auto", "bfloat16"),
        ("amx_bf16", None, "float32"),  # the recipe's own
    ],
)
def test_a_run_records_what_auto_stood_for(tmp_path, flags, flag, asked, expected):
    changes = {"precision": asked} if asked else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "processor_flags", lambda: frozenset({flag}))
        folder, study = pipeline.start(small(**changes), root=tmp_path)
    assert RunFolder(folder.path).configuration["train"]["precision"] == expected
    assert study.configuration.train.precision == expected


def test_a_resume_on_another_processor_says_what_changes(tmp_path, monkeypatch):
    folder, _ = pipeline.start(small(precision="bfloat16"), root=tmp_path)
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx2"}))
    with pytest.warns(UserWarning, match="bfloat16, as it began on .* only emulates it"):
        pipeline.finish(folder)
    assert folder.configuration["train"]["precision"] == "bfloat16"
    assert folder.status == "finished"
