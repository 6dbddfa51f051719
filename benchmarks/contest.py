"""Contestants in processes of their own: what is asked of them, and what they answer."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks import environments
from vaescape.study import Study

SCRIPTS = environments.HERE / "contestants"


class Contestant(NamedTuple):
    """Who takes part, and how."""

    title: str
    script: str
    peer: str = "ours"
    precision: str = "float32"


CONTESTANTS = {
    "ours": Contestant("vaescape, float32", "ours.py"),
    "ours-bf16": Contestant("vaescape, bfloat16", "ours.py", precision="bfloat16"),
    "keras": Contestant("Keras on TensorFlow, `model.fit`", "keras_tf.py", "keras"),
    "pythae": Contestant("pythae, its own trainer", "pythae_vae.py", "pythae"),
    "loop": Contestant("PyTorch loop with a DataLoader", "torch_loop.py"),
}


@contextmanager
def arena() -> Iterator[Path]:
    """A folder with the images and a model's weights, as every contestant reads them.

    The weights' posterior has a variance of e⁻⁶⁰, so that the loss is the same for every draw.
    """
    study = Study("paper", seed=0)
    parameters = [p.detach().numpy().copy() for p in study.model.parameters()]
    parameters[6][2:], parameters[7][2:] = 0, -60
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "train.npy", study.train.pixels[:, 0].numpy())
        np.save(folder / "test.npy", study.test.pixels[:, 0].numpy())
        np.savez(folder / "weights.npz", *parameters)
        yield folder


def ask(name: str, folder: Path, threads: int, do: str, **more: Any) -> dict[str, Any]:
    """Return a contestant's answer."""
    who = CONTESTANTS[name]
    request = {"do": do, "folder": str(folder), **more}
    return ask_script(who.script, who.peer, threads, precision=who.precision, **request)


class CutOff(Exception):
    """A contestant took far longer than the others."""


def ask_script(
    script: str,
    peer: str,
    threads: int,
    precision: str = "float32",
    limit: float | None = None,
    **request: Any,
) -> dict[str, Any]:
    """Return what a script of a peer answers to a request: its last line, JSON.

    Raises:
        CutOff: If it takes longer than ``limit`` seconds.
        SystemExit: If it fails, with what it said.
    """
    variables = environments.environment(threads) | {"VAESCAPE_BENCHMARK_PRECISION": precision}
    try:
        done = subprocess.run(
            [environments.python(peer), str(SCRIPTS / script), json.dumps(request)],
            env=variables, capture_output=True, text=True, check=False, timeout=limit,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CutOff(f"cut off after {limit:.0f} s") from error
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def same_model(names: list[str], folder: Path, threads: int) -> dict[str, dict[str, Any]]:
    """Return every contestant's parameters and loss at our weights, which must be equal.

    Raises:
        SystemExit: If a contestant has another model.
    """
    found = {name: ask(name, folder, threads, "check") for name in names}
    ours = found["ours"]
    for name, answer in found.items():
        gap = abs(answer["loss"] / ours["loss"] - 1)
        if answer["parameters"] != ours["parameters"] or gap > 1e-4:
            raise SystemExit(f"{name} has another model: {answer}, where ours has {ours}.")
    return found


def cores() -> int:
    """Return the threads that a benchmark takes by default."""
    return torch.get_num_threads()
