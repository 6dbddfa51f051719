"""The stages of a run, one function each, and what it leaves in the run folder."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vaescape.data import Data
from vaescape.errors import DivergedError, OptionError, RunError, VaescapeError
from vaescape.evaluation import Measure, code_errors, evaluate
from vaescape.files import as_json
from vaescape.precision import float32
from vaescape.recipes import Configuration
from vaescape.runs import (
    CHECKPOINTS,
    ERRORS,
    EXPLORER,
    FIGURES,
    FILM,
    LOG,
    METRICS,
    RunFolder,
    free_name,
    prior_file,
    run_path,
)
from vaescape.second_stage import Fitted
from vaescape.study import Study
from vaescape.train import CheckpointFolder
from vaescape.train.film import Film, kept
from vaescape.train.loop import tick_steps
from vaescape.train.weights import pack


def start(
    configuration: Configuration,
    *,
    root: Path = Path("runs"),
    name: str | None = None,
    overwrite: bool = False,
    data_dir: str | Path | None = None,
    read: Data | None = None,
    stages: Sequence[str] = ("train",),
    how: Measure = "quick",
    launch: str | None = None,
) -> tuple[RunFolder, Study]:
    """Return a fresh run folder and its untrained study.

    ``stages`` is what :func:`vaescape.pipeline.finish` will do, ``launch`` what finds the run again
    when torchrun restarts its processes.

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
    path = place or free_name(root, usual_name(configuration))
    try:
        folder = RunFolder.create(
            path,
            configuration.to_dict(),
            overwrite=overwrite,
            data_root=_from(Path(path)),
            stages=dict.fromkeys(stages),
            measure=how,
            **({} if launch is None else {"launch": launch}),
            **study.record(),
        )
    except VaescapeError:
        if not name:
            with suppress(OSError):
                path.rmdir()
        raise
    return folder, study


def usual_name(configuration: Configuration) -> str:
    """Return the folder's name of a run that nobody named."""
    return configuration.recipe.replace("/", "-")


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


def baseline(
    folder: RunFolder, *, data_dir: str | Path | None = None, read: Data | None = None
) -> Study:
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
        study = Study.of(nested, data_dir=data_dir, data=read)
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


@float32()
def explorer(folder: RunFolder, study: Study) -> Path:
    """Write ``explorer.html``, the latent space to walk in a browser."""
    from vaescape.explore import page

    shown = kept(folder / FILM) and not study.space.discrete
    film = study.configuration.train.film if shown else 0
    return page.save(study, folder / EXPLORER, film=film)
