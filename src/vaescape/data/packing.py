"""Packing a set: pictures are decoded by several processes, and written once, in order."""

import copy
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int, Shaped, UInt8

from vaescape.data.base import EVERY, Data, Split, check_division, held_out
from vaescape.data.packed import HEADER, MANIFEST, manifest_text, read_manifest
from vaescape.data.picture import Traits
from vaescape.data.pictures import Entry, Pictures, decided, read_anew
from vaescape.data.preparation import LOOKED_AT, Preparation
from vaescape.errors import OptionError, RunError
from vaescape.files import npz, write_atomic, writing
from vaescape.progress import bar
from vaescape.signals import stop_if_requested

DRAFTS = "drafts"
"""The folder of decoded pictures while a set is packed: whole files, so that packing resumes."""
PICTURES = 2000
"""Files that a process decodes at once into a draft."""
SHARD_BYTES = 64 << 20
"""Of pixels with a digest of their own, about."""
MULTIPLE = 500
"""Of which the images of a shard are a multiple: those that are encoded at once."""
_AT_ONCE = 1 << 24


class Part(NamedTuple):
    """A split on its way into a packed set."""

    labels: Int[np.ndarray, " N"]
    chunks: Callable[[], Iterator[UInt8[np.ndarray, "n C H W"]]]
    """Its images, some at a time, in order."""
    more: dict[str, Shaped[np.ndarray, "N *S"]]
    """Other arrays by their names: ids, factors."""


def pack(
    data: Data, out: Path, *, source: str, workers: int | None = None, shard: int | None = None
) -> Path:
    """Write a set as a packed set; the same call goes on where an earlier one was stopped.

    Args:
        data: The set. Pictures in files are decoded by several processes and never all in memory;
            other sets are written from memory.
        out: The folder of the packed set.
        source: What the user called the set.
        workers: Processes that decode; by default one for each core.
        shard: Images with a digest of their own; by default about 64 MiB of them.

    Raises:
        DataError: If a picture cannot be read.
        OptionError: If the folder has something else in it.
        RunError: If it cannot be written.
    """
    if (out / MANIFEST).exists():
        if read_manifest(out)["source"] == source:
            return out
        raise OptionError(f"{out} has a packed set of something else. Give another folder.")
    for one in out.iterdir() if out.is_dir() else ():
        if one.name != DRAFTS and not one.name.startswith(".") and one.suffix != ".npy":
            raise OptionError(f"{out} is not empty ({one.name}). Give another folder.")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        if isinstance(data, Pictures):
            parts, preparation = _drafted(data, out / DRAFTS, workers or os.cpu_count() or 1)
        else:
            parts, preparation = _in_memory(data), data.preparation
        _write(data, parts, preparation, out, source, shard)
    shutil.rmtree(out / DRAFTS, ignore_errors=True)
    return out


# The files ---------------------------------------------------------------------------------------


def _write(
    data: Data,
    parts: dict[Split, Part],
    preparation: Preparation,
    out: Path,
    source: str,
    shard: int | None,
) -> None:
    size = int(np.prod(preparation.shape))
    shard = shard or max(1, SHARD_BYTES // size // MULTIPLE) * MULTIPLE
    whole, splits = hashlib.sha256(), {}
    total = sum(len(part.labels) for part in parts.values())
    with bar(desc="Writing", total=total, unit="images") as progress:
        for split, part in sorted(parts.items(), key=lambda pair: EVERY.index(pair[0])):
            whole.update(repr((len(part.labels), *preparation.shape)).encode())
            digests = _write_pixels(out / f"{split}.npy", part, preparation, shard, whole, progress)
            whole.update(part.labels.tobytes())
            files = {
                kind: _write_array(out / f"{split}.{kind}.npy", values)
                for kind, values in ({"labels": part.labels} | part.more).items()
            }
            splits[split] = {"images": len(part.labels), "shards": digests, "files": files}
    write_atomic(
        out / MANIFEST,
        manifest_text(
            title=data.title, classes=list(data.classes), source=source, shuffled=data.shuffled,
            factors=None if data.factors is None else list(data.factors),
            shape=list(preparation.shape), preparation=preparation.to_dict(),
            data_sha256=whole.hexdigest(), shard=shard, splits=splits,
        ),
    )  # fmt: skip


def _write_pixels(
    path: Path, part: Part, preparation: Preparation, shard: int, whole: Any, progress: Any
) -> list[str]:
    """Write the images of a split; return the digest of each shard."""
    digests, current, left = [], hashlib.sha256(), shard
    draft = path.with_name(f".{path.name}.part")
    with open(draft, "wb") as file:
        _write_header(file, (len(part.labels), *preparation.shape))
        for chunk in part.chunks():
            stop_if_requested()
            whole.update(chunk.data)
            file.write(chunk.data)
            progress.update(len(chunk))
            while len(chunk):
                current.update(chunk[:left].data)
                taken = min(left, len(chunk))
                chunk, left = chunk[taken:], left - taken
                if not left:
                    digests.append(current.hexdigest())
                    current, left = hashlib.sha256(), shard
        file.flush()
        os.fsync(file.fileno())
    if left < shard:
        digests.append(current.hexdigest())
    os.replace(draft, path)
    return digests


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    told = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, told)
    assert file.tell() == HEADER


def _write_array(path: Path, values: Shaped[np.ndarray, "..."]) -> str:
    """Write a smaller array; return its digest."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    write_atomic(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _in_memory(data: Data) -> dict[Split, Part]:
    """Return the splits of a set that is read as a whole."""
    found: dict[Split, Part] = {}
    for split in data.splits:
        one = data.load(split)
        pixels = one.pixels.numpy()

        def chunks(
            pixels: UInt8[np.ndarray, "N C H W"] = pixels,
        ) -> Iterator[UInt8[np.ndarray, "n C H W"]]:
            rows = max(1, _AT_ONCE // pixels[:1].nbytes)
            for start in range(0, len(pixels), rows):
                yield np.ascontiguousarray(pixels[start : start + rows])

        more = {} if one.factors is None else {"factors": one.factors.numpy()}
        found[split] = Part(one.labels.numpy(), chunks, more)
    return found


# Pictures in files -------------------------------------------------------------------------------


def _drafted(data: Pictures, drafts: Path, workers: int) -> tuple[dict[Split, Part], Preparation]:
    """Decode the pictures of a set into drafts; return its splits as the set has them."""
    listed = list(data.entries())
    _settle(data, listed, drafts)
    jobs = [(k, listed[k : k + PICTURES]) for k in range(0, len(listed), PICTURES)]
    first = {k: drafts / f"first-{k:010}.npz" for k, _ in jobs}
    todo = [(data, first[k], entries) for k, entries in jobs if not first[k].exists()]
    _parallel(_draft, todo, workers, len(listed), "Decoding")
    read: dict[int, Traits] = {}
    for k, _ in jobs:
        with np.load(first[k], allow_pickle=False) as draft:
            data.left_out.update(json.loads(str(draft["left_out"])))
            rows = zip(draft["rows"].tolist(), draft["traits"].tolist(), strict=True)
            read |= {k + row: _traits(values) for row, values in rows}
    top, backdrop = decided(list(read.values()))
    files, again = dict(first), []
    for k, entries in jobs:
        anew = [
            n
            for n in range(len(entries))
            if k + n in read and read_anew(read[k + n], top, backdrop)
        ]
        if anew:
            files[k] = drafts / f"again-{k:010}.npz"
        if anew and not files[k].exists():
            again.append((data, files[k], entries, first[k], anew, top, backdrop))
    _parallel(_draft_anew, again, workers, len(again) * PICTURES, "Decoding anew")
    known = data.concluded(listed, read, top, backdrop)
    parts = _divided(data, listed, sorted(read), [files[k] for k, _ in jobs])
    return parts, _preparation(data, parts["train"], known)


def _settle(data: Pictures, listed: Sequence[Entry], drafts: Path) -> None:
    """Keep the drafts of an earlier call only if they are of the same files, read alike."""
    how = data.shape, data.broken, data.test, Traits._fields, len(listed)
    told = hashlib.sha256(repr(how).encode())
    for file in dict.fromkeys(one.file for one in listed):
        facts = file.stat()
        told.update(f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    mark = drafts / "of.txt"
    if not mark.exists() or mark.read_text() != told.hexdigest():
        shutil.rmtree(drafts, ignore_errors=True)
        write_atomic(mark, told.hexdigest())


def _parallel(task: Any, jobs: list[tuple], workers: int, total: int, label: str) -> None:
    """Do jobs, each of which ends with one whole file, in processes or, if one will do, here."""
    workers = min(workers, len(jobs))
    with bar(desc=label, total=total, unit="pictures") as progress:
        for done in _done(task, jobs, workers) if workers > 1 else (task(*job) for job in jobs):
            progress.update(done)
            stop_if_requested()


def _done(task: Any, jobs: list[tuple], workers: int) -> Iterator[int]:
    """Yield how much each job did, as they end."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_alone)
    try:
        waiting: list[Future[int]] = [pool.submit(task, *job) for job in jobs]
        for one in as_completed(waiting):
            yield one.result()
    except BrokenProcessPool as error:
        stop_if_requested()  # the signal that ended them was for all
        raise RunError(
            "A process that decodes pictures was killed, perhaps for want of memory. Give the same "
            "command again, with fewer --workers: it goes on from there."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone() -> None:
    """Prepare a process: one thread, deaf to Ctrl-C, and gone when the first process is."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _draft(data: Pictures, path: Path, entries: Sequence[Entry]) -> int:
    """Decode some pictures into a draft; return how many there were."""
    data = copy.copy(data)
    data.left_out = Counter()
    found = {n: read for n, one in enumerate(entries) if (read := data.picture(one))}
    pixels = np.zeros((len(found), *data.shape), np.uint8)
    for place, (picture, _) in enumerate(found.values()):
        pixels[place] = picture.numpy()
    traits = np.array(
        [[np.nan if v is None else v for v in one] for _, one in found.values()], float
    )
    rows, left_out = np.array([*found], int), np.array(json.dumps(data.left_out))
    _save(path, rows=rows, pixels=pixels, traits=traits, left_out=left_out)
    return len(entries)


def _draft_anew(
    data: Pictures, path: Path, entries: Sequence[Entry], first: Path, anew: list[int], *how: Any
) -> int:
    """Decode pictures again that the whole set's white or backdrop changes."""
    with np.load(first, allow_pickle=False) as draft:
        arrays = dict(draft)
    place = {row: k for k, row in enumerate(arrays["rows"].tolist())}
    for n in anew:
        read = data.picture(entries[n], *how)
        assert read is not None
        arrays["pixels"][place[n]] = read[0].numpy()
    _save(path, **arrays)
    return PICTURES


def _save(path: Path, **arrays: Shaped[np.ndarray, "..."]) -> None:
    write_atomic(path, npz(arrays, compressed=False))


def _traits(values: list[float]) -> Traits:
    width, height, colour, deep, bright, below, ink, frames = values
    return Traits(
        int(width), int(height), bool(colour), _whole(deep), _whole(bright), _whole(below),
        None if np.isnan(ink) else ink, int(frames),
    )  # fmt: skip


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else int(value)


def _divided(
    data: Pictures, listed: Sequence[Entry], read: list[int], files: list[Path]
) -> dict[Split, Part]:
    """Return the splits: those of the set, or some of the training images as test images."""
    labels = np.array([listed[n].label for n in read])
    splits = np.array([listed[n].split for n in read])
    names = [listed[n].name.encode() for n in read]
    if not data.divided:
        train = splits == "train"
        test = held_out(labels[train], data.test)
        check_division(test, str(data.path))
        splits[np.flatnonzero(train)[test]] = "test"
    parts: dict[Split, Part] = {}
    for split in dict.fromkeys(splits.tolist()):
        mine = splits == split
        ids = np.array([name for name, one in zip(names, mine, strict=True) if one])

        def chunks(
            mine: Shaped[np.ndarray, " N"] = mine,
        ) -> Iterator[UInt8[np.ndarray, "n C H W"]]:
            start = 0
            for file in files:
                with np.load(file, allow_pickle=False) as draft:
                    count = len(draft["rows"])
                    if mine[start : start + count].any():
                        yield draft["pixels"][mine[start : start + count]]
                    start += count

        parts[split] = Part(labels[mine], chunks, {"ids": ids})
    return parts


def _preparation(data: Pictures, train: Part, known: dict[str, Any]) -> Preparation:
    """Return what the set itself would: from training images at even distances."""
    every, start, some = max(1, len(train.labels) // LOOKED_AT), 0, []
    for chunk in train.chunks():
        some.append(chunk[-start % every :: every])
        start += len(chunk)
    pixels = torch.from_numpy(np.concatenate(some))
    return Preparation.of(pixels, **known)
