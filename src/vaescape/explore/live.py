"""What the live page asks of Python: codes, pictures, paths, and news of a training."""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.errors import OptionError, RunError
from vaescape.explore import graph
from vaescape.explore.blobs import Blob, file
from vaescape.explore.crowd import Crowd
from vaescape.explore.fields import decoder
from vaescape.explore.page import live, runtime, template
from vaescape.explore.payload import Payload, payload
from vaescape.explore.view import encode_all
from vaescape.export.onnx import ExportError
from vaescape.export.parametric import parametric
from vaescape.files import write_json
from vaescape.geometry.density import evenly
from vaescape.geometry.geodesic import Geodesics, step_costs
from vaescape.geometry.paths import linear
from vaescape.metrics.reconstruction import mse
from vaescape.runs import CHECKPOINTS, REGIONS, RunFolder, read_json
from vaescape.study import Study, density
from vaescape.train.average import PREFIX
from vaescape.train.checkpoint import newest, peek
from vaescape.train.weights import copy_into

FORMATS = ("PNG", "JPEG", "WEBP")
"""Pictures that come over the network."""
MOST_PIXELS = 16_000_000
"""Of such a picture as it is decoded."""
NETWORKS = ("decoder", "encoder")
MOST_WEIGHTS = 16_000_000
"""A larger model stays here; the page requests its images."""
MOST_CODES = 1024
MOST_STEPS = 128
FARTHEST = 1e4
"""Coordinates beyond this are no place on any map."""


class Live:
    """A study behind a page.

    Args:
        study: With a run folder; trained, or in training.
        crowd: All codes of another set, which the page shows in place of the run's images.
        options: As :class:`vaescape.explore.view.View` takes them; all original images by default.
    """

    crowd: Crowd | None = None

    def __init__(self, study: Study, crowd: Crowd | None = None, **options: Any) -> None:
        self.study, self.built, self.crowd = study, template(), crowd
        self.options = {"originals": "all", **options}
        if crowd is not None:
            self.options |= {"sections": crowd.sections, "sample": crowd.pyramid.sample}
        self.step: int | None = None
        self.build()

    def build(self) -> None:
        """Make the page anew: of the study as it is now."""
        self.step, training = self.newest(), self.folder.status == "training"
        content, carry = self._content()
        self.networks = (
            [parametric(self.study, name) for name in NETWORKS] if training and carry else []
        )
        following = {network.name: network.about() for network in self.networks}
        manifest = content.manifest | {"following": following if training else None}
        self.blobs: dict[str, Blob] = content.blobs | runtime()
        self.blobs |= {
            f"parametric_{network.name}": file(network.content, "application/onnx")
            for network in self.networks
        }
        self.page = live(self.built, Payload(manifest, self.blobs))

    def _content(self) -> tuple[Payload, bool]:
        """Return what the page shows, and whether it has the networks: small ones, if ONNX can."""
        if sum(p.numel() for p in self.study.model.parameters()) <= MOST_WEIGHTS:
            with suppress(ExportError):
                return payload(self.study, **self.options), True
        return payload(self.study, **self.options, carry=False), False

    def renew(self) -> None:
        """Make the page anew if the training has gone on since."""
        if self.newest() != self.step:
            self.catch_up()
            self.build()

    @property
    def folder(self) -> RunFolder:
        """The run."""
        assert self.study.folder is not None
        return self.study.folder

    # Codes and pictures ------------------------------------------------------------------------

    def decode(self, request: dict[str, Any]) -> bytes:
        """Return decoded images of ``{"z": [[…], …], "c": 3 or […]}``, float32 (N, C, H, W).

        Raises:
            OptionError: For codes of another size, too many, or numbers that are none.
        """
        z = self._codes(request.get("z"), 2)
        if not 1 <= len(z) <= MOST_CODES:
            raise OptionError(f"Give 1 to {MOST_CODES} codes at once. Got {len(z)}.")
        return (
            self.study.decode(z, self._condition(request, len(z))).numpy().astype("<f4").tobytes()
        )

    def original(self, index: int) -> bytes | None:
        """Return the bytes of an image, the training images first; None if there is none."""
        if self.crowd is not None:
            return self.crowd.original(index)
        train, test = self.study.train, self.study.test
        images, at = (train, index) if index < len(train) else (test, index - len(train))
        return images.pixels[at].numpy().tobytes() if at < len(images) else None

    def encode(self, picture: bytes, label: int | None = None) -> dict[str, Any]:
        """Return where a picture lies, and how far what is decoded there is from it.

        Raises:
            ImageError: If it cannot be read, or is too large.
        """
        c = label if self.study.space.conditions else None
        pixels, _ = self.study.preparation.picture(picture, formats=FORMATS, most=MOST_PIXELS)
        x = pixels[None]
        mean, log_var = self.study.encode_with_variance(x, c)
        error = mse(self.study.decode(mean, c), self.study.space.floats(x).cpu())
        return {
            "mean": mean[0].tolist(),
            "log_var": None if log_var is None else log_var[0].tolist(),
            "error": error.item(),
            "pixels": x[0].flatten().tolist(),
        }

    def codes(self, content: bytes, label: int | None = None) -> bytes:
        """Return the means of images, then their log-variances where there are any, float32 (N, D).

        Args:
            content: Images as float32 (N, C, H, W), little-endian, pixels in [0, 1].
            label: Of a conditional model: their class.

        Raises:
            OptionError: If it is no whole number of images, or holds anything but pixels.
        """
        size = math.prod(self.study.shape)
        if not content or len(content) % (4 * size):
            raise OptionError(f"Expected images of {size} float32 each. Got {len(content)} bytes.")
        x = torch.frombuffer(bytearray(content), dtype=torch.float32).reshape(-1, *self.study.shape)
        if not ((x >= 0) & (x <= 1)).all():
            raise OptionError("Pixels must be numbers from 0 to 1.")
        found = self.study.encode_with_variance(x, label if self.study.space.conditions else None)
        return b"".join(part.numpy().astype("<f4").tobytes() for part in found if part is not None)

    # Paths -------------------------------------------------------------------------------------

    def geodesic(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the shortest path of ``{"a", "b", "steps", "weight"}`` by the images it passes.

        Raises:
            OptionError: For ends that are no codes, or impossible steps or weight.
        """
        a, b = (self._codes(request.get(name), 1) for name in ("a", "b"))
        steps, weight = request.get("steps", 25), request.get("weight", 0.0)
        if type(steps) is not int or not 3 <= steps <= MOST_STEPS:
            raise OptionError(
                f"steps must be a whole number from 3 to {MOST_STEPS}. Got {steps!r}."
            )
        if type(weight) not in (int, float) or not 0 <= weight <= 100:
            raise OptionError(f"weight must be a number from 0 to 100. Got {weight!r}.")
        path = _walk(self.study, float(weight))(a, b, torch.linspace(0, 1, steps))
        straight = linear(a, b, torch.linspace(0, 1, steps))
        return {
            "path": path.tolist(),
            "lengths": {"geodesic": self._length(path), "linear": self._length(straight)},
        }

    def _length(self, path: Float[Tensor, "T D"]) -> float:
        """Return the length in image space: pixels, Euclidean."""
        given = decoder(self.study)
        return step_costs(lambda z: given(z).mean, path.to(self.study.device)).sum().item()

    # Regions -----------------------------------------------------------------------------------

    def regions(self) -> dict[str, Any]:
        """Return what was saved last."""
        path = self.folder / REGIONS
        return read_json(path) if path.exists() else {}

    def keep_regions(self, given: dict[str, Any]) -> None:
        """Write regions into the run folder, whole or not at all."""
        write_json(self.folder / REGIONS, given)

    # A training that goes on -------------------------------------------------------------------

    def news(self, after: int) -> list[dict[str, Any]]:
        """Return the rows of the training log after a step."""
        return [row for row in self.folder.history() if row["step"] > after]

    def newest(self) -> int | None:
        """Return the step of the newest checkpoint; None if the run has none."""
        return newest(self.folder / CHECKPOINTS)

    def catch_up(self) -> int:
        """Bring the study to the newest checkpoint; return its step."""
        _walk.cache_clear()
        return refresh(self.study)

    def checkpoint(self) -> tuple[int, bytes]:
        """Return the step of the newest checkpoint and what the page needs to be there, float32.

        Decoder's weights, encoder's weights (neither where the server runs them), the means of all
        images (N, D) in the page's order, and their log-variances (N, D) where there are any.
        """
        step = self.catch_up()
        codes = encode_all(self.study)
        weights = [network.weights(self.study.model) for network in self.networks]
        parts = [*weights, codes.mean.numpy()]
        parts += [] if codes.log_var is None else [codes.log_var.numpy()]
        return step, b"".join(part.astype("<f4").tobytes() for part in parts)

    # Checks ------------------------------------------------------------------------------------

    def _codes(self, given: Any, axes: int) -> Float[Tensor, "..."]:
        try:
            z = torch.tensor(given, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise OptionError("Codes must be lists of numbers, all of one length.") from error
        if z.ndim != axes or z.shape[-1] != self.study.space.latent:
            raise OptionError(
                f"Expected {'codes' if axes == 2 else 'a code'} of {self.study.space.latent} "
                f"numbers. Got shape {tuple(z.shape)}."
            )
        if not (z.abs() <= FARTHEST).all():
            raise OptionError(f"Codes must be numbers from −{FARTHEST:g} to {FARTHEST:g}.")
        return z

    def _condition(self, request: dict[str, Any], count: int) -> Tensor | None:
        """Return the weights of the class given, or of one for each of so many codes."""
        E = self.study.space.conditions
        if not E:
            return None
        given = request.get("c", 0)
        each = given if isinstance(given, list) else [given]
        known = all(type(label) is int and 0 <= label < E for label in each)
        if known and len(each) in (1, count):
            return self.study.classes.weights(torch.tensor(each))
        raise OptionError(f"c must be the number of a class below {E}, or one for each code.")


def open_run(run: Path, *, data_dir: Path | None = None, device: str | None = None) -> Study:
    """Return the study of a run: as it ended, or, while it trains, as its newest checkpoint has it.

    Raises:
        RunError: If there is no such run, or it has no checkpoint yet.
    """
    folder = RunFolder.open(run)
    if folder.status == "finished":
        return Study.load(folder, data_dir=data_dir, device=device)
    study = Study.of(folder, data_dir=data_dir, device=device)
    refresh(study)
    return study


def refresh(study: Study) -> int:
    """Bring a study in training to its newest checkpoint; return the step.

    Raises:
        RunError: If there is none yet.
    """
    assert study.folder is not None
    newest = peek(study.folder / CHECKPOINTS)
    if newest is None:
        raise RunError(
            f"{study.folder} has no checkpoint yet: there is nothing to show. Try again in a "
            "moment; one comes every `--checkpoint-seconds`."
        )
    parts = {
        name.removeprefix(prefix): value
        for prefix in ("model.", PREFIX)  # the average of the weights, where there is one
        for name, value in newest.tensors.items()
        if name.startswith(prefix)
    }
    copy_into(study.model.state_dict(), parts, newest.path)
    return newest.step


Walk = Callable[[Tensor, Tensor, Tensor], Tensor]


@lru_cache(maxsize=4)
def _walk(study: Study, strength: float) -> Walk:
    """Return the geodesics of a study; λ is the strength with which they follow the data."""
    nodes = study.encode(study.train[evenly(len(study.train), graph.NODES)])
    found = density(study) if strength else None
    weight = found.weight(strength) if found else None
    given = decoder(study)
    return Geodesics(lambda z: given(z).mean, nodes, through=nodes, weight=weight)
