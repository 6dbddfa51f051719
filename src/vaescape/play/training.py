"""The training behind ``vaescape play``, in a process of its own: commands in, frames out."""

import hashlib
import math
import time
import warnings
from contextlib import suppress
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaescape.data import Images
from vaescape.data.base import spread
from vaescape.errors import DivergedError, InterruptedRun, OptionError, VaescapeError
from vaescape.explore.page import live, runtime, template
from vaescape.explore.payload import POINTS_ONLY, Payload, payload
from vaescape.export.parametric import Parametric, parametric
from vaescape.play import frames
from vaescape.play.knobs import LIMITS, Knobs, kept
from vaescape.progress import silence
from vaescape.recipes import Configuration
from vaescape.signals import Stopped, stop_on_signals
from vaescape.study import Study
from vaescape.train import weights
from vaescape.train.changes import Changes

SHOWN = 2000
"""Test images on the map, at most."""
GAP = 0.1
"""Seconds from one frame to the next, at least; at least a third of them are training steps."""
SCORES = 0.5
"""Seconds between two looks at held-out images."""
SLOW = 0.5
"""Seconds of a step in slow motion."""

Message = dict[str, Any]


class Again(Exception):
    """The training starts again, with other knobs."""


class Gone(Exception):
    """Nobody listens any longer."""


class Training:
    """A training that somebody watches and changes.

    Args:
        pipe: Commands in; ``("images", …)``, ``("note", …)``, ``("page", …)``, ``("network", …)``,
            ``("frame", …)``, ``("state", …)`` and ``("failed", …)`` out.
        recipe: What is trained.
        data_dir: Folder with the files of the data set.
    """

    def __init__(self, pipe: Connection, recipe: Configuration, data_dir: Path | None) -> None:
        self.pipe, self.recipe = pipe, recipe
        self.data = Study(recipe, data_dir=data_dir).data
        self.total = len(self.data.load("train"))
        self.pipe.send(("images", self.data.preparation.sentence()))
        self.most = min(self.total, recipe.limit or self.total)
        self.knobs = Knobs.of(recipe, self.most)
        self.home = self.knobs.values
        self.running, self.slow, self.steps_wanted, self.watchers = True, False, 0, 0
        self.pages, self.exported = 0, ""
        self.network: Parametric | None = None
        self.begin()

    # A study, from its start ---------------------------------------------------------------------

    def begin(self) -> None:
        """Make the study of the present knobs, untrained."""
        self.configuration = self.knobs.configuration(self.recipe, self.total)
        self.study = Study(self.configuration, read=self.data)
        self.step, self.changes, self.problem = 0, Changes(), ""
        self.begun_at, self.took, self.scored_at, self.news = -math.inf, 0.0, -math.inf, True
        self.held_out: dict[str, float] | None = None
        self.losses: list[Tensor] = []
        if self.study.space.discrete:
            raise OptionError(
                "`vaescape play` is of codes that move, and this model's are discrete. Use recipe "
                "swift or paper."
            )

    def _listen(self, step: int) -> None:
        """Note the losses of a training that begins: ``fit`` has just built its objective."""
        if step == 0:
            self.study.objective.register_forward_hook(self._note)

    def _note(self, module: Any, given: Any, loss: Any) -> None:
        if torch.is_grad_enabled():
            self.losses.append(torch.stack([loss.metrics[name].detach() for name in frames.TERMS]))

    @cached_property
    def shown(self) -> Images:
        """The test images on the map, the same whatever the knobs."""
        images = Study(self.recipe, read=self.data).test
        return images[torch.from_numpy(spread(images.labels.numpy(), SHOWN))]

    def show_page(self) -> None:
        """Send a page of the untrained study."""
        self.pages += 1
        title = f"{self.study.splits.title}: {self.recipe.recipe} in training"
        content = payload(self.study, sections=POINTS_ONLY, shown=self.shown, title=title)
        limits = LIMITS | {"images": (LIMITS["images"][0], self.most)}
        manifest = content.manifest | {
            "play": {"page": self.pages, "knobs": self.home, "limits": limits},
            "field": None,
        }
        blobs = content.blobs | runtime()
        page = live(template(), Payload(manifest, blobs))
        self.pipe.send(("page", page, blobs))

    def export(self) -> Parametric:
        """Return the decoder of the present shapes; send it if they are new."""
        known, decoder = self.network, dict(self.study.model.state_dict())
        if known is not None and all(
            tuple(decoder[name.removeprefix("model.")].shape) == shape
            for name, shape in zip(known.names, known.shapes, strict=True)
        ):
            return known
        self.network = found = parametric(self.study)
        self.exported = hashlib.sha256(found.content).hexdigest()[:16]
        self.pipe.send(("network", self.exported, found.content))
        return found

    def play(self) -> None:
        """Train until nobody listens; start again whenever that is wanted."""
        latent = None
        while True:
            if latent != self.knobs.latent:
                latent = self.knobs.latent
                self.network = None
                self.show_page()
            try:
                self.export()
                self.study.fit(settings=self.before, on_step=self._listen)
                self.problem = "The training has reached its last step."
            except Again:
                self.begin()
                continue
            except DivergedError as error:
                self.problem = f"The training diverged: {error} Start again with another rate."
            self.rest()

    def rest(self) -> None:
        """Wait after a training that ended until another is wanted."""
        self.running = False
        with suppress(Again):
            while True:
                self.pipe.send(("frame", self.frame()))
                self.receive(None)
        self.begin()

    # Between two steps ---------------------------------------------------------------------------

    def before(self, step: int) -> dict[str, float]:
        """Show and change what is wanted before the next step; return its settings."""
        self.step = step
        self.receive(0)
        while not self.goes_on:
            self.show(at_once=self.news)
            self.receive(None)
        self.show(at_once=self.news)
        if self.slow and not self.steps_wanted:
            self.receive(SLOW)
        if self.steps_wanted:
            self.steps_wanted -= 1
            self.news = True  # somebody waits for what this step does
        self.changes = self.changes.then(step, self.knobs.live)
        return self.knobs.live

    @property
    def goes_on(self) -> bool:
        """Whether the next step is wanted."""
        return self.watchers > 0 and (self.running or self.steps_wanted > 0)

    def receive(self, seconds: float | None) -> None:
        """Take the commands that have come; wait so long for the first, None: until there is one.

        Raises:
            Again: If one of them starts the training again.
            Gone: If nobody listens any longer.
        """
        try:
            while self.pipe.poll(seconds):
                self.obey(self.pipe.recv())
                seconds = 0
        except (EOFError, OSError) as error:
            raise Gone from error

    def obey(self, command: Message) -> None:
        """Do as a command says: its fields are those of ``server.COMMAND``, and the server's own.

        Raises:
            Again: If the training starts again.
            Gone: If nobody listens any longer.
        """
        if command.get("gone"):
            raise Gone
        self.news = True
        if "watchers" in command:
            self.watchers = command["watchers"]
        self.running = command.get("running", self.running)
        self.slow = command.get("slow", self.slow)
        self.steps_wanted += command.get("steps", 0)
        if command.get("keep"):
            self.pipe.send(("state", *self.state()))
        before = self.knobs
        try:
            self.knobs = before.changed(command.get("knobs", {}), self.most)
        except VaescapeError as error:
            self.problem = str(error)
        self.study.objective.beta = self.knobs.beta  # pyright: ignore[reportArgumentType]
        if command.get("again") or self.knobs.restarts(before):
            raise Again

    def state(self) -> tuple[dict[str, Any] | None, str]:
        """Return the run that ends where the training is now, and the digest of its weights."""
        if not self.step:
            return None, ""
        run = kept(self.configuration, self.changes, self.step, len(self.study.train))
        return run.to_dict(), digest(self.study)

    # Frames --------------------------------------------------------------------------------------

    def show(self, *, at_once: bool = False) -> None:
        """Send a frame if one is due."""
        now = time.perf_counter()
        due = now - self.begun_at > max(GAP, 1.5 * self.took)
        if not self.watchers or not (at_once or due):
            return
        self.news, self.begun_at = False, now
        self.pipe.send(("frame", self.frame()))
        self.took = time.perf_counter() - now

    def frame(self) -> bytes:
        """Return the training as it is now."""
        network, study = self.export(), self.study
        z, log_var = frames.codes(study, self.shown)
        if time.perf_counter() - self.scored_at > SCORES:
            self.held_out = finite(frames.scores(study, self.shown))
            self.scored_at = time.perf_counter()
        noted, self.losses = self.losses, []
        means = torch.stack(noted).mean(0).tolist() if noted else [math.nan, math.nan]
        header = {
            "page": self.pages,
            "network": self.exported,
            "step": self.step,
            "epoch": self.step * self.configuration.train.batch / len(study.train),
            "running": self.running,
            "slow": self.slow,
            "knobs": self.knobs.values,
            "train": finite(dict(zip(frames.TERMS, means, strict=True))),
            "held_out": self.held_out,
            "problem": self.problem,
        }
        return frames.packed(header, network, network.weights(study.model), z, log_var)


def finite(found: dict[str, float]) -> dict[str, float] | None:
    """Return numbers that are finite, or None: JSON has no others."""
    return found if all(map(math.isfinite, found.values())) else None


def digest(study: Study) -> str:
    """Return the SHA-256 of a model's weights."""
    return weights.digest(weights.pack(study.model.state_dict(), {}))


def main(pipe: Connection, recipe: dict[str, Any], data_dir: Path | None) -> None:
    """Run the process: train until nobody listens."""
    silence()
    warnings.showwarning = lambda message, *_, **__: pipe.send(("note", str(message)))
    with stop_on_signals(), suppress(Gone, Stopped, BrokenPipeError):
        try:
            Training(pipe, Configuration.from_dict(recipe), data_dir).play()
        except InterruptedRun:
            return
        except VaescapeError as error:
            pipe.send(("failed", str(error)))
