"""A run and its stages: train, evaluate, draw, report, explore. Each stage can be repeated.

:func:`run` is the whole of ``vaescape run``, :func:`finish` of ``vaescape resume``. ``run.json``
records which stages were asked for, and of each that is done the seconds that it took.
"""

import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from vaescape import processes, progress
from vaescape.data import Data
from vaescape.errors import DivergedError, MissingExtraError, OptionError, RunError, VaescapeError
from vaescape.evaluation import Measure, code_errors, evaluate
from vaescape.files import as_json, write_atomic
from vaescape.precision import float32
from vaescape.recipes import Configuration, configuration
from vaescape.runs import (
    BASELINE,
    CHECKPOINTS,
    ERRORS,
    EXPLORER,
    FIGURES,
    FILM,
    LOG,
    METRICS,
    REPORT,
    WEIGHTS,
    RunFolder,
    free_name,
    prior_file,
    run_path,
)
from vaescape.second_stage import Fitted
from vaescape.signals import stop_if_requested
from vaescape.study import Study
from vaescape.train import CheckpointFolder
from vaescape.train.film import Film, kept
from vaescape.train.loop import tick_steps
from vaescape.train.precision import native_bfloat16
from vaescape.train.weights import pack

WHOLE = ("train", "draft", "evaluate", "figures", "report", "explorer")
"""The stages of a whole run, in order; ``baseline`` comes before ``evaluate`` if it is asked for.

The draft is a first report and a first explorer, to open while the numbers are computed.
"""

FIRST_FIGURES = ("map", "manifold", "samples", "curves")
"""What a first report shows."""

Tell = Callable[[str], None]
"""Is called with each sentence that a run has to say."""


def _silent(sentence: str) -> None:
    pass


def run(
    recipe: str | Configuration = "paper",
    *,
    root: str | Path = "runs",
    name: str | None = None,
    overwrite: bool = False,
    data_dir: str | Path | None = None,
    baseline: bool = False,
    measure: Measure = "quick",
    stages: Sequence[str] = WHOLE,
    tell: Tell = _silent,
    **changes: Any,
) -> Study:
    """Train, evaluate, draw and report, into a run folder; return the study, its ``folder`` set.

    Args:
        recipe: The name of a recipe, or a whole configuration.
        root: The folder of all runs.
        name: Of the run's folder; the recipe's by default, with a number if that is taken.
        overwrite: Whether to replace a run of that name.
        data_dir: Where the files of the data are, if not where they are looked for.
        baseline: Whether to train a plain autoencoder of the same network too, and compare the
            smoothness of its latent space.
        measure: "quick" for an evaluation in about a tenth of the training's time, or "full".
        stages: Which to do; ``("train",)`` is ``vaescape train``.
        tell: Is called with a sentence at the start and after each stage.
        changes: Whatever should differ from the recipe: ``latent=8``, ``epochs=1``, …

    Raises:
        VaescapeError: For anything that will not work, before a folder is made.
        InterruptedRun: On a signal, when the state is saved: :func:`finish` goes on.
        DivergedError: If a loss is not finite.
    """
    made = configuration(recipe) if isinstance(recipe, str) else recipe
    made = made.with_changes(**changes)
    processes.check(made, baseline)
    if not processes.first():
        return processes.follow(Path(data_dir) if data_dir else None)
    wanted = {*stages, *["baseline"] * baseline}
    folder, study = start(
        made,
        root=Path(root),
        name=name,
        overwrite=overwrite,
        data_dir=Path(data_dir) if data_dir else None,
        stages=[name for name in _STAGES if name in wanted],
        how=measure,
    )
    if processes.several():
        processes.announce(folder)
    return _go_on(folder, study, data_dir, tell)


def finish(
    run: str | Path | RunFolder, *, data_dir: str | Path | None = None, tell: Tell = _silent
) -> Study:
    """Do what is left of what was asked of a run; return its study.

    Training goes on from the last checkpoint. After it, the first stage that is not done or whose
    files are gone is done, and all that follow it.

    Raises:
        RunError: If there is no such run, it is damaged, or its training diverged.
    """
    if not processes.first():
        return processes.follow(Path(data_dir) if data_dir else None)
    folder = RunFolder.open(run.path if isinstance(run, RunFolder) else run)
    if folder.status == "diverged":
        raise RunError(
            f"The training of {folder} diverged; resuming would diverge again. Train anew with a "
            "lower --lr or another --seed."
        )
    if folder.status == "finished":
        study = Study.load(folder, data_dir=data_dir)
    else:
        study = Study(Configuration.from_dict(folder.configuration), data_dir=data_dir)
        study.folder = folder
        _warn_of_emulation(folder, study)
    if processes.several():
        processes.check(study.configuration, folder.baseline.path.exists())
        processes.announce(folder)
    return _go_on(folder, study, data_dir, tell)


def _warn_of_emulation(folder: RunFolder, study: Study) -> None:
    if study.configuration.train.precision == "bfloat16" and not native_bfloat16(study.device):
        machine = folder.record["provenance"].get("machine") or {}
        began = machine.get("cpu", "another machine")
        warnings.warn(
            f"{folder} computes in bfloat16, as it began on {began}. This processor only emulates "
            "it: training will be slow, and its bits are others. A new run takes float32 here.",
            stacklevel=3,
        )


class _Stage(NamedTuple):
    leaves: str
    """The file that shows that it was done."""
    doing: str
    """The label of the progress bar."""
    do: Callable[[RunFolder, Study, Path | None], str]
    """Does it, and returns a sentence without its end."""


def _stages(folder: RunFolder) -> dict[str, float | None]:
    """Return the stages that were asked of a run, in order, with seconds where they are done.

    A run of an earlier version does not say: the whole, with a baseline if there is one.
    """
    wanted = {*WHOLE, *["baseline"] * folder.baseline.path.exists()}
    every = [name for name in _STAGES if name in wanted]
    return dict(folder.record.get("stages", dict.fromkeys(every)))


def _left(folder: RunFolder) -> list[str]:
    """Return the stages that are left to do."""
    stages = _stages(folder)
    names = list(stages)
    for number, (name, seconds) in enumerate(stages.items()):
        done = folder.status == "finished" if name == "train" else seconds is not None
        if not done or not (folder / _STAGES[name].leaves).exists():
            return names[number:]
    return []


def _go_on(folder: RunFolder, study: Study, data_dir: str | Path | None, tell: Tell) -> Study:
    """Do the stages that are left, and say so."""
    left, c = _left(folder), study.configuration
    if not left:
        tell(f"{folder} is finished: nothing is left to do.")
        return study
    tell(
        f"{folder}: recipe {c.recipe}, {len(study.train):,} images of {study.splits.title}, "
        f"{c.train.epochs:g} epochs, seed {c.train.seed}, on {study.device}"
    )
    tell(f"Images: {study.preparation.sentence()}")
    names = list(_stages(folder))
    with folder.resumable(), progress.stages(len(names)) as shown:
        for name in left:
            stop_if_requested()
            number = names.index(name) + 1
            shown.at(number, _STAGES[name].doing)
            began = time.perf_counter()
            told = _STAGES[name].do(folder, study, Path(data_dir) if data_dir else None)
            seconds = time.perf_counter() - began
            folder.update(stages=_stages(folder) | {name: round(seconds, 3)})
            tell(f"{number} of {len(names)}: {told}, {seconds:.1f} s")
    return study


def _train(folder: RunFolder, study: Study, data_dir: Path | None) -> str:
    train(folder, study)
    processes.part()
    last = folder.history()[-1]
    loss = f"{last['held_out_split']} loss {last['held_out']['loss']:.2f} nats per image"
    return f"trained in {last['seconds']:.1f} s, {loss}"


def _draft(folder: RunFolder, study: Study, data_dir: Path | None) -> str:
    from vaescape.figures import drawable

    draw(folder, study, [name for name in FIRST_FIGURES if name in drawable(study)])
    page = _write_report(folder, {"training": speed(folder, study)})
    return f"a first report, {page}; {_explorer(folder, study, data_dir)}"


def _baseline(folder: RunFolder, study: Study, data_dir: Path | None) -> str:
    baseline(folder, data_dir=data_dir, read=study.data)
    return "trained the plain autoencoder"


def _evaluate(folder: RunFolder, study: Study, data_dir: Path | None) -> str:
    base = "baseline" in _stages(folder)
    beside = baseline(folder, data_dir=data_dir, read=study.data) if base else None
    measure(folder, study, beside, measure=folder.record.get("measure", "full"))
    return f"measured: {folder / METRICS}"


def _figures(folder: RunFolder, study: Study, data_dir: Path | None) -> str:
    from vaescape.figures import drawable

    names = drawable(study)
    drawn = FIRST_FIGURES if _stages(folder).get("draft") else ()
    draw(folder, study, [name for name in names if name not in drawn or _missing(folder, name)])
    return f"{len(names)} figures: {folder / FIGURES}"


def _missing(folder: RunFolder, figure: str) -> bool:
    return not any((folder / FIGURES / f"{figure}{end}").exists() for end in (".svg", ".gif"))


def _report(folder: RunFolder, study: Study, data_dir: Path | None) -> str:
    return f"the report: {report(folder)}"


def _explorer(folder: RunFolder, study: Study, data_dir: Path | None) -> str:
    """Where the page was never built, the rest of the run still stands."""
    from vaescape.explore.page import PageError

    try:
        return f"the explorer, to open in a browser: {explorer(folder, study)}"
    except (PageError, MissingExtraError) as error:
        warnings.warn(f"No explorer: {error}", stacklevel=2)
        return "no explorer"


_STAGES = {
    "train": _Stage(WEIGHTS, "training", _train),
    "draft": _Stage(REPORT, "first pages", _draft),
    "baseline": _Stage(f"{BASELINE}/{WEIGHTS}", "plain autoencoder", _baseline),
    "evaluate": _Stage(METRICS, "evaluation", _evaluate),
    "figures": _Stage(FIGURES, "figures", _figures),
    "report": _Stage(REPORT, "report", _report),
    "explorer": _Stage(EXPLORER, "explorer", _explorer),
}


def start(
    configuration: Configuration,
    *,
    root: Path = Path("runs"),
    name: str | None = None,
    overwrite: bool = False,
    data_dir: Path | None = None,
    read: Data | None = None,
    stages: Sequence[str] = ("train",),
    how: Measure = "quick",
) -> tuple[RunFolder, Study]:
    """Return a fresh run folder and its untrained study.

    ``stages`` is what :func:`finish` will do.

    The data are read, the model built and the batch checked first: nothing is made, or overwritten,
    for a run that cannot start.

    Raises:
        VaescapeError: For anything that will not work, in a sentence.
    """
    place = run_path(root, name) if name else None
    configuration = configuration.resolved()  # what a resume goes on with, wherever it runs
    study = Study(configuration, data_dir=data_dir, read=read)
    study.model  # noqa: B018 — builds it
    study.training_labels  # noqa: B018 — looks for them
    configuration = study.configuration = study.configuration.adapted("batch", len(study.train))
    images, batch = len(study.train), configuration.train.batch
    if batch > images:
        raise OptionError(
            f"The batch must be between 1 and {images}, the size of the training set. Got {batch}. "
            f"Give --batch {images}, or less."
        )
    if "baseline" in stages and not study.space.probabilistic:
        raise OptionError(
            f"With posterior {configuration.parts.posterior!r} the model is a plain autoencoder "
            "itself, so there is none to compare it with. Leave out --baseline."
        )
    path = place or free_name(root, configuration.recipe.replace("/", "-"))
    try:
        folder = RunFolder.create(
            path,
            configuration.to_dict(),
            overwrite=overwrite,
            data_root=_from(Path(path)),
            stages=dict.fromkeys(stages),
            measure=how,
            **study.record(),
        )
    except VaescapeError:
        if not name:
            with suppress(OSError):
                path.rmdir()
        raise
    return folder, study


def _from(run: Path) -> str | None:
    """Return the current folder as seen from a run's: relative paths of its data start there."""
    try:
        return Path(os.path.relpath(Path.cwd(), run.resolve())).as_posix()
    except ValueError:  # another drive
        return None


@float32()
def train(folder: RunFolder, study: Study, label: str = "training") -> Study:
    """Train a run from where it stands to its end, and leave its weights and latents.

    Raises:
        InterruptedRun: On a signal, when the state is saved.
        DivergedError: If a loss is not finite; the last good state stays.
        RunError: If the folder is in use or cannot be written.
    """
    study.folder = folder
    config = folder.configuration | {"data_sha256": study.data.digest()}
    with folder.locked():
        checkpoints = CheckpointFolder(folder / CHECKPOINTS, config, check=folder.check)
        newest = checkpoints.load()
        # The tick that ends at the saved step comes again, whether it was logged or not.
        folder.truncate_history(newest.step - 1 if newest else 0)

        options = study.configuration.train
        steps = tick_steps(options.epochs, len(study.train), options.batch)[-1]
        film = Film(folder / FILM, options.film, steps, folder.check)

        try:
            study.fit(
                checkpoints=checkpoints,
                on_tick=lambda tick: folder.append(study.row(tick)),
                on_step=lambda step: film.keep(step, study.model),
                label=label,
            )
        except DivergedError:
            folder.update(status="diverged")
            raise
        study.write(folder)
    return study


def baseline(folder: RunFolder, *, data_dir: Path | None = None, read: Data | None = None) -> Study:
    """Return the plain autoencoder of the same network, trained now, further, or before.

    It lives in ``baseline/``, a run folder of its own.
    """
    folder.check()
    path = folder.baseline.path
    configuration = Configuration.from_dict(folder.configuration).baseline()
    if not path.exists():
        nested, study = start(
            configuration, root=path.parent, name=path.name, data_dir=data_dir, read=read
        )
        if isinstance(root := folder.record.get("data_root"), str):
            nested.update(data_root=f"../{root}")
    else:
        nested = RunFolder.open(path)
        study = Study(configuration, data_dir=data_dir, read=read)
        study.folder = nested
    if nested.status == "finished":
        return Study.load(nested, data_dir=data_dir)
    return train(nested, study, label="plain autoencoder")


def fit_prior(folder: RunFolder, study: Study, spec: str, **options: Any) -> Fitted:
    """Fit a prior to the codes of a trained run and keep it there, beside the run's own.

    Its weights are in ``priors/``; ``run.json`` has its text and its numbers.
    """
    with folder.locked():
        fitted = study.fit_prior(spec, **options)
        weights = study.fitted_prior(fitted.name).state_dict()
        folder.keep(prior_file(fitted.name), pack(weights, {}))
        entry = asdict(fitted) | options
        folder.update(priors=folder.record.get("priors", {}) | {fitted.name: entry})
    return fitted


@float32()
def measure(folder: RunFolder, study: Study, base: Study | None, **options: Any) -> dict[str, Any]:
    """Evaluate a trained run; leave ``metrics.json``, and for the explorer the error of each image.

    Raises:
        RunError: If the training log is missing or empty.
    """
    metrics = evaluate(study, baseline=base, **options) | {"training": speed(folder, study)}
    folder.keep(METRICS, as_json(metrics))
    errors = {split: code_errors(study, getattr(study, split)) for split in ("train", "test")}
    folder.keep(ERRORS, pack(errors, {"errors": "of decoded codes, squared pixels"}))
    return metrics


def speed(folder: RunFolder, study: Study) -> dict[str, float]:
    """Return how long training took, and how fast it was, by its log.

    Raises:
        RunError: If the log is missing or empty.
    """
    history = folder.history()
    if not history:
        raise RunError(
            f"{folder / LOG} is missing or empty, and with it the time that training took. "
            "Restore it from a copy, or train again with --overwrite."
        )
    steps, seconds = history[-1]["step"], history[-1]["seconds"]
    options = study.configuration.train
    return {
        "seconds": seconds,
        "epochs": options.epochs,
        "steps": steps,
        "images": len(study.train),
        "images_per_second": steps * options.batch / seconds,
    }


@float32()
def draw(folder: RunFolder, study: Study, names: list[str] | None = None) -> dict[str, Path]:
    """Draw the figures of a trained run into ``figures/``."""
    from vaescape.figures import render

    folder.check()
    return render(study, folder / FIGURES, names)


def report(folder: RunFolder) -> Path:
    """Write ``report.html`` from what the run folder holds.

    Raises:
        RunError: If the run was not evaluated, or has no figures yet.
    """
    return _write_report(folder, None)


def _write_report(folder: RunFolder, metrics: dict[str, Any] | None) -> Path:
    """Write the report with the numbers that there are: those of the evaluation by default."""
    from vaescape.report import build_report

    figures = {path.stem: path for path in sorted((folder / FIGURES).glob("*.svg"))}
    figures |= {path.stem: path for path in sorted((folder / FIGURES).glob("*.gif"))}
    if not figures:
        raise RunError(f"{folder} has no figures yet: `vaescape figures {folder}` draws them.")
    record, c = folder.record, Configuration.from_dict(folder.configuration)
    made = record["provenance"]
    run = {
        "name": folder.path.name,
        "recipe": c.recipe,
        "data": record.get("title", c.data),
        "seed": c.train.seed,
        "date": made.get("date"),
        "specs": {"data": c.data, **c.to_dict()["parts"], "validation images": c.validation},
        "options": c.to_dict()["train"],
        "versions": made.get("versions", {}),
        "machine": made.get("machine", {}),
        "git": made.get("git") or {},
        "command": made.get("command", ""),
        # The page of a first report comes right after it.
        "explorer": EXPLORER if metrics is not None or (folder / EXPLORER).exists() else "",
    }
    metrics = folder.metrics if metrics is None else metrics
    return write_atomic(folder / REPORT, build_report(run, metrics, folder.history(), figures))


@float32()
def explorer(folder: RunFolder, study: Study) -> Path:
    """Write ``explorer.html``, the latent space to walk in a browser."""
    from vaescape.explore import page

    shown = kept(folder / FILM) and not study.space.discrete
    film = study.configuration.train.film if shown else 0
    return page.save(study, folder / EXPLORER, film=film)
