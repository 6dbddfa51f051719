"""The training loop: a generator that knows one loss, one backward pass and one optimiser."""

import itertools
import math
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from vaescape.batch import Batch
from vaescape.components import construct
from vaescape.conditionals import Neural
from vaescape.errors import DivergedError, LostRunError, OptionError, RunError
from vaescape.precision import float32
from vaescape.randomness import step_seed
from vaescape.signals import Stop, stop_on_signals
from vaescape.train.allocator import keep_pages
from vaescape.train.average import PREFIX, Average
from vaescape.train.changes import Changes
from vaescape.train.checkpoint import Checkpoint, CheckpointFolder, differences, fingerprint
from vaescape.train.graphs import Replayed
from vaescape.train.noise import borrowed, generators
from vaescape.train.optimisers import capturable, restore_state, set_rate, state_of
from vaescape.train.options import TrainOptions
from vaescape.train.rates import Schedule
from vaescape.train.shards import Shards, packed, refuse_coupled, unchanged_buffers, unpack
from vaescape.train.sums import Metrics, Sums
from vaescape.train.weights import copy_into

FAILED_SAVES = 3
"""Number of consecutive checkpoints that may fail to be written before the run stops."""


class Batches(Protocol):
    """The training set on the device: a batch is a pure function of its step, counted from 0."""

    @property
    def batch(self) -> int:
        """Images per batch."""
        ...

    def __len__(self) -> int:
        """Images in the set."""
        ...

    def at(self, step: int) -> Batch:
        """Return the batch of a step."""
        ...


Settings = Callable[[int], Mapping[str, float]]
"""Takes the steps done to what changes during training: ``lr``, and the objective's ``beta``."""


@dataclass(frozen=True)
class Tick:
    """How training stands at the end of an epoch."""

    step: int
    """Steps done."""
    steps: int
    """Steps in all."""
    images: int
    """Images seen, repeats counted."""
    epoch: float
    """Passes over the training set."""
    seconds: float
    """Time spent training, in all sittings; what was done between ticks is not counted."""
    metrics: Metrics
    """``loss`` and the objective's own: means over the steps since the last tick."""
    final: bool
    """Whether this is the last."""


def train(
    model: nn.Module,
    objective: nn.Module,
    batches: Batches,
    options: TrainOptions,
    *,
    checkpoints: CheckpointFolder | None = None,
    every: Callable[[int, int], None] | None = None,
    settings: Settings | None = None,
) -> Generator[Tick, None, None]:
    """Return a generator that trains the model and yields a tick at the end of each epoch.

    ``objective(model, batch, t)`` returns a loss with ``total`` and ``metrics``; ``t``, a tensor,
    is the share of training done, exactly 1 at the last step. Every random number of a step is a
    function of (seed, step) alone. While the generator waits, model and objective are in evaluation
    mode, and PyTorch's global generators and threads are as they were: what is done between ticks
    changes nothing. With the option ``average`` the model then has the moving average of its
    weights, and keeps it at the end; the objective's parameters are never averaged.

    With a folder of checkpoints that is not empty, training goes on where it stopped and ends with
    the same bits as if it never had. Its first tick is the first that ends at the saved step or
    later.

    Args:
        model: Moved to the device of the options, its weights changed in place.
        objective: May have parameters of its own, which are trained too.
        batches: The training set.
        options: How to train.
        checkpoints: Where the state is saved: every so many seconds, at the end, and on a signal.
        every: Called after each step with the steps done and the steps in all.
        settings: Called before each step with the steps done; what it returns counts for this step.
            Default: the changes that the options name.

    Raises:
        OptionError: If this machine lacks the device, or the device the precision; if the options
            change a weight of the KL that the objective does not have.
        CheckpointError: If the checkpoints are damaged or not of this run.
        DivergedError: If a loss or a weight is not a finite number; no such state is ever saved.
        InterruptedRun: After SIGTERM or Ctrl-C, when the state is saved.
        RunError: If the state cannot be saved at the end, or three times in a row before.
        LostRunError: At once, if the run's folder was moved or deleted.
    """
    keep_pages()
    changes = Changes.parse(options.changes)
    last, own = changes.last.get("beta"), getattr(objective, "beta", None)
    if last is not None and last != own:
        raise OptionError(
            f"changes ends with beta={last:g}, and the objective has "
            f"{'none' if own is None else f'{own:g}'}. Give --beta {last:g}, with objective "
            "'elbo': a run is described by the weight that it ends with."
        )
    settings = settings or (changes.at if changes.entries else None)
    return _ticks(_Training(model, objective, batches, options, checkpoints, every, settings))


def tick_steps(epochs: float, images: int, batch: int) -> list[int]:
    """Return the steps at which an epoch of images is complete; the last is the number of steps."""
    steps = max(1, math.ceil(epochs * images / batch - 1e-9))
    inner = {-(-epoch * images // batch) for epoch in range(1, math.ceil(epochs))}
    return sorted({step for step in inner if step < steps} | {steps})


def _ticks(training: "_Training") -> Generator[Tick, None, None]:
    for start, end in itertools.pairwise([0, *training.ends]):
        if end >= training.step:
            with training.at_work() as stop:
                tick = training.advance(start, end, stop)
            yield tick


class _Training:
    """A training on its way: what a checkpoint holds, and the step that changes it."""

    def __init__(
        self,
        model: nn.Module,
        objective: nn.Module,
        batches: Batches,
        options: TrainOptions,
        checkpoints: CheckpointFolder | None,
        every: Callable[[int, int], None] | None,
        settings: Settings | None,
    ) -> None:
        self.device = options.resolve_device()
        self.parts = nn.ModuleDict({"model": model, "objective": objective}).to(self.device)
        self.parts.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.model, self.objective, self.batches = model, objective, batches
        self.options, self.checkpoints, self.every = options, checkpoints, every
        self.settings = settings
        self.parameters = [p for p in self.parts.parameters() if p.requires_grad]
        rule = construct("optimiser", options.optimiser)
        self.optimiser: torch.optim.Optimizer = rule.build(self.parameters, options.lr)
        self.schedule: Schedule = construct("schedule", options.schedule)
        self.ends = tick_steps(options.epochs, len(batches), batches.batch)
        self.steps = self.ends[-1]
        self.threads = options.threads or torch.get_num_threads()
        self.fingerprint = fingerprint(options, self.device, self.threads)
        self.generators = generators(self.device)
        self.t = torch.zeros((), device=self.device)
        self.start, self.step, self.seconds, self.sums = 0, 0, 0.0, Sums()
        self.since = self.saved_at = time.perf_counter()
        self.failures = 0
        self.shards = Shards(options.shards, batches.batch, self.device)
        self.learn = self._way_to_learn()
        self.average = Average(model, options.average) if options.average else None
        saved = checkpoints.load() if checkpoints else None
        if saved:
            self.restore(saved)
        self.exchange()

    def _way_to_learn(self) -> Callable[[Batch], None]:
        """Return what changes the weights by a batch: whole, in shards, or replayed on a GPU."""
        if self.options.shards > 1:
            refuse_coupled(self.parts)
            return self.learn_from_shards
        if self.device.type == "cuda" and capturable(self.optimiser) and not self.settings:
            return Replayed(self.learn_from, self.device)
        return self.learn_from

    @contextmanager
    def at_work(self) -> Iterator[Stop]:
        """Take what is shared with the rest of the process, and give it back as it was."""
        threads = torch.get_num_threads()
        self.since = time.perf_counter()
        with float32(), borrowed(self.generators), stop_on_signals() as stop:
            self.exchange()
            try:
                torch.set_num_threads(self.threads)
                self.parts.train()
                yield stop
            finally:
                self.exchange()  # before eval(): some parts precompute from the weights there
                self.parts.eval()
                torch.set_num_threads(threads)
                self.seconds = self.elapsed()

    def exchange(self) -> None:
        """Give the model the average of its weights in place of these, or back, if there is one."""
        if self.average:
            self.average.exchange()

    def advance(self, start: int, end: int, stop: Stop) -> Tick:
        """Train up to a step and return its tick."""
        self.start = start
        self.stop_if_requested(stop)
        if self.step == start:
            self.sums.clear()
        while self.step < end:
            self.take_step()
            if self.every:
                self.every(self.step, self.steps)
            self.stop_if_requested(stop)
            self.save_if_due()
        metrics, final = self.means(), end == self.steps
        if final:
            self.save()
        # A signal during the last save; the tick comes again when resumed.
        self.stop_if_requested(stop)
        images = end * self.batches.batch
        epoch = images / len(self.batches)
        return Tick(end, self.steps, images, epoch, self.elapsed(), metrics, final)

    def take_step(self) -> None:
        """Change the weights once."""
        settings = self.settings(self.step) if self.settings else {}
        if "beta" in settings:
            self.objective.beta = settings["beta"]  # pyright: ignore[reportArgumentType]
        for generator in self.generators:
            generator.manual_seed(step_seed(self.options.seed, self.step))
        self.t.fill_((self.step + 1) / self.steps)
        lr = settings.get("lr", self.options.lr)
        rate = lr * self.schedule((self.step + 0.5) / self.steps)
        set_rate(self.optimiser, rate)
        self.learn(self.batches.at(self.step))
        self.step += 1
        if self.average:
            self.average.follow(self.step)

    def begin_step(self) -> None:
        """Let components do what is done once in a step."""
        with self.options.arithmetic(self.device):
            for module in self.parts.modules():
                if isinstance(module, Neural):
                    module.begin_step()

    def learn_from(self, batch: Batch) -> None:
        """Change the weights by a batch, and add to the sums what the objective said of it."""
        self.optimiser.zero_grad()
        self.begin_step()
        with self.options.arithmetic(self.device):
            loss = self.objective(self.model, batch, self.t)
        loss.total.backward()
        self.optimiser.step()
        self.sums.add(loss)

    def learn_from_shards(self, batch: Batch) -> None:
        """The same in logical shards, of which this process may have some only."""
        rows, seed = [], self.options.seed
        self.begin_step()
        for k, part in self.shards.of(batch):
            for generator in self.generators:
                generator.manual_seed(step_seed(seed, self.step * self.shards.count + k))
            self.optimiser.zero_grad()
            with unchanged_buffers(self.parts), self.options.arithmetic(self.device):
                loss = self.objective(self.model, part, self.t)
            loss.total.backward()
            rows.append(packed(self.parameters, loss))
        whole = unpack(self.shards.mean(rows), self.parameters, loss)  # pyright: ignore
        self.optimiser.step()
        self.sums.add(whole)

    def means(self) -> Metrics:
        """Return the means of this tick so far."""
        means, finite = self.sums.means(self.step - self.start)
        bad = self.start + finite + 1
        if bad <= self.step:
            raise self.diverged(f"The loss was not a finite number at step {bad}")
        return means

    def save(self) -> None:
        """Write a checkpoint of this step, if it is good and not there yet."""
        if self.step > self.start:
            self.means()
        state = [*self.parameters, *state_of(self.optimiser).values()]
        if not all(bool(tensor.isfinite().all()) for tensor in state):
            raise self.diverged(f"A weight was not a finite number after step {self.step}")
        if self.checkpoints and self.checkpoints.newest_step != self.step:
            self.checkpoints.save(self.step, self.elapsed(), self.tensors(), self.fingerprint)

    def save_if_due(self) -> None:
        """Write a checkpoint if it is time; if that fails, say so and try at the next interval."""
        now = time.perf_counter()
        if not self.checkpoints or now - self.saved_at < self.options.checkpoint_seconds:
            return
        self.saved_at = now
        try:
            self.save()
            self.failures = 0
        except LostRunError:
            raise
        except RunError as error:
            self.failures += 1
            if self.failures == FAILED_SAVES:
                raise
            warnings.warn(f"{error} Training goes on and will try again.", stacklevel=2)

    def stop_if_requested(self, stop: Stop) -> None:
        """Save and leave, if a signal came."""
        number = self.shards.agree(stop.signal or 0)
        if not number:
            return
        stop.signal = number
        done = f"{self.step} of {self.steps} steps are done"
        if not self.checkpoints:
            raise stop.interruption(f"{done}; nothing was saved, for no folder was given.")
        self.save()
        where = f"saved in {self.checkpoints.path}"
        raise stop.interruption(f"{done} and {where}. Resume the run to go on from there.")

    def tensors(self) -> dict[str, Tensor]:
        """Return all the tensors that a checkpoint holds, not copies."""
        optimiser = {f"opt.{name}": value for name, value in state_of(self.optimiser).items()}
        sums = {f"sums.{name}": total for name, total in self.sums.totals.items()}
        average = self.average.tensors() if self.average else {}
        return self.parts.state_dict() | optimiser | sums | average

    def restore(self, saved: Checkpoint) -> None:
        """Go back to a checkpoint."""
        sums, optimiser = _take(saved.tensors, "sums."), _take(saved.tensors, "opt.")
        weights = {
            name: value
            for name, value in saved.tensors.items()
            if not name.startswith(("sums.", "opt.", PREFIX))
        }
        copy_into(self.parts.state_dict(), weights, saved.path)
        if self.average:
            copy_into(self.average.means, _take(saved.tensors, PREFIX), saved.path)
        restore_state(self.optimiser, optimiser)
        self.sums = Sums({name: total.to(self.device) for name, total in sums.items()})
        self.step, self.seconds = saved.step, saved.seconds
        changes = differences(saved.fingerprint, self.fingerprint)
        if changes:
            warnings.warn(f"Resumed at step {self.step}, not bit-exact: {changes}.", stacklevel=2)

    def elapsed(self) -> float:
        """Return the seconds of training up to now."""
        return self.seconds + time.perf_counter() - self.since

    def diverged(self, what: str) -> DivergedError:
        """Return the exception that says what is not finite, what is left and what to try."""
        kept = self.checkpoints.newest_step if self.checkpoints else None
        left = "No state had been saved." if kept is None else f"The state of step {kept} stays."
        return DivergedError(
            f"{what} of {self.steps}. {left} Try a lower learning rate than {self.options.lr:g}, "
            "precision float32, and a look at the data."
        )


def _take(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}
