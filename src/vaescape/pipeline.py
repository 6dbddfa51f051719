"""What a run consists of: train, evaluate, draw, report, explore. Each stage can be repeated."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from vaescape.data import Data
from vaescape.errors import DivergedError, OptionError, RunError, VaescapeError
from vaescape.evaluation import code_errors, evaluate
from vaescape.files import write_atomic, write_json
from vaescape.recipes import Configuration
from vaescape.runs import (
    CHECKPOINTS,
    ERRORS,
    EXPLORER,
    FIGURES,
    FILM,
    LATENTS,
    LOG,
    METRICS,
    OBJECTIVE,
    REPORT,
    WEIGHTS,
    RunFolder,
    free_name,
    prior_file,
)
from vaescape.second_stage import Fitted
from vaescape.study import Study
from vaescape.train import CheckpointFolder, Tick, save_weights
from vaescape.train.film import Film, kept
from vaescape.train.loop import tick_steps
from vaescape.train.weights import pack


def start(
    configuration: Configuration,
    *,
    root: Path = Path("runs"),
    name: str | None = None,
    overwrite: bool = False,
    data_dir: Path | None = None,
    read: Data | None = None,
) -> tuple[RunFolder, Study]:
    """Return a fresh run folder and its untrained study.

    The data are read, the model built and the batch checked first: nothing is made, or overwritten,
    for a run that cannot start.

    Raises:
        VaescapeError: For anything that will not work, in a sentence.
    """
    study = Study(configuration, data_dir=data_dir, read=read)
    study.model  # noqa: B018 — builds it
    study.training_labels  # noqa: B018 — looks for them
    images, batch = len(study.train), configuration.train.batch
    if batch > images:
        raise OptionError(
            f"The batch must be between 1 and {images}, the size of the training set. Got {batch}. "
            f"Give --batch {images}, or less."
        )
    path = root / name if name else free_name(root, configuration.recipe.replace("/", "-"))
    try:
        folder = RunFolder.create(path, configuration.to_dict(), overwrite=overwrite)
    except VaescapeError:
        if not name:
            with suppress(OSError):
                path.rmdir()
        raise
    folder.update(
        shape=list(study.train.shape),
        images=images,
        classes=list(study.classes),
        title=study.splits.title,
    )
    return folder, study


def train(folder: RunFolder, study: Study, label: str = "training") -> Study:
    """Train a run from where it stands to its end, and leave its weights and latents.

    Raises:
        InterruptedRun: On a signal, when the state is saved.
        DivergedError: If a loss is not finite; the last good state stays.
        RunError: If the folder is in use or cannot be written.
    """
    study.folder = folder
    held_out, images = study.held_out
    config = folder.configuration | {"data_sha256": study.data.digest()}
    with folder.locked():
        checkpoints = CheckpointFolder(folder / CHECKPOINTS, config)
        newest = checkpoints.load()
        # The tick that ends at the saved step comes again, whether it was logged or not.
        folder.truncate_history(newest.step - 1 if newest else 0)

        options = study.configuration.train
        steps = tick_steps(options.epochs, len(study.train), options.batch)[-1]
        film = Film(folder / FILM, options.film, steps)

        def log(tick: Tick) -> None:
            row = {
                "step": tick.step,
                "epoch": tick.epoch,
                "seconds": tick.seconds,
                "train": _named(study, tick.metrics),
                "held_out": _named(study, study.score(images)),
                "held_out_split": held_out,
            }
            folder.append(row)

        try:
            study.fit(
                checkpoints=checkpoints,
                on_tick=log,
                on_step=lambda step: film.keep(step, study.model),
                label=label,
            )
        except DivergedError:
            folder.update(status="diverged")
            raise
        save_weights(folder / WEIGHTS, study.model)
        folder.record_digest(WEIGHTS)
        if study.objective.state_dict():
            save_weights(folder / OBJECTIVE, study.objective)
            folder.record_digest(OBJECTIVE)
        _save_latents(folder, study)
        folder.update(status="finished")
    return study


def _named(study: Study, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return metrics with the reconstruction term under its own name."""
    return {study.likelihood.term if k == "reconstruction" else k: v for k, v in metrics.items()}


def _save_latents(folder: RunFolder, study: Study) -> None:
    tensors = {}
    for split, images in (("train", study.train), ("test", study.test)):
        mean, log_var = study.encode_with_variance(images)
        tensors |= {f"{split}.mean": mean, f"{split}.label": images.labels}
        tensors |= {} if log_var is None else {f"{split}.log_var": log_var}
    _keep(folder, LATENTS, tensors, {"means": "of q(z | x)", "log_var": "log σ²"})


def _keep(
    folder: RunFolder, name: str, tensors: dict[str, Tensor], meaning: dict[str, str]
) -> None:
    """Write tensors into a run folder, their digest on record."""
    write_atomic(folder / name, pack(tensors, meaning))
    folder.record_digest(name)


def baseline(folder: RunFolder, *, data_dir: Path | None = None, read: Data | None = None) -> Study:
    """Return the plain autoencoder of the same network, trained now, further, or before.

    It lives in ``baseline/``, a run folder of its own.
    """
    path = folder.baseline.path
    configuration = Configuration.from_dict(folder.configuration).baseline()
    if not path.exists():
        nested, study = start(
            configuration, root=path.parent, name=path.name, data_dir=data_dir, read=read
        )
    else:
        nested = RunFolder.open(path)
        study = Study(configuration, data_dir=data_dir, read=read)
    if nested.status == "finished":
        return Study.load(nested, data_dir=data_dir)
    return train(nested, study, label="plain autoencoder")


def fit_prior(folder: RunFolder, study: Study, spec: str, **options: Any) -> Fitted:
    """Fit a prior to the codes of a trained run and keep it there, beside the run's own.

    Its weights are in ``priors/``; ``run.json`` has its text, its digest and its numbers.
    """
    with folder.locked():
        fitted = study.fit_prior(spec, **options)
        digest = save_weights(folder / prior_file(fitted.name), study.fitted_prior(fitted.name))
        entry = asdict(fitted) | {"sha256": digest, **options}
        folder.update(priors=folder.record.get("priors", {}) | {fitted.name: entry})
    return fitted


def measure(folder: RunFolder, study: Study, base: Study | None, **options: Any) -> dict[str, Any]:
    """Evaluate a trained run; leave ``metrics.json``, and for the explorer the error of each image.

    Raises:
        RunError: If the training log is missing or empty.
    """
    history = folder.history()
    if not history:
        raise RunError(
            f"{folder / LOG} is missing or empty, and with it the time that training took. "
            "Restore it from a copy, or train again with --overwrite."
        )
    steps, seconds = history[-1]["step"], history[-1]["seconds"]
    options_ = study.configuration.train
    training = {
        "seconds": seconds,
        "epochs": options_.epochs,
        "steps": steps,
        "images": len(study.train),
        "images_per_second": steps * options_.batch / seconds,
    }
    metrics = evaluate(study, baseline=base, **options) | {"training": training}
    write_json(folder / METRICS, metrics)
    errors = {split: code_errors(study, getattr(study, split)) for split in ("train", "test")}
    _keep(folder, ERRORS, errors, {"errors": "of decoded codes, squared pixels"})
    return metrics


def draw(folder: RunFolder, study: Study, names: list[str] | None = None) -> dict[str, Path]:
    """Draw the figures of a trained run into ``figures/``."""
    from vaescape.gallery import render

    return render(study, folder / FIGURES, names)


def report(folder: RunFolder) -> Path:
    """Write ``report.html`` from what the run folder holds.

    Raises:
        RunError: If the run was not evaluated, or has no figures yet.
    """
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
    }
    return write_atomic(
        folder / REPORT, build_report(run, folder.metrics, folder.history(), figures)
    )


def explorer(folder: RunFolder, study: Study) -> Path:
    """Write ``explorer.html``, the latent space to walk in a browser."""
    from vaescape.explore import page

    shown = kept(folder / FILM) and not study.discrete
    film = study.configuration.train.film if shown else 0
    return page.save(study, folder / EXPLORER, film=film)
