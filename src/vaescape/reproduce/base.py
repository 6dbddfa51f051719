"""A reproduction: models to train, numbers to measure, and a page that compares both results.

It lives in a folder: a run folder for each model, with what was measured in ``measured.json``;
the figures; the page. What exists already is kept, and a stopped training is resumed.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vaescape import pipeline
from vaescape.components import Component, construct
from vaescape.errors import RunError
from vaescape.files import write_atomic, write_json
from vaescape.plots.style import Picture, png_bytes
from vaescape.recipes import Configuration
from vaescape.runs import RunFolder, read_json
from vaescape.study import Study

NUMBERS = "measured.json"


@dataclass(frozen=True)
class Made:
    """One model of a reproduction, trained and measured."""

    study: Study
    numbers: dict[str, Any]

    @property
    def folder(self) -> RunFolder:
        """Its run folder."""
        assert self.study.folder is not None
        return self.study.folder

    @property
    def seconds(self) -> float:
        """Time spent training."""
        return self.folder.history()[-1]["seconds"]


class Reproduction(Component, ABC):
    """A published result, and how it is reproduced."""

    kind = "reproduction"
    title: ClassVar[str]
    published: ClassVar[str]
    """What was published, where, and how ours differs: Markdown."""

    @abstractmethod
    def models(self) -> dict[str, Configuration]:
        """Return what is trained, by the names of the run folders."""

    @abstractmethod
    def measure(self, study: Study) -> dict[str, Any]:
        """Return the numbers of a trained model, ready for JSON."""

    @abstractmethod
    def table(self, made: Mapping[str, Made]) -> str:
        """Return our numbers and the published ones, in Markdown."""

    def figures(self, made: Mapping[str, Made]) -> dict[str, Picture]:
        """Return the figures, by the names of their files."""
        return {}


def reproduce(
    name: str, *, root: Path = Path("runs"), data_dir: Path | None = None, **changes: Any
) -> Path:
    """Complete a reproduction from what exists; return its page.

    Args:
        name: Which.
        root: Its folder is ``reproduce-NAME`` in there.
        data_dir: Where the files of the data are, if not where they are looked for.
        changes: What differs in every model, for a quick look: ``epochs``, ``limit``, ``seed``, …

    Raises:
        ComponentError: If there is none of that name, with the nearest.
        RunError: If the folder has a model of other settings.
    """
    what: Reproduction = construct("reproduction", name)
    place = root / f"reproduce-{name}"
    made = {
        model: _made(what, place / model, configuration.with_changes(**changes), data_dir)
        for model, configuration in what.models().items()
    }
    figures = what.figures(made)
    for stem, figure in figures.items():
        write_atomic(place / f"{stem}.png", png_bytes(figure))
    return write_atomic(place / f"{name}.md", page(what, made, list(figures)))


def _made(
    what: Reproduction, path: Path, configuration: Configuration, data_dir: Path | None
) -> Made:
    study = _trained(path, configuration, data_dir)
    if not (path / NUMBERS).exists():
        write_json(path / NUMBERS, what.measure(study))
    return Made(study, read_json(path / NUMBERS))


def _trained(path: Path, wanted: Configuration, data_dir: Path | None) -> Study:
    """Return a trained model: loaded, resumed or trained from the start."""
    wanted = wanted.resolved()
    if not path.exists():
        folder, study = pipeline.start(wanted, root=path.parent, name=path.name, data_dir=data_dir)
        return pipeline.train(folder, study, label=path.name)
    folder = RunFolder.open(path)
    if Configuration.from_dict(folder.configuration) != wanted:
        raise RunError(
            f"{folder} was made with other settings. Give --root for another place, or remove it."
        )
    if folder.status == "finished":
        return Study.load(folder, data_dir=data_dir)
    return pipeline.train(folder, Study(wanted, data_dir=data_dir), label=path.name)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page(what: Reproduction, made: Mapping[str, Made], figures: Sequence[str]) -> str:
    """Return the page: published numbers, ours, and how ours were measured."""
    shown = [f"![{stem.replace('-', ' ')}]({stem}.png)" for stem in figures]
    parts = [f"# {what.title}", what.published, what.table(made), *shown, _how(what.name, made)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _how(name: str, made: Mapping[str, Made]) -> str:
    """Return how each model was trained, on what, and by which command."""
    rows = []
    for model, one in made.items():
        c = one.study.configuration
        t, p = c.train, c.parts
        rows.append(
            [
                model,
                f"{p.model}, {p.network}, D = {p.latent}, prior {p.prior}, {p.likelihood}",
                f"{p.objective}; {t.optimiser}, rate {t.lr:g}, {t.schedule}, batch {t.batch}",
                t.precision,
                f"{t.epochs:g}",
                str(t.seed),
                f"{one.seconds:,.0f}",
            ]
        )
    header = ["model", "parts", "training", "precision", "epochs", "seed", "training, s"]
    made_by = next(iter(made.values())).folder.record["provenance"]
    machine, versions, git = made_by["machine"], made_by["versions"], made_by["git"] or {}
    facts = [
        f"Command: `vaescape reproduce {name}`",
        f"commit {git['commit'][:7]}" if git else "",
        ", ".join(f"{program} {number}" for program, number in versions.items()),
        f"{machine['cuda'] or machine['cpu']}, {machine['cores']} cores",
        made_by["date"][:10],
    ]
    return (
        f"## How it was made\n\n{markdown_table(header, rows)}\n\n"
        f"{'; '.join(fact for fact in facts if fact)}."
    )
