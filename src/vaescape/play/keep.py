"""Keep: the run that ends where a training is now, trained again in a process of its own."""

import warnings
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vaescape import pipeline
from vaescape.errors import RunError, VaescapeError
from vaescape.play.training import digest
from vaescape.progress import silence
from vaescape.recipes import Configuration


def keep(
    run: dict[str, Any], expected: str, *, root: Path, name: str | None, data_dir: Path | None
) -> dict[str, Any]:
    """Train a run into a new folder and compare its weights with those that were seen.

    Args:
        run: Its configuration, as plain values.
        expected: The digest of the weights.
        root: The folder of all runs.
        name: Of the run's folder; None: a free one.
        data_dir: Folder with the files of the data set.

    Raises:
        RunError: If the folder is taken or cannot be written, or the weights are others, as after a
            change of the data; then it stays.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    given = (theirs, run, expected, root, name, data_dir)
    process = context.Process(target=_keep, args=given, daemon=True)  # ends with this process
    process.start()
    theirs.close()
    try:
        found = ours.recv()
    except EOFError as error:
        raise RunError("The run could not be kept: its process was ended.") from error
    finally:
        process.join()
    if isinstance(found, str):
        raise RunError(found)
    return found


def _keep(
    answer: Connection,
    run: dict[str, Any],
    expected: str,
    root: Path,
    name: str | None,
    data_dir: Path | None,
) -> None:
    silence()
    warnings.simplefilter("ignore")  # the training has told them
    try:
        study = pipeline.run(
            Configuration.from_dict(run), root=root, name=name, data_dir=data_dir, stages=("train",)
        )
    except VaescapeError as error:
        return answer.send(str(error))
    if digest(study) != expected:
        return answer.send(
            f"{study.folder} was trained from the same seed and changes, and has other weights "
            "than you saw. Were the data or the processor's settings changed meanwhile?"
        )
    assert study.last_tick is not None
    return answer.send(
        {"path": str(study.folder), "steps": study.last_tick.step, "sha256": expected}
    )
