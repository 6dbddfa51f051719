"""Codes of a whole set in files: one for each shard, each written whole, by any number of workers.

Which worker writes a file does not change it, and a file that is there is finished: workers share
nothing, and the same command goes on where one was killed.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Shaped

from vaescape.codes import FORMAT, MANIFEST, read_manifest
from vaescape.data import Data, Images, opened
from vaescape.data.opening import fitted
from vaescape.data.packed import Packed, Shard, numbered
from vaescape.errors import DataError, OptionError
from vaescape.extras import require_extra
from vaescape.files import npz, write_atomic, write_json
from vaescape.progress import bar
from vaescape.signals import stop_if_requested
from vaescape.study import Study

HERE = "local"
"""The address of a Ray that is started for one call."""
SHARD = 50_000
"""Images of a file, of a set that is not packed; a multiple of those that are encoded at once."""


@dataclass(frozen=True)
class Worker:
    """One of several that share the shards of a set."""

    number: int = 1
    """Counted from 1."""
    count: int = 1

    @classmethod
    def of(cls, text: str) -> "Worker":
        """Return the worker that "3/64" means.

        Raises:
            OptionError: For anything else.
        """
        number, slash, count = text.partition("/")
        digits = number.isdecimal() and count.isdecimal()
        if not (slash and digits and 1 <= int(number) <= int(count)):
            raise OptionError(f"A worker is a number of how many, from 1/4 to 4/4. Got {text!r}.")
        return cls(int(number), int(count))


ALONE = Worker()


def source(study: Study, text: str, data_dir: Path | None = None) -> Data:
    """Return the set that a text names; pictures get the size of the run."""
    c, height, width = study.shape
    if height == width:
        text = fitted(text, size=height, grey=c == 1, data_dir=data_dir)
    return opened(text, data_dir=data_dir)


def encode(
    study: Study,
    data: Data,
    out: Path,
    *,
    worker: Worker = ALONE,
    shard: int = SHARD,
    tell: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write the codes of a set, as :meth:`Study.encode` returns them, into a folder.

    Args:
        study: Trained, with a run folder.
        data: The set; its pixels are taken as they are.
        out: The folder: ``codes.json`` and one ``.npz`` for each shard with ``id``, ``label``,
            ``z`` and, where q(z | x) is a diagonal Gaussian, ``log_var``.
        worker: Which of the shards to encode.
        shard: Images of a file, of a set that is not packed.
        tell: Called with a sentence for each file.

    Raises:
        OptionError: If the images are of another shape, or the folder has other codes.
        DataError: At the end, if shards are damaged; the others are encoded.
    """
    if data.shape != study.shape:
        wanted, got = (" × ".join(map(str, shape)) for shape in (study.shape, data.shape))
        raise OptionError(
            f"{data.title}: expected images of {wanted}, as {study.folder} was trained on. Got "
            f"{got}. Pack or read them with --size {study.shape[1]}"
            f"{'' if study.shape[0] == 1 else ' --colour'}."
        )
    shards = list(_shards(data, shard))
    _settle(study, data, shards, out)
    mine = shards[worker.number - 1 :: worker.count]
    damaged: list[DataError] = []
    with bar(desc="Encoding", total=sum(map(_size, mine)), unit="images") as progress:
        for one in mine:
            path = out / f"{one.name}.npz"
            if not path.exists():
                try:
                    write_atomic(path, _encoded(study, data, one))
                    tell(f"{path}: {_size(one):,} codes")
                except DataError as error:
                    damaged.append(error)
            progress.update(_size(one))
            stop_if_requested()
    if damaged:
        others = f" {len(damaged)} shards are damaged." if len(damaged) > 1 else ""
        raise DataError(f"{damaged[0]}{others} All other shards of this worker are encoded.")
    return out


# On Ray ------------------------------------------------------------------------------------------


class Errand(NamedTuple):
    """What a task must know to encode shards of a set, anywhere."""

    run: Path
    source: str | None
    out: Path
    data_dir: Path | None = None
    device: str | None = None
    threads: int | None = None
    base: Path = Path()
    """Where paths start."""


def encode_on_ray(
    errand: Errand, address: str = HERE, *, tell: Callable[[str], None] = lambda text: None
) -> Path:
    """Write the codes of a set by tasks of Ray, one for each shard that is missing.

    Args:
        errand: What to encode; paths are of a file system that all machines see.
        address: Of a cluster that runs, ``"auto"`` for the one of this machine; by default one is
            started for this call.
        tell: Called with a sentence for each file.

    Raises:
        MissingExtraError: If Ray is not installed.
        OptionError: As :func:`encode` does, and if there is no such cluster.
        DataError: At the end, if shards are damaged; the others are encoded.
    """
    require_extra("ray", "vaescape encode --ray")
    import ray  # pyright: ignore[reportMissingImports]

    errand = errand._replace(base=Path.cwd())
    study, data = _opened(errand)
    shards = list(_shards(data, SHARD))
    _settle(study, data, shards, errand.out)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError) as error:
        raise OptionError(f"There is no Ray cluster at {address!r}: {error}") from error
    signal.signal(signal.SIGTERM, handler)
    task = ray.remote(num_cpus=errand.threads or 1)(_task)
    waiting = {
        task.remote(errand, Worker(n, len(shards))): one
        for n, one in enumerate(shards, start=1)
        if not (errand.out / f"{one.name}.npz").exists()
    }
    damaged: list[str] = []
    try:
        with bar(desc="Encoding", total=sum(map(_size, waiting.values())), unit="images") as shown:
            while waiting:
                for done in ray.wait(list(waiting), timeout=1)[0]:
                    one, wrong = waiting.pop(done), ray.get(done)
                    if wrong:
                        damaged.append(wrong)
                    else:
                        tell(f"{errand.out / one.name}.npz: {_size(one):,} codes")
                    shown.update(_size(one))
                stop_if_requested()
    finally:
        ray.shutdown()
    if damaged:
        raise DataError(damaged[0])
    return errand.out


@lru_cache(maxsize=1)
def _opened(errand: Errand) -> tuple[Study, Data]:
    """Return the study and the set; a process opens them once."""
    if errand.threads is not None:
        torch.set_num_threads(errand.threads)
    study = Study.load(errand.run, data_dir=errand.data_dir, device=errand.device)
    text = errand.source
    return study, study.data if text is None else source(study, text, errand.data_dir)


def _task(errand: Errand, worker: Worker) -> str:
    """Encode the shards of a worker; return what is wrong with them."""
    os.chdir(errand.base)
    study, data = _opened(errand)
    try:
        encode(study, data, errand.out, worker=worker)
    except DataError as error:
        return str(error)
    return ""


# One file -----------------------------------------------------------------------------------------


def _size(shard: Shard) -> int:
    return shard.rows.stop - shard.rows.start


def _shards(data: Data, size: int) -> Iterator[Shard]:
    if isinstance(data, Packed):
        yield from data.shards()
        return
    for split in data.splits:
        count = len(data.load(split))
        for n, start in enumerate(range(0, count, size)):
            yield Shard(split, n, slice(start, min(start + size, count)), "")


def _settle(study: Study, data: Data, shards: list[Shard], out: Path) -> None:
    """Write what the folder is about, or refuse one that is about something else."""
    record = {} if study.folder is None else study.folder.record
    sha256 = data.recorded_digest if isinstance(data, Packed) else data.digest()
    splits: Counter[str] = Counter()
    for one in shards:
        splits[one.split] += _size(one)
    told = {
        "format": FORMAT,
        "run": "" if study.folder is None else study.folder.path.resolve().name,
        "weights_sha256": record.get("weights_sha256"),
        "data_sha256": sha256,
        "title": data.title,
        "classes": list(data.classes),
        "latent": study.space.latent,
        "splits": splits,
        "files": {f"{one.name}.npz": _size(one) for one in shards},
    }
    if (out / MANIFEST).exists():
        before = read_manifest(out)
        changed = [
            key for key in ("weights_sha256", "data_sha256", "files") if before[key] != told[key]
        ]
        if changed:
            raise OptionError(
                f"{out} has codes of another run or set ({before['run']} of {before['title']}). "
                "Give another folder."
            )
        return
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).exists():  # by another worker
        raise OptionError(f"{out} is not empty. Give another folder.")
    write_json(out / MANIFEST, told)


def _encoded(study: Study, data: Data, shard: Shard) -> bytes:
    """Return the file of a shard."""
    if isinstance(data, Packed):
        data.verify(shard)
        ids = data.ids(shard.split, shard.rows)
    else:
        ids = numbered(shard.split, shard.rows)
    images = data.load(shard.split)[shard.rows]
    z, log_var = study.encode_with_variance(_conditioned(study, data, images))
    arrays: dict[str, Shaped[np.ndarray, ...]] = {
        "id": ids, "label": images.labels.numpy(), "z": z.numpy()
    }  # fmt: skip
    arrays |= {} if log_var is None else {"log_var": log_var.numpy()}
    return npz(arrays)


def _conditioned(study: Study, data: Data, images: Images) -> Images:
    """Return images with the numbers of the run's classes, where the model asks for them."""
    if not study.space.conditions or tuple(study.classes) == data.classes:
        return images
    numbers = torch.tensor([study.classes.number(name) for name in data.classes])
    return Images(images.pixels, numbers[images.labels])
