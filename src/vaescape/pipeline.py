"""A run and its stages: train, evaluate, draw, report, explore. Each stage can be repeated.

:func:`run` is the whole of ``vaescape run``, :func:`finish` of ``vaescape resume``. ``run.json``
records which stages were asked for, and of each that is done the seconds that it took.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vaescape import processes, progress
from vaescape.errors import MissingExtraError, RunError
from vaescape.evaluation import Measure
from vaescape.recipes import Configuration, configuration
from vaescape.report import report
from vaescape.runs import BASELINE, EXPLORER, FIGURES, METRICS, REPORT, WEIGHTS, RunFolder
from vaescape.signals import stop_if_requested
from vaescape.stages import (
    baseline,
    draw,
    explorer,
    fit_prior,
    measure,
    speed,
    start,
    train,
    usual_name,
)
from vaescape.study import Study
from vaescape.train.precision import native_bfloat16

__all__ = [
    "FIRST_FIGURES",
    "WHOLE",
    "baseline",
    "draw",
    "explorer",
    "finish",
    "fit_prior",
    "measure",
    "report",
    "run",
    "start",
    "train",
]

WHOLE = ("train", "draft", "evaluate", "figures", "report", "explorer")
"""The stages of a whole run, in order; ``baseline`` comes before ``evaluate`` if it is asked for.

The draft is a first report and a first explorer, to open while the numbers are computed.
"""

FIRST_FIGURES = ("map", "manifold", "samples", "curves")
"""What a first report shows."""

NO_PAGE = "no explorer"

Place = str | Path | None

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
        return processes.follow(data_dir)
    mark = processes.launch()
    if mark and (again := processes.begun(Path(root), mark)):
        tell(f"{again}: torchrun has started its processes again.")
        return finish(again, data_dir=data_dir, tell=tell)
    wanted = {*stages, *["baseline"] * baseline}
    folder, study = start(
        made,
        root=Path(root),
        name=name,
        overwrite=overwrite,
        data_dir=data_dir,
        stages=[name for name in _STAGES if name in wanted],
        how=measure,
        launch=mark,
    )
    if name is None and folder.path != (usual := Path(root) / usual_name(made)):
        tell(f"{usual} exists already, so this run is {folder}. --name NAME chooses another.")
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
        return processes.follow(data_dir)
    folder = RunFolder.open(run.path if isinstance(run, RunFolder) else run)
    if folder.status == "diverged":
        raise RunError(
            f"The training of {folder} diverged; resuming would diverge again. Train anew with a "
            "lower --lr or another --seed."
        )
    if folder.status == "finished":
        study = Study.load(folder, data_dir=data_dir)
    else:
        study = Study.of(folder, data_dir=data_dir)
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
    do: Callable[[RunFolder, Study, Place], str]
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


def _go_on(folder: RunFolder, study: Study, data_dir: Place, tell: Tell) -> Study:
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
    with folder.resumable(), progress.Stages(len(names)) as shown:
        for name in left:
            stop_if_requested()
            number = names.index(name) + 1
            shown.at(number, _STAGES[name].doing)
            began = time.perf_counter()
            told = _STAGES[name].do(folder, study, data_dir)
            seconds = time.perf_counter() - began
            folder.update(stages=_stages(folder) | {name: round(seconds, 3)})
            tell(f"{number} of {len(names)}: {told}, {seconds:.1f} s")
    return study


def _train(folder: RunFolder, study: Study, data_dir: Place) -> str:
    train(folder, study)
    processes.part()
    last = folder.history()[-1]
    loss = f"{last['held_out_split']} loss {last['held_out']['loss']:.2f} nats per image"
    return f"trained in {last['seconds']:.1f} s, {loss}"


def _draft(folder: RunFolder, study: Study, data_dir: Place) -> str:
    from vaescape.figures import drawable

    draw(folder, study, [name for name in FIRST_FIGURES if name in drawable(study)])
    report(folder, {"training": speed(folder, study)})
    shown = "report and explorer" if _explorer(folder, study, data_dir) != NO_PAGE else "report"
    return f"a first {shown}, in {folder}"


def _baseline(folder: RunFolder, study: Study, data_dir: Place) -> str:
    baseline(folder, data_dir=data_dir, read=study.data)
    return "trained the plain autoencoder"


def _evaluate(folder: RunFolder, study: Study, data_dir: Place) -> str:
    base = "baseline" in _stages(folder)
    beside = baseline(folder, data_dir=data_dir, read=study.data) if base else None
    measure(folder, study, beside, measure=folder.record.get("measure", "full"))
    return f"measured: {folder / METRICS}"


def _figures(folder: RunFolder, study: Study, data_dir: Place) -> str:
    from vaescape.figures import drawable

    names = drawable(study)
    drawn = FIRST_FIGURES if _stages(folder).get("draft") else ()
    draw(folder, study, [name for name in names if name not in drawn or _missing(folder, name)])
    return f"{len(names)} figures: {folder / FIGURES}"


def _missing(folder: RunFolder, figure: str) -> bool:
    return not any((folder / FIGURES / f"{figure}{end}").exists() for end in (".svg", ".gif"))


def _report(folder: RunFolder, study: Study, data_dir: Place) -> str:
    return f"the report: {report(folder)}"


def _explorer(folder: RunFolder, study: Study, data_dir: Place) -> str:
    """Where the page was never built, the rest of the run still stands."""
    from vaescape.explore.page import PageError

    try:
        return f"the explorer, to open in a browser: {explorer(folder, study)}"
    except (PageError, MissingExtraError) as error:
        warnings.warn(f"No explorer: {error}", stacklevel=2)
        return NO_PAGE


_STAGES = {
    "train": _Stage(WEIGHTS, "training", _train),
    "draft": _Stage(REPORT, "first pages", _draft),
    "baseline": _Stage(f"{BASELINE}/{WEIGHTS}", "plain autoencoder", _baseline),
    "evaluate": _Stage(METRICS, "evaluation", _evaluate),
    "figures": _Stage(FIGURES, "figures", _figures),
    "report": _Stage(REPORT, "report", _report),
    "explorer": _Stage(EXPLORER, "explorer", _explorer),
}
