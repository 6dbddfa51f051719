"""All codes of a set in one mapped file: in Morton order, with class counts of square cells above.

Codes of a square cell follow one another in Morton order (Morton, 1966), so a cell of any size is a
range. Counts of the classes in larger cells are kept, level by level; those in smaller cells are
taken from the range. A square of side 2^(exponent + 1) about the origin holds all codes; at depth d
it has 2^d cells along each side.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from safetensors.torch import load_file

from vaescape._version import __version__
from vaescape.codes import Codes
from vaescape.errors import DataError, OptionError
from vaescape.explore.regions import held
from vaescape.explore.sections.plane import plane
from vaescape.explore.view import Codes as Encoded
from vaescape.explore.view import Sample, View, encode_all
from vaescape.files import write_atomic
from vaescape.geometry.density import evenly
from vaescape.geometry.principal import principal
from vaescape.progress import bar
from vaescape.study import Study

FILE = "pyramid.safetensors"
HEADER = "vaescape"
DEPTH = 24
"""Of the cells that put codes in order: a float32 has as many significant bits."""
SIDE = 7
"""Cells along a side of a tile, as a power of two."""
DEEPEST = DEPTH - SIDE
"""Of a tile."""
NEAR = 4096
"""Codes of a tile, at most, that are sent one by one."""
SHARE = 8
"""Codes for each cell of the finest counts that are kept, at least, in the mean."""
SAMPLE = 20_000
"""Codes, at most, that stand for all where the page needs some at once."""
FEW = 64
"""Codes of a cell, at most, that are compared with an outline one by one at once."""
LABEL = 15
"""Bits of a class in a number of a cell and a class."""


@dataclass(frozen=True)
class Pyramid:
    """The codes of a set by their place on the map: the latent plane, or the run's principal plane.

    Attributes:
        codes: In files.
        exponent: Every coordinate is below 2^exponent.
        arrays: ``key``, ``place``, ``label`` and ``row`` (the place in the set) of all codes in
            Morton order; ``entry.d`` and ``count.d`` of depth d, an entry being a cell and a class;
            ``hash`` of all ids in the order of the set; ``sample.*``; ``mean`` and ``axes`` of the
            principal plane; ``behind.*``.
        behind: What the page draws behind the points: entries of its manifest, and how to read the
            blobs.
    """

    codes: Codes
    exponent: int
    arrays: dict[str, Shaped[np.ndarray, "..."]]
    behind: dict[str, Any]

    def __len__(self) -> int:
        return len(self.arrays["key"])

    @property
    def flat(self) -> bool:
        """Whether codes are their places on the map: those of two dimensions."""
        return "mean" not in self.arrays

    @property
    def sample(self) -> Sample:
        """The codes that stand for all."""
        return _sample(self.codes, self.arrays)

    def counts(self, depth: int) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
        """Return the entries of a depth, cell · 2^15 + class in rising order, and their counts."""
        return self._counts(depth, 0, len(self), 0)

    def _counts(
        self, depth: int, first: int, last: int, cell: int, above: int = 0
    ) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
        """Return the counts in a cell so many levels above; its codes are ``first`` to ``last``."""
        if f"entry.{depth}" in self.arrays:
            entries = self.arrays[f"entry.{depth}"]
            ends = np.array([cell, cell + 1]) << (2 * above + LABEL) if above else None
            some = slice(None) if ends is None else slice(*np.searchsorted(entries, ends).tolist())
            return entries[some], self.arrays[f"count.{depth}"][some]
        cells = self.arrays["key"][first:last] >> 2 * (DEPTH - depth)
        return np.unique(cells << LABEL | self.arrays["label"][first:last], return_counts=True)

    def tile(self, depth: int, i: int, j: int) -> dict[str, Shaped[np.ndarray, "n *S"]]:
        """Return what lies in a cell of the map, counted from the lower left.

        Returns:
            ``place`` (n, 2), ``row`` and ``label`` of its codes, where they are few; otherwise
            ``cell``, ``label`` and ``count`` of 128 × 128 cells in it, the lowest row first.

        Raises:
            OptionError: For a depth that tiles do not have.
        """
        if not 1 <= depth <= DEEPEST:
            raise OptionError(f"The depth of a tile is from 1 to {DEEPEST}. Got {depth}.")
        if not (0 <= i < 1 << depth and 0 <= j < 1 << depth):
            return {name: self.arrays[name][:0] for name in ("place", "row", "label")}
        cell = int(_morton(np.array(i), np.array(j)))
        first, last = (int(end[0]) for end in self._ranges(np.array([cell]), depth))
        if last - first <= NEAR:
            return {name: self.arrays[name][first:last] for name in ("place", "row", "label")}
        entries, counts = self._counts(depth + SIDE, first, last, cell, SIDE)
        x, y = _planar((entries >> LABEL) & (1 << 2 * SIDE) - 1)
        return {"cell": y << SIDE | x, "label": entries & (1 << LABEL) - 1, "count": counts}

    def find(self, name: str) -> int | None:
        """Return the place in the set of the image that is called so; None if there is none."""
        rows = np.flatnonzero(self.arrays["hash"] == _hashes(np.array([name])))
        known = self.codes.ids(rows) if len(rows) else []
        return int(rows[known.index(name)]) if name in known else None

    def held(
        self, strokes: Sequence[dict[str, Any]], shown: Sequence[int] | None = None
    ) -> Int[np.ndarray, " n"]:
        """Return which codes strokes select, of these classes or of all: places in Morton order.

        Cells that no outline crosses are in or out as a whole; of the others, those with few codes
        are compared code by code, and the rest is divided.
        """
        chosen, edges = np.zeros(len(self), bool), _edges(strokes)
        looked_at: list[Int[np.ndarray, " n"]] = []
        cells = np.zeros(1, np.int64)
        for depth in range(DEPTH + 1):
            first, last = self._ranges(cells, depth)
            cells, first, last = (one[first < last] for one in (cells, first, last))
            half = 2.0 ** (self.exponent - depth)
            middle = (2 * np.stack(_planar(cells), -1) + 1) * half - 2.0**self.exponent
            crossed = _crossed(edges, middle, half)
            inside = ~crossed
            inside[inside] = held(strokes, middle[inside])
            for start, end in zip(first[inside], last[inside], strict=True):
                chosen[start:end] = True
            few = crossed & ((last - first <= FEW) | (depth == DEPTH))
            looked_at += map(np.arange, first[few], last[few])
            cells = (cells[crossed & ~few, None] << 2 | np.arange(4)).ravel()
        if looked_at:
            rows = np.concatenate(looked_at)
            chosen[rows] = held(strokes, self.arrays["place"][rows].astype(float))
        found = np.flatnonzero(chosen)
        return found if shown is None else found[np.isin(self.arrays["label"][found], shown)]

    def _ranges(
        self, cells: Int[np.ndarray, " C"], depth: int
    ) -> tuple[Int[np.ndarray, " C"], Int[np.ndarray, " C"]]:
        """Return the first code of each cell, and the first behind it."""
        shift = 2 * (DEPTH - depth)
        keys = self.arrays["key"]
        return np.searchsorted(keys, cells << shift), np.searchsorted(keys, (cells + 1) << shift)


def _edges(strokes: Sequence[dict[str, Any]]) -> Float[np.ndarray, "E 2 2"]:
    outlines = [np.array(stroke["outline"], float).reshape(-1, 2) for stroke in strokes]
    sides = [np.stack([one, np.roll(one, -1, axis=0)], 1) for one in outlines]
    return np.concatenate([np.empty((0, 2, 2)), *sides])


def _crossed(
    edges: Float[np.ndarray, "E 2 2"], middle: Float[np.ndarray, "C 2"], half: float
) -> Bool[np.ndarray, " C"]:
    """Return which squares an edge touches: no line separates them (separating axes)."""
    found, reach = np.zeros(len(middle), bool), half * (1 + 1e-9)
    for a, b in edges:
        way, off = (b - a) / 2, middle - (a + b) / 2
        near = (np.abs(off) <= reach + np.abs(way)).all(-1)
        across = np.abs(off[:, 0] * way[1] - off[:, 1] * way[0])
        found |= near & (across <= reach * np.abs(way).sum() * (1 + 1e-9))
    return found


# Morton order ------------------------------------------------------------------------------------

_STEPS = (
    (16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333), (1, 0x5555555555555555),
)  # fmt: skip


def _morton(i: Int[np.ndarray, "*S"], j: Int[np.ndarray, "*S"]) -> Int[np.ndarray, "*S"]:
    """Return numbers whose bits are those of two others in turn."""
    pair = np.stack([i, j]).astype(np.int64)
    for shift, mask in _STEPS:
        pair = (pair | pair << shift) & mask
    return pair[0] | pair[1] << 1


def _planar(keys: Int[np.ndarray, "*S"]) -> tuple[Int[np.ndarray, "*S"], Int[np.ndarray, "*S"]]:
    """Return the two numbers that :func:`_morton` was given."""
    pair = np.stack([keys, keys >> 1]) & _STEPS[-1][1]
    for (shift, _), (_, mask) in zip(_STEPS[::-1], (*_STEPS[-2::-1], (0, 0xFFFFFFFF)), strict=True):
        pair = (pair | pair >> shift) & mask
    return pair[0], pair[1]


# The file ----------------------------------------------------------------------------------------


def pyramid(codes: Codes, study: Study, tell: Callable[[str], None] = lambda text: None) -> Pyramid:
    """Return the pyramid beside the codes; one that is missing, damaged or of other codes is built.

    Args:
        codes: Of the run.
        study: The run.
        tell: Called with a sentence before it is built: why.

    Raises:
        OptionError: If the codes are of another run, of one dimension or discrete.
        DataError: If a file of codes is damaged.
        RunError: If the folder cannot be written to.
    """
    _check(codes, study)
    path = codes.path / FILE
    try:
        return _read(path, codes)
    except FileNotFoundError:
        reason = f"{path} is built, once for these codes"
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = f"{path} is built again: {error}"
    tell(f"{reason}.")
    return _built(path, codes, study)


def _check(codes: Codes, study: Study) -> None:
    record = {} if study.folder is None else study.folder.record
    own, theirs = record.get("weights_sha256"), codes.told["weights_sha256"]
    if own is None or own != theirs:
        raise OptionError(
            f"{codes.path} has codes of {codes.told['run']}, with other weights than "
            f"{study.folder}. Encode the set with this run: `vaescape encode {study.folder} SOURCE "
            "--out FOLDER`."
        )
    if study.space.discrete or study.space.latent < 2:
        kind = "discrete" if study.space.discrete else "on a line"
        raise OptionError(
            f"--codes shows codes of two or more dimensions, and those of {study.folder} are "
            f"{kind}. Leave out --codes to explore the run's own images."
        )
    if study.space.conditions and codes.classes != tuple(study.classes):
        raise OptionError(
            f"The classes of {codes.path} are not those that {study.folder} is conditioned on. "
            "Encode a set with the classes of the run."
        )


def _read(path: Path, codes: Codes) -> Pyramid:
    """Return the pyramid in a file, mapped into memory.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, of other codes, or of another version.
    """
    with safe_open(path, framework="numpy") as file:
        told = json.loads((file.metadata() or {}).get(HEADER, "{}"))
    if told.get("version") != __version__:
        raise ValueError("it is of another version")
    if told["codes"] != codes.digest:
        raise ValueError("the codes have changed")
    arrays = {name: tensor.numpy() for name, tensor in load_file(path).items()}
    if _sha256(arrays) != told["sha256"]:
        raise ValueError("it is damaged")
    return Pyramid(codes, told["exponent"], arrays, told["behind"])


def _sha256(arrays: dict[str, Shaped[np.ndarray, "..."]]) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode())
        found.update(np.ascontiguousarray(arrays[name]).data)
    return found.hexdigest()


def _built(path: Path, codes: Codes, study: Study) -> Pyramid:
    arrays = _gathered(codes, study)
    largest = float(np.abs(arrays["place"]).max())
    exponent = int(np.frexp(largest)[1])  # largest < 2^exponent
    scaled = np.floor(arrays["place"].astype(float) * 2.0 ** (DEPTH - 1 - exponent))
    across, up = (scaled + 2 ** (DEPTH - 1)).astype(np.int64).T
    keys = _morton(across, up)
    order = np.lexsort((arrays["label"], keys))
    arrays |= {name: arrays[name][order] for name in ("place", "label")}
    arrays |= {"key": keys[order], "row": order} | _levels(keys[order], arrays["label"])
    entries, found = plane(View(study, sample=_sample(codes, arrays)))
    arrays |= {f"behind.{name}": np.frombuffer(b.content, np.uint8) for name, b in found.items()}
    told = {"version": __version__, "codes": codes.digest, "exponent": exponent}
    told |= {"behind": {"entries": entries, "blobs": {name: b.about for name, b in found.items()}}}
    told |= {"sha256": _sha256(arrays)}
    write_atomic(path, save(arrays, {HEADER: json.dumps(told)}))
    return _read(path, codes)


def _gathered(codes: Codes, study: Study) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return places and labels of all codes in the order of the set, a sample, and the plane."""
    N, D = len(codes), codes.told["latent"]
    place, label = np.empty((N, 2), np.float32), np.zeros(N, np.int16)
    hashes = np.empty(N, np.int32)
    plane = None if D == 2 else [one.numpy() for one in principal(encode_all(study).mean)]
    chosen = evenly(N, SAMPLE).numpy()
    keys = ["z", "label", "id", *(["log_var"] if codes.spreads else [])]
    sample: dict[str, list[Any]] = {key: [] for key in keys}
    files = codes.told["files"].items()
    for file, (name, count) in enumerate(bar(files, desc="Reading codes", unit="files")):
        start = codes.start(file)
        parts = dict(zip(keys, codes.part(name, *keys), strict=True))
        if parts["z"].shape != (count, D) or not np.isfinite(parts["z"]).all():
            raise DataError(f"{codes.path / name} has codes that are not {D} finite numbers each.")
        rows = slice(start, start + count)
        place[rows] = parts["z"] if plane is None else (parts["z"] - plane[0]) @ plane[1]
        hashes[rows] = _hashes(parts["id"])
        if codes.classes:
            label[rows] = parts["label"]
            if not ((parts["label"] >= 0) & (parts["label"] < len(codes.classes))).all():
                raise DataError(f"{codes.path / name} has labels of no class.")
        here = chosen[(chosen >= start) & (chosen < start + count)] - start
        for key in keys:
            sample[key].append(parts[key][here])
    mixed = np.random.default_rng(0).permutation(len(chosen))  # so that its start is a sample too
    names = [one for part in sample.pop("id") for one in part.tolist()]
    ids = json.dumps([names[n] for n in mixed]).encode()
    found = {f"sample.{key}": np.concatenate(parts)[mixed] for key, parts in sample.items()}
    found |= {"sample.row": chosen[mixed], "sample.id": np.frombuffer(ids, np.uint8)}
    found |= {} if plane is None else {"mean": plane[0], "axes": np.ascontiguousarray(plane[1])}
    return found | {"place": place, "label": label, "hash": hashes}


def _hashes(names: Shaped[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return 32 bits of each text: a polynomial of its characters modulo 2^32."""
    text = np.ascontiguousarray(names.astype(str))
    letters = text.view(np.uint32).reshape(len(text), -1)
    powers = np.cumprod(np.full(letters.shape[1], 0x01000193, np.uint32), dtype=np.uint32)
    return (letters * powers).sum(1, dtype=np.uint32).view(np.int32)


def _sample(codes: Codes, arrays: dict[str, Shaped[np.ndarray, "..."]]) -> Sample:
    found = {
        name.removeprefix("sample."): torch.from_numpy(array.copy())
        for name, array in arrays.items()
        if name.startswith("sample.")
    }
    encoded = Encoded(found["z"], found.get("log_var"), found["label"].long(), 0)
    axes = [torch.from_numpy(arrays[name]) for name in ("mean", "axes") if name in arrays]
    return Sample(codes.told["title"], codes.classes, encoded, (axes[0], axes[1]) if axes else None)


def _levels(
    keys: Int[np.ndarray, " N"], labels: Int[np.ndarray, " N"]
) -> dict[str, Int[np.ndarray, " E"]]:
    """Return the counts of each depth, down to the last whose cells have many codes in the mean."""

    def cells(depth: int) -> int:
        return 1 + int(np.count_nonzero(np.diff(keys >> 2 * (DEPTH - depth))))

    depth = max((d for d in range(1, DEPTH) if cells(d) * SHARE <= len(keys)), default=1)
    entries, counts = np.unique(keys >> 2 * (DEPTH - depth) << LABEL | labels, return_counts=True)
    found = {}
    for d in bar(range(depth, 0, -1), desc="Counting", unit="levels"):
        found |= {f"entry.{d}": entries, f"count.{d}": counts}
        entries, place = np.unique(
            entries >> LABEL + 2 << LABEL | entries & (1 << LABEL) - 1, return_inverse=True
        )
        counts = np.bincount(place, weights=counts).astype(np.int64)
    return found
