"""An explorer of a small study, and a browser with no network to open it in."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "explore")]

from explore_studies import study as made  # noqa: E402 # pyright: ignore[reportMissingImports]
from served import served  # noqa: E402 # pyright: ignore[reportMissingImports]
from web_person import Person, Visit, values  # noqa: E402

from vaescape.explore.page import fill, template  # noqa: E402
from vaescape.explore.pair import Pair  # noqa: E402
from vaescape.explore.payload import Payload, payload  # noqa: E402
from vaescape.explore.sections import networks  # noqa: E402
from vaescape.explore.sections import plane as module  # noqa: E402
from vaescape.pipeline import start, train  # noqa: E402
from vaescape.play.server import Stage, application  # noqa: E402
from vaescape.recipes import configuration  # noqa: E402
from vaescape.study import Study  # noqa: E402

# Pages -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A run folder: a plane of shapes, trained, not evaluated."""
    network = "conv(channels=[8, 16], hidden=32)"
    options = {"network": network, "limit": 600, "epochs": 25, "batch": 50, "threads": 1}
    chosen = configuration("first-look", **options)
    folder, study = start(chosen, root=tmp_path_factory.mktemp("runs"))
    train(folder, study)
    return folder.path


@pytest.fixture(scope="session")
def study(run) -> Study:
    """What it trained."""
    return Study.load(run)


@pytest.fixture(scope="session")
def content(study) -> Payload:
    """What its page shows."""
    return payload(study)


def written(path: Path, content: Payload, **changes: Any) -> Path:
    """Return a page with parts of its manifest, or ``blobs``, changed."""
    blobs = content.blobs | changes.pop("blobs", {})
    changed = replace(content, manifest=content.manifest | changes, blobs=blobs)
    path.write_text(fill(template(), changed), encoding="utf-8")
    return path


@pytest.fixture
def write(content, tmp_path) -> Callable[..., Path]:
    """Write the page anew with something changed."""
    return lambda **changes: written(tmp_path / "page.html", content, **changes)


@pytest.fixture(scope="session")
def saved(content, tmp_path_factory) -> Path:
    """Its page."""
    return written(tmp_path_factory.mktemp("explorer") / "explorer.html", content)


@pytest.fixture(scope="session")
def z(content) -> np.ndarray:
    """Where the page puts the images, the training images first: (N, 2)."""
    return values(content.blobs["latents"])


@pytest.fixture(scope="session")
def labels(content) -> np.ndarray:
    """Their classes."""
    return values(content.blobs["labels"])


@pytest.fixture(scope="session")
def odd(tmp_path_factory) -> Callable[..., tuple[Study, Path]]:
    """Return a study of discs as they come, and its page: each is made once."""
    known: dict[str, tuple[Study, Path]] = {}

    def of(kind: str, **options: Any) -> tuple[Study, Path]:
        if kind not in known:
            folder = tmp_path_factory.mktemp(kind)
            found = made(folder, **options)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "FIELD", 16)
                patch.setattr(module, "CELLS", 8)
                patch.setattr(networks, "WORTH_SHARING", 256)
                known[kind] = found, written(folder / "page.html", payload(found))
        return known[kind]

    return of


# Two runs, and a training that is played with -----------------------------------------------------


@pytest.fixture(scope="module")
def two(study, tmp_path_factory) -> Pair:
    """The study, and another of the same images by another seed."""
    network = "conv(channels=[8, 16], hidden=32)"
    options = {"network": network, "limit": 600, "epochs": 3, "batch": 50, "threads": 1, "seed": 1}
    folder, other = start(
        configuration("first-look", **options), root=tmp_path_factory.mktemp("other")
    )
    train(folder, other)
    return Pair(study, Study.load(folder.path))


@pytest.fixture(scope="module")
def two_saved(two, tmp_path_factory) -> Path:
    """Its page: both in one file."""
    return two.save(tmp_path_factory.mktemp("pair") / "both.html")


PLAYED = {
    "data": "shapes(images=400, size=12, vary=['scale', 'x'])",
    "network": "fourier(decoder_widths=[24], features=8, scale=1.0)",
    "posterior": "bayes(points=144, training_points=64, refresh_interval=4)",
    "batch": 40,
    "threads": 1,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    """A training process of small parts."""
    made = Stage(configuration("swift", **PLAYED), None, tmp_path_factory.mktemp("runs"))
    made.wait()
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(stage) -> Iterator[str]:
    """The address of its page."""
    with served(partial(application, stage)) as found:
        yield found


# Browser -----------------------------------------------------------------------------------------


@pytest.fixture
def visit(browser) -> Iterator[Any]:
    """Open a page; at the end, nothing was asked for and nothing complained of."""
    visits: list[Visit] = []

    def opened(path: Path, **context: Any) -> Visit:
        visits.append(Visit(browser, path, **context))
        return visits[-1]

    yield opened
    complaints = [complaint for each in visits for complaint in each.complaints]
    for each in visits:
        each.context.close()
    assert not complaints


@pytest.fixture(scope="module")
def shared(browser, saved) -> Iterator[Visit]:
    """The study's page, opened once for all tests of a module."""
    found = Visit(browser, saved)
    yield found
    found.context.close()


@pytest.fixture
def person(shared) -> Iterator[Person]:
    """Somebody in front of it, as if it had just been opened."""
    found = shared.person()
    found.tidy()
    yield found
    complaints, shared.complaints = shared.complaints, []
    assert not complaints
