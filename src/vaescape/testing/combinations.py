"""All models that the registered parts can make: each is refused in a sentence, or works."""

import itertools
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaescape.catalogue import CLASSES, IMAGES, KINDS, SHAPE, pictures, tiny
from vaescape.components import texts
from vaescape.data import Batches
from vaescape.errors import ComponentError
from vaescape.recipes import Parts
from vaescape.testing.case import small
from vaescape.train import TrainOptions, train
from vaescape.train.weights import copy_into, pack, unpack

LATENT, BATCH = 4, 6

Row = dict[str, Any]


def choices() -> dict[str, list[Any]]:
    """Return what there is to choose from, along each axis."""
    return {"conditional": [False, True]} | {
        kind: [small(kind, text) for text in texts(kind)] for kind in KINDS
    }


def combinations(**only: str) -> Iterator[Parts]:
    """Yield every combination of registered parts, at small sizes.

    Args:
        only: Text to keep along an axis: ``posterior="vq(…)"``, as in :func:`choices`.
    """
    axes = choices() | {axis: [value] for axis, value in only.items()}
    for values in itertools.product(*axes.values()):
        yield _parts(dict(zip(axes, values, strict=True)))


def _parts(row: Row) -> Parts:
    return Parts(latent=LATENT, **row)


@lru_cache(maxsize=50_000)
def refusal(parts: Parts) -> str | None:
    """Return the sentence with which parts are refused, or None where they have a meaning."""
    try:
        tiny(parts)
    except ComponentError as error:
        return str(error)
    return None


def trains(parts: Parts, *, shards: int = 1) -> None:
    """Check that compatible parts train for two steps, are rebuilt alike, and sample.

    Args:
        parts: The component texts.
        shards: Logical shards of each batch.

    Raises:
        OptionError: If a batch of theirs cannot be cut into shards.
        AssertionError: If something is not finite, or is not the same after saving and loading.
    """
    model, objective = tiny(parts)
    labels = torch.arange(IMAGES) % CLASSES
    batches = Batches(pictures(parts), labels, batch=BATCH, seed=0)
    options = TrainOptions(epochs=1, batch=BATCH, threads=1, device="cpu", lr=1e-4, shards=shards)
    (tick,) = train(model, objective, batches, options)
    assert tick.step == 2
    first, second = numbers(model, parts), numbers(rebuilt(model, parts), parts)
    for what, value in first.items():
        assert value.isfinite().all(), f"{what} is not finite after two steps."
        assert torch.equal(value, second[what]), f"{what} is not the same when loaded again."


def rebuilt(model: torch.nn.Module, parts: Parts) -> Any:
    """Return the model that the saved weights give, built without the images, as a run's is."""
    again, _ = tiny(parts, seed=7, pixels=None)
    again.to(memory_format=torch.channels_last)  # as in training: the same bits
    saved, _ = unpack(pack(model.state_dict(), {}), Path("weights"))
    copy_into(again.state_dict(), saved, Path("weights"))
    return again.eval()


def numbers(model: Any, parts: Parts) -> dict[str, Tensor]:
    """Return what a trained model gives at a seed: terms of the bound, codes, and samples."""
    x, label = pictures(parts)[:4] / 255, torch.arange(4) % CLASSES
    torch.default_generator.manual_seed(0)
    with torch.no_grad():
        e = model.evidence(x, label, samples=2)
        found = {"log p(x | z)": e.log_likelihood()}
        if all(latent.has_kl for latent in e.latents):
            found["the KL"] = e.kl()
        codes = model.encode(x, label)
        found |= {f"the code of layer {i}": z for i, z in enumerate(codes, start=1)}
        found["a reconstruction"] = model.decode(codes, label).mean
        found["a mean sample"] = model.sample(4, label).mean
        found["a drawn sample"] = model.sample(4, label).sample()
    assert found["a mean sample"].shape == found["a drawn sample"].shape == (4, *SHAPE)
    assert ((found["a mean sample"] >= 0) & (found["a mean sample"] <= 1)).all()
    return found


# A few of them -----------------------------------------------------------------------------------

Pair = tuple[tuple[str, Any], tuple[str, Any]]


def spread() -> tuple[list[Parts], set[Pair]]:
    """Return combinations in which all parts occur, and all pairs of parts that go together.

    A pair is tried with what either of its parts usually needs beside it; if that is refused, the
    two are taken not to go together.

    Returns:
        The combinations, none refused, and the pairs found that do not go together.
    """
    axes = choices()
    usual = {kind: small(kind, getattr(Parts(), kind)) for kind in KINDS} | {"conditional": False}
    parts = [(axis, value) for axis, values in axes.items() for value in values]
    company = {part: _company(part, usual, axes) for part in parts}
    found, done, apart = [], set[Pair](), set[Pair]()
    for one, other in itertools.combinations(company, 2):
        if one[0] == other[0] or (one, other) in done:
            continue
        row = _together(one, other, usual, company)
        if row is None:
            apart.add((one, other))
            continue
        row = _varied(row, {one[0], other[0]}, axes, done)
        found.append(_parts(row))
        done |= _pairs(row, axes)
    return found, apart


def _pairs(row: Row, axes: dict[str, list[Any]]) -> set[Pair]:
    return set(itertools.combinations([(axis, row[axis]) for axis in axes], 2))


def _company(part: tuple[str, Any], usual: Row, axes: dict[str, list[Any]]) -> Row:
    """Return what changes of the usual combination when a part is in it, itself included."""
    wanted = dict([part])
    for number in range(3):
        for changed in itertools.combinations([a for a in axes if a not in wanted], number):
            for values in itertools.product(*(axes[a] for a in changed)):
                changes = wanted | dict(zip(changed, values, strict=True))
                if refusal(_parts(usual | changes)) is None:
                    return changes
    raise AssertionError(f"{part[0]} {part[1]!r} goes with nothing: {refusal(_parts(usual))}")


def _together(
    one: tuple[str, Any], other: tuple[str, Any], usual: Row, company: dict[tuple[str, Any], Row]
) -> Row | None:
    """Return a combination with both in it, or None where none is found."""
    both = dict([one, other])
    tries = (company[one], company[other], company[one] | company[other])
    rows = (usual | company[other] | company[one] | both, *(usual | t | both for t in tries))
    return next((row for row in rows if refusal(_parts(row)) is None), None)


def _varied(row: Row, kept: set[str], axes: dict[str, list[Any]], done: set[Pair]) -> Row:
    """Return the combination with as many pairs that are still to do as one change each gives."""
    for axis in (a for a in axes if a not in kept):
        changed = [row | {axis: value} for value in axes[axis]]
        ranked = sorted(changed, key=lambda r: len(_pairs(r, axes) - done), reverse=True)
        row = next(r for r in [*ranked[:4], row] if refusal(_parts(r)) is None)
    return row
