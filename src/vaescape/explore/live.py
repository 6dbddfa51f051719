"""What the live page asks of Python: codes, pictures, paths, and news of a training."""

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape.data.picture import read_picture
from vaescape.errors import OptionError, RunError
from vaescape.explore.blobs import Blob
from vaescape.explore.fields import decoder
from vaescape.explore.page import live, runtime, template
from vaescape.explore.payload import Originals, encode_all, payload
from vaescape.files import write_json
from vaescape.geometry.geodesic import Geodesics, density_weight
from vaescape.geometry.paths import linear
from vaescape.metrics.reconstruction import mse
from vaescape.recipes import Configuration
from vaescape.runs import CHECKPOINTS, RunFolder, read_json
from vaescape.study import Study
from vaescape.train.checkpoint import peek
from vaescape.train.weights import copy_into

REGIONS = "regions.json"
FORMATS = ("PNG", "JPEG", "WEBP")
"""Pictures that come over the network."""
MOST_CODES = 1024
MOST_STEPS = 128
FARTHEST = 1e4
"""Coordinates beyond this are no place on any map."""
DENSITY_CODES = 2000
"""Encoded images whose posteriors stand for the aggregate posterior."""


class Live:
    """A study behind a page.

    Args:
        study: With a run folder; trained, or in training.
        title: Of the page.
        originals: Which images it can show.
    """

    def __init__(
        self, study: Study, *, title: str | None = None, originals: Originals = "all"
    ) -> None:
        self.study, self.built = study, template()
        content = payload(study, title=title, originals=originals)
        self.page = live(self.built, content)
        self.blobs: dict[str, Blob] = content.blobs | runtime()

    @property
    def folder(self) -> RunFolder:
        """The run."""
        assert self.study.folder is not None
        return self.study.folder

    # Codes and pictures ------------------------------------------------------------------------

    def decode(self, request: dict[str, Any]) -> bytes:
        """Return decoded images of ``{"z": [[…], …], "c": […]}``, float32 (N, C, H, W).

        Raises:
            OptionError: For codes of another size, too many, or numbers that are none.
        """
        z = self._codes(request.get("z"), 2)
        if not 1 <= len(z) <= MOST_CODES:
            raise OptionError(f"Give 1 to {MOST_CODES} codes at once. Got {len(z)}.")
        return self.study.decode(z, self._condition(request)).numpy().astype("<f4").tobytes()

    def encode(self, picture: bytes, label: int | None = None) -> dict[str, Any]:
        """Return where a picture lies, and how far what is decoded there is from it.

        Raises:
            ImageError: If it cannot be read, or is too large.
        """
        c = label if self.study.conditions else None
        x = read_picture(picture, self.study.shape, formats=FORMATS)[None]
        mean, log_var = self.study.encode_with_variance(x, c)
        error = mse(self.study.decode(mean, c), self.study.floats(x).cpu())
        return {
            "mean": mean[0].tolist(),
            "log_var": None if log_var is None else log_var[0].tolist(),
            "error": error.item(),
            "pixels": x[0].flatten().tolist(),
        }

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
        images = decoder(self.study)(path.to(self.study.device)).mean.flatten(1)
        return images.diff(dim=0).norm(dim=1).sum().item()

    # Regions -----------------------------------------------------------------------------------

    def regions(self) -> dict[str, Any]:
        """Return what was saved last."""
        path = self.folder / REGIONS
        return read_json(path) if path.exists() else {}

    def keep_regions(self, given: dict[str, Any]) -> None:
        """Write regions into the run folder, whole or not at all."""
        write_json(self.folder / REGIONS, given)

    # News of a training ------------------------------------------------------------------------

    def news(self, after: int) -> list[dict[str, Any]]:
        """Return the rows of the training log after a step."""
        return [row for row in self.folder.history() if row["step"] > after]

    def latents(self) -> bytes:
        """Return the means of all images by the newest checkpoint, float32 (N, D), page order."""
        if self.folder.status != "finished":
            refresh(self.study)
        return encode_all(self.study).mean.numpy().astype("<f4").tobytes()

    # Checks ------------------------------------------------------------------------------------

    def _codes(self, given: Any, axes: int) -> Float[Tensor, "..."]:
        try:
            z = torch.tensor(given, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise OptionError("Codes must be lists of numbers, all of one length.") from error
        if z.ndim != axes or z.shape[-1] != self.study.latent:
            raise OptionError(
                f"Expected {'codes' if axes == 2 else 'a code'} of {self.study.latent} numbers. "
                f"Got shape {tuple(z.shape)}."
            )
        if not (z.abs() <= FARTHEST).all():
            raise OptionError(f"Codes must be numbers from −{FARTHEST:g} to {FARTHEST:g}.")
        return z

    def _condition(self, request: dict[str, Any]) -> Tensor | None:
        if not self.study.conditions:
            return None
        given = request.get("c", 0)
        if type(given) is int and 0 <= given < self.study.conditions:
            return self.study.weights(given)
        raise OptionError(f"c must be the number of a class, below {self.study.conditions}.")


def open_run(run: Path, *, data_dir: Path | None = None) -> Study:
    """Return the study of a run: as it ended, or, while it trains, as its newest checkpoint has it.

    Raises:
        RunError: If there is no such run, or it has no checkpoint yet.
    """
    folder = RunFolder.open(run)
    if folder.status == "finished":
        return Study.load(folder, data_dir=data_dir)
    study = Study(Configuration.from_dict(folder.configuration), data_dir=data_dir)
    study.folder = folder
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
    parts = {k.removeprefix("model."): v for k, v in newest.tensors.items() if k[:6] == "model."}
    copy_into(study.model.state_dict(), parts, newest.path)
    return newest.step


Walk = Callable[[Tensor, Tensor, Tensor], Tensor]


@lru_cache(maxsize=4)
def _walk(study: Study, strength: float) -> Walk:
    """Return the geodesics of a study; the greater the strength, the closer to the data."""
    codes = encode_all(study)
    chosen = torch.linspace(0, len(codes.mean) - 1, min(DENSITY_CODES, len(codes.mean))).long()
    mean = codes.mean[chosen]
    weight = None
    if strength:
        log_q = _log_density(mean, None if codes.log_var is None else codes.log_var[chosen])
        weight = density_weight(log_q, log_q(mean).median().item(), strength)
    given = decoder(study)
    return Geodesics(lambda z: given(z).mean, mean, weight=weight)


def _log_density(
    mean: Float[Tensor, "M D"], log_var: Float[Tensor, "M D"] | None
) -> Callable[[Float[Tensor, "N D"]], Float[Tensor, " N"]]:
    """Return log of the mean of the codes' posteriors, widened as Scott (1992) does, in nats."""
    count, size = mean.shape
    variance = mean.var(0) * count ** (-2 / (size + 4))
    variance = variance.expand_as(mean) if log_var is None else variance + log_var.exp()
    normal = torch.distributions.Normal(mean, variance.sqrt())
    return lambda z: normal.log_prob(z[:, None]).sum(-1).logsumexp(1) - math.log(count)
